/* What the keys of the live shards look like, and which key strategy fits them. Reads key columns alone, in
 * short statements with pauses between them. Main thread; blocks on the sources. */
#ifndef SM_OPS_ROUTE_CENSUS_H
#define SM_OPS_ROUTE_CENSUS_H

#include "db/conn.h"
#include "ops/census_values.h"
#include "ops/route_keys.h"

typedef struct CensusShard {
    uint32_t entry; /* of the plan */
    bool has_ids;   /* it has rows with an id */
    int64_t lowest;
    uint64_t highest;
    uint64_t rows;         /* the server's estimate */
    double ids_per_second; /* the larger of: over its life, while it was looked at */
} CensusShard;

/* One unique key of the shards, compared over all of them. */
typedef struct CensusKey {
    Str name;
    bool of_ids;    /* it consists of the id alone */
    bool looked_at; /* false: note says why not */
    bool exact;
    double collisions; /* values that more than one shard table holds */
    double error;      /* ± with 95 % confidence; 0 when exact */
    uint64_t values;   /* looked at */
    size_t lack_it;    /* shard tables that have no such key: their values were not looked at */
    Str note;
} CensusKey;

/* Two shard tables whose ids lie in one range. */
typedef struct CensusPair {
    size_t a, b; /* of the target's shards; a < b */
    int64_t from;
    uint64_t to;       /* from … to is in both ranges; below 0: 0 */
    double collisions; /* ids that both hold; NAN: not known, the id is no unique key by itself */
    double error;      /* ± with 95 % confidence; 0 when exact */
} CensusPair;

typedef struct CensusVerdict {
    KeyStrategy strategy;
    bool fits;
    double seconds_left; /* until it does not fit at the present growth; INFINITY: no end seen */
    Str why;
} CensusVerdict;

enum { CENSUS_VERDICTS = 6, CENSUS_PAIRS_LISTED = 1000 };

typedef struct CensusTarget {
    uint32_t target; /* of the plan */
    Str id, id_type; /* empty: no id column */
    Str type;        /* of the id in the target, or in the shards while there is none */
    double room;     /* ids left above the highest in that type */
    CensusShard *shards;
    size_t n_shards;
    size_t n_pairs;    /* whose ranges overlap */
    CensusPair *pairs; /* CENSUS_PAIRS_LISTED of them at most; most collisions first */
    size_t n_listed;
    CensusKey *keys; /* of all shard tables */
    size_t n_keys;
    const CensusCommon *common; /* ids in both of two shards, of those looked at; CENSUS_PAIRS_LISTED pairs at
                                   most, as census_values_common gives them; NULL: not known */
    size_t n_common;
    uint64_t sample; /* one of so many ids was looked at */
    CensusVerdict verdicts[CENSUS_VERDICTS];
    KeyStrategy chosen; /* of the rule */
    KeyStrategy recommended;
    Str reason;
} CensusTarget;

typedef struct CensusOpts {
    const RoutePlan *plan;
    const Str *source_ids;
    TableSchema *const *shards;
    TableSchema *const *targets; /* NULL: not read */
    const RouteKeys *keys;
    Conn *const *conns; /* by source */
    const bool *is_mariadb;
    bool target_is_tidb;
    uint64_t exact_values; /* most values of one target that are compared one by one; more: a sample */
} CensusOpts;

/* One CensusTarget for each target of the plan, in arena. ERR_DB_*. */
NODISCARD bool route_census(const CensusOpts *opts, Arena *arena, CensusTarget **out, Err *err);

/* Which ranges of ids overlap: t->n_pairs and t->pairs, from t->shards and t->common. Pure; for tests. */
void census_find_pairs(CensusTarget *t, Arena *arena);
/* The verdicts and the recommendation, from what was measured. Pure; for tests. */
void census_judge(CensusTarget *t, const KeyRule *rule, bool target_is_tidb, Arena *arena);

void census_human(const CensusOpts *opts, Str task, const CensusTarget *list, StrBuf *out);
void census_json(const CensusOpts *opts, Str task, const CensusTarget *list, StrBuf *out);
/* Does some target's chosen strategy not fit? */
bool census_has_problems(const CensusOpts *opts, const CensusTarget *list);

#endif
