/* What the parts of the loader share while a task is being built. Only config/ includes this. */
#ifndef SM_CONFIG_BUILD_H
#define SM_CONFIG_BUILD_H

#include "base/map.h"
#include "config/keys.h"
#include "config/task.h"

typedef struct Build {
    Task *task;
    Problems problems;
    const TaskOpts *opts;
    Node *root;  /* of the task file */
    Map sources; /* source-id → Node of its map; checked when it is used */
    Map routes;  /* name → RouteRule in the task */
    Map named;   /* "section/name" → Node of that key, for every entry of the task file's named sections */
    Map used;    /* those of `named` that an instance refers to */
    /* what mydumpers say, over all instances */
    uint64_t dump_threads; /* the most; 0: nothing said */
} Build;

/* Reports a missing key of a map, unless it is there but bad (that was reported); owner "" when the place
 * says enough. */
void build_require(Build *b, const Node *map, const char *key, Str owner);
/* Folder of a file, with its slash; "" for a bare name. A view into path. */
Str build_folder_of(const char *path);
/* path as it is when absolute, else beside the file. In the task's arena, terminated. */
Str build_path(Build *b, const char *beside, Str path);

/* endpoint.c: reads `from` or `target-database` (checked by keys_check); what is wrong goes to b->problems.
 */
void endpoint_build(Build *b, const Node *map, bool target, Endpoint *out);
/* tls.c: the security section of an endpoint. */
void tls_build(Build *b, const Node *security, TlsOpts *out);
/* Removes the private folder and what is in it. */
void tls_private_remove(Task *t);

/* key_rules.c: `key`, `extract-*` and `drop-columns` of a routing rule. */
void key_rule_build(Build *b, const Node *route, RouteRule *out);
/* key_rules.c: the policy of this name; CONFLICT_STOP for stop and error. */
ConflictPolicy conflict_policy_of(Str name);
/* key_rules.c: column-mappings into the task. */
void mappings_build(Build *b);
/* The mapping of that name, or NULL. */
MappingRule *mapping_named(const Build *b, Str name);

/* rules.c: routes and allow-lists into the task. */
void rules_build(Build *b);
/* The list of that name, or NULL. */
const AllowList *rules_allow_list(const Build *b, Str name);

/* sources.c: finds the source files and fills b->sources. */
void sources_collect(Build *b);
/* One source's own keys into *out. */
void source_build(Build *b, Node *map, SourceConfig *out);

/* load_options.c: the dump and load unit of one instance (either may be NULL): noted, or refused. */
void load_options_instance(Build *b, const Node *inst, const Node *mydumper, const Node *loader);
/* Fills task->load; after the instances and the memory limit. */
void load_options_build(Build *b);

/* instances.c: mysql-instances, the syncers' settings and what refers to what. Fills task->sources. */
void instances_build(Build *b);

#endif
