/* A YAML file as a tree with the place of every node. Read once, then immutable but for the `bad` mark. */
#ifndef SM_CONFIG_NODE_H
#define SM_CONFIG_NODE_H

#include "base/arena.h"
#include "config/problem.h"

typedef enum NodeKind { NODE_SCALAR, NODE_LIST, NODE_MAP } NodeKind;

typedef struct Node Node;
typedef struct NodeEntry NodeEntry;

/* One child; key is NULL in a list. */
struct NodeEntry {
    Node *key, *value;
    NodeEntry *next;
};

/* Lives in the arena it was read into. An alias shares its anchor's node. */
struct Node {
    NodeKind kind;
    ConfigPlace place;
    Str text;    /* SCALAR; terminated; may hold zero bytes */
    bool plain;  /* SCALAR: written without quotes, so true, 12 and ~ are not text */
    bool binary; /* SCALAR: tagged !!binary */
    bool bad;    /* a problem was reported; whoever builds on it takes it as absent */
    NodeEntry *first, *last;
    size_t n;
    size_t weight; /* nodes below and itself, aliases counted each time */
};

/* Reads a whole file into the arena: one document, no duplicate keys, aliases and merge keys (`<<`) resolved.
 * Every problem goes to *ps; returns NULL then. An empty document gives an empty map. file is kept as the
 * place's name and must outlive the arena's users. Main thread; blocks on the file. */
NODISCARD Node *node_read_file(Arena *arena, const char *file, Problems *ps);
/* As node_read_file, from text in memory. */
NODISCARD Node *node_read_text(Arena *arena, const char *file, Str text, Problems *ps);

bool node_is_null(const Node *n);
/* The value of key in a map, or NULL when it is not there, null, or marked bad. */
Node *node_get(const Node *map, const char *key);
const char *node_kind_name(const Node *n); /* "a list", "a map", "a single value" */

#endif
