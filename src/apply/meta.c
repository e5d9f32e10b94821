#include "apply/meta.h"
#include "apply/meta_sql.h"
#include <stdlib.h>
#include <jansson.h>
#include "base/fault.h"
#include "base/poison.h"

/* Names of the meta tables: `schema`.sm_x */
void meta_table(StrBuf *out, const MetaTask *m, const char *name)
{
    sb_ident(out, m->schema);
    sb_ch(out, '.');
    sb_c(out, name);
}

static const struct {
    const char *name, *columns;
} tables[] = {
    {"sm_task",
     "task VARCHAR(128) NOT NULL PRIMARY KEY, uuid CHAR(36) NOT NULL, epoch BIGINT UNSIGNED NOT NULL,"
     " checkpoint BIGINT UNSIGNED NOT NULL, state_checkpoint BIGINT UNSIGNED NOT NULL,"
     " started DATETIME NOT NULL"},
    {"sm_progress",
     "task VARCHAR(128) NOT NULL, applier INT UNSIGNED NOT NULL, commit_seq BIGINT UNSIGNED NOT NULL,"
     " epoch BIGINT UNSIGNED NOT NULL, PRIMARY KEY (task, applier)"},
    {"sm_applied",
     "task VARCHAR(128) NOT NULL, applier INT UNSIGNED NOT NULL, commit_seq BIGINT UNSIGNED NOT NULL,"
     " entries LONGBLOB NOT NULL, PRIMARY KEY (task, applier, commit_seq)"},
    {"sm_floor",
     "task VARCHAR(128) NOT NULL, stream VARCHAR(64) NOT NULL, point LONGTEXT NOT NULL,"
     " rows_read BIGINT UNSIGNED NOT NULL, rows_applied BIGINT UNSIGNED NOT NULL,"
     " rows_filtered BIGINT UNSIGNED NOT NULL, rows_missed BIGINT UNSIGNED NOT NULL,"
     " rows_loaded BIGINT UNSIGNED NOT NULL, rows_parked BIGINT UNSIGNED NOT NULL,"
     " transactions BIGINT UNSIGNED NOT NULL, moved DATETIME NOT NULL, PRIMARY KEY (task, stream)"},
    {"sm_chunk",
     "task VARCHAR(128) NOT NULL, stream VARCHAR(64) NOT NULL, chunk BIGINT UNSIGNED NOT NULL,"
     " source_schema VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL, piece BIGINT UNSIGNED NOT "
     "NULL,"
     " lo VARBINARY(4096) NOT NULL, hi VARBINARY(4096) NOT NULL, point LONGTEXT,"
     " row_count BIGINT UNSIGNED NOT NULL, byte_count BIGINT UNSIGNED NOT NULL, copied DATETIME NOT NULL,"
     " PRIMARY KEY (task, stream, chunk)"},
    {"sm_ddl",
     "task VARCHAR(128) NOT NULL, job BIGINT UNSIGNED NOT NULL, n INT UNSIGNED NOT NULL,"
     " target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, statement LONGTEXT NOT NULL,"
     " repeatable TINYINT NOT NULL, fingerprint_before LONGTEXT, fingerprint_after LONGTEXT,"
     " state VARCHAR(10) NOT NULL, attempts INT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, error "
     "TEXT,"
     " planned DATETIME NOT NULL, started DATETIME, ended DATETIME, PRIMARY KEY (task, job, n)"},
    {"sm_parked",
     "task VARCHAR(128) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL,"
     " parked_table VARCHAR(64) NOT NULL, PRIMARY KEY (task, target_schema, target_table)"},
    {"sm_parked_number",
     "task VARCHAR(128) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL,"
     " next_number BIGINT UNSIGNED NOT NULL, PRIMARY KEY (task, target_schema, target_table)"},
    {"sm_decision",
     "task VARCHAR(128) NOT NULL, n BIGINT UNSIGNED NOT NULL, target_schema VARCHAR(64) NOT NULL,"
     " target_table VARCHAR(64) NOT NULL, decision VARCHAR(10) NOT NULL, about BIGINT UNSIGNED NOT NULL,"
     " source VARCHAR(64) NOT NULL, source_schema VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL,"
     " renames LONGTEXT NOT NULL, decided_by VARCHAR(255) NOT NULL, decided DATETIME NOT NULL,"
     " PRIMARY KEY (task, n)"},
    {"sm_remap",
     "task VARCHAR(128) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL,"
     " map_table VARCHAR(64) NOT NULL, next_id BIGINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL,"
     " PRIMARY KEY (task, target_schema, target_table)"},
    {"sm_remap_member",
     "task VARCHAR(128) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL,"
     " member INT UNSIGNED NOT NULL, source VARCHAR(64) NOT NULL, source_schema VARCHAR(64) NOT NULL,"
     " source_table VARCHAR(64) NOT NULL, PRIMARY KEY (task, target_schema, target_table, member),"
     " UNIQUE KEY shard (task, target_schema, target_table, source, source_schema, source_table)"},
    {"sm_missed",
     "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, task VARCHAR(128) NOT NULL,"
     " stream VARCHAR(64) NOT NULL, source_transaction VARCHAR(255) NOT NULL, row_no BIGINT UNSIGNED NOT "
     "NULL,"
     " kind VARCHAR(10) NOT NULL, source_table VARCHAR(255) NOT NULL, target VARCHAR(255) NOT NULL,"
     " before_image LONGTEXT, after_image LONGTEXT, recorded DATETIME NOT NULL"},
};
enum { N_NEEDED = ARRAY_LEN(tables) - 1 }; /* the last is a record for people: the task can do without */

static bool grant_hint(const MetaTask *m, Err *err)
{
    if (err->code != ERR_DB_ACCESS_DENIED) return false;
    Err cause = {0};
    err_move(&cause, err);
    StrBuf remedy = {0};
    sb_c(&remedy, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON ");
    sb_ident(&remedy, m->schema);
    sb_c(&remedy, ".* TO the downstream user, or name another meta-schema");
    err_set_remedy(err, ERR_APPLY_META, remedy.ptr, "meta schema " STR_FMT ": %s", STR_ARG(m->schema),
                   cause.message);
    sb_done(&remedy);
    err_clear(&cause);
    return false;
}

/* An empty one in its place would keep silent about what stood there. */
static bool refuse_lost(const MetaTask *m, const char *name, Err *err)
{
    return err_set_remedy(
        err, ERR_STATE_BEHIND,
        "restore the meta schema and the merged tables from one moment; to start anew delete the state "
        "folders of the tasks on record there, the meta schema and the merged rows",
        "table " STR_FMT ".%s is not there, though all were before the first task ran: somebody dropped it, "
        "or restored a part of a backup",
        STR_ARG(m->schema), name);
}

bool meta_nothing_there(Err *err)
{
    enum { NO_SUCH_DATABASE = 1049, NO_SUCH_TABLE = 1146 };
    if (err->server_errno != NO_SUCH_TABLE && err->server_errno != NO_SUCH_DATABASE) return false;
    err_clear(err);
    return true;
}

/* Is any task on record? */
static bool in_use(Conn *c, const MetaTask *m, bool *yes, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    char *n = NULL;
    sb_c(&sql, "SELECT COUNT(*) FROM ");
    meta_table(&sql, m, "sm_task");
    bool ok = conn_scalar(c, sb_view(&sql), &n, err);
    *yes = n && strcmp(n, "0") != 0;
    free(n);
    return ok || meta_nothing_there(err);
}

/* In this order: whoever put a task on record had made all tables. */
static bool none_lost(Conn *c, const MetaTask *m, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    bool used;
    if (!in_use(c, m, &used, err)) return false;
    if (!used) return true;
    bool there[ARRAY_LEN(tables)] = {false};
    Rows rows;
    Str name;
    sb_c(&sql, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ");
    sb_quoted(&sql, m->schema);
    if (!conn_query(c, sb_view(&sql), &rows, err)) return false;
    while (rows_next(&rows, &name))
        for (size_t i = 0; i < ARRAY_LEN(tables); i++)
            if (str_eqc(name, tables[i].name)) there[i] = true;
    rows_done(&rows);
    for (size_t i = 0; i < N_NEEDED; i++)
        if (!there[i]) return refuse_lost(m, tables[i].name, err);
    return true;
}

bool meta_create(Conn *c, const MetaTask *m, Err *err)
{
    StrBuf sql = {0};
    bool ok = true;
    /* CREATE DATABASE only where it is missing: a user with rights on the schema alone may not repeat it. */
    sb_c(&sql, "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
    sb_quoted(&sql, m->schema);
    char *n = NULL;
    ok = conn_scalar(c, sb_view(&sql), &n, err);
    if (ok && n && strcmp(n, "0") == 0) {
        sb_clear(&sql);
        sb_c(&sql, "CREATE DATABASE IF NOT EXISTS ");
        sb_ident(&sql, m->schema);
        ok = conn_exec(c, sb_view(&sql), NULL, err);
    }
    free(n);
    ok = ok && none_lost(c, m, err);
    for (size_t i = 0; ok && i < ARRAY_LEN(tables); i++) {
        sb_clear(&sql);
        sb_c(&sql, "CREATE TABLE IF NOT EXISTS ");
        meta_table(&sql, m, tables[i].name);
        sb_printf(&sql, " (%s) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                  tables[i].columns);
        ok = conn_exec(c, sb_view(&sql), NULL, err);
    }
    sb_done(&sql);
    return ok || grant_hint(m, err);
}

/* "WHERE task = '…'" */
void meta_where_task(StrBuf *sql, const MetaTask *m)
{
    sb_c(sql, " WHERE task = ");
    sb_quoted(sql, m->task);
}

void meta_where_target(StrBuf *sql, const MetaTask *m, TableName target)
{
    meta_where_task(sql, m);
    sb_c(sql, " AND target_schema = ");
    sb_quoted(sql, target.schema);
    sb_c(sql, " AND target_table = ");
    sb_quoted(sql, target.table);
}

void meta_target_values(StrBuf *sql, const MetaTask *m, TableName target)
{
    sb_quoted(sql, m->task);
    sb_ch(sql, ',');
    sb_quoted(sql, target.schema);
    sb_ch(sql, ',');
    sb_quoted(sql, target.table);
}

void meta_rollback(Conn *c)
{
    Err ignored = {0}; /* the connection may be gone: then the server rolls back by itself */
    if (!conn_exec(c, STR("ROLLBACK"), NULL, &ignored)) err_clear(&ignored);
}

bool meta_u64(Str s, uint64_t *out, Err *err)
{
    return str_to_u64(s, out) || err_set(err, ERR_APPLY_META, "a number in the meta schema cannot be read");
}

static bool refuse_uuid(const MetaStartOpts *o, Str uuid, Err *err)
{
    if (o->state_is_new)
        return err_set_remedy(
            err, ERR_STATE_BEHIND,
            "use the state folder this task was run with, or another task name; to start anew delete the "
            "task's rows in the meta schema and the merged rows",
            "task '" STR_FMT "' exists in the meta schema " STR_FMT " (uuid " STR_FMT
            "), but the state folder is new",
            STR_ARG(o->task->task), STR_ARG(o->task->schema), STR_ARG(uuid));
    return err_set(err, ERR_STATE_BEHIND,
                   "task '" STR_FMT "': the meta schema belongs to uuid " STR_FMT ", the state folder to %s",
                   STR_ARG(o->task->task), STR_ARG(uuid), o->task->uuid);
}

/* Locks the task row and compares both sides' numbers; makes the row when the task is new on both. */
static bool start_task_row(Conn *c, const MetaStartOpts *o, MetaStart *out, Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    bool ok = false;
    sb_c(&sql, "SELECT uuid, epoch, checkpoint, state_checkpoint FROM ");
    meta_table(&sql, o->task, "sm_task");
    meta_where_task(&sql, o->task);
    sb_c(&sql, " FOR UPDATE");
    if (!conn_query(c, sb_view(&sql), &rows, err)) goto out;
    Str v[4];
    if (rows_next(&rows, v)) {
        if (!str_eqc(v[0], o->task->uuid)) {
            refuse_uuid(o, v[0], err);
            goto out;
        }
        if (!meta_u64(v[1], &out->epoch, err) || !meta_u64(v[2], &out->checkpoint, err) ||
            !meta_u64(v[3], &out->state_checkpoint, err))
            goto out;
        if (out->checkpoint < o->downstream_checkpoint) {
            err_set(err, ERR_STATE_BEHIND,
                    "the downstream is at checkpoint %llu, the state folder has seen %llu there: the "
                    "downstream was "
                    "restored from an older moment",
                    (unsigned long long)out->checkpoint, (unsigned long long)o->downstream_checkpoint);
            goto out;
        }
        if (o->state_checkpoint < out->state_checkpoint) {
            err_set(err, ERR_STATE_BEHIND,
                    "the state folder is at checkpoint %llu, the downstream has seen %llu there: the state "
                    "folder was "
                    "restored from an older moment",
                    (unsigned long long)o->state_checkpoint, (unsigned long long)out->state_checkpoint);
            goto out;
        }
    } else {
        if (o->downstream_checkpoint > 0) {
            err_set(err, ERR_STATE_BEHIND,
                    "the state folder has seen checkpoint %llu of task '" STR_FMT
                    "' downstream, where the task is not known now",
                    (unsigned long long)o->downstream_checkpoint, STR_ARG(o->task->task));
            goto out;
        }
        out->task_is_new = true;
        sb_clear(&sql);
        sb_c(&sql, "INSERT INTO ");
        meta_table(&sql, o->task, "sm_task");
        sb_c(&sql, " VALUES (");
        sb_quoted(&sql, o->task->task);
        sb_printf(&sql, ", '%s', 0, 0, %llu, UTC_TIMESTAMP())", o->task->uuid,
                  (unsigned long long)o->state_checkpoint);
        if (!conn_exec(c, sb_view(&sql), NULL, err)) goto out;
    }
    out->epoch++;
    sb_clear(&sql);
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, o->task, "sm_task");
    sb_printf(&sql, " SET epoch = %llu, started = UTC_TIMESTAMP()", (unsigned long long)out->epoch);
    meta_where_task(&sql, o->task);
    ok = conn_exec(c, sb_view(&sql), NULL, err);
out:
    rows_done(&rows);
    sb_done(&sql);
    return ok;
}

/* Raises the epoch in every applier row (this waits for their commits), reads the numbers, adds missing rows.
 */
static bool start_appliers(Conn *c, const MetaStartOpts *o, Arena *arena, MetaStart *out, Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    bool ok = false;
    out->commit_seqs = arena_array(arena, uint64_t, o->n_appliers);
    bool *there = arena_array(arena, bool, o->n_appliers);
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, o->task, "sm_progress");
    sb_printf(&sql, " SET epoch = %llu", (unsigned long long)out->epoch);
    meta_where_task(&sql, o->task);
    if (!conn_exec(c, sb_view(&sql), NULL, err)) goto out;
    sb_clear(&sql);
    sb_c(&sql, "SELECT applier, commit_seq FROM ");
    meta_table(&sql, o->task, "sm_progress");
    meta_where_task(&sql, o->task);
    sb_c(&sql, " FOR UPDATE");
    if (!conn_query(c, sb_view(&sql), &rows, err)) goto out;
    for (Str v[2]; rows_next(&rows, v);) {
        uint64_t applier, seq;
        if (!meta_u64(v[0], &applier, err) || !meta_u64(v[1], &seq, err)) goto out;
        if (applier >= o->n_appliers) continue;
        out->commit_seqs[applier] = seq;
        there[applier] = true;
    }
    for (uint32_t a = 0; a < o->n_appliers; a++) {
        if (there[a]) continue;
        sb_clear(&sql);
        sb_c(&sql, "INSERT INTO ");
        meta_table(&sql, o->task, "sm_progress");
        sb_c(&sql, " VALUES (");
        sb_quoted(&sql, o->task->task);
        sb_printf(&sql, ", %u, 0, %llu)", a, (unsigned long long)out->epoch);
        if (!conn_exec(c, sb_view(&sql), NULL, err)) goto out;
    }
    ok = true;
out:
    rows_done(&rows);
    sb_done(&sql);
    return ok;
}

static bool read_floors(Conn *c, const MetaTask *m, const Str *only, bool lock, Arena *arena, MetaFloor **out,
                        size_t *n, Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    bool ok = false;
    sb_c(&sql, "SELECT stream, point, rows_read, rows_applied, rows_filtered, rows_missed, rows_loaded, "
               "rows_parked, transactions FROM ");
    meta_table(&sql, m, "sm_floor");
    meta_where_task(&sql, m);
    if (only) {
        sb_c(&sql, " AND stream = ");
        sb_quoted(&sql, *only);
    }
    if (lock) sb_c(&sql, " FOR UPDATE");
    if (!conn_query(c, sb_view(&sql), &rows, err)) goto out;
    *out = arena_array(arena, MetaFloor, rows.n_rows + 1);
    *n = 0;
    for (Str v[9]; rows_next(&rows, v);) {
        MetaFloor *f = &(*out)[(*n)++];
        f->stream = arena_str(arena, v[0]);
        f->point_json = arena_str(arena, v[1]);
        if (!meta_u64(v[2], &f->counts.read, err) || !meta_u64(v[3], &f->counts.applied, err) ||
            !meta_u64(v[4], &f->counts.filtered, err) || !meta_u64(v[5], &f->counts.missed, err) ||
            !meta_u64(v[6], &f->counts.loaded, err) || !meta_u64(v[7], &f->counts.parked, err) ||
            !meta_u64(v[8], &f->transactions, err))
            goto out;
        /* counters of a floor add up: the rest was held */
        RowCounts *k = &f->counts;
        uint64_t told = k->applied + k->filtered + k->missed + k->loaded + k->parked;
        k->held = k->read - MIN(k->read, told);
    }
    ok = true;
out:
    rows_done(&rows);
    sb_done(&sql);
    return ok;
}

static bool read_applied(Conn *c, const MetaTask *m, bool lock, Arena *arena, MetaAppliedRow **out, size_t *n,
                         Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    bool ok = false;
    sb_c(&sql, "SELECT applier, commit_seq, entries FROM ");
    meta_table(&sql, m, "sm_applied");
    meta_where_task(&sql, m);
    if (lock) sb_c(&sql, " FOR UPDATE");
    if (!conn_query(c, sb_view(&sql), &rows, err)) goto out;
    *out = arena_array(arena, MetaAppliedRow, rows.n_rows + 1);
    *n = 0;
    for (Str v[3]; rows_next(&rows, v);) {
        MetaAppliedRow *r = &(*out)[(*n)++];
        uint64_t applier;
        if (!meta_u64(v[0], &applier, err) || !meta_u64(v[1], &r->commit_seq, err)) goto out;
        r->applier = (uint32_t)applier;
        r->entries = arena_str(arena, v[2]);
    }
    ok = true;
out:
    rows_done(&rows);
    sb_done(&sql);
    return ok;
}

bool meta_start(Conn *c, const Dialect *d, const MetaStartOpts *o, Arena *arena, MetaStart *out, Err *err)
{
    *out = (MetaStart){0};
    if (!conn_exec(c, str_of(session_begin_sql(d)), NULL, err)) return false;
    if (start_task_row(c, o, out, err) && start_appliers(c, o, arena, out, err) &&
        read_floors(c, o->task, NULL, true, arena, &out->floors, &out->n_floors, err) &&
        read_applied(c, o->task, true, arena, &out->rows, &out->n_rows, err) &&
        conn_exec(c, STR("COMMIT"), NULL, err))
        return true;
    meta_rollback(c);
    return grant_hint(o->task, err);
}

/* Locks the task row and compares the epoch. */
bool meta_lock_epoch(Conn *c, const MetaTask *m, uint64_t epoch, Err *err)
{
    StrBuf sql = {0};
    char *text = NULL;
    uint64_t now = 0;
    sb_c(&sql, "SELECT epoch FROM ");
    meta_table(&sql, m, "sm_task");
    meta_where_task(&sql, m);
    sb_c(&sql, " FOR UPDATE");
    bool ok = conn_scalar(c, sb_view(&sql), &text, err);
    sb_done(&sql);
    if (!ok) return false;
    ok = text && str_to_u64(str_of(text), &now) && now == epoch;
    free(text);
    return ok || err_set(err, ERR_APPLY_FENCED, "the task's epoch downstream is %llu, ours is %llu",
                         (unsigned long long)now, (unsigned long long)epoch);
}

bool meta_read_stream(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream, Arena *arena,
                      MetaFloor *floor, bool *found, MetaAppliedRow **rows, size_t *n_rows, Err *err)
{
    MetaFloor *floors;
    size_t n;
    if (!conn_exec(c, str_of(session_begin_sql(d)), NULL, err)) return false;
    if (!meta_lock_epoch(c, m, epoch, err) || !read_floors(c, m, &stream, true, arena, &floors, &n, err) ||
        !read_applied(c, m, true, arena, rows, n_rows, err) || !conn_exec(c, STR("COMMIT"), NULL, err)) {
        meta_rollback(c);
        return false;
    }
    *found = n > 0;
    if (*found) *floor = floors[0];
    return true;
}

static bool write_floor(Conn *c, const MetaTask *m, const MetaFloor *f, Err *err)
{
    StrBuf sql = {0}, values = {0};
    uint64_t matched = 0;
    sb_c(&values, " SET point = ");
    sb_quoted(&values, f->point_json);
    sb_printf(&values,
              ", rows_read = %llu, rows_applied = %llu, rows_filtered = %llu, rows_missed = %llu, "
              "rows_loaded = %llu, rows_parked = %llu, transactions = %llu,"
              " moved = UTC_TIMESTAMP()",
              (unsigned long long)f->counts.read, (unsigned long long)f->counts.applied,
              (unsigned long long)f->counts.filtered, (unsigned long long)f->counts.missed,
              (unsigned long long)f->counts.loaded, (unsigned long long)f->counts.parked,
              (unsigned long long)f->transactions);
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m, "sm_floor");
    sb_str(&sql, sb_view(&values));
    meta_where_task(&sql, m);
    sb_c(&sql, " AND stream = ");
    sb_quoted(&sql, f->stream);
    bool ok = conn_exec(c, sb_view(&sql), &matched, err);
    if (ok && matched == 0) { /* the stream's first */
        sb_clear(&sql);
        sb_c(&sql, "INSERT INTO ");
        meta_table(&sql, m, "sm_floor");
        sb_str(&sql, sb_view(&values));
        sb_c(&sql, ", task = ");
        sb_quoted(&sql, m->task);
        sb_c(&sql, ", stream = ");
        sb_quoted(&sql, f->stream);
        ok = conn_exec(c, sb_view(&sql), NULL, err);
    }
    sb_done(&sql);
    sb_done(&values);
    return ok;
}

static bool delete_covered(Conn *c, const MetaTask *m, const MetaRowKey *covered, size_t n, Err *err)
{
    enum { AT_ONCE = 500 };
    StrBuf sql = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i += AT_ONCE) {
        sb_clear(&sql);
        sb_c(&sql, "DELETE FROM ");
        meta_table(&sql, m, "sm_applied");
        meta_where_task(&sql, m);
        sb_c(&sql, " AND (applier, commit_seq) IN (");
        for (size_t j = i; j < n && j < i + AT_ONCE; j++)
            sb_printf(&sql, "%s(%u,%llu)", j > i ? "," : "", covered[j].applier,
                      (unsigned long long)covered[j].commit_seq);
        sb_ch(&sql, ')');
        ok = conn_exec(c, sb_view(&sql), NULL, err);
    }
    sb_done(&sql);
    return ok;
}

bool meta_write_floors(Conn *c, const Dialect *d, const MetaTask *m, const MetaCheckpoint *cp, Err *err)
{
    StrBuf sql = {0};
    bool ok = conn_exec(c, str_of(session_begin_sql(d)), NULL, err) && meta_lock_epoch(c, m, cp->epoch, err);
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m, "sm_task");
    sb_printf(&sql, " SET checkpoint = %llu, state_checkpoint = %llu", (unsigned long long)cp->checkpoint,
              (unsigned long long)cp->state_checkpoint);
    meta_where_task(&sql, m);
    ok = ok && conn_exec(c, sb_view(&sql), NULL, err);
    sb_done(&sql);
    for (size_t i = 0; ok && i < cp->n_floors; i++)
        ok = write_floor(c, m, &cp->floors[i], err);
    ok = ok && delete_covered(c, m, cp->covered, cp->n_covered, err);
    for (size_t i = 0; ok && i < cp->n_merges; i++)
        ok = meta_merge_chunks(c, m, &cp->merges[i], err);
    if (ok && FAULT("floor.before_commit")) ok = err_set(err, ERR_DB_LOST, "fault floor.before_commit");
    ok = ok && conn_exec(c, STR("COMMIT"), NULL, err);
    if (ok && FAULT("floor.after_commit")) ok = err_set(err, ERR_DB_LOST, "fault floor.after_commit");
    if (!ok) meta_rollback(c);
    return ok;
}

bool meta_drop_floors(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, const Str *streams,
                      size_t n, Err *err)
{
    StrBuf sql = {0};
    if (!n) return true;
    sb_c(&sql, "DELETE FROM ");
    meta_table(&sql, m, "sm_floor");
    meta_where_task(&sql, m);
    sb_c(&sql, " AND stream IN (");
    for (size_t i = 0; i < n; i++) {
        if (i) sb_c(&sql, ", ");
        sb_quoted(&sql, streams[i]);
    }
    sb_ch(&sql, ')');
    bool ok = conn_exec(c, str_of(session_begin_sql(d)), NULL, err) && meta_lock_epoch(c, m, epoch, err) &&
              conn_exec(c, sb_view(&sql), NULL, err) && conn_exec(c, STR("COMMIT"), NULL, err);
    if (!ok) meta_rollback(c);
    sb_done(&sql);
    return ok;
}

bool meta_settle_commit(Conn *c, const Dialect *d, const MetaTask *m, uint32_t applier, uint64_t epoch,
                        uint64_t seq_before, bool *committed, Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    Str v[2];
    uint64_t seq = 0, now = 0;
    bool ok = conn_exec(c, str_of(session_begin_sql(d)), NULL, err);
    sb_c(&sql, "SELECT commit_seq, epoch FROM ");
    meta_table(&sql, m, "sm_progress");
    meta_where_task(&sql, m);
    sb_printf(&sql, " AND applier = %u FOR UPDATE", applier);
    ok = ok && conn_query(c, sb_view(&sql), &rows, err);
    sb_done(&sql);
    if (ok && !(rows_next(&rows, v) && str_to_u64(v[0], &seq) && str_to_u64(v[1], &now)))
        ok = err_set(err, ERR_APPLY_FENCED, "the applier's progress row is gone");
    rows_done(&rows);
    if (ok && now != epoch)
        ok = err_set(err, ERR_APPLY_FENCED, "the task's epoch downstream is %llu, ours is %llu",
                     (unsigned long long)now, (unsigned long long)epoch);
    if (ok && seq != seq_before && seq != seq_before + 1)
        ok = err_set(err, ERR_APPLY_FENCED, "applier %u is at commit %llu downstream, here at %llu", applier,
                     (unsigned long long)seq, (unsigned long long)seq_before);
    *committed = seq == seq_before + 1;
    meta_rollback(c);
    return ok;
}

void meta_fence_sql(const MetaTask *m, uint32_t applier, uint64_t epoch, uint64_t seq_before, StrBuf *out)
{
    sb_c(out, "UPDATE ");
    meta_table(out, m, "sm_progress");
    sb_c(out, " SET commit_seq = commit_seq + 1");
    meta_where_task(out, m);
    sb_printf(out, " AND applier = %u AND commit_seq = %llu AND epoch = %llu", applier,
              (unsigned long long)seq_before, (unsigned long long)epoch);
}

void meta_applied_sql(const MetaTask *m, uint32_t applier, uint64_t seq, Str entries, StrBuf *out)
{
    sb_c(out, "INSERT INTO ");
    meta_table(out, m, "sm_applied");
    sb_c(out, " VALUES (");
    sb_quoted(out, m->task);
    sb_printf(out, ",%u,%llu,x'", applier, (unsigned long long)seq);
    sb_hex(out, entries.ptr, entries.len);
    sb_c(out, "')");
}

void meta_missed_sql(const MetaTask *m, const MetaMissed *r, StrBuf *out)
{
    sb_c(out, "INSERT INTO ");
    meta_table(out, m, "sm_missed");
    sb_c(out, " (task, stream, source_transaction, row_no, kind, source_table, target, before_image, "
              "after_image, recorded)"
              " VALUES (");
    sb_quoted(out, m->task);
    sb_ch(out, ',');
    sb_quoted(out, r->stream);
    sb_ch(out, ',');
    sb_quoted(out, r->identity);
    sb_printf(out, ",%llu,", (unsigned long long)r->row_no);
    sb_quoted(out, r->kind);
    sb_ch(out, ',');
    sb_quoted(out, r->source_table);
    sb_ch(out, ',');
    sb_quoted(out, r->target);
    sb_ch(out, ',');
    if (r->before_json.ptr)
        sb_quoted(out, r->before_json);
    else
        sb_c(out, "NULL");
    sb_ch(out, ',');
    if (r->after_json.ptr)
        sb_quoted(out, r->after_json);
    else
        sb_c(out, "NULL");
    sb_c(out, ",UTC_TIMESTAMP())");
}
