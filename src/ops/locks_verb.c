#include "ops/locks_verb.h"
#include <stdlib.h>
#include "base/clock.h"
#include "ops/control.h"
#include "ops/json_out.h"
#include "ops/remote_verbs.h"
#include "store/store_ddl.h"
#include "base/poison.h"

enum { ANSWER_MS = 60 * 1000 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static void member_text(const json_t *m, StrBuf *out)
{
    sb_printf(out, "    %-9s %s", text_of(m, "state"), text_of(m, "name"));
    const char *source = text_of(m, "source"), *table = text_of(m, "table");
    if (*source || *table) sb_printf(out, "%s %s", source, table);
    sb_ch(out, '\n');
    for (Str rest = str_of(text_of(m, "difference")); rest.len;) {
        Str line = str_split(&rest, '\n');
        if (line.len) sb_printf(out, "              " STR_FMT "\n", STR_ARG(line));
    }
    const json_t *waits = json_object_get(m, "waits_for"), *one;
    size_t i;
    if (json_is_string(waits)) sb_printf(out, "              waits for %s\n", json_string_value(waits));
    json_array_foreach(waits, i, one) if (json_is_string(one))
        sb_printf(out, "              waits for %s\n", json_string_value(one));
}

void locks_text(const json_t *locks, StrBuf *out)
{
    size_t i, k;
    const json_t *lock, *x;
    if (!json_array_size(locks)) sb_c(out, "no shard has changed its schema\n");
    json_array_foreach(locks, i, lock)
    {
        sb_printf(out, "%s.%s: %s", text_of(lock, "schema"), text_of(lock, "table"), text_of(lock, "state"));
        json_int_t since = json_integer_value(json_object_get(lock, "since_ms"));
        if (since) {
            sb_c(out, " since ");
            clock_format_utc(out, since);
        }
        sb_ch(out, '\n');
        if (!strcmp(text_of(lock, "state"), "closed")) continue;
        json_array_foreach(json_object_get(lock, "ddl"), k, x)
            sb_printf(out, "  ddl: %s\n", json_string_value(x));
        json_array_foreach(json_object_get(lock, "members"), k, x) member_text(x, out);
        if (*text_of(lock, "failed")) sb_printf(out, "  failed: %s\n", text_of(lock, "failed"));
        if (*text_of(lock, "asks")) sb_printf(out, "  asks: %s\n", text_of(lock, "asks"));
        json_array_foreach(json_object_get(lock, "choices"), k, x)
            sb_printf(out, "%s%s", k ? ", " : "  choices: ", json_string_value(x));
        if (k) sb_ch(out, '\n');
    }
}

/* Without a running process: as they were stored last. */
static bool stored_locks(const char *dir, json_t **out, Err *err)
{
    Store *store = NULL;
    Arena arena = {0};
    StoreLock *locks = NULL;
    size_t n = 0;
    if (!store_open(dir, true, &store, err)) return false;
    bool ok = store_locks(store, &arena, &locks, &n, err);
    *out = json_array();
    for (size_t i = 0; ok && i < n; i++) {
        json_t *o = json_loadb(locks[i].explained_json.ptr, locks[i].explained_json.len, 0, NULL);
        if (!o) continue;
        json_object_set_new(o, "schema",
                            json_stringn(locks[i].target.schema.ptr, locks[i].target.schema.len));
        json_object_set_new(o, "table", json_stringn(locks[i].target.table.ptr, locks[i].target.table.len));
        json_array_append_new(*out, o);
    }
    arena_done(&arena);
    store_close(store);
    return ok;
}

static bool fetch_locks(const char *dir, const CliOpts *opts, json_t **out, Err *err)
{
    ControlCall call = {.dir = dir, .timeout_ms = ANSWER_MS};
    json_t *reply = NULL;
    json_t *request = json_pack("{s:s, s:s?}", "verb", "locks", "target", opts->target);
    bool ok = control_call(&call, request, &reply, err);
    json_decref(request);
    if (ok) {
        *out = json_incref(json_object_get(reply, "locks"));
        json_decref(reply);
        return *out || err_set(err, ERR_IO, "control socket: an answer without locks");
    }
    if (err->code != ERR_OPS_NOT_RUNNING) return false;
    err_clear(err);
    return stored_locks(dir, out, err);
}

int locks_decide(const char *dir, const CliOpts *opts, const char *decision, StrBuf *out, Err *err)
{
    ControlCall call = {.dir = dir, .timeout_ms = ANSWER_MS};
    StrBuf by = {0};
    json_t *reply = NULL;
    who_asks(&by);
    const char *table = opts->n_table_patterns ? opts->table_patterns[0] : NULL;
    json_t *sql = json_array();
    for (size_t i = 0; i < opts->n_sql; i++)
        json_array_append_new(sql, json_string(opts->sql[i]));
    json_t *request = json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:o, s:s, s:b}", "verb", "decide", "decision",
                                decision, "target", opts->target, "source", opts->source_id, "table", table,
                                "sql", sql, "by", by.ptr, "preview", !opts->yes);
    sb_done(&by);
    bool ok = control_call(&call, request, &reply, err);
    json_decref(request);
    if (!ok) return err_exit_status(err);
    if (opts->json)
        json_out(reply, out);
    else
        sb_printf(out, "%s%s", text_of(reply, "words"),
                  opts->yes ? "done\n" : "this is what would happen; with --yes it does\n");
    json_decref(reply);
    return 0;
}

static bool waits(const json_t *locks)
{
    size_t i;
    const json_t *lock;
    json_array_foreach(locks, i, lock) if (strcmp(text_of(lock, "state"), "closed") != 0) return true;
    return false;
}

int locks_verb(const char *dir, const CliOpts *opts, StrBuf *out, Err *err)
{
    json_t *locks = NULL;
    if (opts->decision) return locks_decide(dir, opts, opts->decision, out, err);
    if (!fetch_locks(dir, opts, &locks, err)) return err_exit_status(err);
    if (opts->json)
        json_out(locks, out);
    else
        locks_text(locks, out);
    int status = waits(locks);
    json_decref(locks);
    return status;
}
