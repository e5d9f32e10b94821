/* One world: shards' streams, a lock, a target, and what a kill -9 leaves of them. */
#ifndef SM_TESTS_EXPLORE_WORLD_H
#define SM_TESTS_EXPLORE_WORLD_H

#include "base/map.h"
#include "shard.h"

enum { MOST_FLYING = 2, NO_GATE = -1 };

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
    Flight flying[MOST_FLYING];
} Stream;

typedef struct World {
    Lock *lock;
    int n_members;
    Stream streams[MOST_MEMBERS];
    bool open, running;            /* running: lock_restart has been asked */
    int kills;                     /* left */
    uint64_t shut, alter, altered; /* jobs: to be drained, to be run, journalled as done; 0: none */
    const Version *alter_to;
    uint32_t alter_columns[MOST_COLUMNS]; /* of the table that stands there */
    Table table;
} World;

typedef struct Game {
    VersionPool *pool;
    LockOpts opts;
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
    MOVE_DRAINED,
    MOVE_ALTER,
    MOVE_ALTERED,
    MOVE_KILL,
    MOVE_START,
    MOVE_KINDS,
} MoveKind;

typedef struct Move {
    uint8_t kind, member;
    bool kill_after; /* the new state was written, nothing was done */
} Move;

bool game_begin(Game *g, World *w);
/* Fills moves with all that can happen; returns how many. */
int world_moves(const Game *g, const World *w, Move *moves);
/* Does the move on a copy. False: a promise is broken, g->broken says which. */
bool world_move(Game *g, const World *w, Move m, World *out);
/* Nothing can happen any more but a kill: is all as it was promised? */
bool world_check_end(Game *g, const World *w);
uint64_t world_hash(const World *w);
void world_free(World *w);
void move_words(const Game *g, const World *w, Move m, StrBuf *out);

#endif
