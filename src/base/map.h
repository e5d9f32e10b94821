/* Hash map from byte strings to pointers. Keys are copied. Not thread-safe: its owner says who may touch it.
 */
#ifndef SM_BASE_MAP_H
#define SM_BASE_MAP_H

#include "base/str.h"

typedef struct MapSlot MapSlot;

/* {0} is a valid empty map. */
typedef struct Map {
    MapSlot *slots;
    size_t cap, count;
} Map;

/* The value, or NULL when the key is not there. */
void *map_get(const Map *m, Str key);
/* Sets key to value (non-NULL) and returns the value it had, or NULL. */
void *map_put(Map *m, Str key, void *value);
/* Removes key and returns its value, or NULL. */
void *map_take(Map *m, Str key);
/* Walks all entries in no order: start with *iter = 0; false at the end. The map must not change meanwhile.
 */
bool map_next(const Map *m, size_t *iter, Str *key, void **value);
/* Frees the map; the values are the caller's. */
void map_done(Map *m);

#endif
