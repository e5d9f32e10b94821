#include "ops/conflicts_verb.h"
#include <jansson.h>
#include <stdlib.h>
#include "db/schema_read.h"
#include "ops/control.h"
#include "ops/json_out.h"
#include "ops/remote_verbs.h"
#include "ops/text_table.h"
#include "pipeline/catalog.h"
#include "base/poison.h"

enum { ROWS_SHOWN = 100, OWN_COLUMNS = 6, DECISION_COLUMNS = 8, ANSWER_MS = 60 * 1000 };

typedef struct Conflicts {
    const Task *task;
    const ConflictsOpts *opts;
    Conn *conn;
    Arena arena;
    json_t *targets; /* [{"schema","table","parked_in","parked","rows":[…]}] */
    uint64_t parked;
} Conflicts;

static json_t *text_json(Str s)
{
    if (!s.ptr) return json_null();
    json_t *text = json_stringn(s.ptr, s.len);
    if (text) return text;
    CLEANUP(sb_done) StrBuf hex = {0}; /* not UTF-8 */
    sb_c(&hex, "0x");
    sb_hex(&hex, s.ptr, s.len);
    return json_string(hex.ptr);
}

static json_t *image_json(const TableSchema *s, const Str *values)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < s->n_columns; i++)
        json_object_set_new(o, s->columns[i].name.ptr, text_json(values[i]));
    return o;
}

static void add_columns(StrBuf *sql, const TableSchema *s, const char *prefix)
{
    for (uint32_t i = 0; i < s->n_columns; i++) {
        sb_c(sql, i ? "," : "");
        sb_c(sql, prefix);
        sb_ident(sql, s->columns[i].name);
    }
}

/* The row of the target that has one of the parked row's keys; nothing is added when there is none. */
static bool add_winner(Conflicts *c, const TableSchema *s, const KeyDef *key, Str parked_in, uint64_t id,
                       json_t *winners, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    sb_c(&sql, "SELECT ");
    add_columns(&sql, s, "t.");
    sb_printf(&sql, " FROM " STR_FMT " p JOIN ", STR_ARG(parked_in));
    table_name_sql(s->name, &sql);
    sb_c(&sql, " t");
    for (uint32_t i = 0; i < key->n_parts; i++) {
        if (key->parts[i].column == UINT32_MAX) return true; /* an expression: no such target parks */
        sb_c(&sql, i ? " AND p." : " ON p.");
        sb_ident(&sql, s->columns[key->parts[i].column].name);
        sb_c(&sql, "=t.");
        sb_ident(&sql, s->columns[key->parts[i].column].name);
    }
    sb_printf(&sql, " WHERE p.sm_id=%llu", (unsigned long long)id);
    if (!conn_query(c->conn, sb_view(&sql), &rows, err)) return false;
    Str *v = arena_array(&c->arena, Str, rows.n_columns + 1);
    while (rows_next(&rows, v))
        json_array_append_new(winners, json_pack("{s:s#, s:o}", "key", key->name.ptr, (int)key->name.len,
                                                 "row", image_json(s, v)));
    rows_done(&rows);
    return true;
}

static bool add_images(Conflicts *c, const TableSchema *s, Str parked_in, uint64_t id, json_t *row, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    sb_c(&sql, "SELECT ");
    add_columns(&sql, s, "");
    sb_printf(&sql, " FROM " STR_FMT " WHERE sm_id=%llu", STR_ARG(parked_in), (unsigned long long)id);
    if (!conn_query(c->conn, sb_view(&sql), &rows, err)) return false;
    Str *v = arena_array(&c->arena, Str, rows.n_columns + 1);
    if (rows_next(&rows, v)) json_object_set_new(row, "row", image_json(s, v));
    rows_done(&rows);
    json_t *winners = json_array();
    json_object_set_new(row, "winners", winners);
    for (uint32_t k = 0; k < s->n_keys; k++)
        if (s->keys[k].unique && !add_winner(c, s, &s->keys[k], parked_in, id, winners, err)) return false;
    return true;
}

static bool add_rows(Conflicts *c, const TableSchema *s, Str parked_in, json_t *list, Err *err)
{
    Rows rows = {0};
    Str v[OWN_COLUMNS];
    uint64_t limit = c->opts->limit ? c->opts->limit : ROWS_SHOWN;
    if (!conn_queryf(c->conn, &rows, err,
                     "SELECT sm_id, sm_source, sm_schema, sm_table, sm_since, sm_decided FROM " STR_FMT
                     " ORDER BY sm_id LIMIT %llu",
                     STR_ARG(parked_in), (unsigned long long)limit))
        return false;
    bool ok = true;
    while (ok && rows_next(&rows, v)) {
        uint64_t id = 0;
        if (!str_to_u64(v[0], &id)) continue;
        json_t *row =
            json_pack("{s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)id, "source", text_json(v[1]), "schema",
                      text_json(v[2]), "table", text_json(v[3]), "since", text_json(v[4]));
        uint64_t decided = 0;
        if (str_to_u64(v[5], &decided) && decided)
            json_object_set_new(row, "decision", json_integer((json_int_t)decided));
        json_array_append_new(list, row);
        if (c->opts->show) ok = add_images(c, s, parked_in, id, row, err);
    }
    rows_done(&rows);
    return ok;
}

/* Decisions in force about rows of the target; `beside` is the table of its parked rows. */
static bool add_decisions(Conflicts *c, Str beside, json_t *list, Err *err)
{
    static const char parked[] = "sm_parked_";
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(sb_done) StrBuf name = {0};
    Rows rows = {0};
    if (beside.len < sizeof parked) return true;
    sb_c(&name, "sm_decided_");
    sb_add(&name, beside.ptr + sizeof parked - 1, beside.len - (sizeof parked - 1));
    sb_c(&sql, "SELECT d.sm_id, d.sm_source, d.sm_schema, d.sm_table, d.sm_since, d.sm_pinned, d.sm_renamed, "
               "(SELECT x.decided_by FROM ");
    table_name_sql((TableName){c->task->meta_schema, STR("sm_decision")}, &sql);
    sb_c(&sql, " x WHERE x.n = d.sm_id AND x.task = ");
    sb_quoted(&sql, c->task->name);
    sb_c(&sql, ") FROM ");
    table_name_sql((TableName){c->task->meta_schema, sb_view(&name)}, &sql);
    sb_c(&sql, " d WHERE d.sm_side = 0 ORDER BY d.sm_id");
    if (!conn_query(c->conn, sb_view(&sql), &rows, err)) return false;
    for (Str v[DECISION_COLUMNS]; rows_next(&rows, v);) {
        uint64_t id = 0;
        if (!str_to_u64(v[0], &id)) continue;
        json_array_append_new(list, json_pack("{s:I, s:o, s:o, s:o, s:o, s:b, s:b, s:o}", "decision",
                                              (json_int_t)id, "source", text_json(v[1]), "schema",
                                              text_json(v[2]), "table", text_json(v[3]), "since",
                                              text_json(v[4]), "kept", str_eqc(v[5], "1"), "renamed",
                                              str_eqc(v[6], "1"), "by", text_json(v[7])));
    }
    rows_done(&rows);
    return true;
}

/* Of the target what the table beside it has, too: while the target changes they differ. */
static void keep_common(TableSchema *s, const TableSchema *beside)
{
    uint32_t n = 0, n_keys = 0;
    uint32_t *place = arena_array(&s->arena, uint32_t, s->n_columns + 1);
    for (uint32_t i = 0; i < s->n_columns; i++) {
        bool common = schema_column(beside, s->columns[i].name) != UINT32_MAX;
        place[i] = common ? n : UINT32_MAX;
        if (common) s->columns[n++] = s->columns[i];
    }
    for (uint32_t k = 0; k < s->n_keys; k++) {
        bool whole = true;
        for (uint32_t i = 0; i < s->keys[k].n_parts; i++) {
            KeyPart *p = &s->keys[k].parts[i];
            if (p->column != UINT32_MAX) p->column = place[p->column];
            whole &= p->column != UINT32_MAX;
        }
        if (whole) s->keys[n_keys++] = s->keys[k];
    }
    s->n_columns = n;
    s->n_keys = n_keys;
}

static bool add_target(Conflicts *c, TableName name, Str table, Err *err)
{
    CLEANUP(sb_done) StrBuf in = {0};
    char *count = NULL;
    uint64_t n = 0;
    TableSchema *s = NULL;
    table_name_sql((TableName){c->task->meta_schema, table}, &in);
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_printf(&sql, "SELECT COUNT(*) FROM %s", in.ptr);
    TableSchema *beside = NULL;
    if (!schema_read(c->conn, (TableName){c->task->meta_schema, table}, &beside, err)) return false;
    if (!beside) return true; /* it went with its target */
    bool ok = conn_scalar(c->conn, sb_view(&sql), &count, err) && schema_read(c->conn, name, &s, err);
    if (ok && s) keep_common(s, beside);
    schema_free(beside);
    if (ok && count) ok = str_to_u64(str_of(count), &n) || err_set(err, ERR_BUG, "a count cannot be read");
    free(count);
    if (ok) {
        json_t *rows = json_array(), *decisions = json_array();
        json_array_append_new(c->targets,
                              json_pack("{s:o, s:o, s:s, s:I, s:o, s:o}", "schema", text_json(name.schema),
                                        "table", text_json(name.table), "parked_in", in.ptr, "parked",
                                        (json_int_t)n, "rows", rows, "decisions", decisions));
        c->parked += n;
        if (s) ok = add_rows(c, s, sb_view(&in), rows, err) && add_decisions(c, table, decisions, err);
    }
    schema_free(s);
    return ok;
}

static bool read_targets(Conflicts *c, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(sb_done) StrBuf exists = {0};
    char *there = NULL;
    sb_c(&exists,
         "SELECT 1 FROM information_schema.TABLES WHERE TABLE_NAME = 'sm_parked' AND TABLE_SCHEMA = ");
    sb_quoted(&exists, c->task->meta_schema);
    if (!conn_scalar(c->conn, sb_view(&exists), &there, err)) return false;
    bool none = !there; /* the task has never run */
    free(there);
    if (none) return true;
    sb_c(&sql, "SELECT target_schema, target_table, parked_table FROM ");
    table_name_sql((TableName){c->task->meta_schema, STR("sm_parked")}, &sql);
    sb_c(&sql, " WHERE task = ");
    sb_quoted(&sql, c->task->name);
    sb_c(&sql, " ORDER BY target_schema, target_table");
    Rows rows = {0};
    if (!conn_query(c->conn, sb_view(&sql), &rows, err)) return false;
    bool ok = true;
    for (Str v[3]; ok && rows_next(&rows, v);)
        ok = add_target(c, (TableName){v[0], v[1]}, v[2], err);
    rows_done(&rows);
    return ok;
}

/* -- telling -- */

static Str str_in(const json_t *o, const char *key)
{
    return str_of(json_string_value(json_object_get(o, key)));
}

static void put_image(const json_t *image, const char *what, StrBuf *out)
{
    char *text = json_dumps(image, JSON_COMPACT);
    sb_printf(out, "    %s %s\n", what, text ? text : "");
    free(text);
}

static void put_rows(const Conflicts *c, const json_t *target, StrBuf *out)
{
    size_t i, k;
    const json_t *row, *winner;
    json_array_foreach(json_object_get(target, "rows"), i, row)
    {
        sb_printf(out, "  %lld  source " STR_FMT ", table " STR_FMT "." STR_FMT ", since " STR_FMT "\n",
                  json_integer_value(json_object_get(row, "id")), STR_ARG(str_in(row, "source")),
                  STR_ARG(str_in(row, "schema")), STR_ARG(str_in(row, "table")),
                  STR_ARG(str_in(row, "since")));
        if (!c->opts->show) continue;
        put_image(json_object_get(row, "row"), "parked:   ", out);
        json_array_foreach(json_object_get(row, "winners"), k, winner)
        {
            CLEANUP(sb_done) StrBuf what = {0};
            sb_printf(&what, "in its place by key " STR_FMT ":", STR_ARG(str_in(winner, "key")));
            put_image(json_object_get(winner, "row"), what.ptr, out);
        }
    }
}

static void put_decisions(const json_t *target, StrBuf *out)
{
    size_t i;
    const json_t *d;
    json_array_foreach(json_object_get(target, "decisions"), i, d)
    {
        bool kept = json_is_true(json_object_get(d, "kept"));
        bool renamed = json_is_true(json_object_get(d, "renamed"));
        sb_printf(out,
                  "  decision %lld by " STR_FMT " at " STR_FMT ": a row of source " STR_FMT ", table " STR_FMT
                  "." STR_FMT " is %s%s%s\n",
                  json_integer_value(json_object_get(d, "decision")), STR_ARG(str_in(d, "by")),
                  STR_ARG(str_in(d, "since")), STR_ARG(str_in(d, "source")), STR_ARG(str_in(d, "schema")),
                  STR_ARG(str_in(d, "table")), kept ? "kept" : "", kept && renamed ? " and " : "",
                  renamed ? "renamed" : "");
    }
}

static void put_human(const Conflicts *c, StrBuf *out)
{
    size_t i;
    const json_t *t;
    if (!json_array_size(c->targets)) sb_c(out, "no target parks the losers of collisions\n");
    json_array_foreach(c->targets, i, t)
    {
        uint64_t n = (uint64_t)json_integer_value(json_object_get(t, "parked"));
        CLEANUP(sb_done) StrBuf line = {0};
        sb_printf(&line, STR_FMT "." STR_FMT ": ", STR_ARG(str_in(t, "schema")), STR_ARG(str_in(t, "table")));
        text_count(&line, n);
        sb_c(&line, n == 1 ? " row is parked" : " rows are parked");
        text_tone(out, sb_view(&line), n ? TONE_WARN : TONE_GOOD, c->opts->color);
        if (n) sb_printf(out, " in " STR_FMT, STR_ARG(str_in(t, "parked_in")));
        sb_ch(out, '\n');
        put_rows(c, t, out);
        if (n > json_array_size(json_object_get(t, "rows"))) sb_c(out, "  … (--limit shows more)\n");
        put_decisions(t, out);
    }
    if (c->parked)
        sb_c(
            out,
            "a row comes in by itself when its key is free: change or delete one of the two on its shard, or "
            "decide: --decide keep|swap|rename --id N\n");
}

static void put_json(const Conflicts *c, StrBuf *out)
{
    json_t *root = json_pack("{s:s#, s:I, s:O}", "task", c->task->name.ptr, (int)c->task->name.len, "parked",
                             (json_int_t)c->parked, "targets", c->targets);
    json_out(root, out);
    json_decref(root);
}

int conflicts_verb(const Task *task, const ConflictsOpts *opts, StrBuf *out, Err *err)
{
    Conflicts c = {.task = task, .opts = opts, .targets = json_array()};
    Dialect dialect;
    SessionOpts session;
    SessionVarText *vars = arena_array(&c.arena, SessionVarText, task->target.n_session + 1);
    target_session(task, vars, &session);
    bool ok = session_open(&session, &c.conn, &dialect, err);
    if (!ok) endpoint_hint(&task->target, err);
    ok = ok && read_targets(&c, err);
    if (ok && opts->json)
        put_json(&c, out);
    else if (ok)
        put_human(&c, out);
    int status = !ok ? err_exit_status(err) : c.parked ? 1 : 0;
    conn_close(c.conn);
    json_decref(c.targets);
    arena_done(&c.arena);
    return status;
}

int conflicts_decide(const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    ControlCall call = {.dir = dir, .timeout_ms = ANSWER_MS};
    CLEANUP(sb_done) StrBuf by = {0};
    json_t *reply = NULL, *set = json_array();
    who_asks(&by);
    for (size_t i = 0; i < opts->n_values; i++)
        json_array_append_new(set, json_string(opts->values[i]));
    json_t *request = json_pack("{s:s, s:s, s:s?, s:I, s:o, s:s, s:b}", "verb", "conflict", "decision",
                                opts->decision, "target", opts->target, "id", (json_int_t)opts->id, "set",
                                set, "by", by.ptr, "preview", !opts->yes);
    if (!request)
        return err_set(err, ERR_USAGE, "--value and --target take UTF-8 text"), err_exit_status(err);
    bool ok = control_call(&call, request, &reply, err);
    json_decref(request);
    if (!ok) return err_exit_status(err);
    if (opts->json)
        json_out(reply, out);
    else
        sb_printf(out, STR_FMT "%s", STR_ARG(str_in(reply, "words")),
                  opts->yes ? "done\n" : "this is what would happen; with --yes it does\n");
    json_decref(reply);
    return 0;
}
