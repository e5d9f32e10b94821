#include "apply/target_ddl_impl.h"
#include "base/poison.h"

enum { WORDS_LINES = 12, SHOWN = 300 };

void target_ddl_marker(const MetaTask *m, uint64_t job, uint32_t n, StrBuf *out)
{
    sb_printf(out, "/* shardmerge %s job %llu.%u */", m->uuid, (unsigned long long)job, n);
}

void target_ddl_lock_name(const MetaTask *m, TableName target, StrBuf *out)
{
    CLEANUP(sb_done) StrBuf who = {0};
    const Str parts[] = {m->schema, m->task, target.schema, target.table};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        sb_str(&who, parts[i]);
        sb_ch(&who, 0);
    }
    sb_printf(out, "shardmerge ddl %016llx", (unsigned long long)str_hash(sb_view(&who)));
}

bool ddl_same_print(Str a, Str b)
{
    if (!a.ptr || !b.ptr) return a.ptr == b.ptr;
    return str_eq(a, b);
}

bool ddl_row_finished(const TargetDdlRow *row)
{
    return str_eqc(row->state, "done") || str_eqc(row->state, "skipped");
}

size_t ddl_first_open(const TargetDdlRow *rows, size_t n)
{
    size_t i = 0;
    while (i < n && ddl_row_finished(&rows[i]))
        i++;
    return i;
}

DdlVerdict ddl_judge(const TargetDdlRow *row, Str live, DdlJobs jobs)
{
    bool before = ddl_same_print(live, row->before), after = ddl_same_print(live, row->after);
    if (before && after) {
        if (str_eqc(row->state, "planned") || row->repeatable) return DDL_RUN;
        if (jobs == DDL_JOBS_DONE) return DDL_DONE;
        /* a refused statement has changed nothing: the server said so */
        if (jobs == DDL_JOBS_UNDONE || str_eqc(row->state, "failed")) return DDL_RUN;
        return DDL_UNCLEAR;
    }
    if (after) return DDL_DONE;
    if (before) return DDL_RUN;
    return DDL_DIFFERS;
}

/* States of information_schema.DDL_JOBS: none, queueing, running, done (not yet known to all nodes), synced,
 * rollingback, rollback done, cancelling, cancelled, pausing, paused; later versions may know more: those
 * count as active, so that they are waited for. */
DdlJobs ddl_jobs_add(DdlJobs so_far, Str state)
{
    DdlJobs one = DDL_JOBS_ACTIVE;
    if (str_ieq(state, STR("synced"))) one = DDL_JOBS_DONE;
    if (str_ieq(state, STR("rollback done")) || str_ieq(state, STR("cancelled"))) one = DDL_JOBS_UNDONE;
    if (so_far == DDL_JOBS_ACTIVE || one == DDL_JOBS_ACTIVE) return DDL_JOBS_ACTIVE;
    return so_far == DDL_JOBS_DONE ? DDL_JOBS_DONE : one;
}

/* -- words -- */

/* A text cut to a bearable length. */
static void put_cut(Str text, StrBuf *out)
{
    sb_add(out, text.ptr, MIN(text.len, (size_t)SHOWN));
    if (text.len > SHOWN) sb_c(out, " …");
}

static bool has_line(Str text, Str line)
{
    while (text.len)
        if (str_eq(str_split(&text, '\n'), line)) return true;
    return false;
}

static void lines_missing(Str from, Str in, const char *word, unsigned *lines, StrBuf *out)
{
    while (from.len) {
        Str line = str_split(&from, '\n');
        if (has_line(in, line)) continue;
        if (++*lines > WORDS_LINES) continue;
        sb_printf(out, "%s%s ", out->len ? "; " : "", word);
        put_cut(line, out);
    }
}

void ddl_difference(Str have, Str want, StrBuf *out)
{
    if (!have.ptr || !want.ptr) {
        if (have.ptr || want.ptr) sb_c(out, have.ptr ? "the table is there" : "the table is not there");
        return;
    }
    CLEANUP(sb_done) StrBuf words = {0};
    unsigned lines = 0;
    lines_missing(want, have, "lacks", &lines, &words);
    lines_missing(have, want, "has", &lines, &words);
    if (lines > WORDS_LINES) sb_printf(&words, "; and %u more", lines - WORDS_LINES);
    if (!lines && !str_eq(have, want)) sb_c(&words, "columns or keys in another order");
    sb_str(out, sb_view(&words));
}

void target_ddl_change(Str before, Str after, StrBuf *out)
{
    CLEANUP(sb_done) StrBuf words = {0};
    unsigned lines = 0;
    lines_missing(before, after, "no more", &lines, &words);
    lines_missing(after, before, "now", &lines, &words);
    if (lines > WORDS_LINES) sb_printf(&words, "; and %u more", lines - WORDS_LINES);
    if (!lines && !str_eq(before, after)) sb_c(&words, "columns or keys in another order");
    sb_str(out, sb_view(&words));
}

#define RETRY "shardmerge locks TASK.yaml --decide retry"

static void put_place(const TargetDdlRow *row, StrBuf *out)
{
    table_name_plain(row->target, out);
    sb_printf(out, ", schema change %llu.%u (", (unsigned long long)row->job, row->n);
    put_cut(row->statement, out);
    sb_ch(out, ')');
}

bool ddl_differs_error(const TargetDdlRow *row, Str live, DdlVerdict v, bool ran, Err *err)
{
    CLEANUP(sb_done) StrBuf place = {0}, words = {0}, remedy = {0};
    put_place(row, &place);
    if (v == DDL_UNCLEAR) {
        sb_c(&remedy, "look whether it has run; if not, run it by hand; then go on: " RETRY);
        return err_set_remedy(
            err, ERR_DDL_DIFFERS, remedy.ptr,
            "%s was sent and its answer was lost; the table looks alike before and after it", place.ptr);
    }
    if (!ran) {
        sb_c(&words, "against before: ");
        ddl_difference(live, row->before, &words);
        sb_c(&words, "; against after: ");
    }
    ddl_difference(live, row->after, &words);
    sb_printf(&remedy,
              "somebody else changed the table: bring it to its definition %safter the statement, "
              "then go on: " RETRY,
              ran ? "" : "before or ");
    return err_set_remedy(err, ERR_DDL_DIFFERS, remedy.ptr,
                          ran ? "%s ran, but the table is not what it should have made: %s"
                              : "%s: the table is neither as before nor as after: %s",
                          place.ptr, words.ptr);
}

/* Who may do what about a refusal. */
static const char *choices(const Err *cause)
{
    switch (cause->code) {
    case ERR_DB_DUPLICATE_KEY:
        return "rows of the merged table collide in the new unique key: change them on one shard; "
               "or "
               "give the route a key strategy that parts the shards (composite, plain-index); or undo the "
               "change "
               "on the shards";
    case ERR_DB_VALUE:
        return "rows of the merged table do not fit the new definition: change them on the shards, or "
               "undo the change there";
    default:
        return "mend what the server names, or do the change by hand so that the table is as after the "
               "statement";
    }
}

bool ddl_refused_error(const TargetDdlRow *row, Err *cause, Err *err)
{
    CLEANUP(sb_done) StrBuf place = {0}, remedy = {0};
    put_place(row, &place);
    if (cause->code == ERR_DB_ACCESS_DENIED) {
        sb_c(&remedy, "GRANT ALTER, CREATE, DROP, INDEX, INSERT, SELECT ON ");
        sb_ident(&remedy, row->target.schema);
        sb_c(&remedy, ".* TO the downstream user; then go on: " RETRY);
    } else {
        sb_printf(&remedy, "%s; then go on: " RETRY, choices(cause));
    }
    ErrCode code = cause->code == ERR_DB_ACCESS_DENIED ? cause->code : ERR_DDL_REFUSED;
    err_set_remedy(err, code, remedy.ptr, "%s: %s", place.ptr, cause->message ? cause->message : "refused");
    err->server_errno = cause->server_errno;
    memcpy(err->sqlstate, cause->sqlstate, sizeof err->sqlstate);
    err_clear(cause);
    return false;
}
