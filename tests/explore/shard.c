#include "shard.h"
#include <string.h>
#include "base/check.h"
#include "model/binding.h"
#include "base/poison.h"

static const char letters[] = "BPbCcaRrkQWNDdXUxyTZpOME";

bool shard_is_ddl(char letter)
{
    return letter && strchr(letters, letter) != NULL;
}

bool shard_is_loss(char letter)
{
    return letter && strchr("ZpOE", letter) != NULL;
}

bool shard_joins_late(const Shard *s)
{
    return strchr(s->program, 'J') != NULL;
}

bool shard_in_partition(int id)
{
    return id % 10 == 0;
}

int shard_fit(const ColumnDef *c, int value)
{
    int most = str_eqc(c->data_type, "smallint") ? 100 : str_eqc(c->data_type, "int") ? 1000 : 1000000;
    if (value == NIL) return c->not_null ? 0 : NIL;
    return value > most ? most : value;
}

int shard_literal(Str text)
{
    uint64_t v = 0;
    if (text.len > 2 && text.ptr[0] == '\'') text = (Str){text.ptr + 1, text.len - 2};
    CHECK(str_to_u64(text, &v), "a fill of the model");
    return (int)v;
}

int shard_default(const ColumnDef *c)
{
    uint64_t v = 0;
    if (c->default_kind == DEFAULT_LITERAL) CHECK(str_to_u64(c->default_text, &v), "a default of the model");
    return c->default_kind == DEFAULT_LITERAL ? (int)v : c->not_null ? 0 : NIL;
}

/* -- definitions -- */

typedef struct Build {
    Arena arena;
    TableSchema s;
    ColumnLineage lineage[MOST_COLUMNS];
} Build;

static void set_type(ColumnDef *c, const char *type)
{
    c->data_type = c->column_type = str_of(type);
}

static ColumnDef column_of(const char *name, const char *type, bool not_null, const char *dflt)
{
    ColumnDef c = {.name = str_of(name), .not_null = not_null};
    set_type(&c, type);
    c.default_kind = dflt ? DEFAULT_LITERAL : not_null ? DEFAULT_NONE : DEFAULT_NULL;
    c.default_text = str_of(dflt);
    return c;
}

static void add_key(Build *b, const char *name, const char *column, bool primary, bool unique)
{
    KeyDef *k = &b->s.keys[b->s.n_keys++];
    *k = (KeyDef){.name = str_of(name), .primary = primary, .unique = unique, .index_type = STR("BTREE")};
    k->parts = arena_array(&b->arena, KeyPart, 1);
    k->n_parts = 1;
    k->parts[0].column = schema_column(&b->s, str_of(column));
}

static void build_from(Build *b, const TableSchema *s)
{
    *b = (Build){
        .s = {.name = {STR("shop"), STR("t")}, .engine = STR("InnoDB"), .collation = STR("utf8mb4_bin")}};
    b->s.columns = arena_array(&b->arena, ColumnDef, MOST_COLUMNS + 1);
    b->s.keys = arena_array(&b->arena, KeyDef, 8);
    for (uint32_t i = 0; s && i < s->n_columns; i++) {
        b->s.columns[b->s.n_columns++] = s->columns[i];
        b->lineage[i].from = i;
    }
    for (uint32_t i = 0; s && i < s->n_keys; i++)
        b->s.keys[b->s.n_keys++] = s->keys[i];
}

const TableSchema *shard_base(VersionPool *pool)
{
    Build b;
    build_from(&b, NULL);
    b.s.columns[b.s.n_columns++] = column_of("id", "int", true, NULL);
    b.s.columns[b.s.n_columns++] = column_of("a", "int", false, NULL);
    add_key(&b, "PRIMARY", "id", true, true);
    const TableSchema *own = version_schema(pool, &b.s);
    arena_done(&b.arena);
    return own;
}

static bool add_column(Build *b, ColumnDef c, FillKind fill, const char *text)
{
    if (schema_column(&b->s, c.name) != NO_COLUMN || b->s.n_columns == MOST_COLUMNS) return false;
    b->lineage[b->s.n_columns] = (ColumnLineage){.from = NO_COLUMN, .fill = fill, .fill_text = str_of(text)};
    b->s.columns[b->s.n_columns++] = c;
    return true;
}

static bool drop_column(Build *b, const char *name)
{
    uint32_t at = schema_column(&b->s, str_of(name)), n = 0;
    if (at == NO_COLUMN) return false;
    for (uint32_t i = 0; i < b->s.n_keys; i++)
        if (b->s.keys[i].parts[0].column == at) return false;
    b->s.n_columns--;
    for (uint32_t i = at; i < b->s.n_columns; i++) {
        b->s.columns[i] = b->s.columns[i + 1];
        b->lineage[i] = b->lineage[i + 1];
    }
    for (; n < b->s.n_keys; n++) {
        KeyPart *own = arena_new(&b->arena, KeyPart);
        *own = b->s.keys[n].parts[0];
        own->column -= own->column > at;
        b->s.keys[n].parts = own;
    }
    return true;
}

static bool change_column(Build *b, const char *name, const char *to, const char *type, bool lossy)
{
    uint32_t at = schema_column(&b->s, str_of(name));
    if (at == NO_COLUMN || (to && schema_column(&b->s, str_of(to)) != NO_COLUMN)) return false;
    ColumnDef *c = &b->s.columns[at];
    if (type && str_eqc(c->data_type, type)) return false;
    if (type && !lossy && str_eqc(c->data_type, "bigint")) return false;
    if (to) c->name = str_of(to);
    if (type) set_type(c, type);
    b->lineage[at].renamed = to != NULL;
    b->lineage[at].converted = type != NULL;
    b->lineage[at].lossy = lossy;
    return true;
}

static bool change_key(Build *b, const char *name, bool add, bool unique)
{
    uint32_t n = 0;
    bool had = false;
    for (uint32_t i = 0; i < b->s.n_keys; i++) {
        had |= str_eqc(b->s.keys[i].name, name);
        if (!str_eqc(b->s.keys[i].name, name)) b->s.keys[n++] = b->s.keys[i];
    }
    if (had == add || (add && schema_column(&b->s, STR("a")) == NO_COLUMN)) return false;
    b->s.n_keys = n;
    if (add) add_key(b, name, "a", false, unique);
    return true;
}

static bool change(Build *b, char letter, int member)
{
    static const char *const moments[MOST_MEMBERS] = {"30", "31", "32"};
    switch (letter) {
    case 'B': return add_column(b, column_of("b", "int", false, "1"), FILL_VALUE, "'1'");
    case 'P': return add_column(b, column_of("b", "int", false, "2"), FILL_VALUE, "'2'");
    case 'C': return add_column(b, column_of("c", "int", false, NULL), FILL_NULL, NULL);
    case 'Q': return add_column(b, column_of("r", "int", false, NULL), FILL_NULL, NULL);
    case 'D': return add_column(b, column_of("d", "int", true, NULL), FILL_VALUE, "0");
    case 'T': return add_column(b, column_of("t", "int", false, NULL), FILL_VALUE, moments[member]);
    case 'a':
    case 'b':
    case 'c':
    case 'd': return drop_column(b, (char[]){letter, 0});
    case 'k': return drop_column(b, "r");
    case 'R': return change_column(b, "a", "r", NULL, false);
    case 'r': return change_column(b, "r", "a", NULL, false);
    case 'W': return change_column(b, "a", NULL, "bigint", false);
    case 'N': return change_column(b, "a", NULL, "smallint", true);
    case 'X': return change_key(b, "ix", true, false);
    case 'U': return change_key(b, "uk", true, true);
    case 'x': return change_key(b, "ix", false, false);
    case 'y': return change_key(b, "uk", false, true);
    case 'Z':
    case 'p':
    case 'E': return true;
    default: return false;
    }
}

/* The table goes, or comes again as it was at first. */
static const SchemaStep *step_of_table(VersionPool *pool, const TableSchema *before, char letter)
{
    const TableSchema *base = shard_base(pool);
    ColumnLineage lineage[MOST_COLUMNS] = {{.from = NO_COLUMN}, {.from = NO_COLUMN}};
    bool dropped[MOST_COLUMNS] = {true, true, true, true, true, true};
    SchemaStep s = {.before = before,
                    .after = before ? NULL : base,
                    .columns = lineage,
                    .dropped = dropped,
                    .name_before = base->name,
                    .name_after = base->name,
                    .rows = before ? ROWS_ALL_GONE : ROWS_KEPT,
                    .rows_what = before ? STR("drop table") : (Str){0},
                    .statement = str_make(&letter, 1)};
    return (letter == 'O') == (before != NULL) ? version_keep_step(pool, &s) : NULL;
}

static const SchemaStep *step_of(VersionPool *pool, const TableSchema *before, char letter, int member)
{
    Build b;
    const SchemaStep *own = NULL;
    if (!before || letter == 'O' || letter == 'M') return step_of_table(pool, before, letter);
    build_from(&b, before);
    if (change(&b, letter, member)) {
        bool dropped[MOST_COLUMNS] = {false};
        for (uint32_t i = 0; i < before->n_columns; i++) {
            dropped[i] = true;
            for (uint32_t k = 0; k < b.s.n_columns; k++)
                if (b.lineage[k].from == i) dropped[i] = false;
        }
        SchemaStep s = {.before = before,
                        .after = version_schema(pool, &b.s),
                        .columns = b.lineage,
                        .dropped = dropped,
                        .name_before = before->name,
                        .name_after = before->name,
                        .statement = str_make(&letter, 1)};
        if (letter == 'E') s.name_after.table = STR("away");
        if (letter == 'Z' || letter == 'p') {
            s.rows = letter == 'Z' ? ROWS_ALL_GONE : ROWS_SOME_GONE;
            s.rows_what = letter == 'Z' ? STR("truncate") : STR("drop partition p0");
        }
        own = version_keep_step(pool, &s);
    }
    arena_done(&b.arena);
    return own;
}

/* -- running -- */

static int filled(const ColumnLineage *l)
{
    if (l->fill == FILL_VALUE) return shard_literal(l->fill_text);
    return NIL;
}

static void run_ddl(const Table *was, const SchemaStep *s, LockStepKind kind, Table *now)
{
    now->schema = kind == LOCK_STEP_RENAME_OUT ? NULL : s->after;
    now->n_rows = 0;
    for (int r = 0; now->schema && s->before && r < was->n_rows; r++) {
        bool gone =
            s->rows == ROWS_ALL_GONE || (s->rows == ROWS_SOME_GONE && shard_in_partition(was->rows[r].id));
        if (gone) continue;
        Row *own = &now->rows[now->n_rows++];
        *own = (Row){.id = was->rows[r].id};
        for (uint32_t c = 0; c < s->after->n_columns; c++) {
            const ColumnDef *def = &s->after->columns[c];
            uint32_t from = s->columns[c].from;
            own->values[c] =
                from == NO_COLUMN ? filled(&s->columns[c]) : shard_fit(def, was->rows[r].values[from]);
        }
    }
}

static int new_value(const ColumnDef *c, int id, int round)
{
    if (str_eqc(c->name, "id")) return id;
    bool first = str_eqc(c->name, "a") || str_eqc(c->name, "r");
    int wide = str_eqc(c->data_type, "bigint") ? 2000 : 0; /* no int holds it */
    return shard_fit(c, wide + (first ? 200 : 10) + id + 50 * round);
}

static void run_row(Event *e, Table *now, const Table *was, int id)
{
    bool insert = e->kind == EVENT_INSERT;
    int at = insert ? now->n_rows++ : now->n_rows - 1;
    CHECK(now->n_rows <= MOST_ROWS, "a program has few rows");
    if (!insert) id = was->rows[at].id;
    now->rows[at] = (Row){.id = id};
    for (uint32_t c = 0; c < now->schema->n_columns; c++)
        now->rows[at].values[c] = new_value(&now->schema->columns[c], id, !insert);
    e->row = now->rows[at];
}

bool shard_run(VersionPool *pool, int member, const char *program, Shard *out)
{
    *out = (Shard){.program = program};
    out->after[0].schema = shard_base(pool);
    uint64_t version = 0;
    int rows = 0;
    for (const char *p = program; *p; p++) {
        CHECK(out->n_events < MOST_EVENTS, "a program is short");
        Event *e = &out->events[out->n_events];
        const Table *was = &out->after[out->n_events];
        Table *now = &out->after[out->n_events + 1];
        *now = *was;
        *e = (Event){.version = version};
        if (shard_is_ddl(*p)) {
            e->kind = EVENT_DDL;
            e->step = step_of(pool, was->schema, *p, member);
            if (!e->step) return false;
            e->step_kind = lock_step_kind(e->step, *p == 'E', false);
            e->version = ++version;
            run_ddl(was, e->step, e->step_kind, now);
        } else if (*p == 'J' || *p == 'L') {
            e->kind = *p == 'J' ? EVENT_JOIN : EVENT_LEAVE;
            if (*p == 'J' && (rows || !was->schema)) return false;
        } else {
            e->kind = *p == 'i' ? EVENT_INSERT : EVENT_UPDATE;
            if (!was->schema || (*p != 'i' && !was->n_rows)) return false;
            run_row(e, now, was, 10 * (member + 1) + rows);
            rows += *p == 'i';
        }
        out->n_events++;
    }
    return true;
}
