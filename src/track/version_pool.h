/* Inside track/: the pool of versions. */
#ifndef SM_TRACK_VERSION_POOL_H
#define SM_TRACK_VERSION_POOL_H

#include "base/map.h"
#include "model/binding.h"
#include "track/version.h"

struct VersionPool {
    Arena arena;
    Map schemas, steps, versions, moves, texts; /* by content */
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

#endif
