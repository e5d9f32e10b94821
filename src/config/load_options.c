/* The copy of existing rows: our own `load`, and what DM's mydumpers and loaders say of it. */
#include "config/build.h"
#include "config/dump_args.h"
#include "base/poison.h"

static bool copies(const Build *b)
{
    return b->task->mode != TASK_MODE_INCREMENTAL;
}

/* A key whose value would change which rows the downstream gets. */
static void refuse(Build *b, const Node *map, const char *key, const char *remedy)
{
    Str value = node_get(map, key)->text;
    value.len = MIN(value.len, (size_t)40);
    problem_add(&b->problems, ERR_CONFIG_REFUSED_KEY, keys_place(map, key), remedy,
                "%s: " STR_FMT " cannot be honoured", key, STR_ARG(value));
}

static void dump_unit_read(Build *b, const Node *inst, const Node *unit)
{
    const Section s = SECTION_MYDUMPER;
    uint64_t threads = unit && node_get(unit, "threads") ? keys_u64(s, unit, "threads") : 0;
    const Node *args = unit ? node_get(unit, "extra-args") : NULL;
    const Node *where = unit ? node_get(unit, "where") : NULL;
    uint64_t asked = 0;
    if (args && args->text.len && copies(b) &&
        dump_args_read(args->text, args->place, &asked, &b->problems) && asked)
        threads = asked;
    if (where && str_trim(where->text).len && copies(b))
        problem_add(&b->problems, ERR_CONFIG_REFUSED_KEY, where->place,
                    "remove it; rows are not filtered yet, so route the table elsewhere or delete the rows "
                    "downstream",
                    "where cannot be honoured: the stream would change rows that the copy left out");
    uint64_t own = keys_u64(SECTION_INSTANCE, inst, "mydumper-thread");
    b->dump_threads = MAX(b->dump_threads, own ? own : threads);
}

static void load_unit_read(Build *b, const Node *unit)
{
    static const char *const duplicate_keys[] = {"on-duplicate", "on-duplicate-logical"};
    if (!unit || !copies(b)) return;
    Str mode = keys_str(SECTION_LOADER, unit, "import-mode");
    if (str_ieq(mode, STR("physical")) || str_ieq(mode, STR("import-into")))
        refuse(b, unit, "import-mode",
               "set it to logical; rows are written by SQL, so that they and their progress commit together");
    for (size_t i = 0; i < ARRAY_LEN(duplicate_keys); i++) {
        const Node *policy = node_get(unit, duplicate_keys[i]);
        if (policy && policy->text.len && !str_ieq(policy->text, STR("error")))
            refuse(b, unit, duplicate_keys[i],
                   "set it to error, or remove it; rows with colliding keys are never overwritten or passed "
                   "over, see on-collision");
    }
}

void load_options_instance(Build *b, const Node *inst, const Node *mydumper, const Node *loader)
{
    dump_unit_read(b, inst, mydumper);
    load_unit_read(b, loader);
}

void load_options_build(Build *b)
{
    const Section s = SECTION_LOAD;
    const Node *map = node_get(b->root, "load");
    LoadOptions *o = &b->task->load;
    uint64_t limit = b->task->memory_limit / 4;
    const Node *bytes = map ? node_get(map, "chunk-bytes") : NULL;
    *o = (LoadOptions){.readers = (unsigned)keys_u64(s, map, "readers"),
                       .chunk_rows = keys_u64(s, map, "chunk-rows"),
                       .chunk_bytes = keys_u64(s, map, "chunk-bytes"),
                       .chunk_ms = (unsigned)keys_u64(s, map, "chunk-time"),
                       .rows_per_second = keys_u64(s, map, "rows-per-second"),
                       .max_lag_ms = (unsigned)keys_u64(s, map, "max-lag")};
    if (b->dump_threads && !(map && node_get(map, "readers"))) o->readers = (unsigned)b->dump_threads;
    if (str_eq(keys_str(s, map, "consistency"), STR("snapshot"))) o->consistency = LOAD_CONSISTENCY_SNAPSHOT;
    if (o->chunk_bytes <= limit) return;
    o->chunk_bytes = limit;
    if (bytes)
        problem_add(&b->problems, ERR_CONFIG_VALUE, bytes->place, "lower it, or raise memory-limit",
                    "chunk-bytes: more than a quarter of memory-limit");
}
