#include "db/schema_read.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/map.h"
#include "db/foreign_keys.h"
#include "db/shown_text.h"
#include "base/poison.h"

enum { MAX_PARTS = 64 }; /* of a key; servers: 16 (MySQL, TiDB), 32 (MariaDB) */

/* One table while its rows come in; the arrays move into the schema's arena at the end. */
typedef struct Builder {
    TableSchema *schema;
    ColumnDef *columns;
    size_t n_columns, cap_columns;
    KeyDef *keys;
    size_t n_keys, cap_keys;
    ForeignKey *foreign_keys;
    size_t n_foreign_keys, cap_foreign_keys;
    Str foreign_key;   /* name of the last */
    bool rules_seen;   /* of its foreign keys */
    ForeignKey *rules; /* name and actions alone */
    size_t n_rules, cap_rules;
    CheckDef *checks;
    size_t n_checks, cap_checks;
    PartitionDef *parts;
    size_t n_parts, cap_parts;
} Builder;

/* One scan: a schema, or one table of it. */
typedef struct Scan {
    Conn *conn;
    Str schema, table; /* table empty: all of the schema */
    bool is_mariadb, ignores_case;
    bool escapes_expressions; /* MySQL 8+ */
    bool has_partitions;      /* some table has */
    Map tables;               /* name as the server spells it → Builder */
} Scan;

/* One row of an answer, read by column name. */
typedef struct Answer {
    Rows rows;
    Str *values;
} Answer;

static Str cell(const Answer *a, const char *name)
{
    int i = rows_column(&a->rows, name);
    return i < 0 ? (Str){0} : a->values[i];
}

static uint64_t cell_u64(const Answer *a, const char *name)
{
    uint64_t v = 0;
    Str s = cell(a, name);
    return s.ptr && str_to_u64(s, &v) ? v : 0;
}

static bool cell_is(const Answer *a, const char *name, const char *value)
{
    return str_ieq(cell(a, name), str_of(value));
}

static bool answer_next(Answer *a)
{
    return rows_next(&a->rows, a->values);
}

static void answer_done(Answer *a)
{
    rows_done(&a->rows);
    free(a->values);
    a->values = NULL;
}

/* SELECT what FROM information_schema.view WHERE … of the scan, ordered by order. */
typedef struct View {
    const char *what, *view, *schema_column, *table_column, *order;
} View;

static bool ask(Scan *s, const View *v, Answer *a, Err *err)
{
    StrBuf sql = {0};
    *a = (Answer){0};
    sb_printf(&sql, "SELECT %s FROM information_schema.%s WHERE %s = ", v->what, v->view, v->schema_column);
    sb_quoted(&sql, s->schema);
    if (s->table.len) {
        sb_printf(&sql, " AND %s = ", v->table_column);
        sb_quoted(&sql, s->table);
    }
    if (v->order) sb_printf(&sql, " ORDER BY %s", v->order);
    bool ok = conn_query(s->conn, sb_view(&sql), &a->rows, err);
    sb_done(&sql);
    if (!ok) return err_wrap(err, "reading information_schema.%s", v->view);
    a->values = mem_zalloc(sizeof(Str) * (a->rows.n_columns + 1));
    return true;
}

static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) return items;
    *cap = *cap ? *cap * 2 : 8;
    return mem_realloc(items, *cap * size);
}

/* -- texts -- */

static Str expression(const Scan *s, Arena *arena, Str text)
{
    return shown_expression(arena, text, s->escapes_expressions);
}

static bool contains_nocase(Str s, const char *needle)
{
    Str n = str_of(needle);
    for (size_t i = 0; i + n.len <= s.len; i++)
        if (str_ieq(str_make(s.ptr + i, n.len), n)) return true;
    return false;
}

/* `name`, 'value' or "value" without the quotes, or a bare word; *at moves behind it. */
static Str option_word(Str s, size_t *at, const char *until)
{
    char quote = *at < s.len && strchr("`'\"", s.ptr[*at]) ? s.ptr[*at] : 0;
    size_t from = *at += quote != 0;
    while (*at < s.len && (quote ? s.ptr[*at] != quote : !strchr(until, s.ptr[*at])))
        ++*at;
    Str word = {s.ptr + from, *at - from};
    *at += quote != 0;
    return word;
}

static int option_order(const void *x, const void *y)
{
    return str_cmp(((const TableOption *)x)->name, ((const TableOption *)y)->name);
}

/* CREATE_OPTIONS: row_format=COMPRESSED KEY_BLOCK_SIZE=8 partitioned `page_compressed`=1 */
static bool read_options(TableSchema *t, Str text)
{
    bool partitioned = false;
    uint32_t cap = 1;
    for (size_t i = 0; i < text.len; i++)
        cap += text.ptr[i] == '=';
    t->options = arena_array(&t->arena, TableOption, cap);
    for (size_t at = 0; at < text.len;) {
        if (text.ptr[at] == ' ') {
            at++;
            continue;
        }
        Str name = option_word(text, &at, "= ");
        if (at >= text.len || text.ptr[at] != '=') {
            partitioned |= str_ieq(name, STR("partitioned"));
            continue;
        }
        at++;
        Str value = option_word(text, &at, " ");
        TableOption *o = &t->options[t->n_options++];
        char *lower = arena_alloc(&t->arena, name.len + 1);
        for (size_t i = 0; i < name.len; i++)
            lower[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
        *o = (TableOption){str_make(lower, name.len), arena_str(&t->arena, value)};
    }
    if (t->n_options) qsort(t->options, t->n_options, sizeof *t->options, option_order);
    return partitioned;
}

/* -- views -- */

static bool load_tables(Scan *s, Err *err)
{
    static const View view = {"TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION, TABLE_COMMENT, "
                              "CREATE_OPTIONS, VERSION() AS SERVER, "
                              "@@lower_case_table_names AS NAME_CASE",
                              "TABLES", "TABLE_SCHEMA", "TABLE_NAME", NULL};
    Answer a;
    if (!ask(s, &view, &a, err)) return false;
    while (answer_next(&a)) {
        Str server = cell(&a, "SERVER");
        s->is_mariadb = contains_nocase(server, "mariadb");
        s->escapes_expressions =
            !s->is_mariadb && !contains_nocase(server, "tidb") && !str_starts(server, STR("5."));
        s->ignores_case = !cell_is(&a, "NAME_CASE", "0");
        Builder *b = mem_zalloc(sizeof *b);
        TableSchema *t = b->schema = mem_zalloc(sizeof *t);
        t->name.schema = arena_str(&t->arena, s->schema);
        t->name.table = arena_str(&t->arena, cell(&a, "TABLE_NAME"));
        t->engine = arena_str(&t->arena, cell(&a, "ENGINE"));
        t->collation = arena_str(&t->arena, cell(&a, "TABLE_COLLATION"));
        t->comment = arena_str(&t->arena, cell(&a, "TABLE_COMMENT"));
        /* MySQL does not tell of PARTITION BY KEY () there */
        s->has_partitions |= read_options(t, cell(&a, "CREATE_OPTIONS")) || s->escapes_expressions;
        t->is_view = contains_nocase(cell(&a, "TABLE_TYPE"), "view");
        t->is_versioned = cell_is(&a, "TABLE_TYPE", "SYSTEM VERSIONED");
        t->is_sequence = cell_is(&a, "TABLE_TYPE", "SEQUENCE");
        map_put(&s->tables, t->name.table, b);
    }
    answer_done(&a);
    return true;
}

static bool read_column(Scan *s, const Answer *a, Builder *b, Err *err)
{
    Arena *arena = &b->schema->arena;
    b->columns = grow(b->columns, b->n_columns, &b->cap_columns, sizeof *b->columns);
    ColumnDef *c = &b->columns[b->n_columns++];
    Str extra = cell(a, "EXTRA"), generated = cell(a, "GENERATION_EXPRESSION");
    *c = (ColumnDef){.name = arena_str(arena, cell(a, "COLUMN_NAME")),
                     .data_type = arena_str(arena, cell(a, "DATA_TYPE")),
                     .column_type = arena_str(arena, cell(a, "COLUMN_TYPE")),
                     .not_null = cell_is(a, "IS_NULLABLE", "NO"),
                     .auto_increment = contains_nocase(extra, "auto_increment"),
                     .on_update_now = contains_nocase(extra, "on update"),
                     .invisible = contains_nocase(extra, "INVISIBLE"),
                     .generated = generated.len > 0,
                     .char_length = cell_u64(a, "CHARACTER_MAXIMUM_LENGTH"),
                     .precision = (uint32_t)cell_u64(a, "NUMERIC_PRECISION"),
                     .scale = (uint32_t)cell_u64(a, "NUMERIC_SCALE"),
                     .fsp = (uint32_t)cell_u64(a, "DATETIME_PRECISION"),
                     .charset = arena_str(arena, cell(a, "CHARACTER_SET_NAME")),
                     .collation = arena_str(arena, cell(a, "COLLATION_NAME")),
                     .comment = arena_str(arena, cell(a, "COLUMN_COMMENT")),
                     .has_srid = cell(a, "SRS_ID").ptr != NULL,
                     .srid = (uint32_t)cell_u64(a, "SRS_ID"),
                     .unversioned = contains_nocase(extra, "WITHOUT SYSTEM VERSIONING")};
    bool listed = str_eqc(c->data_type, "enum") || str_eqc(c->data_type, "set");
    c->is_unsigned = !listed && contains_nocase(c->column_type, " unsigned");
    c->generated_stored = c->generated && !contains_nocase(extra, "VIRTUAL");
    if (c->generated)
        c->generation_expr = expression(s, arena, generated);
    else if (s->is_mariadb)
        shown_default_mariadb(c, arena, cell(a, "COLUMN_DEFAULT"));
    else
        shown_default_mysql(c, arena, cell(a, "COLUMN_DEFAULT"), extra, s->escapes_expressions);
    if (listed && !shown_members(c, arena))
        return err_set(err, ERR_DB_SCHEMA,
                       STR_FMT "." STR_FMT "." STR_FMT ": its list of members cannot be read",
                       STR_ARG(s->schema), STR_ARG(b->schema->name.table), STR_ARG(c->name));
    return true;
}

static bool load_columns(Scan *s, Err *err)
{
    static const View view = {"*", "COLUMNS", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_NAME, ORDINAL_POSITION"};
    Answer a;
    if (!ask(s, &view, &a, err)) return false;
    bool ok = true;
    while (ok && answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (b) ok = read_column(s, &a, b, err); /* NULL: created since load_tables */
    }
    answer_done(&a);
    return ok;
}

static uint32_t find_column(const Builder *b, Str name)
{
    for (size_t i = 0; i < b->n_columns; i++)
        if (str_ieq(b->columns[i].name, name)) return (uint32_t)i;
    return UINT32_MAX;
}

static KeyDef *key_of(Builder *b, Str name)
{
    for (size_t i = 0; i < b->n_keys; i++)
        if (str_eq(b->keys[i].name, name)) return &b->keys[i];
    b->keys = grow(b->keys, b->n_keys, &b->cap_keys, sizeof *b->keys);
    KeyDef *k = &b->keys[b->n_keys++];
    *k = (KeyDef){.name = arena_str(&b->schema->arena, name), .primary = str_ieq(name, STR("PRIMARY"))};
    return k;
}

static bool load_keys(Scan *s, Err *err)
{
    static const View view = {"*", "STATISTICS", "TABLE_SCHEMA", "TABLE_NAME",
                              "TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"};
    Answer a;
    if (!ask(s, &view, &a, err)) return false;
    bool ok = true;
    while (ok && answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (!b) continue;
        KeyDef *k = key_of(b, cell(&a, "INDEX_NAME"));
        k->unique = cell_is(&a, "NON_UNIQUE", "0");
        k->index_type = arena_str(&b->schema->arena, cell(&a, "INDEX_TYPE"));
        k->invisible = cell_is(&a, "IS_VISIBLE", "NO") || cell_is(&a, "IGNORED", "YES");
        if (!k->comment.ptr) k->comment = arena_str(&b->schema->arena, cell(&a, "INDEX_COMMENT"));
        if (!k->parts) k->parts = arena_array(&b->schema->arena, KeyPart, MAX_PARTS);
        CHECK(k->n_parts < MAX_PARTS, "an index of more than 64 parts");
        Str column = cell(&a, "COLUMN_NAME");
        KeyPart *p = &k->parts[k->n_parts++];
        p->column = column.ptr ? find_column(b, column) : UINT32_MAX;
        p->descending = cell_is(&a, "COLLATION", "D");
        if (p->column == UINT32_MAX) {
            k->has_expression = true;
            p->expression = expression(s, &b->schema->arena, cell(&a, "EXPRESSION"));
        }
        if (!str_ieq(k->index_type, STR("SPATIAL"))) p->prefix = (uint32_t)cell_u64(&a, "SUB_PART");
        if (column.ptr && p->column == UINT32_MAX)
            ok = err_set(err, ERR_DB_RETRY,
                         STR_FMT "." STR_FMT ": the table changed while its definition was read",
                         STR_ARG(s->schema), STR_ARG(b->schema->name.table));
    }
    answer_done(&a);
    return ok;
}

static bool load_key_rules(Scan *s, Err *err)
{
    static const View view = {"TABLE_NAME, CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE",
                              "REFERENTIAL_CONSTRAINTS", "CONSTRAINT_SCHEMA", "TABLE_NAME", NULL};
    static const char *const acting[] = {"CASCADE", "SET NULL", "SET DEFAULT"};
    Answer a;
    if (!ask(s, &view, &a, err)) return false;
    while (answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (!b) continue;
        b->schema->has_foreign_keys = b->rules_seen = true;
        Arena *arena = &b->schema->arena;
        b->rules = grow(b->rules, b->n_rules, &b->cap_rules, sizeof *b->rules);
        b->rules[b->n_rules++] = (ForeignKey){.name = arena_str(arena, cell(&a, "CONSTRAINT_NAME")),
                                              .on_update = arena_str(arena, cell(&a, "UPDATE_RULE")),
                                              .on_delete = arena_str(arena, cell(&a, "DELETE_RULE"))};
        for (size_t i = 0; i < ARRAY_LEN(acting); i++)
            if (cell_is(&a, "UPDATE_RULE", acting[i]) || cell_is(&a, "DELETE_RULE", acting[i]))
                b->schema->has_cascade = true;
    }
    answer_done(&a);
    return true;
}

/* The rules of a table's foreign keys from its definition; when that may not be read either they count as
 * cascading. */
static bool read_hidden_rules(Scan *s, TableSchema *t, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Answer a = {0};
    Err denied = {0};
    sb_c(&sql, "SHOW CREATE TABLE ");
    table_name_sql(t->name, &sql);
    t->has_foreign_keys = t->has_cascade = true;
    if (!conn_query(s->conn, sb_view(&sql), &a.rows, &denied)) {
        if (denied.code != ERR_DB_ACCESS_DENIED) {
            err_move(err, &denied);
            return err_wrap(err, "foreign keys of " STR_FMT "." STR_FMT, STR_ARG(t->name.schema),
                            STR_ARG(t->name.table));
        }
        err_clear(&denied);
        return true;
    }
    a.values = mem_zalloc(sizeof(Str) * (a.rows.n_columns + 1));
    if (answer_next(&a)) t->has_cascade = foreign_keys_act(cell(&a, "Create Table"));
    answer_done(&a);
    return true;
}

/* Rows come constraint by constraint. */
static void add_foreign_column(Builder *b, const Answer *a)
{
    Arena *arena = &b->schema->arena;
    Str name = cell(a, "CONSTRAINT_NAME");
    uint32_t column = find_column(b, cell(a, "COLUMN_NAME"));
    if (column == UINT32_MAX) return; /* altered meanwhile: only references are found by it */
    if (!b->n_foreign_keys || !str_eq(b->foreign_key, name)) {
        b->foreign_keys =
            grow(b->foreign_keys, b->n_foreign_keys, &b->cap_foreign_keys, sizeof *b->foreign_keys);
        b->foreign_keys[b->n_foreign_keys++] =
            (ForeignKey){.parent = {arena_str(arena, cell(a, "REFERENCED_TABLE_SCHEMA")),
                                    arena_str(arena, cell(a, "REFERENCED_TABLE_NAME"))},
                         .columns = arena_array(arena, uint32_t, MAX_PARTS),
                         .parent_columns = arena_array(arena, Str, MAX_PARTS)};
        b->foreign_key = arena_str(arena, name);
        b->foreign_keys[b->n_foreign_keys - 1].name = b->foreign_key;
        for (size_t i = 0; i < b->n_rules; i++) {
            if (!str_eq(b->rules[i].name, name)) continue;
            b->foreign_keys[b->n_foreign_keys - 1].on_update = b->rules[i].on_update;
            b->foreign_keys[b->n_foreign_keys - 1].on_delete = b->rules[i].on_delete;
        }
    }
    ForeignKey *k = &b->foreign_keys[b->n_foreign_keys - 1];
    CHECK(k->n_columns < MAX_PARTS, "a foreign key of more than 64 columns");
    k->columns[k->n_columns] = column;
    k->parent_columns[k->n_columns++] = arena_str(arena, cell(a, "REFERENCED_COLUMN_NAME"));
}

/* MariaDB shows the rules only to users who may do more than SELECT; the keys themselves everybody sees. */
static bool load_foreign_keys(Scan *s, Err *err)
{
    static const View view = {"TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, "
                              "REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME",
                              "KEY_COLUMN_USAGE", "TABLE_SCHEMA", "TABLE_NAME",
                              "TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION"};
    Answer a;
    if (!load_key_rules(s, err) || !ask(s, &view, &a, err)) return false;
    bool ok = true;
    while (ok && answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (!b || !cell(&a, "REFERENCED_TABLE_NAME").ptr) continue;
        add_foreign_column(b, &a);
        if (b->rules_seen) continue;
        ok = read_hidden_rules(s, b->schema, err);
        b->rules_seen = true;
    }
    answer_done(&a);
    return ok;
}

static bool load_triggers(Scan *s, Err *err)
{
    static const View view = {"EVENT_OBJECT_TABLE", "TRIGGERS", "EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE",
                              NULL};
    Answer a;
    if (!ask(s, &view, &a, err)) return false;
    while (answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "EVENT_OBJECT_TABLE"));
        if (b) b->schema->has_triggers = true;
    }
    answer_done(&a);
    return true;
}

/* The column whose own check it is. MariaDB keeps calling it by the name that the column had when the check
 * was written. */
static Str check_column(const Builder *b, Str name, Str clause)
{
    CLEANUP(sb_done) StrBuf quoted = {0};
    Str used = {0};
    for (size_t i = 0; i < b->n_columns; i++) {
        sb_clear(&quoted);
        sb_ident(&quoted, b->columns[i].name);
        if (str_find(clause, sb_view(&quoted)) == SIZE_MAX) continue;
        if (str_ieq(b->columns[i].name, name)) return b->columns[i].name;
        if (!used.ptr) used = b->columns[i].name;
    }
    return used.ptr ? used : name;
}

/* Old servers have no such view: no checks. */
static bool load_checks(Scan *s, Err *err)
{
    static const View mariadb = {"*", "CHECK_CONSTRAINTS", "CONSTRAINT_SCHEMA", "TABLE_NAME", NULL};
    static const View mysql = {"t.TABLE_NAME, t.CONSTRAINT_NAME, t.ENFORCED, c.CHECK_CLAUSE",
                               "TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS c "
                               "ON c.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND c.CONSTRAINT_NAME = "
                               "t.CONSTRAINT_NAME AND t.CONSTRAINT_TYPE = 'CHECK'",
                               "t.TABLE_SCHEMA", "t.TABLE_NAME", NULL};
    enum { NO_TABLE = 1109, NO_SUCH_TABLE = 1146, NO_COLUMN = 1054 };
    Answer a;
    Err none = {0};
    if (!ask(s, s->is_mariadb ? &mariadb : &mysql, &a, &none)) {
        unsigned e = none.server_errno;
        bool old = e == NO_TABLE || e == NO_SUCH_TABLE || e == NO_COLUMN;
        if (old)
            err_clear(&none);
        else
            err_move(err, &none);
        return old;
    }
    while (answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (!b) continue;
        Arena *arena = &b->schema->arena;
        Str name = cell(&a, "CONSTRAINT_NAME"), clause = cell(&a, "CHECK_CLAUSE");
        bool own = cell_is(&a, "LEVEL", "Column");
        if (own) name = check_column(b, name, clause);
        b->checks = grow(b->checks, b->n_checks, &b->cap_checks, sizeof *b->checks);
        b->checks[b->n_checks++] = (CheckDef){.name = arena_str(arena, name),
                                              .expr = expression(s, arena, clause),
                                              .column_level = own,
                                              .not_enforced = cell_is(&a, "ENFORCED", "NO")};
    }
    answer_done(&a);
    return true;
}

/* MySQL keeps them in the quotes of the session that changed the table last. */
static Str partition_expression(const Scan *s, Arena *arena, Str text)
{
    Str out = expression(s, arena, text);
    if (!out.len || memchr(out.ptr, '\'', out.len) || memchr(out.ptr, '`', out.len)) return out;
    char *chars = arena_alloc(arena, out.len + 1);
    for (size_t i = 0; i < out.len; i++)
        chars[i] = out.ptr[i] == '"' ? '`' : out.ptr[i];
    chars[out.len] = 0;
    return str_make(chars, out.len);
}

static void add_partition(Scan *s, Builder *b, const Answer *a)
{
    enum { MAX_SUBPARTITIONS = 8192 };
    Arena *arena = &b->schema->arena;
    Partitioning *by = &b->schema->partitioning;
    Str name = cell(a, "PARTITION_NAME"), sub = cell(a, "SUBPARTITION_NAME");
    if (!by->method.len) {
        *by = (Partitioning){.method = arena_str(arena, cell(a, "PARTITION_METHOD")),
                             .expr = partition_expression(s, arena, cell(a, "PARTITION_EXPRESSION")),
                             .sub_method = arena_str(arena, cell(a, "SUBPARTITION_METHOD")),
                             .sub_expr = partition_expression(s, arena, cell(a, "SUBPARTITION_EXPRESSION"))};
    }
    if (!b->n_parts || !str_eq(b->parts[b->n_parts - 1].name, name)) {
        b->parts = grow(b->parts, b->n_parts, &b->cap_parts, sizeof *b->parts);
        b->parts[b->n_parts++] = (PartitionDef){.name = arena_str(arena, name),
                                                .values = arena_str(arena, cell(a, "PARTITION_DESCRIPTION")),
                                                .comment = arena_str(arena, cell(a, "PARTITION_COMMENT"))};
    }
    if (!sub.ptr) return;
    PartitionDef *p = &b->parts[b->n_parts - 1];
    CHECK(p->n_subpartitions < MAX_SUBPARTITIONS, "more subpartitions than a table may have");
    Str *names = arena_array(arena, Str, p->n_subpartitions + 1U);
    if (p->n_subpartitions) memcpy(names, p->subpartitions, sizeof *names * p->n_subpartitions);
    names[p->n_subpartitions++] = arena_str(arena, sub);
    p->subpartitions = names;
}

static bool load_partitions(Scan *s, Err *err)
{
    static const View view = {"*", "PARTITIONS", "TABLE_SCHEMA", "TABLE_NAME",
                              "TABLE_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION"};
    Answer a;
    if (!s->has_partitions) return true;
    if (!ask(s, &view, &a, err)) return false;
    while (answer_next(&a)) {
        Builder *b = map_get(&s->tables, cell(&a, "TABLE_NAME"));
        if (b && cell(&a, "PARTITION_NAME").ptr) add_partition(s, b, &a);
    }
    answer_done(&a);
    return true;
}

/* -- putting together -- */

static int check_order(const void *x, const void *y)
{
    return str_cmp(((const CheckDef *)x)->name, ((const CheckDef *)y)->name);
}

static int foreign_key_order(const void *x, const void *y)
{
    return str_cmp(((const ForeignKey *)x)->name, ((const ForeignKey *)y)->name);
}

/* A copy of a list in the table's arena. */
static void *keep(TableSchema *t, const void *items, size_t n, size_t size)
{
    void *copy = arena_zalloc(&t->arena, (n + 1) * size);
    if (n) memcpy(copy, items, n * size);
    return copy;
}

static int key_order(const void *x, const void *y)
{
    const KeyDef *a = x, *b = y;
    if (a->primary != b->primary) return a->primary ? -1 : 1;
    return str_cmp(a->name, b->name);
}

static void builder_finish(Builder *b)
{
    TableSchema *t = b->schema;
    if (b->n_keys) qsort(b->keys, b->n_keys, sizeof *b->keys, key_order);
    if (b->n_checks) qsort(b->checks, b->n_checks, sizeof *b->checks, check_order);
    if (b->n_foreign_keys)
        qsort(b->foreign_keys, b->n_foreign_keys, sizeof *b->foreign_keys, foreign_key_order);
    t->columns = keep(t, b->columns, b->n_columns, sizeof *b->columns);
    t->n_columns = (uint32_t)b->n_columns;
    t->keys = keep(t, b->keys, b->n_keys, sizeof *b->keys);
    t->n_keys = (uint32_t)b->n_keys;
    t->foreign_keys = keep(t, b->foreign_keys, b->n_foreign_keys, sizeof *b->foreign_keys);
    t->n_foreign_keys = (uint32_t)b->n_foreign_keys;
    t->checks = keep(t, b->checks, b->n_checks, sizeof *b->checks);
    t->n_checks = (uint32_t)b->n_checks;
    t->partitioning.parts = keep(t, b->parts, b->n_parts, sizeof *b->parts);
    t->partitioning.n_parts = (uint32_t)b->n_parts;
}

static void scan_done(Scan *s)
{
    size_t iter = 0;
    Str key;
    void *value;
    while (map_next(&s->tables, &iter, &key, &value)) {
        Builder *b = value;
        schema_free(b->schema);
        free(b->columns);
        free(b->keys);
        free(b->foreign_keys);
        free(b->rules);
        free(b->checks);
        free(b->parts);
        free(b);
    }
    map_done(&s->tables);
}

static bool scan_load(Scan *s, Err *err)
{
    if (!load_tables(s, err)) return false;
    if (!s->tables.count) return true;
    return load_columns(s, err) && load_keys(s, err) && load_foreign_keys(s, err) && load_triggers(s, err) &&
           load_checks(s, err) && load_partitions(s, err);
}

/* Hands over the table of that name: as spelled, or without case where the server compares so. */
static TableSchema *scan_take(Scan *s, Str table)
{
    Builder *b = map_get(&s->tables, table);
    size_t iter = 0;
    Str key;
    void *value;
    while (!b && s->ignores_case && map_next(&s->tables, &iter, &key, &value))
        if (str_ieq(key, table)) b = value;
    if (!b || !b->schema) return NULL;
    builder_finish(b);
    TableSchema *t = b->schema;
    b->schema = NULL;
    return t;
}

bool schema_read(Conn *c, TableName name, TableSchema **out, Err *err)
{
    *out = NULL;
    Scan s = {.conn = c, .schema = name.schema, .table = name.table};
    bool ok = scan_load(&s, err);
    if (ok) *out = scan_take(&s, name.table);
    scan_done(&s);
    if (!ok)
        return err_wrap(err, "definition of " STR_FMT "." STR_FMT, STR_ARG(name.schema), STR_ARG(name.table));
    return true;
}

static bool read_schema_of(Conn *c, const TableName *names, size_t n, size_t first, TableSchema **out,
                           bool *done, Err *err)
{
    enum { SCAN_FROM = 4 }; /* fewer names: one by one is cheaper than a scan of the whole schema */
    size_t same = 0;
    for (size_t i = first; i < n; i++)
        same += str_eq(names[i].schema, names[first].schema);
    if (same < SCAN_FROM) {
        done[first] = true;
        return schema_read(c, names[first], &out[first], err);
    }
    Scan s = {.conn = c, .schema = names[first].schema};
    bool ok = scan_load(&s, err);
    for (size_t i = first; i < n; i++) {
        if (!str_eq(names[i].schema, names[first].schema)) continue;
        if (ok) out[i] = scan_take(&s, names[i].table);
        done[i] = true;
    }
    scan_done(&s);
    if (!ok) return err_wrap(err, "definitions of schema " STR_FMT, STR_ARG(names[first].schema));
    return true;
}

bool schema_read_many(Conn *c, const TableName *names, size_t n, TableSchema **out, Err *err)
{
    bool ok = true;
    bool *done = mem_zalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = NULL;
    for (size_t i = 0; ok && i < n; i++)
        if (!done[i]) ok = read_schema_of(c, names, n, i, out, done, err);
    for (size_t i = 0; !ok && i < n; i++) {
        schema_free(out[i]);
        out[i] = NULL;
    }
    free(done);
    return ok;
}

bool schema_list_tables(Conn *c, Arena *arena, TableName **out, size_t *n, Err *err)
{
    Rows rows;
    *n = 0;
    if (!conn_query(c,
                    STR("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN "
                        "('BASE TABLE', "
                        "'SYSTEM VERSIONED') AND LOWER(TABLE_SCHEMA) NOT IN ('mysql', 'information_schema', "
                        "'performance_schema', 'sys', 'metrics_schema', 'inspection_schema') "
                        "ORDER BY TABLE_SCHEMA, TABLE_NAME"),
                    &rows, err))
        return err_wrap(err, "listing tables");
    *out = arena_array(arena, TableName, rows.n_rows + 1);
    Str values[2];
    CHECK(rows.n_columns == 2, "two columns were asked for");
    while (rows_next(&rows, values))
        (*out)[(*n)++] = (TableName){arena_str(arena, values[0]), arena_str(arena, values[1])};
    rows_done(&rows);
    return true;
}
