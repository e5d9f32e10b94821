/* Binding: a shard table, as its table map and tracked schema describe it, to its target. Pure. */
#ifndef SM_TRACK_BIND_H
#define SM_TRACK_BIND_H

#include "base/err.h"
#include "model/binding.h"
#include "model/flavor.h"

typedef struct BindOpts {
    Flavor source_flavor;
    bool target_is_tidb;
    bool allow_keyless;
} BindOpts;

/* Checks map against schema (column count, types, names where FULL metadata has them: ERR_TRACK_MISMATCH with both
 * sides) and both against the target by column NAME (missing column, incompatible family, keyless without permission,
 * FLOAT/DOUBLE/JSON in a keyless table, unsupported type: ERR_TRACK_TARGET / ERR_NOT_SUPPORTED). map, schema, member
 * must outlive the binding, which is never freed but with binding_free in tests. */
NODISCARD bool binding_new(const Member *member, const TableMap *map, const TableSchema *schema, const BindOpts *opts,
                           Binding **out, Err *err);
void binding_free(Binding *b);

/* A target from its live definition: keys, folds, row key. ERR_TRACK_TARGET when it cannot be a target (view). */
NODISCARD bool target_new(uint32_t id, const TableSchema *schema, Target **out, Err *err);
void target_free(Target *t);
/* The interned shape of these target columns (ascending). Thread-safe. */
Shape *target_shape(Target *t, const uint32_t *columns, uint32_t n);

#endif
