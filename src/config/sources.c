#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "config/build.h"
#include "base/poison.h"

enum { ID_LIMIT = 32 }; /* bytes of a source-id, DM's limit */

/* The place of the source-id's value, for messages about the whole source. */
static ConfigPlace id_place(const Node *map)
{
    const Node *id = node_get(map, "source-id");
    return id ? id->place : map->place;
}

/* Enters a source under its id. Its other keys are looked at when the task uses it. */
static void source_enter(Build *b, Node *map)
{
    const Node *id = node_get(map, "source-id");
    if (!id || id->kind != NODE_SCALAR || !id->text.len) {
        build_require(b, map, "source-id", STR(""));
        return;
    }
    if (id->text.len > ID_LIMIT) {
        problem_add(&b->problems, ERR_CONFIG_VALUE, id->place, "shorten it, here and in mysql-instances",
                    "source-id: longer than %d bytes", ID_LIMIT);
        return;
    }
    const Node *before = map_get(&b->sources, id->text);
    if (before) {
        ConfigPlace at = id_place(before);
        problem_add(&b->problems, ERR_CONFIG_REFERENCE, id->place,
                    "give each source an id of its own, or remove one",
                    "source-id '" STR_FMT "' is defined twice, first at %s:%u:%u", STR_ARG(id->text), at.file,
                    at.line, at.column);
        return;
    }
    map_put(&b->sources, id->text, map);
}

static void source_file_enter(Build *b, const char *path)
{
    Node *map = node_read_file(&b->task->arena, arena_str(&b->task->arena, str_of(path)).ptr, &b->problems);
    if (map) source_enter(b, map);
}

static bool has_yaml_name(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' &&
           ((n > 5 && strcmp(name + n - 5, ".yaml") == 0) || (n > 4 && strcmp(name + n - 4, ".yml") == 0));
}

static int yaml_only(const struct dirent *e)
{
    return has_yaml_name(e->d_name);
}

/* Files of sources/ beside the task file, by name. */
static void sources_folder_enter(Build *b)
{
    Str folder = build_path(b, b->task->path, STR("sources"));
    struct dirent **files = NULL;
    int n = scandir(folder.ptr, &files, yaml_only, alphasort);
    if (n < 0 && errno != ENOENT && errno != ENOTDIR)
        problem_add(&b->problems, ERR_CONFIG_FILE, (ConfigPlace){folder.ptr, 0, 0}, NULL,
                    "cannot be read: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        Str path = arena_printf(&b->task->arena, STR_FMT "/%s", STR_ARG(folder), files[i]->d_name);
        source_file_enter(b, path.ptr);
        free(files[i]);
    }
    free(files);
}

void sources_collect(Build *b)
{
    const Node *inline_list = node_get(b->root, "sources");
    if (inline_list)
        for (NodeEntry *e = inline_list->first; e; e = e->next)
            source_enter(b, e->value);
    for (size_t i = 0; i < b->opts->n_source_files; i++)
        source_file_enter(b, b->opts->source_files[i]);
    if (b->opts->n_source_files == 0 && !(inline_list && inline_list->n)) sources_folder_enter(b);
}

void source_build(Build *b, Node *map, SourceConfig *out)
{
    const Section s = SECTION_SOURCE;
    /* Inline sources were checked with the task file. */
    if (map->place.file != b->root->place.file) keys_check(s, map, &b->problems);
    out->place = id_place(map);
    out->id = keys_str(s, map, "source-id");
    out->enable_gtid = keys_bool(s, map, "enable-gtid");
    Str flavor = keys_str(s, map, "flavor");
    out->flavor = str_eq(flavor, STR("mysql"))     ? FLAVOR_MYSQL
                  : str_eq(flavor, STR("mariadb")) ? FLAVOR_MARIADB
                                                   : FLAVOR_UNKNOWN;
    out->server_id = (uint32_t)keys_u64(s, map, "server-id");
    out->case_sensitive = node_get(map, "case-sensitive") ? keys_bool(s, map, "case-sensitive") : -1;
    const Node *from = node_get(map, "from");
    build_require(b, map, "from", out->id);
    if (from) endpoint_build(b, from, false, &out->from);
}
