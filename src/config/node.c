#include "config/node.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include "base/map.h"
#include "base/poison.h"

enum {
    FILE_LIMIT = 8 * 1024 * 1024, /* bytes of one configuration file */
    DEPTH_LIMIT = 64,
    WEIGHT_LIMIT = 1000000, /* nodes, aliases counted each time they are used */
};

typedef struct Parser {
    yaml_parser_t yaml;
    Arena *arena;
    const char *file;
    Str text;
    Map anchors; /* name → Node, or the parser itself while the node is being read: an alias would make a loop
                  */
    Problems *problems;
    unsigned depth;
} Parser;

static ConfigPlace place_of(const Parser *p, yaml_mark_t mark)
{
    return (ConfigPlace){p->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

/* Line and column of a byte offset, for the reader's errors: they come without a mark. */
static ConfigPlace place_of_offset(const Parser *p, size_t offset)
{
    ConfigPlace place = {p->file, 1, 1};
    for (size_t i = 0; i < offset && i < p->text.len; i++) {
        unsigned char c = (unsigned char)p->text.ptr[i];
        if (c == '\n') {
            place.line++;
            place.column = 1;
        } else if ((c & 0xC0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

/* Is there a tab in the white space before or at the mark? Marks count characters, so the line is looked up.
 */
static bool at_tab(const Parser *p, yaml_mark_t mark)
{
    Str rest = p->text, line = {0};
    for (size_t i = 0; i <= mark.line; i++)
        line = str_split(&rest, '\n');
    for (size_t i = 0; i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'); i++)
        if (line.ptr[i] == '\t') return true;
    return false;
}

static Node *syntax_error(Parser *p)
{
    const yaml_parser_t *y = &p->yaml;
    if (y->error == YAML_READER_ERROR) {
        problem_add(p->problems, ERR_CONFIG_SYNTAX, place_of_offset(p, y->problem_offset),
                    "save the file as UTF-8 text", "not readable as text: %s", y->problem);
        return NULL;
    }
    if (y->error == YAML_MEMORY_ERROR) {
        problem_add(p->problems, ERR_CONFIG_SYNTAX, (ConfigPlace){p->file, 1, 1}, NULL, "out of memory");
        return NULL;
    }
    const char *remedy =
        at_tab(p, y->problem_mark) ? "indent with spaces; YAML does not allow tabs there" : NULL;
    problem_add(p->problems, ERR_CONFIG_SYNTAX, place_of(p, y->problem_mark), remedy, "%s%s%s",
                y->problem ? y->problem : "cannot be read", y->context ? ", " : "",
                y->context ? y->context : "");
    return NULL;
}

static bool next_event(Parser *p, yaml_event_t *ev)
{
    if (yaml_parser_parse(&p->yaml, ev)) return true;
    syntax_error(p);
    return false;
}

static Node *node_parse(Parser *p, const yaml_event_t *ev);

static void child_add(Parser *p, Node *parent, Node *key, Node *value)
{
    NodeEntry *e = arena_new(p->arena, NodeEntry);
    e->key = key;
    e->value = value;
    if (parent->last)
        parent->last->next = e;
    else
        parent->first = e;
    parent->last = e;
    parent->n++;
    parent->weight += value->weight + (key ? 1 : 0);
}

/* Too many nodes after resolving aliases: a few lines can name billions. */
static bool weight_ok(Parser *p, const Node *n)
{
    if (n->weight <= WEIGHT_LIMIT) return true;
    return problem_add(p->problems, ERR_CONFIG_SYNTAX, n->place, "write it without nested aliases",
                       "more than %d values after resolving aliases", WEIGHT_LIMIT);
}

static bool list_parse(Parser *p, Node *list)
{
    for (;;) {
        yaml_event_t ev;
        if (!next_event(p, &ev)) return false;
        if (ev.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&ev);
            return true;
        }
        Node *item = node_parse(p, &ev);
        yaml_event_delete(&ev);
        if (!item) return false;
        child_add(p, list, NULL, item);
        if (!weight_ok(p, list)) return false;
    }
}

/* Adds the pairs of a merged map that are not there yet. */
static bool merge_one(Parser *p, Node *map, Map *seen, const Node *from)
{
    if (from->kind != NODE_MAP)
        return problem_add(p->problems, ERR_CONFIG_SYNTAX, from->place, "write <<: *anchor of a map",
                           "a merge key (<<) needs a map, not %s", node_kind_name(from));
    for (const NodeEntry *e = from->first; e; e = e->next) {
        if (map_get(seen, e->key->text)) continue;
        map_put(seen, e->key->text, e->key);
        child_add(p, map, e->key, e->value);
    }
    return weight_ok(p, map);
}

/* Explicit keys win over merged ones, earlier merged maps over later ones. */
static bool merges_resolve(Parser *p, Node *map, Map *seen, const Node *merge)
{
    if (!merge) return true;
    if (merge->kind != NODE_LIST) return merge_one(p, map, seen, merge);
    for (const NodeEntry *e = merge->first; e; e = e->next)
        if (!merge_one(p, map, seen, e->value)) return false;
    return true;
}

/* One pair: its key's event is read; *merge takes the value of `<<`. */
static bool pair_parse(Parser *p, Node *map, const yaml_event_t *key_event, Map *seen, Node **merge)
{
    Node *key = node_parse(p, key_event);
    if (!key) return false;
    if (key->kind != NODE_SCALAR)
        return problem_add(p->problems, ERR_CONFIG_SYNTAX, key->place, NULL,
                           "a key must be a single value, not %s", node_kind_name(key));
    bool is_merge = key->plain && str_eq(key->text, STR("<<"));
    const Node *before = map_get(seen, key->text);
    if (before)
        return problem_add(p->problems, ERR_CONFIG_SYNTAX, key->place, "remove one of the two",
                           "key '" STR_FMT "' stands twice in one map, first in line %u", STR_ARG(key->text),
                           before->place.line);
    map_put(seen, key->text, key);
    yaml_event_t ev;
    if (!next_event(p, &ev)) return false;
    Node *value = node_parse(p, &ev);
    yaml_event_delete(&ev);
    if (!value) return false;
    if (is_merge) {
        *merge = value;
        return true;
    }
    child_add(p, map, key, value);
    return weight_ok(p, map);
}

static bool map_parse(Parser *p, Node *map)
{
    Map seen = {0}; /* key text → key node */
    Node *merge = NULL;
    bool ok = true, more = true;
    while (ok && more) {
        yaml_event_t ev;
        if (!next_event(p, &ev)) {
            ok = false;
            break;
        }
        if (ev.type == YAML_MAPPING_END_EVENT) {
            more = false;
            ok = merges_resolve(p, map, &seen, merge);
        } else {
            ok = pair_parse(p, map, &ev, &seen, &merge);
        }
        yaml_event_delete(&ev);
    }
    map_done(&seen);
    return ok;
}

static Node *alias_resolve(Parser *p, const yaml_event_t *ev)
{
    const char *name = (const char *)ev->data.alias.anchor;
    Node *n = map_get(&p->anchors, str_of(name));
    if (n && (void *)n != (void *)p) return n;
    problem_add(p->problems, ERR_CONFIG_SYNTAX, place_of(p, ev->start_mark),
                n ? "an anchor may not stand inside itself" : "define the anchor before it is used",
                n ? "alias *%s refers to the value it stands in" : "alias *%s refers to no anchor", name);
    return NULL;
}

static bool tag_ok(Parser *p, const yaml_event_t *ev, const yaml_char_t *tag, Node *n)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    if (!tag || str_eqc(str_of((const char *)tag), "!")) return true;
    Str t = str_of((const char *)tag);
    if (str_starts(t, str_of(prefix))) {
        Str kind = {t.ptr + sizeof prefix - 1, t.len - (sizeof prefix - 1)};
        n->binary = str_eq(kind, STR("binary"));
        if (str_eq(kind, STR("str"))) n->plain = false;
        static const char *const known[] = {"str", "int", "bool", "float", "null", "binary", "seq", "map"};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (str_eqc(kind, known[i])) return true;
    }
    return problem_add(p->problems, ERR_CONFIG_SYNTAX, place_of(p, ev->start_mark), "remove the tag",
                       "the tag '" STR_FMT "' is not known here", STR_ARG(t));
}

/* The node an event begins; reads on to the end of a list or map. The event stays the caller's. */
static Node *node_parse(Parser *p, const yaml_event_t *ev)
{
    if (ev->type == YAML_ALIAS_EVENT) return alias_resolve(p, ev);
    Node *n = arena_new(p->arena, Node);
    n->place = place_of(p, ev->start_mark);
    n->weight = 1;
    const yaml_char_t *anchor, *tag;
    if (ev->type == YAML_SCALAR_EVENT) {
        n->kind = NODE_SCALAR;
        n->text = arena_str(p->arena, str_make(ev->data.scalar.value, ev->data.scalar.length));
        n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        n->kind = NODE_LIST;
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
    } else {
        n->kind = NODE_MAP;
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
    }
    if (!tag_ok(p, ev, tag, n)) return NULL;
    if (anchor) map_put(&p->anchors, str_of((const char *)anchor), p);
    if (n->kind != NODE_SCALAR) {
        if (++p->depth > DEPTH_LIMIT) {
            problem_add(p->problems, ERR_CONFIG_SYNTAX, n->place, "no configuration is that deep",
                        "nested more than %d levels deep", DEPTH_LIMIT);
            return NULL;
        }
        if (!(n->kind == NODE_LIST ? list_parse(p, n) : map_parse(p, n))) return NULL;
        p->depth--;
    }
    if (anchor) map_put(&p->anchors, str_of((const char *)anchor), n);
    return n;
}

/* The one document of the stream. */
static Node *document_parse(Parser *p)
{
    Node *root = NULL;
    for (bool end = false; !end;) {
        yaml_event_t ev;
        if (!next_event(p, &ev)) return NULL;
        bool ok = true;
        switch (ev.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
        case YAML_NO_EVENT: break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                ok = problem_add(p->problems, ERR_CONFIG_SYNTAX, place_of(p, ev.start_mark),
                                 "keep one document, put the others into files of their own",
                                 "a second document (---) in one file");
            break;
        case YAML_STREAM_END_EVENT: end = true; break;
        default:
            root = node_parse(p, &ev);
            ok = root != NULL;
            break;
        }
        yaml_event_delete(&ev);
        if (!ok) return NULL;
    }
    if (!root) {
        root = arena_new(p->arena, Node);
        root->kind = NODE_MAP;
        root->place = (ConfigPlace){p->file, 1, 1};
        root->weight = 1;
    }
    return root;
}

Node *node_read_text(Arena *arena, const char *file, Str text, Problems *ps)
{
    Parser p = {.arena = arena, .file = file, .text = text, .problems = ps};
    if (!yaml_parser_initialize(&p.yaml)) {
        problem_add(ps, ERR_CONFIG_SYNTAX, (ConfigPlace){file, 1, 1}, NULL, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    Node *root = document_parse(&p);
    yaml_parser_delete(&p.yaml);
    map_done(&p.anchors);
    if (root && node_is_null(root)) root->kind = NODE_MAP;
    if (root && root->kind != NODE_MAP) {
        problem_add(ps, ERR_CONFIG_SYNTAX, root->place, "write `key: value` lines",
                    "the file holds %s where a map of keys must stand", node_kind_name(root));
        return NULL;
    }
    return root;
}

/* Whole file into *out; errno on failure. EFBIG: larger than FILE_LIMIT. */
static bool file_slurp(const char *file, StrBuf *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = false;
    struct stat st;
    if (fstat(fd, &st) < 0) goto out;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        goto out;
    }
    for (;;) {
        enum { STEP = 64 * 1024 };
        sb_reserve(out, STEP);
        ssize_t got = read(fd, out->ptr + out->len, STEP);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) goto out;
        if (got == 0) break;
        sb_wrote(out, (size_t)got);
        if (out->len > FILE_LIMIT) {
            errno = EFBIG;
            goto out;
        }
    }
    ok = true;
out:;
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

Node *node_read_file(Arena *arena, const char *file, Problems *ps)
{
    StrBuf text = {0};
    Node *root = NULL;
    if (file_slurp(file, &text))
        root = node_read_text(arena, file, sb_view(&text), ps);
    else
        problem_add(ps, ERR_CONFIG_FILE, (ConfigPlace){file, 0, 0}, NULL, "cannot be read: %s",
                    strerror(errno));
    sb_done(&text);
    return root;
}

bool node_is_null(const Node *n)
{
    if (n->kind != NODE_SCALAR || !n->plain) return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (str_eqc(n->text, nulls[i])) return true;
    return false;
}

Node *node_get(const Node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP) return NULL;
    for (const NodeEntry *e = map->first; e; e = e->next)
        if (str_eqc(e->key->text, key)) return e->value->bad || node_is_null(e->value) ? NULL : e->value;
    return NULL;
}

const char *node_kind_name(const Node *n)
{
    static const char *const names[] = {"a single value", "a list", "a map"};
    return names[n->kind];
}
