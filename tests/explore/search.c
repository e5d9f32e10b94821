#include "search.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

typedef struct Node {
    uint32_t parent;
    Move move;
} Node;

typedef struct Search {
    Game *g;
    Node *nodes; /* all states found, in order */
    size_t n, cap;
    World *worlds; /* of nodes from `first` on */
    size_t cap_worlds;
    uint64_t *seen; /* open addressing; 0 is free */
    size_t cap_seen;
} Search;

static bool see(Search *s, uint64_t h)
{
    h += !h;
    if ((s->n + 1) * 2 > s->cap_seen) {
        size_t old = s->cap_seen;
        uint64_t *was = s->seen;
        s->cap_seen = old ? old * 2 : 1024;
        s->seen = mem_zalloc(s->cap_seen * sizeof *s->seen);
        for (size_t i = 0; i < old; i++) {
            size_t at = was[i] & (s->cap_seen - 1);
            while (was[i] && s->seen[at])
                at = (at + 1) & (s->cap_seen - 1);
            if (was[i]) s->seen[at] = was[i];
        }
        free(was);
    }
    size_t at = h & (s->cap_seen - 1);
    for (; s->seen[at]; at = (at + 1) & (s->cap_seen - 1))
        if (s->seen[at] == h) return false;
    s->seen[at] = h;
    return true;
}

static void push(Search *s, World *w, uint32_t parent, Move m)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->nodes = mem_realloc(s->nodes, s->cap * sizeof *s->nodes);
        s->worlds = mem_realloc(s->worlds, s->cap * sizeof *s->worlds);
    }
    s->nodes[s->n] = (Node){parent, m};
    s->worlds[s->n++] = *w;
}

static void tell_way(Search *s, uint32_t at, const Move *last, SearchResult *out)
{
    Move way[512];
    int n = 0;
    if (last) way[n++] = *last;
    for (; at; at = s->nodes[at].parent) {
        CHECK(n < 512, "a way is short");
        way[n++] = s->nodes[at].move;
    }
    World w, next;
    CHECK(game_begin(s->g, &w), "the beginning was good");
    while (n-- > 0) {
        move_words(s->g, &w, way[n], &out->trace);
        bool ok = world_move(s->g, &w, way[n], &next);
        world_free(&w);
        w = next;
        sb_printf(&out->trace, "  [%s]\n", lock_state_name(lock_state(w.lock)));
        if (!ok) break;
    }
    lock_explain(w.lock, &out->trace);
    world_free(&w);
    sb_printf(&out->trace, "\n=> %s\n", s->g->broken);
}

static bool expand(Search *s, uint32_t at, SearchResult *out)
{
    Move moves[MOST_MOVES];
    World here = s->worlds[at];
    int n = world_moves(s->g, &here, moves), other = 0;
    for (int i = 0; i < n; i++) {
        World next;
        other += moves[i].kind != MOVE_KILL;
        if (!world_move(s->g, &here, moves[i], &next)) {
            world_free(&next);
            out->broken = true;
            tell_way(s, at, &moves[i], out);
            return false;
        }
        if (see(s, world_hash(&next)))
            push(s, &next, at, moves[i]);
        else
            world_free(&next);
    }
    if (!other) {
        out->ends++;
        out->ends_in[lock_state(here.lock)]++;
        if (!world_check_end(s->g, &here)) {
            out->broken = true;
            tell_way(s, at, NULL, out);
            return false;
        }
    }
    world_free(&s->worlds[at]);
    return true;
}

void search(Game *g, size_t most_states, SearchResult *out)
{
    Search s = {.g = g};
    World w;
    *out = (SearchResult){0};
    g->broken = NULL;
    CHECK(game_begin(g, &w), "the beginning is good");
    see(&s, world_hash(&w));
    push(&s, &w, 0, (Move){0});
    size_t at = 0;
    for (; at < s.n && s.n < most_states; at++)
        if (!expand(&s, (uint32_t)at, out)) break;
    out->cut = !out->broken && at < s.n;
    out->states = s.n;
    for (; at < s.n; at++)
        world_free(&s.worlds[at]);
    free(s.nodes);
    free(s.worlds);
    free(s.seen);
}

bool game_of(Game *g, const char *programs, const LockOpts *opts)
{
    *g = (Game){.pool = version_pool_new(), .opts = *opts, .kills = 1};
    for (Str rest = str_of(programs); rest.len;) {
        Str own = str_split(&rest, ' ');
        CHECK(g->n_members < MOST_MEMBERS, "few members");
        char *text = str_dup(own);
        bool ok = shard_run(g->pool, g->n_members, text, &g->shards[g->n_members]);
        g->n_members++;
        if (!ok) return false;
    }
    return true;
}

void game_done(Game *g)
{
    for (int i = 0; i < g->n_members; i++)
        free((char *)(uintptr_t)g->shards[i].program);
    map_done(&g->read_back);
    version_pool_free(g->pool);
    *g = (Game){0};
}
