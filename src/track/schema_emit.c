#include "track/schema_emit.h"
#include <stdlib.h>
#include "ddl/expr.h"
#include "track/column.h"
#include "track/family.h"
#include "track/schema_apply.h"
#include "track/schema_emit_impl.h"
#include "track/version.h"
#include "base/poison.h"

/* A change being written. now: the table as it is after the steps so far. */
typedef struct Emit {
    const EmitChange *c; /* columns that must be made anew count as dropped and added */
    const TextOpts *o;
    EmitPlan *plan;
    const TableSchema *now;
    StrBuf clauses; /* of the ALTER TABLE under way */
    bool single;    /* one clause a statement */
    Err *err;
} Emit;

static bool is_tidb(const Emit *e)
{
    return e->o->dialect == DIALECT_TIDB;
}

static void note(Emit *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(Emit *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(&e->plan->notes, fmt, ap);
    va_end(ap);
    sb_ch(&e->plan->notes, '\n');
}

/* -- statements -- */

/* What the statement will make of the table, read back from its own text. */
static bool predict(Emit *e, Str sql, TableSchema **after)
{
    Arena arena = {0};
    DdlStmt *stmt;
    SchemaStep *step = NULL;
    bool mariadb = e->o->dialect == DIALECT_MARIADB;
    DdlContext ddl = {.flavor = mariadb ? FLAVOR_MARIADB : FLAVOR_MYSQL,
                      .default_schema = e->c->from->name.schema};
    ApplyContext ctx = {.flavor = ddl.flavor,
                        .version = is_tidb(e) ? 80036 : e->o->version,
                        .schema_collation = e->c->from->collation,
                        .sql_mode = 0x200000 /* STRICT_TRANS_TABLES */,
                        .text = sql};
    ddl.version = ctx.version;
    *after = NULL;
    bool ok =
        ddl_parse(sql, &ddl, &arena, &stmt, e->err) && schema_apply(e->now, stmt, &ctx, after, &step, e->err);
    if (!ok) err_wrap(e->err, "statement for the target: " STR_FMT, STR_ARG(sql));
    schema_step_free(step);
    arena_done(&arena);
    return ok;
}

void emit_plan_add(EmitPlan *p, TableName table, Str sql, TableSchema *after, bool repeatable)
{
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 8;
        EmitStep *grown = arena_array(&p->arena, EmitStep, cap);
        if (p->n) memcpy(grown, p->steps, sizeof *grown * p->n);
        p->steps = grown;
        p->cap = cap;
    }
    EmitStep s = {.sql = arena_str(&p->arena, sql), .after = after, .repeatable = repeatable};
    if (table.table.len)
        s.table = (TableName){arena_str(&p->arena, table.schema), arena_str(&p->arena, table.table)};
    p->steps[p->n++] = s;
}

void emit_plan_append(EmitPlan *p, TableName table, const EmitPlan *more)
{
    for (uint32_t i = 0; i < more->n; i++)
        emit_plan_add(p, table, more->steps[i].sql,
                      more->steps[i].after ? schema_copy(more->steps[i].after) : NULL,
                      more->steps[i].repeatable);
    sb_str(&p->notes, sb_view(&more->notes));
}

static bool statement(Emit *e, Str sql, bool repeatable)
{
    TableSchema *after;
    if (!predict(e, sql, &after)) return false;
    emit_plan_add(e->plan, (TableName){0}, sql, after, repeatable);
    e->now = after;
    return true;
}

static bool flush(Emit *e)
{
    if (!e->clauses.len) return true;
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "ALTER TABLE ");
    table_name_sql(e->c->from->name, &sql);
    sb_ch(&sql, ' ');
    sb_str(&sql, sb_view(&e->clauses));
    sb_clear(&e->clauses);
    return statement(e, sb_view(&sql), false);
}

static bool clause(Emit *e, const StrBuf *text)
{
    if (e->clauses.len) sb_c(&e->clauses, ", ");
    sb_str(&e->clauses, sb_view(text));
    return !e->single || flush(e);
}

static bool refuse(Emit *e, Str column, const char *what, const char *remedy)
{
    const TableSchema *s = e->c->from;
    return err_set_remedy(e->err, ERR_TRACK_TARGET, remedy, STR_FMT "." STR_FMT ": `" STR_FMT "`: %s",
                          STR_ARG(s->name.schema), STR_ARG(s->name.table), STR_ARG(column), what);
}

/* -- columns -- */

/* No server makes a generated column of an ordinary one, or a VIRTUAL of a STORED one: its values are
 * computed anyway, so it is dropped and added. */
static bool is_made_anew(const ColumnDef *from, const ColumnDef *to)
{
    return to->generated && (!from->generated || from->generated_stored != to->generated_stored);
}

/* *out: c with the predecessors as they can be kept; columns: as many as c->to has. */
static bool keep_columns(Emit *e, EmitChange *out, uint32_t *columns)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        columns[i] = c->columns[i];
        if (columns[i] == UINT32_MAX) continue;
        const ColumnDef *from = &c->from->columns[columns[i]], *to = &c->to->columns[i];
        if (is_made_anew(from, to)) columns[i] = UINT32_MAX;
        if (from->generated && !from->generated_stored && !to->generated)
            return refuse(e, to->name, "a VIRTUAL column cannot become an ordinary one",
                          "drop the column and add it as an ordinary one on the shards, or make a new "
                          "target and copy the shards again");
    }
    *out = *c;
    out->columns = columns;
    return true;
}

static TextOpts column_opts(const Emit *e, uint32_t to)
{
    TextOpts o = *e->o;
    uint32_t from = e->c->columns[to];
    o.auto_increment = o.auto_increment || (from != UINT32_MAX && e->c->from->columns[from].auto_increment);
    return o;
}

static bool same_but_name(const ColumnDef *a, const ColumnDef *b)
{
    return column_same(a, b) && str_eq(a->comment, b->comment) && a->invisible == b->invisible &&
           a->generated_stored == b->generated_stored;
}

static uint32_t successor(const EmitChange *c, uint32_t from)
{
    for (uint32_t i = 0; i < c->to->n_columns; i++)
        if (c->columns[i] == from) return i;
    return UINT32_MAX;
}

static bool has_rename(const Emit *e)
{
    if (e->o->dialect == DIALECT_TIDB || !e->o->version) return true;
    return e->o->version >= (e->o->dialect == DIALECT_MARIADB ? 100502U : 80003U);
}

static bool rename_clause(Emit *e, const ColumnDef *from, Str to)
{
    CLEANUP(sb_done) StrBuf b = {0};
    uint32_t at = schema_column(e->now, from->name);
    if (is_tidb(e) && at != UINT32_MAX && !tidb_may_rename(e->now, at, e->err)) return false;
    if (has_rename(e)) {
        sb_c(&b, "RENAME COLUMN ");
        sb_ident(&b, from->name);
        sb_c(&b, " TO ");
        sb_ident(&b, to);
    } else {
        ColumnDef def = *from;
        TextOpts o = *e->o;
        o.auto_increment = true;
        def.name = to;
        sb_c(&b, "CHANGE COLUMN ");
        sb_ident(&b, from->name);
        sb_ch(&b, ' ');
        if (!text_column(e->c->from, &def, &o, &b, e->err)) return false;
    }
    return clause(e, &b);
}

/* A name that is still taken by another column waits under one of its own. */
static Str waiting_name(Emit *e, uint32_t to)
{
    return arena_printf(&e->plan->arena, "_waiting_%u", to);
}

static bool is_renamed(const EmitChange *c, uint32_t to)
{
    return c->columns[to] != UINT32_MAX &&
           !str_eq(c->from->columns[c->columns[to]].name, c->to->columns[to].name);
}

static bool rename_columns(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        if (!is_renamed(c, i)) continue;
        uint32_t holder = schema_column(e->now, c->to->columns[i].name);
        const ColumnDef *from = &c->from->columns[c->columns[i]];
        bool own = str_ieq(from->name, c->to->columns[i].name);
        bool taken = e->single && holder != UINT32_MAX && !own;
        if (!rename_clause(e, from, taken ? waiting_name(e, i) : c->to->columns[i].name)) return false;
    }
    return true;
}

static bool rename_waiting(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; e->single && i < c->to->n_columns; i++) {
        uint32_t at = is_renamed(c, i) ? schema_column(e->now, waiting_name(e, i)) : UINT32_MAX;
        if (at != UINT32_MAX && !rename_clause(e, &e->now->columns[at], c->to->columns[i].name)) return false;
    }
    return true;
}

static bool drop_column(Emit *e, uint32_t from)
{
    CLEANUP(sb_done) StrBuf b = {0};
    Str name = e->c->from->columns[from].name;
    const Partitioning *by = &e->c->from->partitioning;
    uint32_t at = schema_column(e->now, name);
    if (ddl_expr_uses(by->expr, name) || ddl_expr_uses(by->sub_expr, name))
        return refuse(e, name, "the target's rows are parted by this column",
                      "part the target by another column, or not at all, then decide again");
    if (is_tidb(e) && at != UINT32_MAX && !tidb_may_drop(e->now, at, e->err)) return false;
    sb_c(&b, "DROP COLUMN ");
    sb_ident(&b, name);
    return clause(e, &b);
}

/* Generated columns go before those they use. */
static bool drop_columns(Emit *e)
{
    for (int generated = 1; generated >= 0; generated--)
        for (uint32_t i = 0; i < e->c->from->n_columns; i++) {
            if (successor(e->c, i) != UINT32_MAX || e->c->from->columns[i].generated != generated) continue;
            if (!drop_column(e, i)) return false;
        }
    return true;
}

static void put_place(const Emit *e, uint32_t to, StrBuf *b)
{
    if (to == 0) {
        sb_c(b, " FIRST");
        return;
    }
    sb_c(b, " AFTER ");
    sb_ident(b, e->c->to->columns[to - 1].name);
}

/* Is it out of its place among the columns that stay? */
static bool is_out_of_order(const EmitChange *c, uint32_t to)
{
    for (uint32_t i = 0; i < to; i++)
        if (c->columns[i] != UINT32_MAX && c->columns[i] > c->columns[to]) return true;
    return false;
}

static bool modify_columns(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        if (c->columns[i] == UINT32_MAX) continue;
        const ColumnDef *from = &c->from->columns[c->columns[i]], *to = &c->to->columns[i];
        bool moves = c->move && is_out_of_order(c, i);
        if (!moves && same_but_name(from, to)) continue;
        uint32_t at = schema_column(e->now, e->single ? to->name : from->name);
        TextOpts o = column_opts(e, i);
        CLEANUP(sb_done) StrBuf b = {0};
        if (is_tidb(e) && !same_but_name(from, to) && !tidb_may_modify(e->now, at, to, e->err)) return false;
        sb_c(&b, "MODIFY COLUMN ");
        if (!e->single && is_renamed(c, i)) {
            sb_clear(&b);
            sb_c(&b, "CHANGE COLUMN ");
            sb_ident(&b, from->name);
            sb_ch(&b, ' ');
        }
        if (!text_column(c->to, to, &o, &b, e->err)) return false;
        if (moves) put_place(e, i, &b);
        if (!clause(e, &b)) return false;
    }
    return true;
}

/* In one ALTER a column is named once: renamed and changed is CHANGE, above. */
static bool rename_unchanged(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        if (!is_renamed(c, i)) continue;
        const ColumnDef *from = &c->from->columns[c->columns[i]];
        if (!same_but_name(from, &c->to->columns[i]) || (c->move && is_out_of_order(c, i))) continue;
        if (!rename_clause(e, from, c->to->columns[i].name)) return false;
    }
    return true;
}

bool emit_default_fills(const ColumnDef *def, FillKind kind, Str fill_text, Arena *arena)
{
    if (kind == FILL_NULL)
        return def->default_kind == DEFAULT_NULL || (def->default_kind == DEFAULT_NONE && !def->not_null);
    if (kind != FILL_VALUE) return false;
    if (def->default_kind == DEFAULT_NONE && def->not_null)
        return str_eq(fill_text, lineage_zero(def, arena));
    if (def->default_kind != DEFAULT_LITERAL) return false;
    Str own = lineage_literal(def->default_text, family_of(def) == FAMILY_BINARY, arena);
    return str_eq(own, fill_text) || str_eq(def->default_text, fill_text);
}

/* The literal that rows that are there must get, when the column's own default would give them another. */
static Str other_fill(const Emit *e, uint32_t to)
{
    const EmitChange *c = e->c;
    const ColumnDef *def = &c->to->columns[to];
    if (!c->fills || def->generated || def->auto_increment) return (Str){0};
    FillKind kind = c->fills[to];
    if (kind != FILL_NULL && kind != FILL_VALUE) return (Str){0};
    if (emit_default_fills(def, kind, c->fill_texts[to], &e->plan->arena)) return (Str){0};
    return kind == FILL_NULL ? STR("NULL") : c->fill_texts[to];
}

static bool add_columns(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        if (c->columns[i] != UINT32_MAX) continue;
        const ColumnDef *def = &c->to->columns[i];
        CLEANUP(sb_done) StrBuf b = {0};
        TextOpts o = column_opts(e, i);
        ColumnDef filled = *def;
        o.literal_default = other_fill(e, i);
        if (str_eqc(o.literal_default, "NULL")) filled.not_null = false;
        if (is_tidb(e) && !tidb_may_add(e->now, def, e->err)) return false;
        sb_c(&b, "ADD COLUMN ");
        if (!text_column(c->to, &filled, &o, &b, e->err)) return false;
        put_place(e, i, &b);
        if (!clause(e, &b)) return false;
    }
    return true;
}

/* Columns that were added with the fill of their rows get their own default. */
static bool mend_defaults(Emit *e)
{
    const EmitChange *c = e->c;
    for (uint32_t i = 0; i < c->to->n_columns; i++) {
        if (c->columns[i] != UINT32_MAX || !other_fill(e, i).len) continue;
        CLEANUP(sb_done) StrBuf b = {0};
        TextOpts o = column_opts(e, i);
        sb_c(&b, "MODIFY COLUMN ");
        if (!text_column(c->to, &c->to->columns[i], &o, &b, e->err) || !clause(e, &b)) return false;
    }
    return true;
}

/* -- keys -- */

/* The same key over the same columns, renamed ones followed. */
static bool same_key(const EmitChange *c, const KeyDef *a, const KeyDef *b)
{
    if (a->unique != b->unique || a->primary != b->primary || a->n_parts != b->n_parts ||
        !str_ieq(a->name, b->name))
        return false;
    for (uint32_t i = 0; i < a->n_parts; i++) {
        const KeyPart *x = &a->parts[i], *y = &b->parts[i];
        if (x->prefix != y->prefix || (x->column == UINT32_MAX) != (y->column == UINT32_MAX)) return false;
        if (x->column != UINT32_MAX && c->columns[y->column] != x->column) return false;
        if (x->column == UINT32_MAX && !str_eq(x->expression, y->expression)) return false;
    }
    return true;
}

static bool drop_keys(Emit *e)
{
    for (uint32_t i = 0; i < e->c->from->n_keys; i++) {
        const KeyDef *k = &e->c->from->keys[i];
        bool kept = false;
        for (uint32_t n = 0; n < e->c->to->n_keys; n++)
            kept = kept || same_key(e->c, k, &e->c->to->keys[n]);
        if (kept) continue;
        CLEANUP(sb_done) StrBuf b = {0};
        if (k->primary && is_tidb(e)) return tidb_may_change_primary(e->now, e->err);
        sb_c(&b, k->primary ? "DROP PRIMARY KEY" : "DROP KEY ");
        if (!k->primary) sb_ident(&b, k->name);
        if (!clause(e, &b)) return false;
    }
    return true;
}

static bool add_keys(Emit *e)
{
    for (uint32_t n = 0; n < e->c->to->n_keys; n++) {
        const KeyDef *k = &e->c->to->keys[n];
        bool there = false;
        for (uint32_t i = 0; i < e->c->from->n_keys; i++)
            there = there || same_key(e->c, &e->c->from->keys[i], k);
        if (there) continue;
        if (!text_key_possible(e->c->to, k, e->o)) {
            note(e, "index `" STR_FMT "` is left out", STR_ARG(k->name));
            continue;
        }
        if (k->primary && is_tidb(e)) return tidb_may_change_primary(e->now, e->err);
        CLEANUP(sb_done) StrBuf b = {0};
        sb_c(&b, "ADD ");
        if (!text_key(e->c->to, k, e->o, &b, e->err) || !clause(e, &b)) return false;
    }
    return true;
}

/* -- the table -- */

static bool table_options(Emit *e)
{
    CLEANUP(sb_done) StrBuf b = {0}, charset = {0};
    const TableSchema *from = e->c->from, *to = e->c->to;
    if (!str_eq(from->comment, to->comment)) {
        sb_c(&b, "COMMENT=");
        sb_quoted(&b, to->comment);
        if (!clause(e, &b)) return false;
    }
    Str collation = to->collation.len ? text_collation(to->collation, e->o) : (Str){0};
    if (!collation.len || str_ieq(collation, from->collation)) return true;
    if (is_tidb(e) && !tidb_may_collate(e->now, collation, e->err)) return false;
    if (!text_charset(to, e->o, &charset, e->err)) return false;
    sb_clear(&b);
    sb_str(&b, str_trim(sb_view(&charset)));
    return clause(e, &b);
}

/* Do the partitions of a stand at the head of b's? */
static bool is_continued(const Partitioning *a, const Partitioning *b)
{
    bool same = a->n_parts <= b->n_parts;
    for (uint32_t i = 0; same && i < a->n_parts; i++)
        same = str_ieq(a->parts[i].name, b->parts[i].name) && str_eq(a->parts[i].values, b->parts[i].values);
    return same;
}

/* New partitions behind those that are there; anything else stays as the target has it: it holds the same
 * rows. */
static bool partitions(Emit *e)
{
    const Partitioning *from = &e->c->from->partitioning, *to = &e->c->to->partitioning;
    bool listed = str_starts(to->method, STR("RANGE")) || str_starts(to->method, STR("LIST"));
    if (!to->method.len || (from->method.len && !listed)) return true;
    if (!str_ieq(from->method, to->method) || !is_continued(from, to)) {
        note(e, from->method.len ? "partitions stay as they are" : "partitions are left out");
        return true;
    }
    if (from->n_parts == to->n_parts) return true;
    CLEANUP(sb_done) StrBuf b = {0};
    for (uint32_t i = from->n_parts; i < to->n_parts; i++) {
        sb_c(&b, b.len ? ", " : "ADD PARTITION (");
        text_partition(to, &to->parts[i], &b);
    }
    sb_ch(&b, ')');
    return flush(e) && clause(e, &b) && flush(e);
}

/* "truncate;drop partition p0,p1;" */
static bool change_rows(Emit *e)
{
    Str rest = e->c->rows;
    while (rest.len) {
        Str what = str_split(&rest, ';');
        CLEANUP(sb_done) StrBuf sql = {0};
        bool drop = str_starts(what, STR("drop partition ")),
             cut = str_starts(what, STR("truncate partition "));
        bool again = str_eqc(what, "drop table") || str_eqc(what, "drop database"); /* made again since */
        if (again || str_eqc(what, "truncate")) {
            sb_c(&sql, "TRUNCATE TABLE ");
            table_name_sql(e->c->from->name, &sql);
        } else if (drop || cut) {
            size_t words = drop ? strlen("drop partition ") : strlen("truncate partition ");
            Str names = {what.ptr + words, what.len - words};
            sb_c(&sql, "ALTER TABLE ");
            table_name_sql(e->c->from->name, &sql);
            sb_c(&sql, drop ? " DROP PARTITION " : " TRUNCATE PARTITION ");
            for (bool first = true; names.len; first = false) {
                if (!first) sb_c(&sql, ", ");
                sb_ident(&sql, str_split(&names, ','));
            }
        } else {
            return err_set(e->err, ERR_NOT_SUPPORTED,
                           STR_FMT "." STR_FMT ": rows cannot be followed: " STR_FMT,
                           STR_ARG(e->c->from->name.schema), STR_ARG(e->c->from->name.table), STR_ARG(what));
        }
        if (!statement(e, sb_view(&sql), !drop)) return false;
    }
    return true;
}

static bool drop_table(Emit *e)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "DROP TABLE ");
    table_name_sql(e->c->from->name, &sql);
    return statement(e, sb_view(&sql), false);
}

/* As it was, to the letter: what it shall be besides comes behind, as to a table that has always stood there.
 */
static bool make_table(Emit *e)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    TableSchema was = *e->c->from;
    was.auto_increment = 0;
    if (!schema_emit_create(&was, e->o, &sql, e->err)) return false;
    TableSchema *made = schema_copy(e->c->from);
    emit_plan_add(e->plan, (TableName){0}, sb_view(&sql), made, false);
    e->now = made;
    return true;
}

static bool write_change(Emit *e)
{
    if (e->c->drop) return drop_table(e);
    if (e->c->make && !make_table(e)) return false;
    if (!change_rows(e) || !drop_keys(e)) return false;
    if (e->single ? !rename_columns(e) || !drop_columns(e) || !rename_waiting(e)
                  : !drop_columns(e) || !rename_unchanged(e))
        return false;
    if (!modify_columns(e) || !add_columns(e)) return false;
    /* keys come in the same ALTER; on TiDB a statement each */
    if (!add_keys(e) || !table_options(e) || !flush(e)) return false;
    return mend_defaults(e) && flush(e) && partitions(e);
}

bool schema_emit_change(const EmitChange *c, const TextOpts *opts, EmitPlan *out, Err *err)
{
    Emit e = {
        .c = c, .o = opts, .plan = out, .now = c->from, .err = err, .single = opts->dialect == DIALECT_TIDB};
    *out = (EmitPlan){0};
    EmitChange kept = *c;
    bool ok = c->drop || keep_columns(&e, &kept, arena_array(&out->arena, uint32_t, c->to->n_columns + 1));
    e.c = &kept;
    ok = ok && write_change(&e);
    sb_done(&e.clauses);
    if (!ok) {
        emit_plan_done(out);
        return err_wrap(err, "changing " STR_FMT "." STR_FMT, STR_ARG(c->from->name.schema),
                        STR_ARG(c->from->name.table));
    }
    return true;
}

void emit_plan_done(EmitPlan *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        schema_free(p->steps[i].after);
    sb_done(&p->notes);
    arena_done(&p->arena);
    *p = (EmitPlan){0};
}

/* -- CREATE TABLE -- */

bool schema_emit_create(const TableSchema *s, const TextOpts *opts, StrBuf *sql, Err *err)
{
    const char *separator = "\n  ";
    TextOpts o = *opts;
    o.auto_increment = true;
    sb_c(sql, "CREATE TABLE ");
    table_name_sql(s->name, sql);
    sb_c(sql, " (");
    for (uint32_t i = 0; i < s->n_columns; i++, separator = ",\n  ") {
        sb_c(sql, separator);
        if (!text_column(s, &s->columns[i], &o, sql, err)) return false;
    }
    for (uint32_t i = 0; i < s->n_keys; i++) {
        if (!text_key_possible(s, &s->keys[i], &o)) continue;
        sb_c(sql, separator);
        if (!text_key(s, &s->keys[i], &o, sql, err)) return false;
    }
    for (uint32_t i = 0; i < s->n_checks && o.dialect != DIALECT_TIDB; i++) {
        if (s->checks[i].column_level && o.dialect == DIALECT_MARIADB) continue;
        sb_c(sql, separator);
        text_check(&s->checks[i], &o, sql);
    }
    for (uint32_t i = 0; i < s->n_foreign_keys && o.foreign_keys; i++) {
        sb_c(sql, separator);
        text_foreign_key(s, &s->foreign_keys[i], sql);
    }
    for (uint32_t i = 0; i < s->n_columns && s->is_versioned; i++) /* the period of its own columns */
        if (str_eqc(s->columns[i].generation_expr, "ROW START"))
            for (uint32_t k = 0; k < s->n_columns; k++)
                if (str_eqc(s->columns[k].generation_expr, "ROW END")) {
                    sb_printf(sql, "%sPERIOD FOR SYSTEM_TIME (", separator);
                    sb_ident(sql, s->columns[i].name);
                    sb_c(sql, ", ");
                    sb_ident(sql, s->columns[k].name);
                    sb_ch(sql, ')');
                }
    sb_c(sql, "\n)");
    text_options(s, &o, sql);
    if (!text_charset(s, &o, sql, err)) return false;
    if (s->auto_increment > 1) sb_printf(sql, " AUTO_INCREMENT=%llu", (unsigned long long)s->auto_increment);
    if (s->comment.len) {
        sb_c(sql, " COMMENT=");
        sb_quoted(sql, s->comment);
    }
    if (!s->partitioning.method.len) return true;
    if (o.dialect == DIALECT_TIDB && !tidb_may_partition(&s->partitioning, err)) return false;
    sb_ch(sql, '\n');
    return text_partitions(s, sql, err);
}
