#include "ops/schema_verb.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "ops/json_out.h"
#include "ops/remote_verbs.h"
#include "pipeline/schema_check.h"
#include "store/store_ddl.h"
#include "store/store_start.h"
#include "track/schema_emit.h"
#include "track/schema_json.h"
#include "track/step_json.h"
#include "base/poison.h"

typedef struct SchemaVerb {
    const Task *task;
    const CliOpts *opts;
    Store *store;
    Arena arena;
    StoreMember *members;
    StoreStep *steps;
    size_t n_members, n_steps;
} SchemaVerb;

static json_t *text(Str s)
{
    json_t *o = s.len ? json_stringn(s.ptr, s.len) : NULL;
    return o ? o : json_null();
}

/* -- showing -- */

static bool is_wanted(const SchemaVerb *v, const StoreMember *m)
{
    CLEANUP(sb_done) StrBuf name = {0};
    CLEANUP(sb_done) StrBuf target = {0};
    const char *table = v->opts->n_table_patterns ? v->opts->table_patterns[0] : NULL;
    table_name_plain(m->name, &name);
    table_name_plain(m->target, &target);
    return (!v->opts->source_id || str_eqc(m->source_id, v->opts->source_id)) &&
           (!table || str_eqc(sb_view(&name), table)) &&
           (!v->opts->target || str_eqc(sb_view(&target), v->opts->target));
}

/* CREATE TABLE as the server that it was read from would take it; what cannot be written so is said. */
static json_t *definition_json(const TableSchema *s)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(err_clear) Err err = {0};
    TextOpts opts = {.dialect = DIALECT_MYSQL, .auto_increment = true, .foreign_keys = true};
    if (!schema_emit_create(s, &opts, &sql, &err)) {
        opts.dialect = DIALECT_MARIADB;
        err_clear(&err);
        sb_clear(&sql);
        if (!schema_emit_create(s, &opts, &sql, &err)) {
            sb_clear(&sql);
            sb_printf(&sql, "(%s)", err.message ? err.message : "it cannot be written as text");
        }
    }
    return text(sb_view(&sql));
}

static json_t *point_json(Str json)
{
    CLEANUP(sb_done) StrBuf human = {0};
    CLEANUP(err_clear) Err err = {0};
    StreamPoint at = {0};
    if (json.len && point_parse(json, &at, &err)) point_format_human(&at, &human);
    point_done(&at);
    return text(sb_view(&human));
}

static bool add_versions(SchemaVerb *v, const StoreMember *m, json_t *versions, Err *err)
{
    StoreDefinition first;
    TableSchema *s = NULL;
    bool found = false;
    if (!store_definition(v->store, m->member_no, &v->arena, &first, &found, err)) return false;
    if (!found) return true;
    if (!schema_from_json(first.schema_json, &s, err)) return false;
    json_array_append_new(versions,
                          json_pack("{s:i, s:o, s:o, s:o, s:o}", "number", 0, "statement", json_null(), "why",
                                    text(first.why), "from", json_null(), "definition", definition_json(s)));
    schema_free(s);
    for (size_t i = 0; i < v->n_steps; i++) {
        const StoreStep *t = &v->steps[i];
        SchemaStep *step = NULL;
        if (t->member_no != m->member_no) continue;
        if (!step_from_json(t->change_json, &step, err)) return false;
        json_array_append_new(versions,
                              json_pack("{s:I, s:o, s:o, s:o, s:o}", "number", (json_int_t)t->number,
                                        "statement", text(step->statement), "why", text(t->kind), "from",
                                        point_json(t->point_json), "definition",
                                        step->after ? definition_json(step->after) : json_null()));
        step_free(step);
    }
    return true;
}

static bool list_members(SchemaVerb *v, json_t *list, Err *err)
{
    for (size_t i = 0; i < v->n_members; i++) {
        const StoreMember *m = &v->members[i];
        json_t *versions = json_array();
        if (!is_wanted(v, m)) {
            json_decref(versions);
            continue;
        }
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:o}", "source",
                                              text(m->source_id), "schema", text(m->name.schema), "table",
                                              text(m->name.table), "target", "schema", text(m->target.schema),
                                              "table", text(m->target.table), "versions", versions));
        if (!add_versions(v, m, versions, err)) return false;
    }
    return true;
}

static const char *str_in(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

/* A line for each table; with one table all of its versions. */
static void put_human(const SchemaVerb *v, const json_t *list, StrBuf *out)
{
    size_t i, k;
    const json_t *m, *x;
    bool whole = json_array_size(list) == 1 || v->opts->n_table_patterns;
    if (!json_array_size(list)) sb_c(out, "no shard table of that name is known\n");
    json_array_foreach(list, i, m)
    {
        const json_t *versions = json_object_get(m, "versions"), *target = json_object_get(m, "target");
        size_t n = json_array_size(versions);
        sb_printf(out, "%s %s.%s -> %s.%s: ", str_in(m, "source"), str_in(m, "schema"), str_in(m, "table"),
                  str_in(target, "schema"), str_in(target, "table"));
        if (!n)
            sb_c(out, "not known yet\n");
        else
            sb_printf(out, "version %zu\n", n - 1);
        json_array_foreach(versions, k, x)
        {
            if (!whole) continue;
            sb_printf(out, "  version %zu%s%s: %s\n", k, *str_in(x, "from") ? ", behind " : "",
                      str_in(x, "from"), k ? str_in(x, "statement") : str_in(x, "why"));
            Str rest = str_of(*str_in(x, "definition") ? str_in(x, "definition") : "the table is gone");
            while (rest.len) {
                Str line = str_split(&rest, '\n');
                sb_printf(out, "    " STR_FMT "\n", STR_ARG(line));
            }
        }
    }
}

static int show(SchemaVerb *v, StrBuf *out, Err *err)
{
    json_t *list = json_array();
    bool ok = list_members(v, list, err);
    if (ok && v->opts->json)
        json_out(list, out);
    else if (ok)
        put_human(v, list, out);
    json_decref(list);
    return ok ? 0 : err_exit_status(err);
}

/* -- setting -- */

static bool read_text(const char *path, StrBuf *out, Err *err)
{
    enum { LIMIT = 1024 * 1024 };
    char buf[4096];
    bool standard = !strcmp(path, "-");
    FILE *f = standard ? stdin : fopen(path, "rb");
    if (!f) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    for (size_t n; out->len < LIMIT && (n = fread(buf, 1, sizeof buf, f)) > 0;)
        sb_add(out, buf, n);
    bool bad = ferror(f) != 0;
    if (!standard) fclose(f);
    return !bad || err_set(err, ERR_IO, "%s: it cannot be read", path);
}

static bool one_member(const SchemaVerb *v, const StoreMember **m, uint32_t *source, Err *err)
{
    *m = NULL;
    if (!v->opts->source_id || !v->opts->n_table_patterns)
        return err_set(err, ERR_USAGE, "--set needs --source and --table, which name one shard table");
    for (size_t i = 0; i < v->n_members; i++)
        if (is_wanted(v, &v->members[i])) *m = &v->members[i];
    for (*source = 0; *source < v->task->n_sources; ++*source)
        if (str_eqc(v->task->sources[*source].id, v->opts->source_id)) break;
    if (!*m || *source == v->task->n_sources)
        return err_set(err, ERR_USAGE,
                       "the task knows no shard table %s of source %s: shardmerge schema lists them",
                       v->opts->table_patterns[0], v->opts->source_id);
    for (size_t i = 0; i < v->n_steps; i++)
        if (v->steps[i].member_no == (*m)->member_no)
            return err_set(
                err, ERR_USAGE,
                "table %s of source %s has a history already: what it was before is told by its rows",
                v->opts->table_patterns[0], v->opts->source_id);
    return true;
}

/* Where its definition has to be true. */
static bool begins_at(SchemaVerb *v, Str source_id, Str *point, Err *err)
{
    StoreStart start = {0};
    StoreFloor *floors;
    size_t n;
    bool found = false;
    *point = (Str){0};
    if (!store_start_get(v->store, source_id, &v->arena, &start, &found, err) ||
        !store_floors(v->store, &v->arena, &floors, &n, err))
        return false;
    if (found) *point = start.point_json;
    for (size_t i = 0; i < n; i++)
        if (str_eq(floors[i].source_id, source_id)) *point = floors[i].point_json;
    return point->len ||
           err_set(err, ERR_USAGE, "source " STR_FMT " has not begun anywhere yet: start the task once",
                   STR_ARG(source_id));
}

static bool keep(SchemaVerb *v, const StoreMember *m, Str point, const TableSchema *given, Err *err)
{
    CLEANUP(sb_done) StrBuf json = {0};
    CLEANUP(sb_done) StrBuf why = {0};
    sb_c(&why, STORE_WHY_SET);
    who_asks(&why);
    schema_to_json(given, &json);
    return store_schema_put(v->store, m->member_no, point, sb_view(&json), sb_view(&why), err) &&
           store_event(v->store, m->source_id, STR("schema-set"), sb_view(&json), err);
}

static void put_outcome(const SchemaVerb *v, const StrBuf *words, bool shown, bool kept, StrBuf *out)
{
    if (v->opts->json) {
        json_t *o = json_pack("{s:b, s:b, s:o}", "shown", shown, "set", kept, "words", text(sb_view(words)));
        json_out(o, out);
        json_decref(o);
        return;
    }
    sb_str(out, sb_view(words));
    sb_c(out, shown ? "the definition leads to what the table is now\n"
                    : "it is not shown that the table had this definition\n");
    if (kept)
        sb_c(out, "set: start the task\n");
    else
        sb_c(out, shown || v->opts->force ? "with --yes it is set\n"
                                          : "nothing was changed; --force sets it all the same\n");
}

static int set(SchemaVerb *v, StrBuf *out, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(sb_done) StrBuf words = {0};
    const StoreMember *m;
    TableSchema *given = NULL;
    StreamPoint at = {0};
    Str point;
    uint32_t source = 0;
    bool shown = false;
    bool ok = one_member(v, &m, &source, err) && read_text(v->opts->set_file, &sql, err) &&
              begins_at(v, m->source_id, &point, err) && point_parse(point, &at, err) &&
              schema_given(v->task, source, m->name, sb_view(&sql), &given, err) &&
              schema_check(v->task, source, given, &at, &words, &shown, err);
    bool kept = ok && v->opts->yes && (shown || v->opts->force);
    if (kept) ok = keep(v, m, point, given, err);
    if (ok) put_outcome(v, &words, shown, kept, out);
    schema_free(given);
    point_done(&at);
    return ok ? !shown && !kept : err_exit_status(err);
}

int schema_verb(const Task *task, const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    SchemaVerb v = {.task = task, .opts = opts};
    if (opts->set_file && !task) {
        err_set(err, ERR_USAGE, "--set needs the task file");
        return err_exit_status(err);
    }
    bool ok = store_open(dir, !opts->set_file, &v.store, err) &&
              store_members(v.store, &v.arena, &v.members, &v.n_members, err) &&
              store_steps(v.store, &v.arena, &v.steps, &v.n_steps, err);
    int status = !ok ? err_exit_status(err) : opts->set_file ? set(&v, out, err) : show(&v, out, err);
    store_close(v.store);
    arena_done(&v.arena);
    return status;
}
