#include "ops/status.h"
#include "ops/locks_verb.h"
#include "base/clock.h"
#include "ops/load_text.h"
#include "ops/text_table.h"
#include "base/poison.h"

/* Read equals the sum of the others and what is in flight. */
static const char *const count_names[] = {"read",   "applied", "filtered", "held",
                                          "parked", "missed",  "refused",  "loaded"};

/* ---- from the state folder
 * ----------------------------------------------------------------------------------- */

static json_t *json_of(Str s)
{
    return s.len ? json_stringn(s.ptr, s.len) : json_null();
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value ? value : json_null());
}

static json_t *time_of(int64_t wall_ms)
{
    if (wall_ms == 0) return json_null();
    CLEANUP(sb_done) StrBuf b = {0};
    clock_format_utc(&b, wall_ms);
    return json_of(sb_view(&b));
}

static json_t *position_of(Str point_json)
{
    json_t *point = point_json.len ? json_loadb(point_json.ptr, point_json.len, 0, NULL) : NULL;
    json_t *out = json_object();
    static const char *const keys[] = {"file", "pos", "gtid"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *v = json_object_get(point, keys[i]);
        json_object_set(out, keys[i], v ? v : json_null());
    }
    json_decref(point);
    return out;
}

static json_t *error_of(Str error_json)
{
    return error_json.len ? json_loadb(error_json.ptr, error_json.len, 0, NULL) : json_null();
}

/* What a source that nobody reads is: paused stays paused, an error stays an error, all else is stopped. */
static const char *rest_state(Str kept, bool paused)
{
    if (paused) return "paused-by-user";
    if (str_eqc(kept, "paused-by-error")) return "paused-by-error";
    if (str_eqc(kept, "failed")) return "failed";
    return "stopped";
}

static bool offline_source(Store *store, const StoreFloor *f, const char *state, json_t *sources, Err *err)
{
    bool paused = false, all_paused = false;
    if (!store_pause_get(store, f->source_id, &paused, err) ||
        !store_pause_get(store, STR(""), &all_paused, err))
        return false;
    const uint64_t counts[] = {f->counts.read,   f->counts.applied, f->counts.filtered, f->counts.held,
                               f->counts.parked, f->counts.missed,  f->counts.refused,  f->counts.loaded};
    json_t *counters = json_object();
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        set(counters, count_names[i], json_integer((json_int_t)counts[i]));
    json_t *source = json_object();
    set(source, "id", json_of(f->source_id));
    set(source, "state", json_string(state ? state : rest_state(f->state, paused || all_paused)));
    set(source, "position", position_of(f->point_json));
    set(source, "lag_ms", json_null());
    set(source, "counters", counters);
    set(source, "error", error_of(f->error_json));
    set(source, "kept_at", time_of(f->updated_ms));
    json_array_append_new(sources, source);
    return true;
}

/* How far the copy was when it was kept; nobody copies now. */
static json_t *offline_load(const StoreFloor *floors, size_t n)
{
    static const char *const names[] = {"rows",   "bytes",      "rows_estimated", "bytes_estimated",
                                        "tables", "tables_done"};
    enum { ROWS = 0, ROWS_ESTIMATED = 2, TABLES = 4, TABLES_DONE = 5 };
    uint64_t sum[ARRAY_LEN(names)] = {0};
    for (size_t i = 0; i < n; i++) {
        json_t *one = json_loadb(floors[i].copy_json.ptr, floors[i].copy_json.len, 0, NULL);
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            sum[k] += status_count(one, names[k]);
        json_decref(one);
    }
    if (!sum[TABLES]) return json_null();
    bool done = sum[TABLES_DONE] == sum[TABLES];
    double percent = done                  ? 100.0
                     : sum[ROWS_ESTIMATED] ? 100.0 * (double)sum[ROWS] / (double)sum[ROWS_ESTIMATED]
                                           : 0.0;
    json_t *o = json_object();
    set(o, "state", json_string(done ? "done" : "stopped"));
    set(o, "percent", json_real(done ? percent : MIN(percent, 99.9)));
    for (size_t k = 0; k < TABLES; k++)
        set(o, names[k], json_integer((json_int_t)sum[k]));
    set(o, "n_tables", json_integer((json_int_t)sum[TABLES]));
    set(o, "n_tables_done", json_integer((json_int_t)sum[TABLES_DONE]));
    set(o, "tables", json_array());
    set(o, "readers", json_array());
    return o;
}

static json_t *last_run(const StoreRun *run)
{
    json_t *o = json_object();
    set(o, "run", json_integer((json_int_t)run->run_no));
    set(o, "version", json_of(run->version));
    set(o, "started_at", time_of(run->started_ms));
    set(o, "ended_at", time_of(run->ended_ms));
    set(o, "outcome", run->outcome.len ? json_of(run->outcome) : json_string("killed"));
    set(o, "error", error_of(run->error_json));
    return o;
}

static const char *task_state(const StoreRun *run, bool ran)
{
    if (ran && str_eqc(run->outcome, "failed")) return "failed";
    return ran && str_eqc(run->outcome, "caught-up") ? "finished" : "stopped";
}

bool status_offline(Store *store, const char *state, json_t **out, Err *err)
{
    CLEANUP(arena_done) Arena arena = {0};
    CLEANUP(store_task_done) StoreTask task = {0};
    StoreFloor *floors = NULL;
    StoreRun run = {0};
    size_t n = 0;
    bool found = false, ran = false;
    *out = NULL;
    if (store &&
        (!store_task_read(store, &task, &found, err) || !store_floors(store, &arena, &floors, &n, err) ||
         !store_last_run(store, &arena, &run, &ran, err)))
        return false;
    json_t *sources = json_array();
    for (size_t i = 0; i < n; i++)
        if (!offline_source(store, &floors[i], state, sources, err)) {
            json_decref(sources);
            return false;
        }
    json_t *o = json_object();
    set(o, "task", found ? json_string(task.name) : json_null());
    set(o, "state", json_string(state ? state : task_state(&run, ran)));
    set(o, "running", json_boolean(state != NULL));
    set(o, "caught_up", json_false());
    set(o, "sources", sources);
    set(o, "targets", json_array());
    set(o, "appliers", json_array());
    set(o, "load", offline_load(floors, n));
    set(o, "error", error_of(run.error_json));
    set(o, "last_run", ran ? last_run(&run) : json_null());
    *out = o;
    return true;
}

/* ---- for people
 * ---------------------------------------------------------------------------------------------- */

static Str text_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : str_of(NULL);
}

uint64_t status_count(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    double rate = json_real_value(v);
    if (json_is_real(v)) return rate > 0 ? (uint64_t)(rate + 0.5) : 0;
    return json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

static CellTone state_tone(Str state)
{
    if (str_eqc(state, "streaming") || str_eqc(state, "loading") || str_eqc(state, "finished"))
        return TONE_GOOD;
    if (str_eqc(state, "failed") || str_eqc(state, "paused-by-error")) return TONE_BAD;
    return str_eqc(state, "stopped") ? TONE_PLAIN : TONE_WARN;
}

static bool is_bad(Str state)
{
    return state_tone(state) == TONE_BAD;
}

bool status_has_problem(const json_t *status)
{
    size_t i;
    const json_t *source;
    if (is_bad(text_of(status, "state"))) return true;
    json_array_foreach(json_object_get(status, "sources"), i,
                       source) if (is_bad(text_of(source, "state"))) return true;
    return false;
}

static void head(const json_t *status, bool color, StrBuf *out)
{
    Str state = text_of(status, "state");
    Str name = text_of(status, "task");
    sb_c(out, "task ");
    sb_str(out, name.len ? name : STR("(not begun)"));
    sb_c(out, ": ");
    text_tone(out, state, state_tone(state), color);
    if (json_is_true(json_object_get(status, "caught_up"))) sb_c(out, ", caught up");
    const json_t *run = json_object_get(status, "last_run");
    if (json_is_false(json_object_get(status, "running"))) {
        sb_c(out, " (no process runs; kept on disk");
        if (json_is_object(run)) {
            sb_c(out, "; last run started ");
            sb_str(out, text_of(run, "started_at"));
            sb_c(out, ", ");
            sb_str(out, text_of(run, "outcome"));
            sb_ch(out, ' ');
            sb_str(out, text_of(run, "ended_at"));
        }
        sb_ch(out, ')');
    }
    sb_ch(out, '\n');
}

static void lag_cell(TextTable *t, const json_t *source)
{
    const json_t *lag = json_object_get(source, "lag_ms");
    CLEANUP(sb_done) StrBuf b = {0};
    if (json_is_integer(lag))
        sb_printf(&b, "%.1f s", (double)json_integer_value(lag) / 1000);
    else
        sb_ch(&b, '-');
    table_right(t, sb_view(&b));
}

static void position_cell(TextTable *t, const json_t *source)
{
    enum { GTID_SHOWN = 60 };
    const json_t *p = json_object_get(source, "position");
    Str gtid = text_of(p, "gtid"), file = text_of(p, "file");
    CLEANUP(sb_done) StrBuf b = {0};
    Str shown = text_cut(gtid, GTID_SHOWN);
    sb_str(&b, shown);
    if (shown.len < gtid.len) sb_c(&b, "…");
    if (file.len)
        sb_printf(&b, gtid.len ? " (" STR_FMT ":%llu)" : STR_FMT ":%llu", STR_ARG(file),
                  (unsigned long long)status_count(p, "pos"));
    for (size_t i = 0; i < b.len; i++)
        if (b.ptr[i] == '\n') b.ptr[i] = ' ';
    table_text(t, b.len ? sb_view(&b) : STR("-"));
}

static void sources_table(const json_t *sources, bool color, StrBuf *out)
{
    CLEANUP(table_done) TextTable t = {.columns = 5};
    size_t i;
    const json_t *s;
    table_tone(&t, STR("SOURCE"), TONE_DIM);
    table_tone(&t, STR("STATE"), TONE_DIM);
    table_tone(&t, STR("LAG"), TONE_DIM);
    table_tone(&t, STR("ROWS/S"), TONE_DIM);
    table_tone(&t, STR("POSITION"), TONE_DIM);
    json_array_foreach(sources, i, s)
    {
        Str state = text_of(s, "state");
        table_text(&t, text_of(s, "id"));
        table_tone(&t, state, state_tone(state));
        lag_cell(&t, s);
        if (json_object_get(s, "rows_per_s"))
            table_count(&t, status_count(s, "rows_per_s"));
        else
            table_right(&t, STR("-"));
        position_cell(&t, s);
    }
    table_print(&t, color, out);
}

typedef struct Counts {
    uint64_t n[ARRAY_LEN(count_names)];
} Counts;

/* these take room only where there are any */
static bool column_shown(const Counts *all, size_t k)
{
    static const char *const rare[] = {"held", "parked", "loaded"};
    for (size_t i = 0; i < ARRAY_LEN(rare); i++)
        if (!strcmp(count_names[k], rare[i])) return all->n[k] > 0;
    return true;
}

static void sign_cell(TextTable *t, Str text, size_t column, CellTone tone)
{
    CLEANUP(sb_done) StrBuf b = {0};
    sb_str(&b, text);
    sb_c(&b, column == 0 ? " =" : " +");
    table_cell(t, sb_view(&b), true, tone);
}

static void counts_row(TextTable *t, Str who, const Counts *c, const Counts *all)
{
    uint64_t done = 0;
    table_text(t, who);
    for (size_t k = 0; k < ARRAY_LEN(count_names); k++) {
        if (k) done += c->n[k];
        if (!column_shown(all, k)) continue;
        CLEANUP(sb_done) StrBuf b = {0};
        text_count(&b, c->n[k]);
        sign_cell(t, sb_view(&b), k, TONE_PLAIN);
    }
    table_count(t, c->n[0] > done ? c->n[0] - done : 0);
}

static Counts counts_of(const json_t *source)
{
    Counts c;
    for (size_t k = 0; k < ARRAY_LEN(count_names); k++)
        c.n[k] = status_count(json_object_get(source, "counters"), count_names[k]);
    return c;
}

/* The sum of promise 1: every row read is in exactly one of the columns behind the equals sign. */
static void counts_table(const json_t *sources, bool color, StrBuf *out)
{
    Counts all = {0};
    size_t i;
    const json_t *s;
    json_array_foreach(sources, i, s)
    {
        Counts c = counts_of(s);
        for (size_t k = 0; k < ARRAY_LEN(count_names); k++)
            all.n[k] += c.n[k];
    }
    CLEANUP(table_done) TextTable t = {.columns = 2};
    table_tone(&t, STR("ROWS"), TONE_DIM);
    for (size_t k = 0; k < ARRAY_LEN(count_names); k++) {
        if (!column_shown(&all, k)) continue;
        sign_cell(&t, str_of(count_names[k]), k, TONE_DIM);
        t.columns++;
    }
    table_cell(&t, STR("in flight"), true, TONE_DIM);
    json_array_foreach(sources, i, s)
    {
        Counts c = counts_of(s);
        counts_row(&t, text_of(s, "id"), &c, &all);
    }
    counts_row(&t, STR("all"), &all, &all);
    table_print(&t, color, out);
}

/* Any list of flat objects: the first one's members name the columns. */
static void objects_table(const char *title, const json_t *list, bool color, StrBuf *out)
{
    const char *key;
    json_t *v, *object;
    json_t *first = json_array_get(list, 0);
    CLEANUP(table_done) TextTable t = {0};
    json_object_foreach(first, key, v) t.columns += !json_is_object(v) && !json_is_array(v);
    if (!t.columns) return;
    sb_ch(out, '\n');
    text_tone(out, str_of(title), TONE_DIM, color);
    sb_ch(out, '\n');
    json_object_foreach(first, key, v) if (!json_is_object(v) && !json_is_array(v))
        table_tone(&t, str_of(key), TONE_DIM);
    size_t i;
    json_array_foreach(list, i, object) json_object_foreach(first, key, v)
    {
        if (json_is_object(v) || json_is_array(v)) continue;
        const json_t *cell = json_object_get(object, key);
        if (json_is_integer(cell))
            table_count(&t, status_count(object, key));
        else if (json_is_boolean(cell))
            table_text(&t, json_is_true(cell) ? STR("yes") : STR("no"));
        else
            table_text(&t, json_is_string(cell) ? text_of(object, key) : STR("-"));
    }
    table_print(&t, color, out);
}

static void error_lines(Str who, const json_t *error, bool color, StrBuf *out)
{
    if (!json_is_object(error)) return;
    CLEANUP(sb_done) StrBuf line = {0};
    sb_printf(&line, STR_FMT ": [" STR_FMT ", " STR_FMT "] " STR_FMT, STR_ARG(who),
              STR_ARG(text_of(error, "code")), STR_ARG(text_of(error, "class")),
              STR_ARG(text_of(error, "message")));
    sb_ch(out, '\n');
    text_tone(out, sb_view(&line), TONE_BAD, color);
    sb_printf(out, "\n  what to do: " STR_FMT "\n", STR_ARG(text_of(error, "remedy")));
}

/* A duration as people say it. */
static void put_age(StrBuf *out, int64_t seconds)
{
    if (seconds < 120)
        sb_printf(out, "%lld s", (long long)seconds);
    else if (seconds < 7200)
        sb_printf(out, "%lld min", (long long)seconds / 60);
    else
        sb_printf(out, "%lld h", (long long)seconds / 3600);
}

static void held_line(const json_t *source, const json_t *h, bool color, StrBuf *out)
{
    CLEANUP(sb_done) StrBuf line = {0};
    const json_t *left = json_object_get(h, "binlog_left_s");
    int64_t since_ms = json_integer_value(json_object_get(h, "since_ms"));
    bool purged = str_eqc(text_of(h, "binlog"), "purged");
    sb_printf(&line, "  " STR_FMT " " STR_FMT "." STR_FMT ": " STR_FMT " at " STR_FMT " for ",
              STR_ARG(text_of(source, "id")), STR_ARG(text_of(h, "schema")), STR_ARG(text_of(h, "table")),
              STR_ARG(text_of(h, "state")), STR_ARG(text_of(h, "from")));
    put_age(&line, since_ms ? (clock_wall_ms() - since_ms) / 1000 : 0);
    if (purged) sb_c(&line, "; its binlog is PURGED: restore it, or detach the table");
    if (json_is_integer(left)) {
        sb_c(&line, "; its binlog is kept for another ");
        put_age(&line, json_integer_value(left));
    }
    text_tone(out, sb_view(&line), purged ? TONE_BAD : TONE_PLAIN, color);
    sb_ch(out, '\n');
}

/* Who waits for whom, since when, and how long that may last. */
static void held_lines(const json_t *status, bool color, StrBuf *out)
{
    const json_t *s, *t, *h;
    json_t *locks = json_array();
    size_t i, k;
    json_array_foreach(json_object_get(status, "targets"), i, t)
    {
        json_t *lock = json_object_get(t, "lock");
        if (json_is_object(lock)) json_array_append(locks, lock);
    }
    if (json_array_size(locks)) {
        sb_ch(out, '\n');
        text_tone(out, STR("LOCKS"), TONE_DIM, color);
        sb_ch(out, '\n');
        locks_text(locks, out);
    }
    json_decref(locks);
    bool first = true;
    json_array_foreach(json_object_get(status, "sources"), i, s)
        json_array_foreach(json_object_get(s, "held"), k, h)
    {
        if (first) {
            sb_ch(out, '\n');
            text_tone(out, STR("HELD"), TONE_DIM, color);
            sb_ch(out, '\n');
        }
        first = false;
        held_line(s, h, color, out);
    }
}

void status_text(const json_t *status, bool color, StrBuf *out)
{
    const json_t *sources = json_object_get(status, "sources"), *s;
    size_t i;
    head(status, color, out);
    if (json_array_size(sources)) {
        sb_ch(out, '\n');
        sources_table(sources, color, out);
        sb_ch(out, '\n');
        counts_table(sources, color, out);
    }
    load_text(json_object_get(status, "load"), color, out);
    objects_table("TARGETS", json_object_get(status, "targets"), color, out);
    held_lines(status, color, out);
    objects_table("APPLIERS", json_object_get(status, "appliers"), color, out);
    error_lines(STR("task"), json_object_get(status, "error"), color, out);
    json_array_foreach(sources, i, s) error_lines(text_of(s, "id"), json_object_get(s, "error"), color, out);
}
