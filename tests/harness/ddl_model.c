/* The schema tracker behind a pipe, for tests/e2e/test_ddl_model.py: it follows one table's DDL in its model,
 * compares the model with what a live server says, and writes the statements that make a target follow.
 * ddl_model FLAVOR VERSION SOCKET USER PASSWORD SCHEMA TABLE COLLATION IMPLICIT_TIMESTAMPS. Commands come as
 * "verb length\n" and so many bytes; answers go back as "ok|error length\n" and so many bytes. */
#include <stdio.h>
#include <stdlib.h>
#include "db/conn.h"
#include "db/schema_read.h"
#include "ddl/expr.h"
#include "ddl/parse.h"
#include "ddl/scan.h"
#include "track/schema_apply.h"
#include "track/schema_emit.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"
#include "track/schema_onto.h"
#include "base/poison.h"

typedef struct Model {
    Flavor flavor;
    ApplyContext ctx;
    TableName name;
    Conn *conn;
    TableSchema *now;
    EmitPlan plan; /* the last of `plan` or `change` */
    /* `target`: where the statements run */
    Conn *target;
    TextOpts target_text;
    VersionPool *pool; /* since the last `settle` */
    const Version *first, *last;
    uint32_t *columns; /* one per column of last: its predecessor in first, or NO_COLUMN */
} Model;

static void answer(bool ok, Str text)
{
    printf("%s %zu\n", ok ? "ok" : "error", text.len);
    fwrite(text.ptr, 1, text.len, stdout);
    fflush(stdout);
}

static void put_lineage(const SchemaStep *s, StrBuf *out)
{
    static const char *const rows[] = {"kept", "some gone", "all gone", "unknown"};
    static const char *const fills[] = {"", " null", " value", " computed", " volatile"};
    sb_printf(out, "rows %s " STR_FMT "\n", rows[s->rows], STR_ARG(s->rows_what));
    for (uint32_t i = 0; s->before && i < s->before->n_columns; i++)
        if (s->dropped[i]) sb_printf(out, "dropped " STR_FMT "\n", STR_ARG(s->before->columns[i].name));
    for (uint32_t i = 0; s->after && i < s->after->n_columns; i++) {
        const ColumnLineage *l = &s->columns[i];
        sb_printf(out, STR_FMT, STR_ARG(s->after->columns[i].name));
        if (l->from == UINT32_MAX) sb_printf(out, " added%s " STR_FMT, fills[l->fill], STR_ARG(l->fill_text));
        if (l->renamed) sb_printf(out, " renamed from " STR_FMT, STR_ARG(s->before->columns[l->from].name));
        if (l->converted) sb_c(out, l->lossy ? " lossy" : " converted");
        sb_ch(out, '\n');
    }
}

/* The statement joins the history since the last `settle`. */
static void remember(Model *m, const SchemaStep *step)
{
    const VersionStep *v = version_step(m->pool, m->last, step);
    uint32_t *columns = mem_zalloc(sizeof *columns * (v->after->schema->n_columns + 1));
    for (uint32_t i = 0; i < v->after->schema->n_columns; i++)
        columns[i] = v->from[i] == UINT32_MAX ? UINT32_MAX : m->columns[v->from[i]];
    free(m->columns);
    m->columns = columns;
    m->last = v->after;
}

static bool apply(Model *m, Str sql, StrBuf *out, Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    DdlContext ddl = {.flavor = m->flavor,
                      .version = m->ctx.version,
                      .modes = stmt_modes(m->ctx.sql_mode),
                      .default_schema = m->name.schema};
    m->ctx.text = sql;
    bool ok =
        ddl_parse(sql, &ddl, &arena, &stmt, err) && schema_apply(m->now, stmt, &m->ctx, &after, &step, err);
    if (ok && step) {
        put_lineage(step, out);
        if (m->pool && after) remember(m, step);
        schema_free(m->now);
        m->now = after;
    }
    schema_step_free(step);
    arena_done(&arena);
    return ok;
}

/* CREATE TABLE … LIKE the table: the new one takes its place. */
static bool like(Model *m, Str sql, StrBuf *out, Err *err)
{
    TableSchema *was = m->now;
    m->now = NULL;
    m->ctx.like = was;
    bool ok = apply(m, sql, out, err);
    m->ctx.like = NULL;
    if (!m->now)
        m->now = was;
    else
        schema_free(was);
    return ok;
}

/* Every field, so that not even what the fingerprint levels may differ. */
static void put_fields(const TableSchema *s, StrBuf *out)
{
    for (uint32_t i = 0; i < s->n_columns; i++) {
        const ColumnDef *c = &s->columns[i];
        sb_printf(out,
                  STR_FMT ": " STR_FMT " | " STR_FMT
                          " | length %llu precision %u scale %u fsp %u unsigned %d | " STR_FMT " " STR_FMT
                          " | default %d ",
                  STR_ARG(c->name), STR_ARG(c->data_type), STR_ARG(c->column_type),
                  (unsigned long long)c->char_length, c->precision, c->scale, c->fsp, c->is_unsigned,
                  STR_ARG(c->charset), STR_ARG(c->collation), c->default_kind);
        if (c->default_kind == DEFAULT_LITERAL) sb_quoted(out, c->default_text);
        for (uint32_t k = 0; k < c->n_members; k++) {
            sb_ch(out, ' ');
            sb_quoted(out, c->members[k]);
        }
        sb_ch(out, '\n');
    }
    for (uint32_t i = 0; i < s->n_foreign_keys; i++) {
        const ForeignKey *f = &s->foreign_keys[i];
        sb_printf(out, "foreign key " STR_FMT " " STR_FMT "." STR_FMT " " STR_FMT " " STR_FMT,
                  STR_ARG(f->name), STR_ARG(f->parent.schema), STR_ARG(f->parent.table),
                  STR_ARG(f->on_update), STR_ARG(f->on_delete));
        for (uint32_t k = 0; k < f->n_columns; k++)
            sb_printf(out, " " STR_FMT "=" STR_FMT, STR_ARG(s->columns[f->columns[k]].name),
                      STR_ARG(f->parent_columns[k]));
        sb_ch(out, '\n');
    }
    schema_fingerprint(s, out);
}

/* The lines of a that b has not. */
static void missing_lines(Str a, Str b, const char *mark, StrBuf *out)
{
    while (a.len) {
        Str line = str_split(&a, '\n'), rest = b;
        bool found = false;
        while (rest.len && !found)
            found = str_eq(str_split(&rest, '\n'), line);
        if (!found) sb_printf(out, "%s " STR_FMT "\n", mark, STR_ARG(line));
    }
}

static void differences(const TableSchema *model, const TableSchema *live, StrBuf *out)
{
    CLEANUP(sb_done) StrBuf a = {0}, b = {0};
    put_fields(model, &a);
    put_fields(live, &b);
    if (str_eq(sb_view(&a), sb_view(&b))) return;
    missing_lines(sb_view(&a), sb_view(&b), "model", out);
    missing_lines(sb_view(&b), sb_view(&a), "live ", out);
    if (!out->len) sb_c(out, "the order of lines\n");
}

static bool compare(Model *m, StrBuf *out, Err *err)
{
    TableSchema *live;
    if (!schema_read(m->conn, m->now ? m->now->name : m->name, &live, err)) return false;
    if (!m->now != !live)
        sb_c(out, live ? "the table is there\n" : "the table is gone\n");
    else if (live)
        differences(m->now, live, out);
    schema_free(live);
    return true;
}

/* Through JSON and back it is the same. */
static bool json(Model *m, StrBuf *out, Err *err)
{
    CLEANUP(sb_done) StrBuf text = {0};
    TableSchema *back;
    schema_to_json(m->now, &text);
    if (!schema_from_json(sb_view(&text), &back, err)) return false;
    differences(m->now, back, out);
    schema_free(back);
    return true;
}

static TextOpts text_opts(const Model *m)
{
    return (TextOpts){.dialect = m->flavor == FLAVOR_MARIADB ? DIALECT_MARIADB : DIALECT_MYSQL,
                      .version = m->ctx.version,
                      .foreign_keys = true};
}

static bool create(Model *m, Str schema, StrBuf *out, Err *err)
{
    TableSchema copy = *m->now;
    TextOpts opts = text_opts(m);
    copy.name = (TableName){schema, m->name.table};
    return schema_emit_create(&copy, &opts, out, err);
}

static void put_plan(const EmitPlan *plan, StrBuf *out)
{
    for (uint32_t i = 0; i < plan->n; i++) {
        sb_str(out, plan->steps[i].sql);
        sb_ch(out, 0);
    }
}

/* From another table's definition to the model's, column by name. */
static bool plan(Model *m, Str schema, StrBuf *out, Err *err)
{
    TextOpts opts = text_opts(m);
    TableSchema *live;
    emit_plan_done(&m->plan);
    if (!schema_read(m->conn, (TableName){schema, m->name.table}, &live, err)) return false;
    opts.auto_increment = true;
    uint32_t *columns = mem_zalloc(sizeof *columns * (m->now->n_columns + 1));
    for (uint32_t i = 0; i < m->now->n_columns; i++)
        columns[i] = schema_column(live, m->now->columns[i].name);
    EmitChange c = {.from = live, .to = m->now, .columns = columns, .move = true};
    bool ok = schema_emit_change(&c, &opts, &m->plan, err);
    if (ok) put_plan(&m->plan, out);
    free(columns);
    schema_free(live);
    return ok;
}

/* -- the target -- */

/* "flavor version socket user password" */
static bool target(Model *m, Str arg, Err *err)
{
    uint64_t version;
    Arena arena = {0};
    bool mariadb = str_eqc(str_split(&arg, ' '), "mariadb");
    if (!str_to_u64(str_split(&arg, ' '), &version)) return err_set(err, ERR_BUG, "version");
    ConnOpts opts = {.role = "test"};
    opts.socket = arena_str(&arena, str_split(&arg, ' ')).ptr;
    opts.user = arena_str(&arena, str_split(&arg, ' ')).ptr;
    opts.password = arena_str(&arena, arg).ptr;
    m->target_text =
        (TextOpts){.dialect = mariadb ? DIALECT_MARIADB : DIALECT_MYSQL, .version = (uint32_t)version};
    bool ok = conn_open(&opts, &m->target, err);
    arena_done(&arena);
    return ok;
}

/* The target is as the model from here on. */
static void settle(Model *m)
{
    version_pool_free(m->pool);
    m->pool = version_pool_new();
    m->first = m->last = version_start(m->pool, m->now, ORIGIN_BASE);
    free(m->columns);
    m->columns = mem_zalloc(sizeof *m->columns * (m->now->n_columns + 1));
    for (uint32_t i = 0; i < m->now->n_columns; i++)
        m->columns[i] = i;
}

/* CREATE TABLE of the target. */
static bool make(Model *m, Str schema, StrBuf *out, Err *err)
{
    CreateOpts opts = {.target_is_mariadb = m->target_text.dialect == DIALECT_MARIADB,
                       .name = {schema, m->name.table}};
    settle(m);
    return schema_create_sql(m->now, &opts, out, err);
}

/* What the target must run to follow the statements since the last `settle`. */
static bool change(Model *m, Str schema, StrBuf *out, Err *err)
{
    TableSchema *live;
    Arena arena = {0};
    EmitChange c;
    OntoChange onto = {.from = m->first, .to = m->last, .columns = m->columns};
    emit_plan_done(&m->plan);
    if (!schema_read(m->target, (TableName){schema, m->name.table}, &live, err)) return false;
    bool ok =
        schema_onto(live, &onto, &arena, &c, err) && schema_emit_change(&c, &m->target_text, &m->plan, err);
    if (ok) put_plan(&m->plan, out);
    arena_done(&arena);
    schema_free(live);
    return ok;
}

/* "schema step": is the table what the plan said of that step? By fingerprint, as the DDL journal asks. */
static bool planned(Model *m, Str arg, StrBuf *out, Err *err)
{
    TableSchema *live;
    uint64_t step;
    Str schema = str_split(&arg, ' ');
    if (!str_to_u64(arg, &step) || step >= m->plan.n) return err_set(err, ERR_BUG, "no such step");
    Conn *conn = m->target ? m->target : m->conn;
    if (!schema_read(conn, (TableName){schema, m->name.table}, &live, err)) return false;
    CLEANUP(sb_done) StrBuf a = {0}, b = {0};
    schema_fingerprint(m->plan.steps[step].after, &a);
    schema_fingerprint(live, &b);
    missing_lines(sb_view(&a), sb_view(&b), "model", out);
    missing_lines(sb_view(&b), sb_view(&a), "live ", out);
    if (!out->len && !str_eq(sb_view(&a), sb_view(&b))) sb_c(out, "the order of lines\n");
    schema_free(live);
    return true;
}

/* Is the table of that schema built as the model's? */
static bool made(Model *m, Str schema, StrBuf *out, Err *err)
{
    TableSchema *live;
    if (!schema_read(m->conn, (TableName){schema, m->name.table}, &live, err)) return false;
    differences(m->now, live, out);
    schema_free(live);
    return true;
}

static bool load(Model *m, Err *err)
{
    schema_free(m->now);
    m->now = NULL;
    return schema_read(m->conn, m->name, &m->now, err);
}

static bool run(Model *m, const char *verb, Str arg, StrBuf *out, Err *err)
{
    if (strcmp(verb, "apply") == 0) return apply(m, arg, out, err);
    if (strcmp(verb, "like") == 0) return like(m, arg, out, err);
    if (strcmp(verb, "compare") == 0) return compare(m, out, err);
    if (strcmp(verb, "json") == 0) return json(m, out, err);
    if (strcmp(verb, "create") == 0) return create(m, arg, out, err);
    if (strcmp(verb, "plan") == 0) return plan(m, arg, out, err);
    if (strcmp(verb, "planned") == 0) return planned(m, arg, out, err);
    if (strcmp(verb, "target") == 0) return target(m, arg, err);
    if (strcmp(verb, "make") == 0) return make(m, arg, out, err);
    if (strcmp(verb, "change") == 0) return change(m, arg, out, err);
    if (strcmp(verb, "settle") == 0) {
        settle(m);
        return true;
    }
    if (strcmp(verb, "made") == 0) return made(m, arg, out, err);
    if (strcmp(verb, "load") == 0) return load(m, err);
    if (strcmp(verb, "normal") == 0) {
        ddl_expr_normal(arg, out);
        return true;
    }
    if (strcmp(verb, "mode") == 0) return str_to_u64(arg, &m->ctx.sql_mode) || err_set(err, ERR_BUG, "mode");
    return err_set(err, ERR_BUG, "no verb %s", verb);
}

static void serve(Model *m)
{
    char verb[16];
    size_t length;
    while (scanf("%15s %zu", verb, &length) == 2 && getchar() == '\n') {
        StrBuf arg = {0}, out = {0};
        Err err = {0};
        sb_reserve(&arg, length);
        sb_wrote(&arg, fread(arg.ptr + arg.len, 1, length, stdin));
        bool ok = run(m, verb, sb_view(&arg), &out, &err);
        answer(ok, ok ? sb_view(&out) : str_of(err.message));
        err_clear(&err);
        sb_done(&arg);
        sb_done(&out);
    }
}

int main(int argc, char **argv)
{
    if (argc != 10) return 2;
    Err err = {0};
    uint64_t version = 0;
    conn_library_init();
    Model m = {.flavor = strcmp(argv[1], "mariadb") == 0 ? FLAVOR_MARIADB : FLAVOR_MYSQL,
               .name = {str_of(argv[6]), str_of(argv[7])}};
    if (!str_to_u64(str_of(argv[2]), &version)) return 2;
    m.ctx = (ApplyContext){.flavor = m.flavor,
                           .version = (uint32_t)version,
                           .schema_collation = str_of(argv[8]),
                           .sql_mode = 0x200000,
                           .implicit_timestamps = argv[9][0] == '1'};
    ConnOpts opts = {.role = "test", .socket = argv[3], .user = argv[4], .password = argv[5]};
    if (!conn_open(&opts, &m.conn, &err)) {
        fprintf(stderr, "%s\n", err.message);
        err_clear(&err);
        return 3;
    }
    serve(&m);
    conn_close(m.conn);
    conn_close(m.target);
    version_pool_free(m.pool);
    free(m.columns);
    schema_free(m.now);
    emit_plan_done(&m.plan);
    conn_library_end();
    return 0;
}
