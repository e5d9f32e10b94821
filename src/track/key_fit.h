/* Does a target fit the key strategy of a shard table: wide enough ids, provenance columns, the right keys?
 * Each answer comes with the ALTER to run. Pure. Shared inside track/. */
#ifndef SM_TRACK_KEY_FIT_H
#define SM_TRACK_KEY_FIT_H

#include "base/err.h"
#include "route/keys.h"

typedef struct KeyFit {
    TableName source;
    const TableSchema *schema; /* of the shard table */
    const Target *target;
    const MemberKeys *keys; /* NULL: everything fits */
    bool target_is_tidb;
} KeyFit;

/* ERR_TRACK_TARGET with the ALTER; ERR_KEY_STRATEGY when the shard table itself does not go with the rule. */
NODISCARD bool key_fit_check(const KeyFit *f, Err *err);

/* The value of a provenance column as if a row image held it: bytes in arena, and how they are read. t has
 * passed key_fit_check. */
void key_fit_constant(const ColumnDef *t, Str value, Arena *arena, ColumnCodec *codec, Field *field);
/* The rewriting, narrowed to what the target's column can hold; in arena. */
const KeyRewrite *key_fit_rewrite(const ColumnDef *t, const KeyRewrite *r, Arena *arena);

#endif
