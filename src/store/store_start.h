/* Where streams begin, with the definitions that are true there. As store.h: any thread, durable when a call
 * returns, ERR_STORE_SQL. */
#ifndef SM_STORE_STORE_START_H
#define SM_STORE_STORE_START_H

#include "store/store.h"

typedef struct StoreStart {
    Str source_id, point_json;
    bool final; /* the stream has begun there: neither moves any more */
} StoreStart;

typedef struct StoreDefinition {
    uint64_t member_no;
    Str schema_json, why;
} StoreDefinition;

/* Strings in arena. */
NODISCARD bool store_start_get(Store *s, Str source_id, Arena *arena, StoreStart *out, bool *found, Err *err);
/* A tentative start and what was read with it, but for what an operator has given: forgotten. */
NODISCARD bool store_start_forget(Store *s, Str source_id, Err *err);
/* The start and the definitions, in one transaction. */
NODISCARD bool store_start_put(Store *s, const StoreStart *start, const StoreDefinition *definitions,
                               size_t n, Err *err);

/* The newest definition of a member; strings in arena. */
NODISCARD bool store_definition(Store *s, uint64_t member_no, Arena *arena, StoreDefinition *out, bool *found,
                                Err *err);

/* A definition that an operator has given counts as `why` begins with this. */
#define STORE_WHY_SET "set by "

#endif
