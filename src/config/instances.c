#include <stdlib.h>
#include "config/build.h"
#include "model/gtid.h"
#include "base/poison.h"

/* What the syncers say, over all instances; 0 = nobody said anything. */
typedef struct SyncerSettings {
    uint64_t workers, batch, queue, flush_ms;
} SyncerSettings;

/* -- references by name -- */

static const char *const named_sections[] = {"routes",     "block-allow-list", "black-white-list",
                                             "mydumpers",  "loaders",          "syncers",
                                             "validators", "column-mappings"};

static void named_key(StrBuf *out, const char *section, Str name)
{
    sb_clear(out);
    sb_printf(out, "%s/" STR_FMT, section, STR_ARG(name));
}

static void named_collect(Build *b)
{
    StrBuf key = {0};
    for (size_t i = 0; i < ARRAY_LEN(named_sections); i++) {
        const Node *map = node_get(b->root, named_sections[i]);
        for (const NodeEntry *e = map ? map->first : NULL; e; e = e->next) {
            named_key(&key, named_sections[i], e->key->text);
            map_put(&b->named, sb_view(&key), e->key);
        }
    }
    sb_done(&key);
}

/* "did you mean 'x'?" from the keys of a map, else the remedy given. */
static void suggest(const Node *map, Str name, const char *otherwise, StrBuf *remedy)
{
    size_t n = 0;
    const char **names = mem_alloc((map ? map->n + 1 : 1) * sizeof *names);
    for (const NodeEntry *e = map ? map->first : NULL; e; e = e->next)
        names[n++] = e->key->text.ptr;
    const char *near = keys_nearest(name, names, n);
    if (near)
        sb_printf(remedy, "did you mean '%s'?", near);
    else
        sb_c(remedy, otherwise);
    free((void *)names);
}

/* Marks section/name as used; a name that is not defined is a problem at place. */
static bool refer(Build *b, const char *section, Str name, ConfigPlace place, const char *key)
{
    StrBuf id = {0};
    named_key(&id, section, name);
    Node *found = map_get(&b->named, sb_view(&id));
    if (found) {
        map_put(&b->used, sb_view(&id), found);
    } else {
        StrBuf remedy = {0};
        sb_clear(&id);
        sb_printf(&id, "define it in %s, or remove the reference", section);
        suggest(node_get(b->root, section), name, id.ptr, &remedy);
        problem_add(&b->problems, ERR_CONFIG_REFERENCE, place, remedy.ptr, "%s: %s has no '" STR_FMT "'", key,
                    section, STR_ARG(name));
        sb_done(&remedy);
    }
    sb_done(&id);
    return found != NULL;
}

static void unused_report(Build *b)
{
    size_t iter = 0;
    Str id;
    void *value;
    while (map_next(&b->named, &iter, &id, &value)) {
        if (map_get(&b->used, id)) continue;
        const Node *key = value;
        Str name = id, section = str_split(&name, '/');
        problem_add(&b->problems, ERR_CONFIG_REFERENCE, key->place,
                    "refer to it in mysql-instances, or remove it",
                    "'" STR_FMT "' of " STR_FMT " is used by no instance", STR_ARG(name), STR_ARG(section));
    }
}

/* -- one instance -- */

static void routes_refer(Build *b, const Node *inst, SourceConfig *out)
{
    const Node *list = node_get(inst, "route-rules");
    if (!list) return;
    Map seen = {0};
    out->routes = arena_array(&b->task->arena, RouteRule *, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next) {
        Str name = e->value->text;
        if (map_put(&seen, name, e->value)) {
            problem_add(&b->problems, ERR_CONFIG_VALUE, e->value->place, "remove one of the two",
                        "route-rules: '" STR_FMT "' stands twice", STR_ARG(name));
            continue;
        }
        if (!refer(b, "routes", name, e->value->place, "route-rules")) continue;
        RouteRule *rule = map_get(&b->routes, name);
        if (rule) out->routes[out->n_routes++] = rule;
    }
    map_done(&seen);
}

static void mappings_refer(Build *b, const Node *inst, SourceConfig *out)
{
    const Node *list = node_get(inst, "column-mapping-rules");
    if (!list) return;
    out->mappings = arena_array(&b->task->arena, MappingRule *, list->n + 1);
    for (const NodeEntry *e = list->first; e; e = e->next) {
        if (!refer(b, "column-mappings", e->value->text, e->value->place, "column-mapping-rules")) continue;
        MappingRule *m = mapping_named(b, e->value->text);
        if (m) out->mappings[out->n_mappings++] = m;
    }
}

static void allow_list_refer(Build *b, const Node *inst, SourceConfig *out)
{
    const Node *new_name = node_get(inst, "block-allow-list");
    const Node *old_name = node_get(inst, "black-white-list");
    bool has_new = new_name && new_name->text.len, has_old = old_name && old_name->text.len;
    if (has_new && has_old)
        problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(inst, "black-white-list"),
                    "keep block-allow-list",
                    "both block-allow-list and black-white-list are given: two names of one key");
    if (!has_new && !has_old) return;
    const Node *name = has_new ? new_name : old_name;
    const Node *lists = node_get(b->root, "block-allow-list");
    const char *section = lists && lists->n ? "block-allow-list" : "black-white-list";
    if (!lists && keys_absent(b->root, "black-white-list")) section = "block-allow-list";
    if (refer(b, section, name->text, name->place, has_new ? "block-allow-list" : "black-white-list"))
        out->allow_list = rules_allow_list(b, name->text);
}

/* A named group, or the same keys inline. Returns the map that counts, or NULL. */
static const Node *group_refer(Build *b, const Node *inst, const char *section, const char *name_key,
                               const char *inline_key)
{
    const Node *name = node_get(inst, name_key);
    const Node *inlined = inline_key ? node_get(inst, inline_key) : NULL;
    if (!name || !name->text.len) return inlined;
    if (inlined)
        problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(inst, inline_key), "keep one of the two",
                    "both %s and %s are given", name_key, inline_key);
    if (!refer(b, section, name->text, name->place, name_key)) return inlined;
    const Node *groups = node_get(b->root, section);
    for (const NodeEntry *e = groups ? groups->first : NULL; e; e = e->next)
        if (str_eq(e->key->text, name->text))
            return e->value->kind == NODE_MAP && !e->value->bad ? e->value : NULL;
    return NULL;
}

static void syncer_merge(const Node *inst, const Node *syncer, SyncerSettings *all, SourceConfig *out)
{
    const Section s = SECTION_SYNCER;
    const struct {
        const char *key;
        uint64_t *value;
    } settings[] = {{"worker-count", &all->workers},
                    {"batch", &all->batch},
                    {"queue-size", &all->queue},
                    {"checkpoint-flush-interval", &all->flush_ms}};
    uint64_t threads = keys_u64(SECTION_INSTANCE, inst, "syncer-thread");
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        uint64_t v = syncer && node_get(syncer, settings[i].key) ? keys_u64(s, syncer, settings[i].key) : 0;
        if (i == 0 && threads) v = threads;
        *settings[i].value = MAX(*settings[i].value, v);
    }
    if (syncer && keys_bool(s, syncer, "enable-gtid")) out->enable_gtid = true;
}

/* -- start point -- */

static void gtid_check(Build *b, const Node *meta, SourceConfig *out)
{
    Err mysql = {0}, mariadb = {0};
    GtidSet *set = NULL;
    bool ok = (out->flavor != FLAVOR_MARIADB &&
               gtidset_parse(FLAVOR_MYSQL, out->start.binlog_gtid, &set, &mysql)) ||
              (out->flavor != FLAVOR_MYSQL &&
               gtidset_parse(FLAVOR_MARIADB, out->start.binlog_gtid, &set, &mariadb));
    if (!ok)
        problem_add(
            &b->problems, ERR_CONFIG_VALUE, node_get(meta, "binlog-gtid")->place,
            "write it as the server prints it: @@gtid_executed on MySQL, @@gtid_binlog_pos on MariaDB",
            "binlog-gtid: not a GTID set%s",
            out->flavor == FLAVOR_UNKNOWN ? ""
            : out->flavor == FLAVOR_MYSQL ? " of MySQL"
                                          : " of MariaDB");
    gtidset_free(set);
    err_clear(&mysql);
    err_clear(&mariadb);
}

static void binlog_name_check(Build *b, const Node *meta, Str name)
{
    if (!memchr(name.ptr, '|', name.len) && !memchr(name.ptr, '/', name.len)) return;
    problem_add(&b->problems, ERR_CONFIG_VALUE, node_get(meta, "binlog-name")->place,
                "write the file as SHOW BINARY LOGS prints it, such as mysql-bin.000003",
                "binlog-name: not the name of a binlog file of the server");
}

static void start_build(Build *b, const Node *inst, const Node *source, SourceConfig *out)
{
    const Section s = SECTION_META;
    const Node *meta = node_get(inst, "meta");
    if (!meta) return;
    StartPoint *start = &out->start;
    *start = (StartPoint){.set = true,
                          .binlog_name = keys_str(s, meta, "binlog-name"),
                          .binlog_pos = keys_u64(s, meta, "binlog-pos"),
                          .binlog_gtid = str_trim(keys_str(s, meta, "binlog-gtid")),
                          .place = keys_place(inst, "meta")};
    if (start->binlog_pos < 4) start->binlog_pos = 4;
    if (start->binlog_gtid.len) gtid_check(b, meta, out);
    if (b->task->mode != TASK_MODE_INCREMENTAL) {
        if (start->binlog_name.len) binlog_name_check(b, meta, start->binlog_name);
        start->set = false; /* the copy decides, as in DM */
        return;
    }
    if (start->binlog_name.len) {
        binlog_name_check(b, meta, start->binlog_name);
        return;
    }
    if (start->binlog_gtid.len) {
        const Node *written = source ? node_get(source, "enable-gtid") : NULL;
        if (written && !out->enable_gtid)
            problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(meta, "binlog-gtid"),
                        "set enable-gtid: true in the source, or give binlog-name and binlog-pos",
                        "binlog-gtid is the only start given, and the source says enable-gtid: false");
        out->enable_gtid = true;
        return;
    }
    if (!keys_absent(meta, "binlog-name") || !keys_absent(meta, "binlog-gtid")) return;
    problem_add(&b->problems, ERR_CONFIG_MISSING, start->place,
                "give binlog-name and binlog-pos, or binlog-gtid; without meta the stream starts at the "
                "server's present end",
                "meta names no start");
}

/* -- all -- */

static void source_unknown(Build *b, const Node *id)
{
    StrBuf remedy = {0};
    size_t iter = 0, n = 0;
    const char **names = mem_alloc((b->sources.count + 1) * sizeof *names);
    Str key;
    void *value;
    while (map_next(&b->sources, &iter, &key, &value)) {
        const Node *known = node_get(value, "source-id");
        if (known) names[n++] = known->text.ptr;
    }
    const char *near = keys_nearest(id->text, names, n);
    if (near)
        sb_printf(&remedy, "did you mean '%s'?", near);
    else
        sb_c(&remedy,
             "give its file with --source FILE, put it into sources/ beside the task file, or write it under "
             "sources: in the task file");
    problem_add(&b->problems, ERR_CONFIG_REFERENCE, id->place, remedy.ptr,
                "no source has the source-id '" STR_FMT "'", STR_ARG(id->text));
    free((void *)names);
    sb_done(&remedy);
}

static void instance_build(Build *b, const Node *inst, Map *seen, SyncerSettings *settings)
{
    build_require(b, inst, "source-id", STR(""));
    const Node *id = node_get(inst, "source-id");
    SourceConfig *out = &b->task->sources[b->task->n_sources];
    Node *source = id ? map_get(&b->sources, id->text) : NULL;
    if (id && id->text.len && map_put(seen, id->text, source ? source : b->root))
        problem_add(&b->problems, ERR_CONFIG_VALUE, id->place, "keep one entry for each source",
                    "source-id '" STR_FMT "' stands twice in mysql-instances", STR_ARG(id->text));
    else if (source)
        source_build(b, source, out);
    else if (id && id->text.len)
        source_unknown(b, id);
    b->task->n_sources++;
    const Node *mydumper = group_refer(b, inst, "mydumpers", "mydumper-config-name", "mydumper");
    const Node *loader = group_refer(b, inst, "loaders", "loader-config-name", "loader");
    load_options_instance(b, inst, mydumper, loader);
    group_refer(b, inst, "validators", "validator-config-name", NULL);
    syncer_merge(inst, group_refer(b, inst, "syncers", "syncer-config-name", "syncer"), settings, out);
    routes_refer(b, inst, out);
    mappings_refer(b, inst, out);
    allow_list_refer(b, inst, out);
    start_build(b, inst, source, out);
}

/* A source written into the task file for nothing is a mistake; one in a file of its own may serve another
 * task. */
static void inline_unused_report(Build *b, const Map *seen)
{
    const Node *list = node_get(b->root, "sources");
    for (const NodeEntry *e = list ? list->first : NULL; e; e = e->next) {
        const Node *id = node_get(e->value, "source-id");
        if (!id || map_get(seen, id->text)) continue;
        problem_add(&b->problems, ERR_CONFIG_REFERENCE, id->place, "add it to mysql-instances, or remove it",
                    "source '" STR_FMT "' of sources is used by no instance", STR_ARG(id->text));
    }
}

void instances_build(Build *b)
{
    Task *t = b->task;
    SyncerSettings settings = {0};
    Map seen = {0};
    const Node *list = node_get(b->root, "mysql-instances");
    named_collect(b);
    if (list && list->n == 0)
        problem_add(&b->problems, ERR_CONFIG_MISSING, keys_place(b->root, "mysql-instances"),
                    "add an entry with the source-id of a source", "mysql-instances is empty");
    t->sources = arena_array(&t->arena, SourceConfig, (list ? list->n : 0) + 1);
    for (const NodeEntry *e = list ? list->first : NULL; e; e = e->next)
        instance_build(b, e->value, &seen, &settings);
    if (list) {
        unused_report(b);
        inline_unused_report(b, &seen);
    }
    t->worker_count =
        (unsigned)(settings.workers ? settings.workers : keys_u64(SECTION_SYNCER, NULL, "worker-count"));
    t->batch_rows = (unsigned)(settings.batch ? settings.batch : keys_u64(SECTION_SYNCER, NULL, "batch"));
    t->queue_size =
        (unsigned)(settings.queue ? settings.queue : keys_u64(SECTION_SYNCER, NULL, "queue-size"));
    t->checkpoint_interval_ms =
        (unsigned)(settings.flush_ms ? settings.flush_ms
                                     : keys_u64(SECTION_SYNCER, NULL, "checkpoint-flush-interval"));
    map_done(&seen);
}
