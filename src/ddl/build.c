#include "base/check.h"
#include "ddl/expr.h"
#include "ddl/parse_impl.h"
#include "model/charset_text.h"
#include "base/poison.h"

void ddl_fail(DdlParse *p)
{
    p->failed = true;
}

/* -- literals -- */

static DdlValue unread(DdlParse *p, const char *why)
{
    p->unread = why;
    ddl_fail(p);
    return (DdlValue){.kind = DDL_VALUE_STRING};
}

static const Charset *client_charset(const DdlParse *p)
{
    return p->ctx->charset.len ? charset_by_name(p->ctx->charset) : NULL;
}

static const Charset *introduced_charset(Str introducer)
{
    if (introducer.len < 2) return introducer.len ? charset_by_name(STR("utf8mb3")) : NULL; /* N'…' */
    return charset_by_name((Str){introducer.ptr + 1, introducer.len - 1});
}

/* The bytes that stood in the statement. */
static bool own_bytes(DdlParse *p, Str text, Str *out)
{
    const Charset *client = client_charset(p);
    *out = text;
    return !client || client->form == CHARSET_UTF8 || charset_text_from_utf8(client, text, p->arena, out);
}

/* Is it bytes to the servers, for the column's character set to read? */
static DdlValue raw_string(DdlParse *p, Str text)
{
    DdlValue v = {.kind = DDL_VALUE_STRING, .raw = true};
    return own_bytes(p, text, &v.text) ? v : unread(p, "bytes");
}

DdlValue ddl_string(DdlParse *p, Str introducer, Str text)
{
    DdlValue v = {.kind = DDL_VALUE_STRING, .text = text};
    const Charset *as = introduced_charset(introducer), *client = client_charset(p);
    const Charset *connection = p->ctx->connection.len ? charset_by_name(p->ctx->connection) : client;
    if (introducer.len) {
        if (!as) return unread(p, "a character set that is not known");
        if (as->form == CHARSET_BINARY) return raw_string(p, text);
        if (charset_text_is_ascii(text) && as->ascii_superset) return v;
        if (!own_bytes(p, text, &v.bytes) || !charset_text_to_utf8(as, v.bytes, p->arena, &v.text))
            return unread(p, "another character set than the statement's");
        return v;
    }
    if (!connection) return v;
    if (connection->form == CHARSET_BINARY) return raw_string(p, text);
    if (charset_text_is_ascii(text) || (connection->form == CHARSET_UTF8 && connection == client)) return v;
    if (charset_text_from_utf8(connection, text, p->arena, &v.bytes)) return v;
    return unread(p, "characters that character_set_connection lacks");
}

DdlValue ddl_bytes(DdlParse *p, Str introducer, Str digits)
{
    DdlValue v = {.kind = DDL_VALUE_HEX, .text = ddl_hex(p, digits)};
    const Charset *as = introduced_charset(introducer);
    if (!introducer.len || (as && as->form == CHARSET_BINARY)) return v;
    v.kind = DDL_VALUE_STRING;
    return as && charset_text_to_utf8(as, v.text, p->arena, &v.text) ? v : unread(p, "that character set");
}

DdlNames ddl_members_add(DdlParse *p, DdlNames list, DdlValue member)
{
    list = ddl_names_add(p, list, member.text);
    list.tail->raw = member.raw || member.kind == DDL_VALUE_HEX;
    list.tail->bytes = member.bytes;
    return list;
}

/* -- texts -- */

/* An expression's canonical text has no introducers: its strings must mean the same without. What servers
 * print (no charset in the context) does. */
static void check_strings(DdlParse *p, Str expr)
{
    DdlLex lex;
    DdlTok tok = {0};
    Str introducer = {0};
    const Charset *client = client_charset(p);
    ddl_lex_init(&lex, expr, p->ctx, p->arena);
    for (int token; client && !p->failed && (token = ddl_lex_next(&lex, &tok));) {
        DdlTokClass class = ddl_tok_class(token);
        bool hex = class == DDL_CLASS_HEX && introducer.len;
        Str text = hex ? ddl_hex(p, tok.text) : tok.text;
        if ((class == DDL_CLASS_STRING || hex) && !charset_text_is_ascii(text)) {
            DdlValue v = hex ? ddl_bytes(p, introducer, tok.text) : ddl_string(p, introducer, text);
            bool same = hex ? v.kind == DDL_VALUE_HEX : str_eq(v.text, text);
            if (!same && !p->failed) unread(p, "another character set in an expression");
        }
        introducer = class == DDL_CLASS_INTRODUCED ? tok.text : (Str){0};
    }
}

Str ddl_text_between(DdlParse *p, DdlTok open, DdlTok close)
{
    StrBuf text = {0};
    Str expr = str_make(open.end, (size_t)(close.at - open.end));
    check_strings(p, expr);
    if (!ddl_expr_text(expr, p->ctx, &text)) ddl_fail(p);
    Str out = arena_str(p->arena, sb_view(&text));
    sb_done(&text);
    return out;
}

static Str cased(DdlParse *p, Str s, char first, char last)
{
    char *out = arena_alloc(p->arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= first && s.ptr[i] <= last ? (char)(s.ptr[i] ^ 0x20) : s.ptr[i];
    out[s.len] = 0;
    return str_make(out, s.len);
}

Str ddl_upper(DdlParse *p, Str s)
{
    return cased(p, s, 'a', 'z');
}

Str ddl_lower(DdlParse *p, Str s)
{
    return cased(p, s, 'A', 'Z');
}

Str ddl_join(DdlParse *p, const char *a, Str b)
{
    return arena_printf(p->arena, "%s" STR_FMT, a, STR_ARG(b));
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* An odd number of digits has a zero in front. */
Str ddl_hex(DdlParse *p, Str digits)
{
    char *out = arena_alloc(p->arena, digits.len / 2 + 2);
    size_t n = 0, i = 0;
    if (digits.len % 2) out[n++] = (char)nibble(digits.ptr[i++]);
    for (; i < digits.len; i += 2)
        out[n++] = (char)(nibble(digits.ptr[i]) << 4 | nibble(digits.ptr[i + 1]));
    out[n] = 0;
    return str_make(out, n);
}

uint32_t ddl_number(DdlParse *p, Str digits)
{
    uint64_t v = 0;
    if (!str_to_u64(digits, &v) || v > UINT32_MAX) ddl_fail(p);
    return (uint32_t)v;
}

DdlNames ddl_names_add(DdlParse *p, DdlNames list, Str name)
{
    DdlName *n = DDL_NEW(p, DdlName);
    n->name = name;
    DDL_APPEND(list, n);
    return list;
}

DdlValue ddl_next_value(DdlParse *p, TableName sequence)
{
    StrBuf text = {0};
    sb_c(&text, "nextval(");
    table_name_sql(sequence, &text);
    sb_ch(&text, ')');
    DdlValue v = {.kind = DDL_VALUE_EXPR, .text = arena_str(p->arena, sb_view(&text))};
    sb_done(&text);
    return v;
}

/* -- statements -- */

void ddl_table_add(DdlParse *p, TableName name)
{
    DdlTable *t = DDL_NEW(p, DdlTable);
    t->name = name;
    *p->table_tail = t;
    p->table_tail = &t->next;
}

DdlChange *ddl_change(DdlParse *p, DdlChangeKind kind)
{
    DdlChange *c = DDL_NEW(p, DdlChange);
    c->kind = kind;
    return c;
}

DdlChange *ddl_change_named(DdlParse *p, DdlChangeKind kind, bool if_exists, Str name)
{
    DdlChange *c = ddl_change(p, kind);
    c->if_exists = if_exists;
    c->name = name;
    return c;
}

void ddl_change_add(DdlParse *p, DdlChange *c)
{
    *p->change_tail = c;
    p->change_tail = &c->next;
}

void ddl_changes_add(DdlParse *p, DdlChanges list, bool if_not_exists)
{
    for (DdlChange *c = list.head, *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        c->if_not_exists |= if_not_exists;
        ddl_change_add(p, c);
    }
}

void ddl_changes_front(DdlParse *p, DdlChanges list)
{
    bool empty = !p->stmt->changes;
    list.tail->next = p->stmt->changes;
    p->stmt->changes = list.head;
    if (empty) p->change_tail = &list.tail->next;
}

DdlOption *ddl_option(DdlParse *p, Str name, DdlValue value)
{
    DdlOption *o = DDL_NEW(p, DdlOption);
    o->name = ddl_lower(p, name);
    o->value = value.text;
    o->is_string = value.kind == DDL_VALUE_STRING;
    o->is_default = value.kind == DDL_VALUE_NONE || str_ieq(value.text, STR("default"));
    if (value.kind == DDL_VALUE_NULL) o->value = STR("NULL");
    return o;
}

void ddl_option_add(DdlParse *p, DdlOption *o)
{
    DdlChange *c = ddl_change(p, DDL_OPTION);
    c->option = o;
    ddl_change_add(p, c);
}

void ddl_db_option(DdlParse *p, const char *name, Str value)
{
    DdlOption *o = ddl_option(p, str_of(name), (DdlValue){.kind = DDL_VALUE_EXPR, .text = value});
    *p->option_tail = o;
    p->option_tail = &o->next;
}

/* -- columns -- */

void ddl_type_named(DdlParse *p, Str word, Str length, Str scale)
{
    static const char *const synonyms[][2] = {
        {"integer", "int"},     {"int4", "int"},
        {"int1", "tinyint"},    {"int2", "smallint"},
        {"int3", "mediumint"},  {"middleint", "mediumint"},
        {"int8", "bigint"},     {"dec", "decimal"},
        {"numeric", "decimal"}, {"fixed", "decimal"},
        {"float4", "float"},    {"float8", "double"},
        {"bool", "tinyint"},    {"boolean", "tinyint"},
        {"real", "double"},     {"geometrycollection", "geomcollection"},
    };
    DdlType *t = &p->column->type;
    Str name = ddl_lower(p, word);
    t->is_bool = str_eqc(name, "bool") || str_eqc(name, "boolean");
    t->is_real = str_eqc(name, "real");
    for (size_t i = 0; i < ARRAY_LEN(synonyms); i++) {
        if (!str_eqc(name, synonyms[i][0])) continue;
        name = str_of(synonyms[i][1]);
        break;
    }
    t->name = name;
    t->length = length;
    t->scale = scale;
    if (t->is_bool) t->length = STR("1");
}

/* -- keys -- */

void ddl_key_begin(DdlParse *p, DdlKeyKind kind, Str constraint)
{
    p->key = DDL_NEW(p, DdlKey);
    p->key->kind = kind;
    p->key->constraint = constraint;
}

void ddl_key_columns(DdlParse *p, DdlNames names)
{
    DdlParts parts = {0};
    for (DdlName *n = names.head; n; n = n->next) {
        DdlKeyPart *part = DDL_NEW(p, DdlKeyPart);
        part->column = n->name;
        DDL_APPEND(parts, part);
    }
    p->key->parts = parts.head;
}

void ddl_index_added(DdlParse *p)
{
    if (p->stmt->replace) ddl_index_dropped(p, true, p->key->name);
    DdlChange *c = ddl_change(p, DDL_ADD_KEY);
    c->key = p->key;
    c->if_not_exists = p->key->if_not_exists;
    ddl_change_add(p, c);
}

void ddl_index_dropped(DdlParse *p, bool if_exists, Str name)
{
    ddl_change_add(p, ddl_change_named(p, DDL_DROP_KEY, if_exists, name));
}

/* -- partitions -- */

static DdlPartitioning *partition_method(DdlParse *p, const char *method, Str expr, DdlNames columns)
{
    DdlPartitioning *by = DDL_NEW(p, DdlPartitioning);
    by->method = str_of(method);
    by->expr = expr;
    by->columns = columns.head;
    by->count = p->count;
    by->algorithm = p->algorithm;
    p->count = p->algorithm = 0;
    return by;
}

void ddl_partition_by(DdlParse *p, const char *method, Str expr, DdlNames columns)
{
    p->partitioning = partition_method(p, method, expr, columns);
}

void ddl_subpartition_by(DdlParse *p, const char *method, Str expr, DdlNames columns)
{
    p->partitioning->sub = partition_method(p, method, expr, columns);
}

void ddl_subpartition_add(DdlParse *p, Str name)
{
    DdlPartition *sub = DDL_NEW(p, DdlPartition), **tail = &p->part->sub;
    sub->name = name;
    while (*tail)
        tail = &(*tail)->next;
    *tail = sub;
}
