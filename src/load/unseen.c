#include "load/unseen.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "base/clock.h"
#include "db/server.h"
#include "db/xa_recover.h"
#include "base/poison.h"

enum { VISIBLE_MS = 5000, LONGEST_WAIT_MS = 50 };

bool doubt_read(LoadReader *r, Doubt **out, Err *err)
{
    StreamPoint at = {0};
    PreparedXids prepared;
    StrBuf xids = {0};
    *out = NULL;
    if (!server_current_point(r->conn, r->load->flavor, &at, err) || !xa_recover(r->conn, &prepared, err)) {
        point_done(&at);
        return err_wrap(err, "source %s", r->load->opts.source_id);
    }
    for (size_t i = 0; i < prepared.n; i++) {
        sb_str(&xids, prepared.xids[i]);
        sb_ch(&xids, '\n');
    }
    xa_recover_done(&prepared);
    *out = mem_zalloc(sizeof **out);
    (*out)->file = str_dup(str_of(at.file ? at.file : ""));
    (*out)->pos = at.pos;
    (*out)->xids = sb_take(&xids);
    point_done(&at);
    return true;
}

void doubt_free(Doubt *d)
{
    if (!d) return;
    free(d->file);
    free(d->xids);
    free(d);
}

bool unseen_maybe(const Range *r, const Txn *t)
{
    const Doubt *d = r->doubt;
    int c;
    if (!d || t->xa_step != XA_STEP_COMMIT) return false;
    bool over = t->id.file.len && place_cmp(d->file, d->pos, t->id.file, t->id.end_pos, &c) && c >= 0;
    return !over || (d->xids && str_find(str_of(d->xids), t->xid) != SIZE_MAX);
}

void unseen_note(Load *l, const Txn *t)
{
    if (l->flavor != FLAVOR_MARIADB || l->opts.judges_only) return;
    if (t->xa_step == XA_STEP_PREPARE) { /* the xid is used again: its last transaction is over */
        (void)map_take(&l->unseen, t->xid);
        return;
    }
    if (l->unseen.count == UNSEEN_MOST) {
        map_done(&l->unseen);
        l->unnoted++;
    }
    (void)map_put(&l->unseen, t->xid, (void *)(uintptr_t)++l->n_unseen);
}

/* Takes out what was noted up to `last` and is not prepared any more; says one that still is. */
static bool settle(Load *l, const PreparedXids *p, uint64_t last, Str *still)
{
    Map left = {0};
    size_t iter = 0;
    Str xid;
    void *value;
    *still = (Str){0};
    for (size_t i = 0; i < p->n; i++) {
        value = map_get(&l->unseen, p->xids[i]);
        if (value && (uintptr_t)value <= last) *still = p->xids[i];
        if (value) (void)map_put(&left, p->xids[i], value);
    }
    while (map_next(&l->unseen, &iter, &xid, &value))
        if ((uintptr_t)value > last) (void)map_put(&left, xid, value);
    map_done(&l->unseen);
    l->unseen = left;
    return still->len == 0;
}

static bool stands_in(const PreparedXids *p, Str xid)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->xids[i], xid)) return true;
    return false;
}

void unseen_from_here(Load *l)
{
    l->unnoted += !atomic_load(&l->active);
    atomic_store(&l->active, true);
}

/* Nobody noted what the stream came past while all tables were copied, or in a run before this one: what is
 * prepared now may be of those. It is outlasted, or so many seconds are: a COMMIT in the binlog is seen
 * sooner. */
static bool outlast(LoadReader *r, unsigned unnoted, Err *err)
{
    Load *l = r->load;
    int64_t deadline = clock_mono_ms() + VISIBLE_MS;
    PreparedXids first;
    if (!xa_recover(r->conn, &first, err)) return err_wrap(err, "source %s", l->opts.source_id);
    bool ok = true, any = first.n > 0;
    while (ok && any && clock_mono_ms() < deadline) {
        PreparedXids now;
        ok = !reader_sleep(r, LONGEST_WAIT_MS) || err_set(err, ERR_CANCELLED, "stopping");
        ok = ok && xa_recover(r->conn, &now, err);
        if (!ok) break;
        any = false;
        for (size_t i = 0; i < first.n; i++)
            any |= stands_in(&now, first.xids[i]);
        xa_recover_done(&now);
    }
    xa_recover_done(&first);
    if (!ok) return false;
    pthread_mutex_lock(&l->mutex);
    l->outlasted = MAX(l->outlasted, unnoted);
    pthread_mutex_unlock(&l->mutex);
    return true;
}

/* Until none of those that are noted now is prepared any more. */
static bool noted_are_seen(LoadReader *r, Err *err)
{
    Load *l = r->load;
    int64_t deadline = clock_mono_ms() + VISIBLE_MS;
    pthread_mutex_lock(&l->mutex);
    uint64_t last = l->n_unseen;
    bool any = l->unseen.count > 0;
    pthread_mutex_unlock(&l->mutex);
    for (int64_t wait_ms = 1; any; wait_ms = MIN(wait_ms * 2, (int64_t)LONGEST_WAIT_MS)) {
        PreparedXids prepared;
        Str still;
        if (!xa_recover(r->conn, &prepared, err)) return err_wrap(err, "source %s", l->opts.source_id);
        pthread_mutex_lock(&l->mutex);
        any = !settle(l, &prepared, last, &still);
        pthread_mutex_unlock(&l->mutex);
        bool late = any && clock_mono_ms() > deadline;
        if (late)
            err_set(err, ERR_DB_RETRY,
                    "source %s: XA transaction " STR_FMT
                    " was committed, says the binlog, but the server still has it as "
                    "prepared",
                    l->opts.source_id, STR_ARG(still));
        xa_recover_done(&prepared);
        if (late) return false;
        if (any && reader_sleep(r, wait_ms)) return err_set(err, ERR_CANCELLED, "stopping");
    }
    return true;
}

bool unseen_wait(LoadReader *r, Err *err)
{
    Load *l = r->load;
    for (bool again = true; again;) {
        pthread_mutex_lock(&l->mutex);
        unsigned unnoted = l->unnoted;
        bool over = l->outlasted >= unnoted;
        pthread_mutex_unlock(&l->mutex);
        if (!over && !outlast(r, unnoted, err)) return false;
        if (!noted_are_seen(r, err)) return false;
        pthread_mutex_lock(&l->mutex);
        again = l->unnoted != unnoted; /* they may have been forgotten meanwhile */
        pthread_mutex_unlock(&l->mutex);
    }
    return true;
}

void unseen_forget(Load *l)
{
    map_done(&l->unseen);
    l->n_unseen = 0;
    l->unnoted = 1;
    l->outlasted = 0;
}
