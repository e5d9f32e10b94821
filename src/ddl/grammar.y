/* DDL of MySQL 5.7–9.x and MariaDB 10.3–12.x. Lemon makes C of this file. It is written wider than the servers'
 * grammars (attributes in any order, either family's words): the statements that come here have run on a server.
 * Words that a server does not reserve fall back to names. */
%name DdlGrammar
%token_prefix TK_
%token_type {DdlTok}
%extra_argument {DdlParse *p}
%include {
#include <assert.h>
#include "base/check.h"
#include "ddl/parse_impl.h"
#define YYNOERRORRECOVERY 1
#define YYSTACKDEPTH 200
}
%syntax_error { ddl_fail(p); }
%parse_failure { ddl_fail(p); }
%stack_overflow { ddl_fail(p); }

%fallback ID
  ACTION AFTER ALGORITHM ALWAYS ASCII AUTO AUTO_INCREMENT BYTE CHARSET COALESCE COLUMNS COLUMN_FORMAT
  COMMENT COMPRESSED CURRENT DATA DIRECTORY DISABLE DISCARD ENABLE END ENFORCED ENGINE ENGINE_ATTRIBUTE
  ENUM EXCHANGE EXTERNAL FIRST FULL GENERATED HASH HISTORY IGNORED IMPORT INVISIBLE KEY_BLOCK_SIZE LESS LIST LOCAL
  MODIFY NATIONAL NCHAR NEXT NO NOWAIT NVARCHAR OFFLINE ONLINE ONLY OPTION OVERLAPS PARSER PARTIAL PARTITIONING
  PARTITIONS PERIOD PERSISTENT PRECISION PREVIOUS REBUILD REF_SYSTEM_ID REMOVE REORGANIZE REPAIR ROW SECONDARY
  SECONDARY_ENGINE_ATTRIBUTE SECONDARY_LOAD SECONDARY_UNLOAD SEQUENCE SERIAL SIGNED SIMPLE SRID START STARTS STATEMENT STORAGE
  STORED SUBPARTITION SUBPARTITIONS SYSTEM SYSTEM_TIME TABLES TABLESPACE TEMPORARY THAN TRANSACTION TRUNCATE TYPE
  UNICODE UPGRADE VALIDATION VALUE VECTOR VERSIONING VIRTUAL VISIBLE WAIT WITHOUT NOW NO_WRITE_TO_BINLOG.
%wildcard ANY.
%token SYMBOL.
/* Where a list or bracket may go on, it does. */
%nonassoc LOWEST.
%nonassoc LP COMMA KEY.

%type ident {Str}
%type assigned {Str}
%type colname {Str}
%type dropname {Str}
%type opt_ident {Str}
%type charset {Str}
%type string {Str}
%type table {TableName}
%type group {Str}
%type names {DdlNames}
%type strings {DdlNames}
%type value {DdlValue}
%type literal {DdlValue}
%type strtext {DdlValue}
%type number {Str}
%type len {Str}
%type nowfsp {uint32_t}
%type if_exists {bool}
%type if_not_exists {bool}
%type parts {DdlParts}
%type part {DdlKeyPart *}
%type order {bool}
%type elements {DdlChanges}
%type element {DdlChange *}
%type coldef {DdlColumn *}
%type add_coldef {DdlColumn *}
%type drop_column {DdlChange *}
%type refaction {Str}
%type checkdef {DdlCheck *}
%type option {DdlOption *}
%type optvalue {DdlValue}
%type partdefs {DdlPartitions}
%type partdef {DdlPartition *}
%type names_or_all {DdlNames}
%type partitioning {DdlPartitioning *}
%type bynames {DdlNames}
%type index_kind {int}
%type opt_constraint {Str}
%type replace {bool}
%type temporary {bool}
%type keyident {Str}

input ::= semis statement.
input ::= semis statement SEMI anys.
semis ::= .
semis ::= semis SEMI.

statement ::= create_table.
statement ::= alter_table.
statement ::= drop_tables.
statement ::= rename_tables.
statement ::= truncate_table.
statement ::= create_index.
statement ::= drop_index.
statement ::= database.
statement ::= sequence.
/* MariaDB: SET STATEMENT lock_wait_timeout=1 FOR … */
statement ::= SET STATEMENT settings FOR statement.
settings ::= setting.
settings ::= settings setting.
setting ::= ANY.
setting ::= group.

/* -- names and texts -- */
ident(A) ::= ID(B). { A = B.text; }
ident(A) ::= QUOTED(B). { A = B.text; }
opt_ident(A) ::= . { A = (Str){0}; }
opt_ident(A) ::= ident(B). { A = B; }
table(A) ::= ident(B). { A = (TableName){p->ctx->default_schema, B}; }
table(A) ::= DOT ident(B). { A = (TableName){p->ctx->default_schema, B}; }
table(A) ::= ident(B) DOT ident(C). { A = (TableName){B, C}; }
names(A) ::= ident(B). { A = ddl_names_add(p, (DdlNames){0}, B); }
names(A) ::= names(B) COMMA ident(C). { A = ddl_names_add(p, B, C); }
strtext(A) ::= STRING(B). { A = ddl_string(p, (Str){0}, B.text); }
strtext(A) ::= INTRODUCER(C) STRING(B). { A = ddl_string(p, C.text, B.text); }
string(A) ::= STRING(B). { A = B.text; }
strings(A) ::= strtext(B). { A = ddl_members_add(p, (DdlNames){0}, B); }
strings(A) ::= strings(B) COMMA strtext(C). { A = ddl_members_add(p, B, C); }
strings(A) ::= HEX(B). { A = ddl_members_add(p, (DdlNames){0}, ddl_bytes(p, (Str){0}, B.text)); }
strings(A) ::= strings(B) COMMA HEX(C). { A = ddl_members_add(p, B, ddl_bytes(p, (Str){0}, C.text)); }
charset(A) ::= ident(B). { A = B; }
charset(A) ::= STRING(B). { A = B.text; }
charset(A) ::= BINARY. { A = STR("binary"); }
charset(A) ::= DEFAULT. { A = STR("default"); }
charset_kw ::= CHARSET.
charset_kw ::= CHAR SET.
opt_eq ::= .
opt_eq ::= EQ.
group(A) ::= LP(B) anys RP(C). { A = ddl_text_between(p, B, C); }
anys ::= .
anys ::= anys ANY.
anys ::= anys LP anys RP.
if_exists(A) ::= . { A = false; }
if_exists(A) ::= IF EXISTS. { A = true; }
if_not_exists(A) ::= . { A = false; }
if_not_exists(A) ::= IF NOT EXISTS. { A = true; }
wait ::= .
wait ::= NOWAIT.
wait ::= WAIT number.
number(A) ::= INTEGER(B). { A = B.text; }
number(A) ::= DECIMAL(B). { A = B.text; }

/* -- values -- */
nowfsp(A) ::= NOW. [LOWEST] { A = 0; }
nowfsp(A) ::= NOW LP RP. { A = 0; }
nowfsp(A) ::= NOW LP INTEGER(B) RP. { A = ddl_number(p, B.text); }
literal(A) ::= NULL. { A = (DdlValue){.kind = DDL_VALUE_NULL}; }
literal(A) ::= TRUE. { A = (DdlValue){.kind = DDL_VALUE_TRUE}; }
literal(A) ::= FALSE. { A = (DdlValue){.kind = DDL_VALUE_FALSE}; }
literal(A) ::= number(B). { A = (DdlValue){.kind = DDL_VALUE_NUMBER, .text = B}; }
literal(A) ::= PLUS number(B). { A = (DdlValue){.kind = DDL_VALUE_NUMBER, .text = B}; }
literal(A) ::= MINUS number(B). { A = (DdlValue){.kind = DDL_VALUE_NUMBER, .text = ddl_join(p, "-", B)}; }
literal(A) ::= strtext(B). { A = B; }
literal(A) ::= HEX(B). { A = ddl_bytes(p, (Str){0}, B.text); }
literal(A) ::= INTRODUCER(C) HEX(B). { A = ddl_bytes(p, C.text, B.text); }
literal(A) ::= BITS(B). { A = (DdlValue){.kind = DDL_VALUE_BIT, .text = B.text}; }
/* DATE'2000-01-01' */
literal(A) ::= TYPE STRING(B). { A = (DdlValue){.kind = DDL_VALUE_STRING, .text = B.text}; }
literal(A) ::= nowfsp(B). { A = (DdlValue){.kind = DDL_VALUE_NOW, .fsp = B}; }
value(A) ::= literal(B). { A = B; }
value(A) ::= group(B). { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = B, .bracketed = true}; }
value(A) ::= ident(B). { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = B}; }
value(A) ::= ident(B) group(C). { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = arena_printf(p->arena, STR_FMT "(" STR_FMT ")", STR_ARG(B), STR_ARG(C))}; }
value(A) ::= NEXT VALUE FOR table(B). { A = ddl_next_value(p, B); }

/* -- columns -- */
colname(A) ::= ident(B). { A = B; }
colname(A) ::= PERIOD(B). { A = B.text; }
colname(A) ::= SYSTEM(B). { A = B.text; }
colname(A) ::= VECTOR(B). { A = B.text; }
col_begin ::= colname(B). { p->column = DDL_NEW(p, DdlColumn); p->column->name = B; p->check = NULL; p->key = NULL; }
coldef(A) ::= col_begin type attrs. { A = p->column; }

len(A) ::= LP number(B) RP. { A = B; }
type ::= TYPE(B). { ddl_type_named(p, B.text, (Str){0}, (Str){0}); }
type ::= TYPE(B) len(C). { ddl_type_named(p, B.text, C, (Str){0}); }
type ::= TYPE(B) LP INTEGER(C) COMMA INTEGER(D) RP. { ddl_type_named(p, B.text, C.text, D.text); }
type ::= DOUBLE. { ddl_type_named(p, STR("double"), (Str){0}, (Str){0}); }
type ::= DOUBLE PRECISION. { ddl_type_named(p, STR("double"), (Str){0}, (Str){0}); }
type ::= DOUBLE LP INTEGER(C) COMMA INTEGER(D) RP. { ddl_type_named(p, STR("double"), C.text, D.text); }
type ::= DOUBLE PRECISION LP INTEGER(C) COMMA INTEGER(D) RP. { ddl_type_named(p, STR("double"), C.text, D.text); }
type ::= CHAR. { ddl_type_named(p, STR("char"), (Str){0}, (Str){0}); }
type ::= CHAR len(C). { ddl_type_named(p, STR("char"), C, (Str){0}); }
type ::= varchar len(C). { ddl_type_named(p, STR("varchar"), C, (Str){0}); }
type ::= national_char. { ddl_type_named(p, STR("char"), (Str){0}, (Str){0}); p->column->type.national = true; }
type ::= national_char len(C). { ddl_type_named(p, STR("char"), C, (Str){0}); p->column->type.national = true; }
type ::= national_varchar len(C). { ddl_type_named(p, STR("varchar"), C, (Str){0}); p->column->type.national = true; }
type ::= BINARY. { ddl_type_named(p, STR("binary"), (Str){0}, (Str){0}); }
type ::= BINARY len(C). { ddl_type_named(p, STR("binary"), C, (Str){0}); }
type ::= VARBINARY len(C). { ddl_type_named(p, STR("varbinary"), C, (Str){0}); }
type ::= LONG. { ddl_type_named(p, STR("mediumtext"), (Str){0}, (Str){0}); }
type ::= LONG VARCHAR. { ddl_type_named(p, STR("mediumtext"), (Str){0}, (Str){0}); }
type ::= LONG VARBINARY. { ddl_type_named(p, STR("mediumblob"), (Str){0}, (Str){0}); }
type ::= ENUM LP strings(C) RP. { ddl_type_named(p, STR("enum"), (Str){0}, (Str){0}); p->column->type.members = C.head; }
type ::= SET LP strings(C) RP. { ddl_type_named(p, STR("set"), (Str){0}, (Str){0}); p->column->type.members = C.head; }
type ::= SERIAL. { ddl_type_named(p, STR("serial"), (Str){0}, (Str){0}); }
type ::= VECTOR. { ddl_type_named(p, STR("vector"), (Str){0}, (Str){0}); }
type ::= VECTOR len(C). { ddl_type_named(p, STR("vector"), C, (Str){0}); }
varchar ::= VARCHAR.
varchar ::= CHAR VARYING.
national_char ::= NATIONAL CHAR.
national_char ::= NCHAR.
national_varchar ::= NATIONAL VARCHAR.
national_varchar ::= NATIONAL CHAR VARYING.
national_varchar ::= NVARCHAR.
national_varchar ::= NCHAR VARCHAR.
national_varchar ::= NCHAR VARYING.

attrs ::= .
attrs ::= attrs attr.
attr ::= UNSIGNED. { p->column->is_unsigned = true; }
attr ::= SIGNED. { p->column->is_signed = true; }
attr ::= ZEROFILL. { p->column->zerofill = true; }
attr ::= BINARY. { p->column->binary = true; }
attr ::= ASCII. { p->column->ascii = true; }
attr ::= UNICODE. { p->column->unicode = true; }
attr ::= BYTE. { p->column->byte = true; }
attr ::= COMPRESSED. { p->column->compressed = true; }
attr ::= COMPRESSED EQ ident. { p->column->compressed = true; }
attr ::= charset_kw charset(B). { p->column->charset = ddl_lower(p, B); }
attr ::= COLLATE charset(B). { p->column->collation = ddl_lower(p, B); }
attr ::= NOT NULL. { p->column->null = DDL_NULL_NO; }
attr ::= NULL. { p->column->null = DDL_NULL_YES; }
attr ::= NOT SECONDARY.
attr ::= DEFAULT value(B). { p->column->dflt = B; }
attr ::= SERIAL DEFAULT VALUE. { p->column->serial_default = true; }
attr ::= ON UPDATE nowfsp(B). { p->column->on_update_now = true; p->column->on_update_fsp = B; }
attr ::= AUTO_INCREMENT. { p->column->auto_increment = true; }
attr ::= UNIQUE. [LOWEST] { p->column->unique = true; }
attr ::= UNIQUE KEY. { p->column->unique = true; }
attr ::= PRIMARY KEY. { p->column->primary = true; }
attr ::= KEY. { p->column->primary = true; }
attr ::= COMMENT string(B). { p->column->comment = B; p->column->has_comment = true; }
attr ::= COLUMN_FORMAT ident.
attr ::= COLUMN_FORMAT DEFAULT.
attr ::= STORAGE ident.
attr ::= STORAGE DEFAULT.
attr ::= ENGINE_ATTRIBUTE opt_eq string.
attr ::= SECONDARY_ENGINE_ATTRIBUTE opt_eq string.
attr ::= REF_SYSTEM_ID EQ INTEGER.
attr ::= SRID INTEGER(B). { p->column->has_srid = true; p->column->srid = ddl_number(p, B.text); }
attr ::= VISIBLE.
attr ::= INVISIBLE. { p->column->invisible = true; }
attr ::= GENERATED ALWAYS AS group(B). { p->column->generated = true; p->column->generation_expr = B; }
attr ::= AS group(B). { p->column->generated = true; p->column->generation_expr = B; }
attr ::= GENERATED ALWAYS AS ROW START. { p->column->row_start = true; }
attr ::= GENERATED ALWAYS AS ROW END. { p->column->row_end = true; }
attr ::= AS ROW START. { p->column->row_start = true; }
attr ::= AS ROW END. { p->column->row_end = true; }
attr ::= VIRTUAL.
attr ::= STORED. { p->column->stored = true; }
attr ::= PERSISTENT. { p->column->stored = true; }
attr ::= WITH SYSTEM VERSIONING. { p->column->with_versioning = true; }
attr ::= WITHOUT SYSTEM VERSIONING. { p->column->without_versioning = true; }
attr ::= assigned optvalue. /* MariaDB: attributes of an engine */
attr ::= checkdef(B). { B->next = p->column->checks; p->column->checks = B; }
attr ::= NOT ENFORCED. { if (p->check) p->check->not_enforced = true; }
attr ::= ENFORCED.
attr ::= REFERENCES table(B). { ddl_key_begin(p, DDL_KEY_FOREIGN, (Str){0}); p->key->ref = B; p->column->references = p->key; }
attr ::= REFERENCES table(B) LP names(C) RP. { ddl_key_begin(p, DDL_KEY_FOREIGN, (Str){0}); p->key->ref = B; p->key->ref_columns = C.head; p->column->references = p->key; }
attr ::= refattr.

/* ON DELETE …, behind any REFERENCES */
refattr ::= MATCH match.
refattr ::= ON DELETE refaction(B). { if (p->key) p->key->on_delete = B; }
refattr ::= ON UPDATE refaction(B). { if (p->key) p->key->on_update = B; }
match ::= FULL.
match ::= PARTIAL.
match ::= SIMPLE.
refaction(A) ::= RESTRICT. { A = STR("RESTRICT"); }
refaction(A) ::= CASCADE. { A = STR("CASCADE"); }
refaction(A) ::= SET NULL. { A = STR("SET NULL"); }
refaction(A) ::= NO ACTION. { A = STR("NO ACTION"); }
refaction(A) ::= SET DEFAULT. { A = STR("SET DEFAULT"); }

checkdef(A) ::= CHECK group(B). { A = p->check = DDL_NEW(p, DdlCheck); A->expr = B; }
checkdef(A) ::= CONSTRAINT opt_ident(C) CHECK group(B). { A = p->check = DDL_NEW(p, DdlCheck); A->name = C; A->expr = B; }

/* -- keys -- */
order(A) ::= . { A = false; }
order(A) ::= ASC. { A = false; }
order(A) ::= DESC. { A = true; }
part(A) ::= ident(B) order(C). { A = DDL_NEW(p, DdlKeyPart); A->column = B; A->descending = C; }
part(A) ::= ident(B) LP INTEGER(D) RP order(C). { A = DDL_NEW(p, DdlKeyPart); A->column = B; A->prefix = ddl_number(p, D.text); A->descending = C; }
part(A) ::= group(B) order(C). { A = DDL_NEW(p, DdlKeyPart); A->expr = B; A->descending = C; }
part(A) ::= ident(B) WITHOUT OVERLAPS. { A = DDL_NEW(p, DdlKeyPart); A->column = B; A->without_overlaps = true; }
parts(A) ::= part(B). { A = (DdlParts){B, B}; }
parts(A) ::= parts(B) COMMA part(C). { A = B; DDL_APPEND(A, C); }

opt_constraint(A) ::= . { A = (Str){0}; }
opt_constraint(A) ::= CONSTRAINT opt_ident(B). { A = B; }
index_or_key ::= INDEX.
index_or_key ::= KEY.
opt_index ::= .
opt_index ::= index_or_key.
keyident(A) ::= opt_ident(B) index_using. { A = B; }
index_using ::= .
index_using ::= USING ident(B). { p->key->index_type = ddl_upper(p, B); }
key_primary ::= opt_constraint(B) PRIMARY KEY. { ddl_key_begin(p, DDL_KEY_PRIMARY, B); }
key_unique ::= opt_constraint(B) UNIQUE opt_index. { ddl_key_begin(p, DDL_KEY_UNIQUE, B); }
key_plain ::= index_or_key. { ddl_key_begin(p, DDL_KEY_PLAIN, (Str){0}); }
key_special ::= FULLTEXT opt_index. { ddl_key_begin(p, DDL_KEY_FULLTEXT, (Str){0}); }
key_special ::= SPATIAL opt_index. { ddl_key_begin(p, DDL_KEY_SPATIAL, (Str){0}); }
key_special ::= VECTOR index_or_key. { ddl_key_begin(p, DDL_KEY_VECTOR, (Str){0}); }
key_foreign ::= opt_constraint(B) FOREIGN KEY. { ddl_key_begin(p, DDL_KEY_FOREIGN, B); }
keyhead ::= key_primary.
keyhead ::= key_unique.
keyhead ::= key_plain.
keyhead ::= key_special.
keydef ::= keyhead if_not_exists(B) keyident(C) LP parts(D) RP keyoptions. { p->key->if_not_exists = B; p->key->name = C; p->key->parts = D.head; }
keydef ::= key_foreign if_not_exists(B) opt_ident(C) LP names(D) RP REFERENCES table(E) refcols refattrs.
    { p->key->if_not_exists = B; p->key->name = C; ddl_key_columns(p, D); p->key->ref = E; }
refcols ::= .
refcols ::= LP names(B) RP. { p->key->ref_columns = B.head; }
refattrs ::= .
refattrs ::= refattrs refattr.
keyoptions ::= .
keyoptions ::= keyoptions keyoption.
keyoption ::= USING ident(B). { p->key->index_type = ddl_upper(p, B); }
keyoption ::= COMMENT string(B). { p->key->comment = B; }
keyoption ::= KEY_BLOCK_SIZE opt_eq INTEGER.
keyoption ::= WITH PARSER ident(B). { p->key->parser = B; }
keyoption ::= VISIBLE.
keyoption ::= INVISIBLE. { p->key->invisible = true; }
keyoption ::= IGNORED. { p->key->invisible = true; }
keyoption ::= NOT IGNORED.
keyoption ::= ENGINE_ATTRIBUTE opt_eq string.
keyoption ::= SECONDARY_ENGINE_ATTRIBUTE opt_eq string.
keyoption ::= assigned optvalue.

/* -- CREATE TABLE -- */
element(A) ::= coldef(B). { A = ddl_change(p, DDL_ADD_COLUMN); A->column = B; }
element(A) ::= keydef. { A = ddl_change(p, DDL_ADD_KEY); A->key = p->key; A->if_not_exists = p->key->if_not_exists; }
element(A) ::= checkdef(B) enforced. { A = ddl_change(p, DDL_ADD_CHECK); A->check = B; }
element(A) ::= PERIOD FOR ident(B) LP names(C) RP. { A = ddl_change(p, DDL_ADD_PERIOD); A->name = B; A->names = C.head; }
element(A) ::= PERIOD FOR SYSTEM_TIME(B) LP names(C) RP. { A = ddl_change(p, DDL_ADD_PERIOD); A->name = B.text; A->names = C.head; }
enforced ::= .
enforced ::= ENFORCED.
enforced ::= NOT ENFORCED. { p->check->not_enforced = true; }
elements(A) ::= element(B). { A = (DdlChanges){B, B}; }
elements(A) ::= elements(B) COMMA element(C). { A = B; DDL_APPEND(A, C); }

replace(A) ::= . { A = false; }
replace(A) ::= OR REPLACE. { A = true; }
temporary(A) ::= . { A = false; }
temporary(A) ::= TEMPORARY. { A = true; }
create_head ::= CREATE replace(B) temporary(C) external TABLE if_not_exists(D) table(E).
    { p->stmt->kind = DDL_CREATE_TABLE; p->stmt->replace = B; p->stmt->temporary = C; p->stmt->if_not_exists = D; ddl_table_add(p, E); }
external ::= .
external ::= EXTERNAL.
create_table ::= create_head LIKE table(B). { p->stmt->like = true; ddl_table_add(p, B); }
create_table ::= create_head LP LIKE table(B) RP. { p->stmt->like = true; ddl_table_add(p, B); }
create_table ::= create_head LP elements(B) RP create_tail. { ddl_changes_front(p, B); }
create_table ::= create_head LP SELECT anys RP anys. { p->stmt->as_select = true; }
create_table ::= create_head create_tail.
create_tail ::= create_options.
create_tail ::= create_options create_partition.
create_tail ::= create_options create_query.
create_tail ::= create_options create_partition create_query.
create_partition ::= partitioning(B). { DdlChange *c = ddl_change(p, DDL_PARTITION_BY); c->partitioning = B; ddl_change_add(p, c); }
create_options ::= . [LOWEST]
create_options ::= create_options option(B). { ddl_option_add(p, B); }
create_options ::= create_options COMMA option(B). { ddl_option_add(p, B); }
create_options ::= create_options START TRANSACTION. { p->stmt->atomic_select = true; }
create_options ::= create_options WITH SYSTEM VERSIONING. { ddl_change_add(p, ddl_change(p, DDL_ADD_VERSIONING)); }
create_query ::= query. { p->stmt->as_select = true; }
create_query ::= query_lead query. { p->stmt->as_select = true; }
query_lead ::= IGNORE.
query_lead ::= REPLACE.
query_lead ::= AS.
query_lead ::= IGNORE AS.
query_lead ::= REPLACE AS.
query ::= SELECT anys.
query ::= WITH ANY anys.
query ::= LP SELECT anys RP anys.
query ::= LP LP anys RP anys RP anys.
query ::= VALUES anys.
query ::= TABLE anys.

/* -- options -- */
optvalue(A) ::= literal(B). { A = B; }
optvalue(A) ::= ident(B). { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = B}; }
optvalue(A) ::= DEFAULT. { A = (DdlValue){.kind = DDL_VALUE_NONE}; }
optvalue(A) ::= ON. { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = STR("ON")}; }
optvalue(A) ::= NO. { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = STR("NO")}; }
optvalue(A) ::= ALL. { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = STR("ALL")}; }
optvalue(A) ::= FIRST. { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = STR("FIRST")}; }
optvalue(A) ::= COMPRESSED. { A = (DdlValue){.kind = DDL_VALUE_EXPR, .text = STR("COMPRESSED")}; }
option(A) ::= OPTION(B) opt_eq optvalue(C). { A = ddl_option(p, B.text, C); }
option(A) ::= ENGINE opt_eq optvalue(C). { A = ddl_option(p, STR("engine"), C); }
option(A) ::= AUTO_INCREMENT opt_eq INTEGER(C). { A = ddl_option(p, STR("auto_increment"), (DdlValue){.kind = DDL_VALUE_NUMBER, .text = C.text}); }
option(A) ::= COMMENT opt_eq string(C). { A = ddl_option(p, STR("comment"), (DdlValue){.kind = DDL_VALUE_STRING, .text = C}); }
option(A) ::= KEY_BLOCK_SIZE opt_eq optvalue(C). { A = ddl_option(p, STR("key_block_size"), C); }
option(A) ::= TABLESPACE opt_eq optvalue(C). { A = ddl_option(p, STR("tablespace"), C); }
option(A) ::= STORAGE ident(C). { A = ddl_option(p, STR("storage"), (DdlValue){.kind = DDL_VALUE_EXPR, .text = C}); }
option(A) ::= DATA DIRECTORY opt_eq string(C). { A = ddl_option(p, STR("data directory"), (DdlValue){.kind = DDL_VALUE_STRING, .text = C}); }
option(A) ::= INDEX DIRECTORY opt_eq string(C). { A = ddl_option(p, STR("index directory"), (DdlValue){.kind = DDL_VALUE_STRING, .text = C}); }
option(A) ::= ENGINE_ATTRIBUTE opt_eq string(C). { A = ddl_option(p, STR("engine_attribute"), (DdlValue){.kind = DDL_VALUE_STRING, .text = C}); }
option(A) ::= SECONDARY_ENGINE_ATTRIBUTE opt_eq string(C). { A = ddl_option(p, STR("secondary_engine_attribute"), (DdlValue){.kind = DDL_VALUE_STRING, .text = C}); }
option(A) ::= SEQUENCE opt_eq INTEGER(C). { A = ddl_option(p, STR("sequence"), (DdlValue){.kind = DDL_VALUE_NUMBER, .text = C.text}); }
option(A) ::= UNION opt_eq group(C). { A = ddl_option(p, STR("union"), (DdlValue){.kind = DDL_VALUE_EXPR, .text = C}); }
option(A) ::= default_charset opt_eq charset(C). { A = ddl_option(p, STR("charset"), (DdlValue){.kind = DDL_VALUE_EXPR, .text = C}); }
option(A) ::= default_collate opt_eq charset(C). { A = ddl_option(p, STR("collate"), (DdlValue){.kind = DDL_VALUE_EXPR, .text = C}); }
option(A) ::= assigned(B) optvalue(C). { A = ddl_option(p, B, C); }
assigned(A) ::= ASSIGNED(B) EQ. { A = B.text; }
assigned(A) ::= QUOTED_ASSIGNED(B) EQ. { A = B.text; }
default_charset ::= charset_kw.
default_charset ::= DEFAULT charset_kw.
default_collate ::= COLLATE.
default_collate ::= DEFAULT COLLATE.

/* -- partitions -- */
partitioning(A) ::= PARTITION BY by(B) sub partlist(C). { A = p->partitioning; (void)B; A->parts = C.head; }
%type by {int}
%type subby {int}
%type partlist {DdlPartitions}
%type linear {bool}
linear(A) ::= . { A = false; }
linear(A) ::= LINEAR. { A = true; }
by(A) ::= linear(L) HASH group(B) count. { A = 0; ddl_partition_by(p, L ? "LINEAR HASH" : "HASH", B, (DdlNames){0}); }
by(A) ::= linear(L) KEY key_algorithm LP bynames(B) RP count. { A = 0; ddl_partition_by(p, L ? "LINEAR KEY" : "KEY", (Str){0}, B); }
by(A) ::= RANGE group(B) count. { A = 0; ddl_partition_by(p, "RANGE", B, (DdlNames){0}); }
by(A) ::= RANGE COLUMNS LP names(B) RP count. { A = 0; ddl_partition_by(p, "RANGE COLUMNS", (Str){0}, B); }
by(A) ::= LIST group(B) count. { A = 0; ddl_partition_by(p, "LIST", B, (DdlNames){0}); }
by(A) ::= LIST COLUMNS LP names(B) RP count. { A = 0; ddl_partition_by(p, "LIST COLUMNS", (Str){0}, B); }
by(A) ::= SYSTEM_TIME st_rest. { A = 0; ddl_partition_by(p, "SYSTEM_TIME", (Str){0}, (DdlNames){0}); }
st_rest ::= .
st_rest ::= st_rest st_word.
st_word ::= INTERVAL optvalue ident.
st_word ::= INTERVAL optvalue TYPE.
st_word ::= LIMIT INTEGER.
st_word ::= STARTS STRING.
st_word ::= STARTS TYPE STRING.
st_word ::= AUTO.
st_word ::= PARTITIONS INTEGER(B). { p->count = ddl_number(p, B.text); }
bynames(A) ::= . { A = (DdlNames){0}; }
bynames(A) ::= names(B). { A = B; }
key_algorithm ::= .
key_algorithm ::= ALGORITHM opt_eq INTEGER(B). { p->algorithm = ddl_number(p, B.text); }
count ::= .
count ::= PARTITIONS INTEGER(B). { p->count = ddl_number(p, B.text); }
sub ::= .
sub ::= SUBPARTITION BY subby subcount.
subby(A) ::= linear(L) HASH group(B). { A = 0; ddl_subpartition_by(p, L ? "LINEAR HASH" : "HASH", B, (DdlNames){0}); }
subby(A) ::= linear(L) KEY key_algorithm LP bynames(B) RP. { A = 0; ddl_subpartition_by(p, L ? "LINEAR KEY" : "KEY", (Str){0}, B); }
subcount ::= .
subcount ::= SUBPARTITIONS INTEGER(B). { p->partitioning->sub->count = ddl_number(p, B.text); }
partlist(A) ::= . [LOWEST] { A = (DdlPartitions){0}; }
partlist(A) ::= LP partdefs(B) RP. { A = B; }
partdefs(A) ::= partdef(B). { A = (DdlPartitions){B, B}; }
partdefs(A) ::= partdefs(B) COMMA partdef(C). { A = B; DDL_APPEND(A, C); }
%type part_head {DdlPartition *}
part_head(A) ::= PARTITION ident(B). { A = p->part = DDL_NEW(p, DdlPartition); A->name = B; }
partdef(A) ::= part_head(B) partvalues partoptions subparts. { A = B; p->part = B; }
partvalues ::= .
partvalues ::= VALUES LESS THAN group(B). { p->part->less_than = true; p->part->values = B; }
partvalues ::= VALUES LESS THAN MAXVALUE. { p->part->less_than = true; p->part->values = STR("MAXVALUE"); }
partvalues ::= VALUES IN group(B). { p->part->in = true; p->part->values = B; }
partvalues ::= VALUES IN LP MAXVALUE RP. { p->part->in = true; p->part->values = STR("MAXVALUE"); }
partvalues ::= DEFAULT. { p->part->is_default = true; }
partvalues ::= HISTORY. { p->part->history = true; }
partvalues ::= CURRENT. { p->part->current = true; }
partoptions ::= .
partoptions ::= partoptions partoption.
partoption ::= ENGINE opt_eq optvalue.
partoption ::= STORAGE ENGINE opt_eq optvalue.
partoption ::= COMMENT opt_eq string(B). { p->part->comment = B; }
partoption ::= DATA DIRECTORY opt_eq string.
partoption ::= INDEX DIRECTORY opt_eq string.
partoption ::= TABLESPACE opt_eq optvalue.
partoption ::= OPTION opt_eq optvalue.
partoption ::= assigned optvalue.
subparts ::= .
subparts ::= LP subdefs RP.
subdefs ::= subdef.
subdefs ::= subdefs COMMA subdef.
subdef ::= sub_head partoptions.
sub_head ::= SUBPARTITION ident(B). { ddl_subpartition_add(p, B); }
sub_head ::= SUBPARTITION STRING(B). { ddl_subpartition_add(p, B.text); }
names_or_all(A) ::= names(B). [LOWEST] { A = B; }
names_or_all(A) ::= ALL. { A = (DdlNames){0}; }

/* -- ALTER TABLE -- */
alter_head ::= ALTER alter_words TABLE if_exists(B) table(C) wait. { p->stmt->kind = DDL_ALTER_TABLE; p->stmt->if_exists = B; ddl_table_add(p, C); }
alter_words ::= .
alter_words ::= alter_words ONLINE.
alter_words ::= alter_words OFFLINE.
alter_words ::= alter_words IGNORE. { p->stmt->ignore = true; }
alter_table ::= alter_head changes.
alter_table ::= alter_head changes partitioning(B). { DdlChange *c = ddl_change(p, DDL_PARTITION_BY); c->partitioning = B; ddl_change_add(p, c); }
alter_table ::= alter_head changes REMOVE PARTITIONING. { ddl_change_add(p, ddl_change(p, DDL_REMOVE_PARTITIONING)); }
changes ::= .
changes ::= changelist.
changelist ::= change.
changelist ::= changelist COMMA change.
changelist ::= changelist COMMA. /* ALTER TABLE t ADD a INT, PARTITION BY … */
change ::= change_options.
change_options ::= option(B). { ddl_option_add(p, B); }
change_options ::= change_options option(B). { ddl_option_add(p, B); }
opt_column ::= .
opt_column ::= COLUMN.
place ::= .
place ::= FIRST. { p->column->place = DDL_PLACE_FIRST; }
place ::= AFTER ident(B). { p->column->place = DDL_PLACE_AFTER; p->column->after = B; }
restrict ::= .
restrict ::= RESTRICT.
restrict ::= CASCADE.
change ::= ADD add_coldef(B) place. { DdlChange *c = ddl_change(p, DDL_ADD_COLUMN); c->column = B; ddl_change_add(p, c); }
change ::= ADD add_if_not_exists coldef(B) place. { DdlChange *c = ddl_change(p, DDL_ADD_COLUMN); c->column = B; c->if_not_exists = true; ddl_change_add(p, c); }
change ::= ADD add_lp elements(B) RP. { ddl_changes_add(p, B, false); }
change ::= ADD add_if_not_exists LP elements(B) RP. { ddl_changes_add(p, B, true); }
add_coldef(A) ::= coldef(B). { A = B; }
add_coldef(A) ::= COLUMN coldef(B). { A = B; }
add_if_not_exists ::= IF NOT EXISTS.
add_if_not_exists ::= COLUMN IF NOT EXISTS.
add_lp ::= LP.
add_lp ::= COLUMN LP.
change ::= ADD keydef. { DdlChange *c = ddl_change(p, DDL_ADD_KEY); c->key = p->key; c->if_not_exists = p->key->if_not_exists; ddl_change_add(p, c); }
change ::= ADD checkdef(B) enforced. { DdlChange *c = ddl_change(p, DDL_ADD_CHECK); c->check = B; ddl_change_add(p, c); }
change ::= ADD CONSTRAINT IF NOT EXISTS ident(B) CHECK group(C). { DdlChange *c = ddl_change(p, DDL_ADD_CHECK); c->check = DDL_NEW(p, DdlCheck); c->check->name = B; c->check->expr = C; c->if_not_exists = true; ddl_change_add(p, c); }
change ::= ADD CONSTRAINT IF NOT EXISTS ident(B) fk_or_unique keydef_tail. { p->key->constraint = B; p->key->if_not_exists = true; DdlChange *c = ddl_change(p, DDL_ADD_KEY); c->key = p->key; c->if_not_exists = true; ddl_change_add(p, c); }
fk_or_unique ::= UNIQUE opt_index. { ddl_key_begin(p, DDL_KEY_UNIQUE, (Str){0}); }
keydef_tail ::= keyident(C) LP parts(D) RP keyoptions. { p->key->name = C; p->key->parts = D.head; }
change ::= ADD CONSTRAINT IF NOT EXISTS ident(B) fk_begin opt_ident(C) LP names(D) RP REFERENCES table(E) refcols refattrs. { p->key->constraint = B; p->key->name = C; ddl_key_columns(p, D); p->key->ref = E; p->key->if_not_exists = true; DdlChange *c = ddl_change(p, DDL_ADD_KEY); c->key = p->key; c->if_not_exists = true; ddl_change_add(p, c); }
fk_begin ::= FOREIGN KEY. { ddl_key_begin(p, DDL_KEY_FOREIGN, (Str){0}); }
change ::= ADD PERIOD FOR ident(B) LP names(C) RP. { DdlChange *c = ddl_change(p, DDL_ADD_PERIOD); c->name = B; c->names = C.head; ddl_change_add(p, c); }
change ::= ADD PERIOD FOR SYSTEM_TIME(B) LP names(C) RP. { DdlChange *c = ddl_change(p, DDL_ADD_PERIOD); c->name = B.text; c->names = C.head; ddl_change_add(p, c); }
change ::= ADD SYSTEM VERSIONING. { ddl_change_add(p, ddl_change(p, DDL_ADD_VERSIONING)); }
change ::= DROP SYSTEM VERSIONING. { ddl_change_add(p, ddl_change(p, DDL_DROP_VERSIONING)); }
change ::= DROP PERIOD FOR ident(B). { ddl_change_add(p, ddl_change_named(p, DDL_DROP_PERIOD, false, B)); }
change ::= DROP PERIOD FOR SYSTEM_TIME(B). { ddl_change_add(p, ddl_change_named(p, DDL_DROP_PERIOD, false, B.text)); }
change ::= change_word opt_column if_exists(E) ident(B) coldef(C) place. { DdlChange *c = ddl_change_named(p, DDL_CHANGE_COLUMN, E, B); c->column = C; ddl_change_add(p, c); }
change_word ::= CHANGE.
change ::= MODIFY opt_column if_exists(E) coldef(C) place. { DdlChange *c = ddl_change_named(p, DDL_MODIFY_COLUMN, E, C->name); c->column = C; ddl_change_add(p, c); }
dropname(A) ::= ident(B). { A = B; }
dropname(A) ::= PERIOD(B). { A = B.text; }
dropname(A) ::= SYSTEM(B). { A = B.text; }
change ::= DROP drop_column(B) restrict. { ddl_change_add(p, B); }
drop_column(A) ::= dropname(B). { A = ddl_change_named(p, DDL_DROP_COLUMN, false, B); }
drop_column(A) ::= IF EXISTS dropname(B). { A = ddl_change_named(p, DDL_DROP_COLUMN, true, B); }
drop_column(A) ::= COLUMN if_exists(E) dropname(B). { A = ddl_change_named(p, DDL_DROP_COLUMN, E, B); }
change ::= DROP PRIMARY KEY. { ddl_change_add(p, ddl_change(p, DDL_DROP_PRIMARY)); }
change ::= DROP index_or_key if_exists(E) ident(B). { ddl_change_add(p, ddl_change_named(p, DDL_DROP_KEY, E, B)); }
change ::= DROP FOREIGN KEY if_exists(E) ident(B). { ddl_change_add(p, ddl_change_named(p, DDL_DROP_FOREIGN, E, B)); }
change ::= DROP CONSTRAINT if_exists(E) ident(B) restrict. { ddl_change_add(p, ddl_change_named(p, DDL_DROP_CONSTRAINT, E, B)); }
change ::= DROP CONSTRAINT if_exists(E) PRIMARY. { ddl_change_add(p, ddl_change_named(p, DDL_DROP_PRIMARY, E, (Str){0})); }
change ::= DROP CHECK ident(B). { ddl_change_add(p, ddl_change_named(p, DDL_DROP_CHECK, false, B)); }
change ::= ALTER opt_column if_exists(E) ident(B) SET DEFAULT value(C). { DdlChange *c = ddl_change_named(p, DDL_SET_DEFAULT, E, B); c->value = C; ddl_change_add(p, c); }
change ::= ALTER opt_column if_exists(E) ident(B) DROP DEFAULT. { ddl_change_add(p, ddl_change_named(p, DDL_SET_DEFAULT, E, B)); }
change ::= ALTER opt_column if_exists(E) ident(B) SET VISIBLE. { DdlChange *c = ddl_change_named(p, DDL_COLUMN_VISIBLE, E, B); c->flag = true; ddl_change_add(p, c); }
change ::= ALTER opt_column if_exists(E) ident(B) SET INVISIBLE. { ddl_change_add(p, ddl_change_named(p, DDL_COLUMN_VISIBLE, E, B)); }
change ::= ALTER index_or_key if_exists(E) ident(B) VISIBLE. { DdlChange *c = ddl_change_named(p, DDL_KEY_VISIBLE, E, B); c->flag = true; ddl_change_add(p, c); }
change ::= ALTER index_or_key if_exists(E) ident(B) INVISIBLE. { ddl_change_add(p, ddl_change_named(p, DDL_KEY_VISIBLE, E, B)); }
change ::= ALTER index_or_key if_exists(E) ident(B) NOT IGNORED. { DdlChange *c = ddl_change_named(p, DDL_KEY_VISIBLE, E, B); c->flag = true; ddl_change_add(p, c); }
change ::= ALTER index_or_key if_exists(E) ident(B) IGNORED. { ddl_change_add(p, ddl_change_named(p, DDL_KEY_VISIBLE, E, B)); }
change ::= ALTER check_or_constraint ident(B) ENFORCED. { DdlChange *c = ddl_change_named(p, DDL_CHECK_ENFORCED, false, B); c->flag = true; ddl_change_add(p, c); }
change ::= ALTER check_or_constraint ident(B) NOT ENFORCED. { ddl_change_add(p, ddl_change_named(p, DDL_CHECK_ENFORCED, false, B)); }
check_or_constraint ::= CHECK.
check_or_constraint ::= CONSTRAINT.
change ::= RENAME rename_to table(B). { DdlChange *c = ddl_change(p, DDL_RENAME_TABLE); c->table = B; ddl_table_add(p, B); ddl_change_add(p, c); }
rename_to ::= .
rename_to ::= TO.
rename_to ::= AS.
rename_to ::= EQ.
change ::= RENAME COLUMN if_exists(E) ident(B) TO ident(C). { DdlChange *c = ddl_change_named(p, DDL_RENAME_COLUMN, E, B); c->to = C; ddl_change_add(p, c); }
change ::= RENAME index_or_key if_exists(E) ident(B) TO ident(C). { DdlChange *c = ddl_change_named(p, DDL_RENAME_KEY, E, B); c->to = C; ddl_change_add(p, c); }
change ::= ORDER BY orderlist. [LOWEST] { ddl_change_add(p, ddl_change(p, DDL_ORDER_BY)); }
orderlist ::= orderitem.
orderlist ::= orderlist COMMA orderitem.
orderitem ::= table order.
change ::= CONVERT TO charset_kw charset(B). { DdlChange *c = ddl_change(p, DDL_CONVERT_CHARSET); c->charset = ddl_lower(p, B); ddl_change_add(p, c); }
change ::= CONVERT TO charset_kw charset(B) COLLATE opt_eq charset(C). { DdlChange *c = ddl_change(p, DDL_CONVERT_CHARSET); c->charset = ddl_lower(p, B); c->collation = ddl_lower(p, C); ddl_change_add(p, c); }
change ::= FORCE. { ddl_change_add(p, ddl_change(p, DDL_FORCE)); }
change ::= ENABLE KEYS. { ddl_change_add(p, ddl_change(p, DDL_FORCE)); }
change ::= DISABLE KEYS. { ddl_change_add(p, ddl_change(p, DDL_FORCE)); }
change ::= alter_how.
change ::= WITH VALIDATION.
change ::= WITHOUT VALIDATION.
change ::= UPGRADE PARTITIONING.
change ::= SECONDARY_LOAD.
change ::= SECONDARY_UNLOAD.
alter_how ::= ALGORITHM opt_eq ident.
alter_how ::= ALGORITHM opt_eq DEFAULT.
alter_how ::= LOCK opt_eq ident.
alter_how ::= LOCK opt_eq DEFAULT.
change ::= DISCARD TABLESPACE. { ddl_change_add(p, ddl_change(p, DDL_TABLESPACE)); }
change ::= IMPORT TABLESPACE. { DdlChange *c = ddl_change(p, DDL_TABLESPACE); c->flag = true; ddl_change_add(p, c); }
change ::= DISCARD PARTITION names_or_all(B) TABLESPACE. { DdlChange *c = ddl_change(p, DDL_TABLESPACE); c->names = B.head; ddl_change_add(p, c); }
change ::= IMPORT PARTITION names_or_all(B) TABLESPACE. { DdlChange *c = ddl_change(p, DDL_TABLESPACE); c->flag = true; c->names = B.head; ddl_change_add(p, c); }
local ::= .
local ::= NO_WRITE_TO_BINLOG.
local ::= LOCAL.
change ::= ADD PARTITION if_not_exists(E) local PARTITIONS INTEGER(B). { DdlChange *c = ddl_change(p, DDL_ADD_PARTITION); c->if_not_exists = E; c->count = ddl_number(p, B.text); ddl_change_add(p, c); }
change ::= ADD PARTITION if_not_exists(E) local LP partdefs(B) RP. { DdlChange *c = ddl_change(p, DDL_ADD_PARTITION); c->if_not_exists = E; c->parts = B.head; ddl_change_add(p, c); }
change ::= DROP PARTITION if_exists(E) names(B). [LOWEST] { DdlChange *c = ddl_change(p, DDL_DROP_PARTITION); c->if_exists = E; c->names = B.head; ddl_change_add(p, c); }
change ::= TRUNCATE PARTITION names_or_all(B). { DdlChange *c = ddl_change(p, DDL_TRUNCATE_PARTITION); c->names = B.head; ddl_change_add(p, c); }
change ::= COALESCE PARTITION local INTEGER(B). { DdlChange *c = ddl_change(p, DDL_COALESCE_PARTITION); c->count = ddl_number(p, B.text); ddl_change_add(p, c); }
change ::= REORGANIZE PARTITION local. { ddl_change_add(p, ddl_change(p, DDL_REORGANIZE_PARTITION)); }
change ::= REORGANIZE PARTITION local names(B) INTO LP partdefs(C) RP. { DdlChange *c = ddl_change(p, DDL_REORGANIZE_PARTITION); c->names = B.head; c->parts = C.head; ddl_change_add(p, c); }
change ::= EXCHANGE PARTITION ident(B) WITH TABLE table(C) validation. { DdlChange *c = ddl_change_named(p, DDL_EXCHANGE_PARTITION, false, B); c->table = C; ddl_table_add(p, C); ddl_change_add(p, c); }
validation ::= .
validation ::= WITH VALIDATION.
validation ::= WITHOUT VALIDATION.
change ::= CONVERT PARTITION ident(B) TO TABLE table(C) validation. { DdlChange *c = ddl_change_named(p, DDL_CONVERT_PARTITION, false, B); c->table = C; ddl_table_add(p, C); ddl_change_add(p, c); }
change ::= CONVERT TABLE table(C) TO partdef(B) validation. { DdlChange *c = ddl_change(p, DDL_CONVERT_TABLE); c->table = C; ddl_table_add(p, C); c->parts = B; ddl_change_add(p, c); }
change ::= maintain PARTITION local names_or_all maintain_words. { ddl_change_add(p, ddl_change(p, DDL_MAINTAIN_PARTITION)); }
maintain ::= ANALYZE.
maintain ::= CHECK.
maintain ::= OPTIMIZE.
maintain ::= REBUILD.
maintain ::= REPAIR.
maintain_words ::= .
maintain_words ::= maintain_words ident.
maintain_words ::= maintain_words FOR UPGRADE.

/* -- DROP, RENAME, TRUNCATE -- */
drop_tables ::= DROP temporary(B) table_kw if_exists(C) drop_list drop_words. { p->stmt->kind = DDL_DROP_TABLES; p->stmt->temporary = B; p->stmt->if_exists = C; }
table_kw ::= TABLE.
table_kw ::= TABLES.
drop_list ::= drop_one.
drop_list ::= drop_list COMMA drop_one.
drop_one ::= table(B) wait. { ddl_table_add(p, B); }
drop_words ::= .
drop_words ::= drop_words RESTRICT.
drop_words ::= drop_words CASCADE.
rename_tables ::= RENAME table_kw if_exists(B) rename_list. { p->stmt->kind = DDL_RENAME_TABLES; p->stmt->if_exists = B; }
rename_list ::= rename_pair.
rename_list ::= rename_list COMMA rename_pair.
rename_pair ::= table(B) wait TO table(C). { ddl_table_add(p, B); ddl_table_add(p, C); }
truncate_table ::= TRUNCATE opt_table table(B) wait. { p->stmt->kind = DDL_TRUNCATE_TABLE; ddl_table_add(p, B); }
opt_table ::= .
opt_table ::= TABLE.

/* -- CREATE INDEX, DROP INDEX -- */
online ::= .
online ::= ONLINE.
online ::= OFFLINE.
index_kind(A) ::= . { A = DDL_KEY_PLAIN; }
index_kind(A) ::= UNIQUE. { A = DDL_KEY_UNIQUE; }
index_kind(A) ::= FULLTEXT. { A = DDL_KEY_FULLTEXT; }
index_kind(A) ::= SPATIAL. { A = DDL_KEY_SPATIAL; }
index_kind(A) ::= VECTOR. { A = DDL_KEY_VECTOR; }
index_begin ::= CREATE replace(B) online index_kind(C) INDEX. { p->stmt->kind = DDL_ALTER_TABLE; p->stmt->replace = B; ddl_key_begin(p, (DdlKeyKind)C, (Str){0}); }
create_index ::= index_begin if_not_exists(B) ident(C) index_using ON table(D) wait LP parts(E) RP index_words.
    { p->key->name = C; p->key->parts = E.head; p->key->if_not_exists = B; ddl_table_add(p, D); ddl_index_added(p); }
index_words ::= .
index_words ::= index_words keyoption.
index_words ::= index_words alter_how.
index_words ::= index_words WAIT number.
index_words ::= index_words NOWAIT.
drop_index ::= DROP online INDEX if_exists(B) ident(C) ON table(D) wait drop_index_words.
    { p->stmt->kind = DDL_ALTER_TABLE; ddl_table_add(p, D); ddl_index_dropped(p, B, C); }
drop_index_words ::= .
drop_index_words ::= drop_index_words alter_how.

/* -- databases -- */
database_kw ::= DATABASE.
database_kw ::= SCHEMA.
database ::= CREATE replace(B) database_kw if_not_exists(C) ident(D) db_options. { p->stmt->kind = B ? DDL_DROP_DATABASE : DDL_CREATE_DATABASE; p->stmt->replace = B; p->stmt->if_not_exists = C; p->stmt->database = D; }
database ::= DROP database_kw if_exists(C) ident(D). { p->stmt->kind = DDL_DROP_DATABASE; p->stmt->if_exists = C; p->stmt->database = D; }
database ::= ALTER database_kw ident(D) db_optlist. { p->stmt->kind = DDL_ALTER_DATABASE; p->stmt->database = D; }
database ::= ALTER database_kw db_optlist. { p->stmt->kind = DDL_ALTER_DATABASE; p->stmt->database = p->ctx->default_schema; }
/* a database called charset */
database ::= ALTER database_kw CHARSET(B) CHAR SET opt_eq charset(C). { p->stmt->kind = DDL_ALTER_DATABASE; p->stmt->database = B.text; ddl_db_option(p, "charset", C); }
db_options ::= .
db_options ::= db_optlist.
db_optlist ::= db_option.
db_optlist ::= db_optlist db_option.
db_option ::= default_charset opt_eq charset(C). { ddl_db_option(p, "charset", C); }
db_option ::= default_collate opt_eq charset(C). { ddl_db_option(p, "collate", C); }
db_option ::= OPTION opt_eq string.
db_option ::= DEFAULT OPTION opt_eq string.
db_option ::= COMMENT opt_eq string.
db_option ::= READ ONLY opt_eq optvalue.
db_option ::= UPGRADE DATA DIRECTORY ident.

/* -- sequences -- */
sequence ::= CREATE replace(B) temporary(C) SEQUENCE if_not_exists(D) table(E) anys. { p->stmt->kind = DDL_SEQUENCE; p->stmt->replace = B; p->stmt->temporary = C; p->stmt->if_not_exists = D; ddl_table_add(p, E); }
sequence ::= ALTER SEQUENCE if_exists(D) table(E) anys. { p->stmt->kind = DDL_SEQUENCE; p->stmt->if_exists = D; ddl_table_add(p, E); }
sequence ::= DROP temporary(C) SEQUENCE if_exists(D) drop_list. { p->stmt->kind = DDL_SEQUENCE; p->stmt->temporary = C; p->stmt->if_exists = D; }
