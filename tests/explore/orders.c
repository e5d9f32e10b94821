#include "orders.h"
#include <stdio.h>
#include <string.h>
#include "search.h"
#include "walk.h"
#include "base/poison.h"

enum { MOST_CHANGES = 4, MOST_ORDERS = 24, WALKS = 3 };

/* Of some changes, all orders that make sense. */
typedef struct Orders {
    char programs[MOST_ORDERS][16];
    size_t n;
} Orders;

static bool makes_sense(const char *program)
{
    VersionPool *pool = version_pool_new();
    Shard s;
    bool ok = shard_run(pool, 0, program, &s);
    version_pool_free(pool);
    return ok;
}

static bool is_listed(const Orders *o, const char *program)
{
    bool found = false;
    for (size_t i = 0; i < o->n; i++)
        found |= strcmp(o->programs[i], program) == 0;
    return found;
}

/* The first `at` letters stay. */
static void list_orders(char *ddl, size_t at, Orders *o)
{
    size_t n = strlen(ddl);
    for (size_t i = at; i < n; i++) {
        char was = ddl[i];
        ddl[i] = ddl[at];
        ddl[at] = was;
        list_orders(ddl, at + 1, o);
        ddl[at] = ddl[i];
        ddl[i] = was;
    }
    char program[16];
    snprintf(program, sizeof program, "i%si", ddl);
    if (at == n && !is_listed(o, program) && makes_sense(program))
        snprintf(o->programs[o->n++], sizeof program, "%s", program);
}

static bool walk_pair(const char *a, const char *b, LockMode mode, uint64_t seed)
{
    char programs[40];
    Game g;
    LockOpts opts = {.mode = mode};
    snprintf(programs, sizeof programs, "%s %s", a, b);
    bool ok = !game_of(&g, programs, &opts) || walk_game(&g, seed, WALKS);
    if (!ok) printf("BROKEN %s %s\n", mode == LOCK_OPTIMISTIC ? "optimistic" : "pessimistic", programs);
    game_done(&g);
    return ok;
}

static size_t walk_pairs(char *ddl)
{
    Orders o = {0};
    size_t broken = 0;
    list_orders(ddl, 0, &o);
    for (size_t a = 0; a < o.n; a++)
        for (size_t b = a; b < o.n; b++)
            for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++)
                broken += !walk_pair(o.programs[a], o.programs[b], (LockMode)mode, a * MOST_ORDERS + b);
    return broken;
}

static size_t walk_sets(const char *letters, char *ddl, int n, int most)
{
    if (n == most) return walk_pairs(ddl);
    size_t broken = 0;
    for (const char *p = letters; *p; p++) {
        ddl[n] = *p;
        ddl[n + 1] = 0;
        broken += walk_sets(p, ddl, n + 1, most);
    }
    return broken;
}

size_t walk_orders(int most)
{
    char ddl[MOST_CHANGES + 1] = {0};
    return walk_sets("NWBDRXU", ddl, 0, most);
}
