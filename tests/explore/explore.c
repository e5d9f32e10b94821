/* explore [short|pairs|losses|decisions|refills|recopies|orders|stops|long]: all interleavings of small
 * programs against the lock's promises. explore rules: each rule of the lock, broken, is noticed. explore
 * walk [GAMES [SEED]]: random walks through longer programs. explore outcomes: the page
 * docs/reference/ddl-outcomes.md. explore PROGRAM PROGRAM … [optimistic] [strict] [rule N] [POLICY] [decide
 * LETTERS [decides N]] [fail] [kills N]: one game; N breaks a rule of lock.h; POLICY is for rows that go
 * away; one decision, or N, of those LETTERS (r release, s skip, d detach, a accept); the target refuses one
 * change. Exit 0: all promises hold; 1: one is broken, the shortest way there is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "orders.h"
#include "outcomes.h"
#include "search.h"
#include "walk.h"
#include "base/poison.h"

typedef struct Sum {
    size_t games, states, ends, ends_in[LOCK_OPERATOR + 1], cut, broken;
} Sum;

/* What may happen besides the programs. */
typedef struct Luck {
    int kills, fails, decides;
    const char *decisions;
} Luck;
static const Luck plain_luck = {.kills = 1};

static const char *policy_name(LockPolicy p)
{
    static const char *const names[] = {"hold", "ignore", "delete-shard-rows", "apply-when-all"};
    return names[p];
}

static void set_policy(LockOpts *opts, LockPolicy p)
{
    opts->on_drop = opts->on_truncate = opts->on_partition = opts->on_rename = p;
}

static void play(const char *programs, const LockOpts *opts, const Luck *luck, size_t most, Sum *sum)
{
    Game g;
    if (game_of(&g, programs, opts)) {
        SearchResult r;
        g.kills = luck->kills;
        g.fails = luck->fails;
        g.decides = luck->decides;
        g.decisions = luck->decisions;
        search(&g, most, &r);
        sum->games++;
        sum->states += r.states;
        sum->ends += r.ends;
        for (int i = 0; i <= LOCK_OPERATOR; i++)
            sum->ends_in[i] += r.ends_in[i];
        sum->cut += r.cut;
        sum->broken += r.broken;
        if (r.broken)
            printf("BROKEN %s %s, losses %s\n%s\n",
                   opts->mode == LOCK_OPTIMISTIC ? "optimistic" : "pessimistic", programs,
                   policy_name(opts->on_drop), r.trace.ptr);
        sb_done(&r.trace);
    }
    game_done(&g);
}

static void play_both(const char *programs, size_t most, Sum *sum)
{
    for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++)
        play(programs, &(LockOpts){.mode = (LockMode)mode}, &plain_luck, most, sum);
}

/* Every sequence of up to `most` DDL statements, rows between them. */
static size_t sequences(int most, char list[][16])
{
    static const char letters[] = "BPCDTabcRrWNXU";
    size_t n = 0, from = 0;
    snprintf(list[n++], 16, "i");
    for (int length = 1; length <= most; length++) {
        size_t end = n;
        for (size_t i = from; i < end; i++)
            for (const char *p = letters; *p; p++) {
                char text[16];
                snprintf(text, sizeof text, "%s%ci", list[i], *p);
                VersionPool *pool = version_pool_new();
                Shard s;
                if (shard_run(pool, 0, text, &s)) snprintf(list[n++], 16, "%s", text);
                version_pool_free(pool);
            }
        from = end;
    }
    return n;
}

static void all_pairs(int most_ddl, size_t most, Sum *sum)
{
    static char list[400][16];
    size_t n = sequences(most_ddl, list);
    for (size_t a = 0; a < n; a++)
        for (size_t b = a; b < n; b++) {
            char text[40];
            snprintf(text, sizeof text, "%s %s", list[a], list[b]);
            play_both(text, most, sum);
            if (a == b) continue;
            snprintf(text, sizeof text, "%s %s", list[b], list[a]);
            play_both(text, most, sum);
        }
}

static void all_triples(size_t most, Sum *sum)
{
    static const char *const one[] = {"i", "Bi", "iBi", "iai", "iRi", "iDi", "iNi"};
    for (size_t a = 0; a < ARRAY_LEN(one); a++)
        for (size_t b = 0; b < ARRAY_LEN(one); b++)
            for (size_t c = 0; c < ARRAY_LEN(one); c++) {
                char text[40];
                snprintf(text, sizeof text, "%s %s %s", one[a], one[b], one[c]);
                play_both(text, most, sum);
            }
}

static void chosen(size_t most, Sum *sum)
{
    static const char *const games[] = {
        "iBi iBi",  "iBi i",       "iBiCi iCiBi", "iBibi i",     "iBibi iBi",  "iBibiBi iBi", "iRi iRi",
        "iRi iai",  "iRi iabi",    "iRiri i",     "iRiri iRiri", "iai iai",    "iNi iNi",     "iNiBi iNiBi",
        "iWi iWi",  "iWi iNi",     "iBui iPui",   "iBiaui iaBi", "iDidi iDi",  "iDi iDi",     "iUi iUi",
        "iXi i",    "iXi iXi",     "iUiBi iBUi",  "iBi iBi iBi", "iai iai i",  "Bi RiB i",    "iRi iRi i",
        "iBbi ibi", "iBibBi iBbB", "ibi i",       "iBRi iRBi",   "iNiWi iNWi", "iTi iTi",     "iWiNi iNi",
        "iDui iui", "iBiCi iBiCi", "iRi iaQi",    "iQi iRi",     "iQki iQi",   "iWiai i",     "iWiai iWi",
        "JiBi iBi", "JiRi iaQi",   "iRiki iaQi",  "JiNiWi iNWi", "iNRi JiNRi", "iWai iWiai",
    };
    for (size_t i = 0; i < ARRAY_LEN(games); i++)
        play_both(games[i], most, sum);
}

/* Rows and tables that go away, members that come and leave, under each policy. */
static void losses(size_t most, Sum *sum)
{
    static const char *const games[] = {
        "iZi i",         "iZi iZi",       "iOMi i",      "iOMi iOMi",  "iE i",       "iE iE",
        "iO iO",         "ipi ipi",       "iZBi iBi",    "iBZi iZBi",  "iZiZi iZi",  "iZiZi iZiZi",
        "iZi Ji",        "iOMi Ji",       "iBiZi iBiZi", "iBiZi iZBi", "iOMi iOMBi", "iBOMi iBi",
        "iBi BJi",       "iBi Ji",        "iBi iL",      "iBi iZL",    "ipBi iBpi",  "iBiE iBi",
        "iBiOMi iBiOMi", "iPi BJi",       "iZi iBi",     "iZi iZi i",  "iBi iBi Ji", "iOMi iO",
        "iOMi iO Ji",    "iOMiOMi iO",    "iOMBi iOMi",  "iO iO Ji",   "iOMi BJi",   "iOi",
        "iBi iO iBi",    "iZiOMi iZiOMi", "iBiZi iBi",   "iTi BJi",    "iCi BJi",    "iCiO iBi",
        "iWiL i",        "iaL iai",       "iCiL iBiCi",  "iBiL iPi",   "iWiO iai",   "iCiO i Ji",
        "iBiO i iBi",
    };
    for (int p = LOCK_POLICY_HOLD; p <= LOCK_POLICY_APPLY_WHEN_ALL; p++)
        for (size_t i = 0; i < ARRAY_LEN(games); i++)
            for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++) {
                LockOpts opts = {.mode = (LockMode)mode, .can_delete = true};
                set_policy(&opts, (LockPolicy)p);
                play(games[i], &opts, &plain_luck, most, sum);
            }
}

/* Rows that were there hold other values on each shard, and each keeps its own. */
static void refills(size_t most, Sum *sum)
{
    static const char *const games[] = {
        "iTi iTi",    "iTui iTu",  "iTi iTi iTi", "iTiCi iCTi", "iaTi iTai",  "iTi iTiBi",
        "iBi iBibBi", "ibi",       "iTiNi iTNi",  "iTiRi iTRi", "iBibBi iBi", "iTi i",
        "iTiZi iTi",  "iTiOi iTi", "iBibP iBP",   "iTuTi iTi",  "iRi iaCi",   "iBiTi iTiBi",
        "iTi iTiL",   "iTi BJiTi", "iTWi iTiWi",  "iTXi iTXi",
    };
    for (size_t i = 0; i < ARRAY_LEN(games); i++)
        for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++) {
            LockOpts opts = {
                .mode = (LockMode)mode, .can_delete = true, .provenance = true, .refill_own = true};
            set_policy(&opts, LOCK_POLICY_DELETE_ROWS);
            play(games[i], &opts, &plain_luck, most, sum);
        }
    static const Luck released = {.decides = 1, .decisions = "r"};
    LockOpts own = {.can_delete = true, .provenance = true, .refill_own = true};
    play("BCT BiT", &own, &released, most, sum);
}

/* Somebody decides at any moment; the target refuses a change, and somebody lets it be tried again. */
static void decisions(size_t most, Sum *sum)
{
    static const char *const games[] = {"iBi i",   "iBi iBi", "iBi iCi", "iZi i",     "iZi iZi",
                                        "iOi iBi", "iBi iPi", "iTi iTi", "iBi i i",   "iai iBi",
                                        "iRi iai", "iOMi i",  "ipi i",   "iBiCi iBi", "iBi iL",
                                        "iE i",    "iBi Ji",  "iNi iWi", "iWi iNi",   "iNWi iNi"};
    static const Luck lucks[] = {{.kills = 1, .decides = 1, .decisions = "rsda"},
                                 {.kills = 0, .decides = 2, .decisions = "rsda"},
                                 {.kills = 1, .fails = 1}};
    for (size_t luck = 0; luck < ARRAY_LEN(lucks); luck++)
        for (int p = LOCK_POLICY_HOLD; p <= LOCK_POLICY_APPLY_WHEN_ALL; p++)
            for (size_t i = 0; i < ARRAY_LEN(games); i++)
                for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++) {
                    LockOpts opts = {.mode = (LockMode)mode, .can_delete = true};
                    set_policy(&opts, (LockPolicy)p);
                    if (p == LOCK_POLICY_HOLD || strpbrk(games[i], "ZpOE"))
                        play(games[i], &opts, &lucks[luck], most, sum);
                }
}

/* A shard's table is copied again, at any moment at which that may be decided. */
static void recopies(size_t most, Sum *sum)
{
    static const char *const games[] = {
        "iTi iTi",   "iTui iTu",  "iTi iTi iTi", "iTiCi iCTi", "iZi i",    "iZi iTi",   "iOMi i",
        "ipi i",     "iBibBi iB", "iNi iWiNi",   "iTiNi iTNi", "iZi iZi",  "iTiZi iTi", "iTiBi iTi",
        "iOMBi iBi", "iZBi iBi",  "iZi",         "iTi iTiL",   "iTiTi iT", "iai iaCci",
    };
    static const Luck lucks[] = {{.kills = 1, .decides = 1, .decisions = "c"},
                                 {.kills = 0, .decides = 2, .decisions = "ca"}};
    for (size_t luck = 0; luck < ARRAY_LEN(lucks); luck++)
        for (size_t i = 0; i < ARRAY_LEN(games); i++)
            for (int mode = LOCK_PESSIMISTIC; mode <= LOCK_OPTIMISTIC; mode++) {
                LockOpts opts = {.mode = (LockMode)mode, .can_delete = true, .provenance = true};
                play(games[i], &opts, &lucks[luck], most, sum);
            }
}

/* A step without a lossless join stops its member, and somebody decides. */
static void stops(size_t most, Sum *sum)
{
    static const char *const games[] = {"i iRi", "iRi iai", "iNi iWi", "iBi iPi", "iNi iNi", "iRi iBi"};
    static const Luck lucks[] = {{.kills = 1, .decides = 1, .decisions = "rsda"}, {.kills = 1}};
    for (size_t luck = 0; luck < ARRAY_LEN(lucks); luck++)
        for (size_t i = 0; i < ARRAY_LEN(games); i++) {
            LockOpts opts = {.mode = LOCK_OPTIMISTIC, .strict = true, .can_delete = true};
            play(games[i], &opts, &lucks[luck], most, sum);
        }
}

/* A rule of lock.h, and a game that notices when it does not hold. */
static const struct {
    LockRule rule;
    const char *name, *programs;
    LockMode mode;
    LockPolicy policy;
} breakers[] = {
    {LOCK_RULE_FLOOR, "floor", "iBiCi iBiCi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_WRITTEN, "written", "iBiCi iBiCi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_CARRIED, "carried", "iai iai", LOCK_OPTIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_LINEAGE, "lineage", "iTi iTi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_LOST, "lost", "iBibBi iB", LOCK_OPTIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_DRAIN, "drain", "iBi iBi", LOCK_OPTIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_REPEAT, "repeat", "iBi iBi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_OWED, "owed", "iBi iBi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_WIDEN, "widen", "iWiNi iNi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_ALL, "all", "iBi iBi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_LOSS, "loss", "iBiZi iBiZi", LOCK_PESSIMISTIC, LOCK_POLICY_APPLY_WHEN_ALL},
    {LOCK_RULE_HELD, "held", "iZi iZi", LOCK_PESSIMISTIC, LOCK_POLICY_HOLD},
    {LOCK_RULE_WORK, "work", "iZi i", LOCK_PESSIMISTIC, LOCK_POLICY_DELETE_ROWS},
    {LOCK_RULE_LEAVE, "leave", "iOMi i", LOCK_PESSIMISTIC, LOCK_POLICY_IGNORE},
    {LOCK_RULE_LEFT, "left", "iCiO i", LOCK_OPTIMISTIC, LOCK_POLICY_IGNORE},
};
_Static_assert(ARRAY_LEN(breakers) == LOCK_RULES - 1, "every rule is broken once");

/* 1: a broken rule was not noticed. */
static int break_rules(void)
{
    int missed = 0;
    for (size_t i = 0; i < ARRAY_LEN(breakers); i++) {
        Game g;
        SearchResult r;
        LockOpts opts = {.mode = breakers[i].mode, .broken = breakers[i].rule, .can_delete = true};
        set_policy(&opts, breakers[i].policy);
        if (!game_of(&g, breakers[i].programs, &opts)) return 1;
        search(&g, 200000, &r);
        printf("rule %-8s %s in %s: %s after %zu states\n", breakers[i].name,
               r.broken ? "broken, noticed" : "broken, NOT NOTICED", breakers[i].programs,
               r.broken ? g.broken : "nothing", r.states);
        missed += !r.broken;
        sb_done(&r.trace);
        game_done(&g);
    }
    return missed != 0;
}

static int one_game(int argc, char **argv)
{
    LockOpts opts = {.can_delete = true};
    Luck luck = plain_luck;
    StrBuf programs = {0};
    Sum sum = {0};
    for (int i = 1; i < argc; i++) {
        Str word = str_of(argv[i]);
        uint64_t rule = 0;
        for (int p = LOCK_POLICY_HOLD; p <= LOCK_POLICY_APPLY_WHEN_ALL; p++)
            if (str_eqc(word, policy_name((LockPolicy)p))) {
                set_policy(&opts, (LockPolicy)p);
                word.len = 0;
            }
        if (str_eqc(word, "optimistic")) {
            opts.mode = LOCK_OPTIMISTIC;
        } else if (str_eqc(word, "strict")) {
            opts.mode = LOCK_OPTIMISTIC;
            opts.strict = true;
        } else if (str_eqc(word, "provenance")) {
            opts.provenance = true;
        } else if (str_eqc(word, "own")) {
            opts.provenance = opts.refill_own = true;
        } else if (str_eqc(word, "rule") && i + 1 < argc && str_to_u64(str_of(argv[i + 1]), &rule)) {
            opts.broken = (LockRule)rule;
            i++;
        } else if (str_eqc(word, "kills") && i + 1 < argc && str_to_u64(str_of(argv[i + 1]), &rule)) {
            luck.kills = (int)rule;
            i++;
        } else if (str_eqc(word, "decide") && i + 1 < argc) {
            luck.decisions = argv[++i];
            luck.decides = MAX(luck.decides, 1);
        } else if (str_eqc(word, "decides") && i + 1 < argc && str_to_u64(str_of(argv[i + 1]), &rule)) {
            luck.decides = (int)rule;
            i++;
        } else if (str_eqc(word, "fail")) {
            luck.fails = 1;
        } else if (word.len) {
            if (programs.len) sb_ch(&programs, ' ');
            sb_str(&programs, word);
        }
    }
    play(programs.ptr ? programs.ptr : "i", &opts, &luck, 10000000, &sum);
    printf("%zu states, %zu ends, %zu broken;", sum.states, sum.ends, sum.broken);
    for (int i = 0; i <= LOCK_OPERATOR; i++)
        if (sum.ends_in[i]) printf(" %s %zu", lock_state_name((LockState)i), sum.ends_in[i]);
    putchar('\n');
    sb_done(&programs);
    return sum.broken || !sum.games;
}

/* walk [GAMES [SEED]] */
static int walks(int argc, char **argv)
{
    uint64_t games = 1000, seed = (uint64_t)time(NULL);
    bool ok =
        (argc < 3 || str_to_u64(str_of(argv[2]), &games)) && (argc < 4 || str_to_u64(str_of(argv[3]), &seed));
    size_t broken = ok ? walk(games, seed) : 1;
    printf("explore: %llu random walks from seed %llu, %zu broken\n", (unsigned long long)games,
           (unsigned long long)seed, broken);
    return broken != 0;
}

int main(int argc, char **argv)
{
    Str what = str_of(argc > 1 ? argv[1] : "short");
    Sum sum = {0};
    struct timespec from, to;
    if (str_eqc(what, "rules")) return break_rules();
    if (str_eqc(what, "walk")) return walks(argc, argv);
    if (str_eqc(what, "outcomes")) {
        outcomes_print();
        return 0;
    }
    bool is_short = str_eqc(what, "short"), pairs = str_eqc(what, "pairs"), is_long = str_eqc(what, "long");
    if (!is_short && !pairs && !is_long && !str_eqc(what, "losses") && !str_eqc(what, "decisions") &&
        !str_eqc(what, "refills") && !str_eqc(what, "recopies") && !str_eqc(what, "orders") &&
        !str_eqc(what, "stops"))
        return one_game(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    bool lost = str_eqc(what, "losses"), decided = str_eqc(what, "decisions"), own = str_eqc(what, "refills");
    if (is_short || is_long) chosen(is_short ? 4000 : 2000000, &sum);
    if (is_short || is_long || lost) losses(is_short ? 300 : 300000, &sum);
    if (is_short || is_long || decided) decisions(is_short ? 150 : 300000, &sum);
    if (is_short || is_long || own) refills(is_short ? 300 : 300000, &sum);
    if (is_short || is_long || str_eqc(what, "recopies")) recopies(is_short ? 300 : 300000, &sum);
    if (is_short || is_long || str_eqc(what, "orders")) sum.broken += walk_orders(is_short ? 3 : 4);
    if (is_short || is_long || str_eqc(what, "stops")) stops(is_short ? 500 : 300000, &sum);
    if (pairs) all_pairs(1, 100000, &sum);
    if (is_long) {
        all_pairs(1, 2000000, &sum);
        all_triples(500000, &sum);
        all_pairs(2, 50000, &sum);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("explore: %zu games, %zu states, %zu ends, %zu cut short, %zu broken, %.1f s\n", sum.games,
           sum.states, sum.ends, sum.cut, sum.broken,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return sum.broken != 0;
}
