/* The schema tracker behind a pipe, for tests/e2e/test_ddl_model.py: it follows one table's DDL in its model
 * and compares the model with what a live server says. ddl_model FLAVOR VERSION SOCKET USER PASSWORD SCHEMA
 * TABLE COLLATION IMPLICIT_TIMESTAMPS Commands come as "verb length\n" and so many bytes; answers go back as
 * "ok|error length\n" and so many bytes. */
#include <stdio.h>
#include <stdlib.h>
#include "db/conn.h"
#include "db/schema_read.h"
#include "ddl/expr.h"
#include "ddl/parse.h"
#include "track/schema_apply.h"
#include "track/schema_emit.h"
#include "track/schema_fingerprint.h"
#include "track/schema_json.h"
#include "base/poison.h"

typedef struct Model {
    Flavor flavor;
    ApplyContext ctx;
    TableName name;
    Conn *conn;
    TableSchema *now;
    EmitPlan plan; /* the last of `plan` */
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

static bool apply(Model *m, Str sql, StrBuf *out, Err *err)
{
    Arena arena = {0};
    DdlStmt *stmt;
    TableSchema *after = NULL;
    SchemaStep *step = NULL;
    DdlContext ddl = {.flavor = m->flavor, .version = m->ctx.version, .default_schema = m->name.schema};
    m->ctx.text = sql;
    bool ok =
        ddl_parse(sql, &ddl, &arena, &stmt, err) && schema_apply(m->now, stmt, &m->ctx, &after, &step, err);
    if (ok && step) {
        put_lineage(step, out);
        schema_free(m->now);
        m->now = after;
    }
    schema_step_free(step);
    arena_done(&arena);
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

/* From the target's definition to the model's, column by name. */
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
    for (uint32_t i = 0; ok && i < m->plan.n; i++) {
        sb_str(out, m->plan.steps[i].sql);
        sb_ch(out, 0);
    }
    free(columns);
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
    if (!schema_read(m->conn, (TableName){schema, m->name.table}, &live, err)) return false;
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
    if (strcmp(verb, "compare") == 0) return compare(m, out, err);
    if (strcmp(verb, "json") == 0) return json(m, out, err);
    if (strcmp(verb, "create") == 0) return create(m, arg, out, err);
    if (strcmp(verb, "plan") == 0) return plan(m, arg, out, err);
    if (strcmp(verb, "planned") == 0) return planned(m, arg, out, err);
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
    schema_free(m.now);
    emit_plan_done(&m.plan);
    conn_library_end();
    return 0;
}
