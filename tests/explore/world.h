/* One world: shards' streams, a lock, a target, and what a kill -9 leaves of them. */
#ifndef SM_TESTS_EXPLORE_WORLD_H
#define SM_TESTS_EXPLORE_WORLD_H

#include "base/map.h"
#include "shard.h"

enum { MOST_FLYING = 2, NO_GATE = -1, MOST_MOVES = 64 };

/* A row on its way to the target: how it goes was settled when it was dispatched. */
typedef struct Flight {
    const Version *target;
    int columns[MOST_COLUMNS]; /* per column of target: of the row; NIL: fill */
    int fills[MOST_COLUMNS];
} Flight;

typedef struct Stream {
    int read, dispatched,
        applied;              /* events; applied <= dispatched <= read, but for spooled rows after a kill */
    int held_from;            /* the first event that was read while its version was held */
    int floor;                /* a kill reads again from here */
    int64_t gate;             /* rows up to this version go; NO_GATE: none, or not known yet */
    uint64_t passed, written; /* reported up to that step */
    bool in;                  /* the lock knows it */
    uint64_t told;            /* its last step that the lock knows, or that it joined with */
    LockWork work;            /* owed on its rows, for the step work_step; LOCK_WORK_NONE: none */
    bool worked;              /* it is done, and not reported yet */
    bool uncopied;            /* its rows went, nothing of it counts as copied: kept downstream */
    bool recopied;            /* its rows have come again, as its table had them */
    uint64_t work_step;
    uint16_t skipped;  /* steps, by number, that do not count: the operator's decision */
    uint16_t cleared;  /* events, by index, whose rows went from the target as they should */
    uint16_t given_up; /* … whose rows are never written: it has left */
    Flight flying[MOST_FLYING];
} Stream;

typedef struct World {
    Lock *lock;
    int n_members;
    Stream streams[MOST_MEMBERS];
    bool open, running;            /* running: lock_restart has been asked */
    int kills, fails, decides;     /* left */
    bool decided, released;        /* somebody has; versions may be taken for what they are not */
    bool failed;                   /* the target's last change */
    uint64_t shut, alter, altered; /* jobs: to be drained, to be run, journalled as done; 0: none */
    const Version *alter_to;
    uint32_t alter_columns[MOST_COLUMNS]; /* of the table that stands there */
    Str alter_rows;                       /* the pool's */
    bool alter_drop, dropped;
    Table table;
} World;

typedef struct Game {
    VersionPool *pool;
    LockOpts opts;
    int kills, fails, decides; /* that may happen */
    const char *decisions;     /* letters: r release, s skip, d detach, a accept, c recopy */
    int n_members;
    Shard shards[MOST_MEMBERS];
    Map read_back;      /* states that were written and read back already, by their hash */
    const char *broken; /* why a promise does not hold; set by whoever finds out */
    char words[400];
} Game;

typedef enum MoveKind {
    MOVE_READ,
    MOVE_DISPATCH,
    MOVE_APPLY,
    MOVE_PASSED,
    MOVE_WRITTEN,
    MOVE_WORK,
    MOVE_WORKED,
    MOVE_COPY,
    MOVE_DECIDE, /* of: a letter of the game's decisions */
    MOVE_DRAINED,
    MOVE_ALTER,
    MOVE_ALTERED,
    MOVE_FAILED,
    MOVE_RETRY,
    MOVE_KILL,
    MOVE_START,
    MOVE_KINDS,
} MoveKind;

typedef struct Move {
    uint8_t kind, member;
    bool kill_after; /* the new state was written, nothing was done. What is done in between lives in memory
                        alone, so a kill between two actions is this one */
    char of;
} Move;

static inline bool is_row(const Event *e)
{
    return e->kind == EVENT_INSERT || e->kind == EVENT_UPDATE;
}

/* The bits of events, from that one on. */
static inline uint16_t from_on(int event)
{
    return (uint16_t)(0xffffu << event);
}

/* What an event of a member that takes rows, or the table, away means for the target. */
typedef enum Loss {
    LOSS_NONE,     /* it takes nothing away */
    LOSS_NOT_OURS, /* the member's affair: its rows stay, or are deleted by work on them */
    LOSS_OF_ALL,   /* the target's rows go when all members' have */
    LOSS_ASKS,     /* somebody has to decide */
} Loss;
Loss loss_of(const Game *g, const World *w, int member, int event);

/* -- recopy.c: a member's table is copied again -- */
/* Its rows go, which are all written, and none of a later version. */
bool recopy_clear(Game *g, World *w, int member);
/* A row of it whose table is not copied: the copy will see it. */
void recopy_pass(const Game *g, World *w, int member);
/* It is held no longer, and the main stream has it. */
bool recopy_may_begin(const Game *g, const World *w, int member);
/* As its table is where its stream is. */
bool recopy_copy(Game *g, World *w, int member);

/* Rows go from the target; member: of that one alone, or -1. partition: those of p0. */
void clear_rows(const Game *g, World *w, int member, bool partition);

/* Says why, for g->broken; false. */
bool broken(Game *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool game_begin(Game *g, World *w);
/* Fills moves (MOST_MOVES) with all that can happen; returns how many. */
int world_moves(const Game *g, const World *w, Move *moves);
/* Does the move on a copy. False: a promise is broken, g->broken says which. */
bool world_move(Game *g, const World *w, Move m, World *out);
/* Nothing can happen any more but a kill: is all as it was promised? */
bool world_check_end(Game *g, const World *w);
uint64_t world_hash(const World *w);
void world_free(World *w);
void move_words(const Game *g, const World *w, Move m, StrBuf *out);

#endif
