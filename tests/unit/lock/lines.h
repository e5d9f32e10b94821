/* Lines of stories about a group: what a member runs, and what is to be seen then. */
#ifndef SM_TESTS_LOCK_LINES_H
#define SM_TESTS_LOCK_LINES_H

#include "group.h"

static const char create[] =
    "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT NOT NULL DEFAULT 7, s VARCHAR(20),"
    " UNIQUE KEY us (s, id), KEY ib (b))";

#define ALTER "ALTER TABLE t "

/* One line of a story: who runs what; then the state and each member: '.' free, 'H' held, 'S' stopped, 'G'
 * gone. A '+' before: the target has changed with this line. */
typedef struct Line {
    uint32_t member;
    const char *sql, *then;
} Line;

#define PESSIMISTIC                                                                                          \
    {                                                                                                        \
        .mode = LOCK_PESSIMISTIC                                                                             \
    }
#define OPTIMISTIC                                                                                           \
    {                                                                                                        \
        .mode = LOCK_OPTIMISTIC                                                                              \
    }

static inline void marks(const Group *g, int alters, StrBuf *out)
{
    sb_clear(out);
    sb_printf(out, "%s%s ", g->alters > alters ? "+" : "", lock_state_name(lock_state(g->lock)));
    for (uint32_t i = 0; i < g->n; i++)
        sb_ch(out, g->members[i].gone ? 'G' : g->members[i].stopped ? 'S' : group_is_held(g, i) ? 'H' : '.');
}

/* What is written down and read again is the same lock. */
static inline void check_json(const Group *g)
{
    StrBuf text = {0}, again = {0};
    Lock *l;
    Err err = {0};
    lock_to_json(g->lock, &text);
    ck_assert_msg(lock_from_json(g->pool, sb_view(&text), &g->opts, &l, &err), "%s", err.message);
    lock_to_json(l, &again);
    ck_assert_str_eq(text.ptr, again.ptr);
    ck_assert_uint_eq(lock_hash(l), lock_hash(g->lock));
    lock_free(l);
    sb_done(&text);
    sb_done(&again);
}

static inline void run_lines(Group *g, const Line *lines, size_t most)
{
    StrBuf now = {0};
    for (size_t i = 0; i < most && lines[i].sql; i++) {
        int alters = g->alters;
        (void)group_run(g, lines[i].member, lines[i].sql);
        marks(g, alters, &now);
        if (lines[i].then) ck_assert_str_eq(now.ptr, lines[i].then);
    }
    sb_done(&now);
}

static inline const LockAction *act_of(const LockActions *a, LockActionKind kind)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->list[i].kind == kind) return &a->list[i];
    return NULL;
}

#endif
