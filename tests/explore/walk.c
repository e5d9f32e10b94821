#include "walk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "search.h"
#include "base/poison.h"

enum { MOST_WAY = 4000, KILLS = 3 };

typedef struct Dice {
    uint64_t state;
} Dice;

/* xorshift64*: the same on every machine. */
static uint32_t roll(Dice *d, uint32_t sides)
{
    d->state ^= d->state >> 12;
    d->state ^= d->state << 25;
    d->state ^= d->state >> 27;
    return (uint32_t)((d->state * 2685821657736338717ull) >> 33) % sides;
}

static void shuffle(Dice *d, char *ddl, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int k = (int)roll(d, (uint32_t)i + 1);
        char was = ddl[i];
        ddl[i] = ddl[k];
        ddl[k] = was;
    }
}

/* A few changes for everybody, in orders of their own at times, with rows of each between them. *out:
 * programs with blanks between. False: the changes make no sense one after another. */
static bool invent(Dice *d, int members, char *out, size_t size)
{
    static const char letters[] = "BBPbCcaRRrkQWNDdXU";
    char ddl[5] = {0};
    int n = 2 + (int)roll(d, 3),
        without = roll(d, 4) ? -1 : (int)roll(d, (uint32_t)n),     /* the last lacks one */
        joins = roll(d, 4) ? -1 : (int)roll(d, (uint32_t)members), /* … that begins as a new table */
        leaves = roll(d, 4) ? -1 : (int)roll(d, (uint32_t)members);
    bool apart = !roll(d, 3);
    for (int i = 0; i < n; i++)
        ddl[i] = letters[roll(d, sizeof letters - 1)];
    size_t at = 0;
    for (int m = 0; m < members; m++) {
        at += (size_t)snprintf(out + at, size - at, "%s%si", m ? " " : "", m == joins ? "J" : "");
        if (apart) shuffle(d, ddl, n);
        for (int i = 0; i < n; i++) {
            if (m == members - 1 && i == without) continue;
            at += (size_t)snprintf(out + at, size - at, "%c%s", ddl[i],
                                   roll(d, 3)   ? "i"
                                   : roll(d, 2) ? "u"
                                                : "");
        }
        if (m == leaves) at += (size_t)snprintf(out + at, size - at, "L");
    }
    return at < size;
}

typedef struct Way {
    Move moves[MOST_WAY];
    int n;
} Way;

static void tell(Game *g, const Way *way)
{
    StrBuf words = {0};
    World w, next;
    CHECK(game_begin(g, &w), "the beginning was good");
    for (int i = 0; i < way->n; i++) {
        move_words(g, &w, way->moves[i], &words);
        bool ok = world_move(g, &w, way->moves[i], &next);
        world_free(&w);
        w = next;
        sb_printf(&words, "  [%s]\n", lock_state_name(lock_state(w.lock)));
        if (!ok) break;
    }
    printf("%s=> %s\n", words.ptr ? words.ptr : "", g->broken);
    world_free(&w);
    sb_done(&words);
}

/* Kills are rare, so that the walk comes to its end. */
static Move choose(Dice *d, const Move *moves, int n)
{
    Move m = moves[roll(d, (uint32_t)n)];
    for (int i = 0; i < 20 && (m.kind == MOVE_KILL || m.kill_after); i++)
        m = moves[roll(d, (uint32_t)n)];
    return m;
}

/* True: all promises held. */
static bool walk_through(Game *g, Dice *d, Way *way)
{
    World w;
    bool ok = true;
    way->n = 0;
    g->broken = NULL;
    CHECK(game_begin(g, &w), "the beginning is good");
    for (bool on = true; ok && on && way->n < MOST_WAY;) {
        Move moves[MOST_MOVES];
        int n = world_moves(g, &w, moves), other = 0;
        for (int i = 0; i < n; i++)
            other += moves[i].kind != MOVE_KILL;
        on = other > 0;
        if (!on) {
            ok = world_check_end(g, &w);
            break;
        }
        World next;
        way->moves[way->n++] = choose(d, moves, n);
        ok = world_move(g, &w, way->moves[way->n - 1], &next);
        world_free(&w);
        w = next;
    }
    world_free(&w);
    return ok;
}

static bool walk_on(Game *g, Dice *d, int walks)
{
    Way *way = mem_zalloc(sizeof *way);
    bool ok = true;
    for (int k = 0; ok && k < walks; k++) {
        ok = walk_through(g, d, way);
        if (!ok) tell(g, way);
    }
    free(way);
    return ok;
}

static Dice dice_of(uint64_t seed)
{
    return (Dice){.state = seed * 0x9E3779B97F4A7C15ull | 1};
}

static void warm(Dice *d)
{
    for (int k = 0; k < 4; k++)
        (void)roll(d, 2);
}

bool walk_game(Game *g, uint64_t seed, int walks)
{
    Dice d = dice_of(seed);
    warm(&d);
    return walk_on(g, &d, walks);
}

size_t walk(size_t games, uint64_t seed)
{
    size_t broken = 0, played = 0;
    for (size_t i = 0; played < games; i++) {
        Dice d = dice_of(seed + i);
        char programs[80];
        Game g;
        LockOpts opts = {.mode = roll(&d, 2) ? LOCK_OPTIMISTIC : LOCK_PESSIMISTIC, .can_delete = true};
        warm(&d);
        if (!invent(&d, 2 + (int)roll(&d, 2), programs, sizeof programs)) continue;
        opts.strict = opts.mode == LOCK_OPTIMISTIC && !roll(&d, 8);
        if (game_of(&g, programs, &opts)) {
            g.kills = KILLS;
            if (!walk_on(&g, &d, 4)) {
                printf("BROKEN walk %llu %s%s %s\n", (unsigned long long)(seed + i),
                       opts.strict ? "strict " : "",
                       opts.mode == LOCK_OPTIMISTIC ? "optimistic" : "pessimistic", programs);
                broken++;
            }
            played++;
        }
        game_done(&g);
    }
    return broken;
}
