/* Inside track/: the pool of versions. */
#ifndef SM_TRACK_VERSION_POOL_H
#define SM_TRACK_VERSION_POOL_H

#include "base/map.h"
#include "model/binding.h"
#include "track/version.h"

struct VersionPool {
    Arena arena;
    Map schemas, steps, versions, moves, texts; /* by content */
    Map memo;                                   /* what joins of the same versions were found to be */
    Map known; /* addresses of what is interned, so that it is not looked at again */
    uint32_t last_id;
};

/* Interns a version; the lists of v are copied. */
const Version *version_intern(VersionPool *p, const Version *v);
/* Interns a step between two; from is copied. */
const VersionStep *version_step_intern(VersionPool *p, const Version *before, const void *by,
                                       const Version *after, const uint32_t *from);
/* What was interned for (before, by), or NULL. */
const VersionStep *version_step_find(VersionPool *p, const Version *before, const void *by);

/* Leaves a definition under construction with what joins look at: no foreign keys, checks or partitions of
 * one shard, no memory of its own. */
static inline void schema_bare(TableSchema *s)
{
    s->arena = (Arena){0};
    s->has_triggers = s->has_foreign_keys = s->has_cascade = false;
    s->foreign_keys = NULL;
    s->n_foreign_keys = 0;
    s->checks = NULL;
    s->n_checks = 0;
    s->partitioning = (Partitioning){0};
    s->auto_increment = 0;
}

#endif
