#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "config/build.h"
#include "config/value.h"
#include "base/poison.h"

/* One of ca, cert and key may be given as a file, as its text, or as base64. */
typedef struct TlsPart {
    const char *file_key, *bytes_key, *base64_key;
} TlsPart;

static const TlsPart parts[] = {
    {"ssl-ca", "ssl-ca-bytes", "ssl-ca-base64"},
    {"ssl-cert", "ssl-cert-bytes", "ssl-cert-base64"},
    {"ssl-key", "ssl-key-bytes", "ssl-key-base64"},
};

/* A list of byte values, base64 by !!binary, or the text itself. */
static bool blob_decode(const Node *n, StrBuf *out)
{
    if (n->kind == NODE_SCALAR) {
        if (n->binary) return value_base64(n->text, out);
        sb_str(out, n->text);
        return true;
    }
    for (const NodeEntry *e = n->first; e; e = e->next) {
        uint64_t v;
        if (!str_to_u64(e->value->text, &v)) return false;
        sb_ch(out, (char)v);
    }
    return true;
}

static bool private_dir_make(Build *b, ConfigPlace place)
{
    if (b->task->private_dir) return true;
    const char *tmp = getenv("TMPDIR");
    StrBuf path = {0};
    sb_printf(&path, "%s/shardmerge-tls-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (mkdtemp(path.ptr)) {
        b->task->private_dir = sb_take(&path);
        return true;
    }
    problem_add(&b->problems, ERR_CONFIG_FILE, place, "set TMPDIR to a folder that may be written",
                "no private folder for TLS texts: %s: %s", path.ptr, strerror(errno));
    sb_done(&path);
    return false;
}

/* Writes content into a new private file (0600) and returns its path, NULL on failure. */
static const char *private_write(Build *b, ConfigPlace place, Str content)
{
    if (!private_dir_make(b, place)) return NULL;
    StrBuf path = {0};
    sb_printf(&path, "%s/XXXXXX", b->task->private_dir);
    int fd = mkostemp(path.ptr, O_CLOEXEC);
    bool ok = fd >= 0;
    while (ok && content.len) {
        ssize_t n = write(fd, content.ptr, content.len);
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0;
        if (ok) content = (Str){content.ptr + n, content.len - (size_t)n};
    }
    if (!ok)
        problem_add(&b->problems, ERR_CONFIG_FILE, place, NULL, "%s cannot be written: %s", path.ptr,
                    strerror(errno));
    if (fd >= 0 && close(fd) < 0 && ok)
        ok = problem_add(&b->problems, ERR_CONFIG_FILE, place, NULL, "%s cannot be written: %s", path.ptr,
                         strerror(errno));
    const char *result = ok ? arena_str(&b->task->arena, sb_view(&path)).ptr : NULL;
    sb_done(&path);
    return result;
}

void tls_private_remove(Task *t)
{
    if (!t->private_dir) return;
    DIR *dir = opendir(t->private_dir);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    rmdir(t->private_dir);
    free(t->private_dir);
    t->private_dir = NULL;
}

static const char *part_from_file(Build *b, const Node *security, const char *key, Str value)
{
    ConfigPlace place = keys_place(security, key);
    const char *path = build_path(b, place.file, value).ptr;
    int fd = b->opts->offline ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && !b->opts->offline)
        problem_add(&b->problems, ERR_CONFIG_FILE, place, NULL, "%s: %s cannot be read: %s", key, path,
                    strerror(errno));
    if (fd >= 0) close(fd);
    return path;
}

static const char *part_from_text(Build *b, const Node *security, const char *key, bool base64)
{
    const Node *n = node_get(security, key);
    ConfigPlace place = keys_place(security, key);
    StrBuf content = {0};
    const char *path = NULL;
    if (!(base64 ? value_base64(n->text, &content) : blob_decode(n, &content)))
        problem_add(&b->problems, ERR_CONFIG_VALUE, place, "encode the file's content with base64",
                    "%s: not base64", key);
    else if (b->opts->offline)
        path = "";
    else
        path = private_write(b, place, sb_view(&content));
    if (content.ptr) explicit_bzero(content.ptr, content.len);
    sb_done(&content);
    return path;
}

static bool is_given(const Node *security, const char *key)
{
    const Node *n = node_get(security, key);
    return n && (n->kind == NODE_SCALAR ? n->text.len : n->n) > 0;
}

static const char *part_build(Build *b, const Node *security, const TlsPart *part)
{
    const char *const keys[] = {part->file_key, part->bytes_key, part->base64_key};
    const char *used = NULL, *path = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!is_given(security, keys[i])) continue;
        if (used) {
            problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(security, keys[i]), "keep one of them",
                        "both %s and %s are given", used, keys[i]);
            continue;
        }
        used = keys[i];
        path = i == 0 ? part_from_file(b, security, used, node_get(security, used)->text)
                      : part_from_text(b, security, used, i == 2);
    }
    return path;
}

void tls_build(Build *b, const Node *security, TlsOpts *out)
{
    out->ca = part_build(b, security, &parts[0]);
    out->cert = part_build(b, security, &parts[1]);
    out->key = part_build(b, security, &parts[2]);
    out->verify = out->ca != NULL;
    out->required = out->ca || out->cert || out->key;
    if (!out->cert == !out->key) return;
    /* A part that could not be read has its own problem: only what was never written is missing. */
    const TlsPart *absent = out->cert ? &parts[2] : &parts[1];
    if (!keys_absent(security, absent->file_key) || !keys_absent(security, absent->bytes_key) ||
        !keys_absent(security, absent->base64_key))
        return;
    problem_add(&b->problems, ERR_CONFIG_MISSING, security->place, "give both, or neither",
                "%s is missing: a client certificate needs its key", absent->file_key);
}
