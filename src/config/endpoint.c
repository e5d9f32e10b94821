#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/build.h"
#include "config/value.h"
#include "base/poison.h"

Str build_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (Str){path, (size_t)(slash - path) + 1} : (Str){"", 0};
}

Str build_path(Build *b, const char *beside, Str path)
{
    if (path.len && path.ptr[0] == '/') return arena_str(&b->task->arena, path);
    while (str_starts(path, STR("./")))
        path = (Str){path.ptr + 2, path.len - 2};
    return arena_printf(&b->task->arena, STR_FMT STR_FMT, STR_ARG(build_folder_of(beside)), STR_ARG(path));
}

/* -- password -- */

/* A small file that only its owner may read; the place is that of the key naming it. */
static bool secret_read(Build *b, const char *path, ConfigPlace place, StrBuf *out)
{
    enum { LIMIT = 64 * 1024 };
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) goto failed;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        goto failed;
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 077)) {
        StrBuf remedy = {0};
        sb_printf(&remedy, "chmod 600 %s", path);
        problem_add(&b->problems, ERR_CONFIG_FILE, place, remedy.ptr,
                    "password-file: others than its owner may read %s (mode %03o)", path, st.st_mode & 0777u);
        sb_done(&remedy);
        goto out;
    }
    sb_reserve(out, LIMIT);
    while (out->len < LIMIT) {
        ssize_t got = read(fd, out->ptr + out->len, LIMIT - out->len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) goto failed;
        if (got == 0) break;
        sb_wrote(out, (size_t)got);
    }
    ok = true;
    goto out;
failed:
    problem_add(&b->problems, ERR_CONFIG_FILE, place, NULL, "password-file: %s cannot be read: %s", path,
                strerror(errno));
out:
    if (fd >= 0) close(fd);
    return ok;
}

static Str password_from_file(Build *b, const Node *map)
{
    ConfigPlace place = keys_place(map, "password-file");
    Str path = build_path(b, place.file, keys_str(SECTION_ENDPOINT, map, "password-file"));
    StrBuf text = {0};
    Str password = {0};
    if (secret_read(b, path.ptr, place, &text)) {
        Str s = sb_view(&text);
        if (s.len && s.ptr[s.len - 1] == '\n') s.len--;
        if (s.len && s.ptr[s.len - 1] == '\r') s.len--;
        if (s.len && memchr(s.ptr, 0, s.len))
            problem_add(&b->problems, ERR_CONFIG_FILE, place, "write the password alone into it",
                        "password-file: %s holds a zero byte", path.ptr);
        password = arena_str(&b->task->arena, s);
    }
    if (text.ptr) explicit_bzero(text.ptr, text.len);
    sb_done(&text);
    return password;
}

static Str password_from_env(Build *b, const Node *map)
{
    Str name = keys_str(SECTION_ENDPOINT, map, "password-env");
    const char *value = getenv(name.ptr);
    if (value) return arena_str(&b->task->arena, str_of(value));
    StrBuf remedy = {0};
    sb_printf(&remedy, "export " STR_FMT " before the program starts", STR_ARG(name));
    problem_add(&b->problems, ERR_CONFIG_MISSING, keys_place(map, "password-env"), remedy.ptr,
                "password-env: the environment has no variable " STR_FMT, STR_ARG(name));
    sb_done(&remedy);
    return (Str){0};
}

static void password_build(Build *b, const Node *map, Endpoint *out)
{
    static const char *const keys[] = {"password", "password-env", "password-file"};
    const char *used = NULL;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys_str(SECTION_ENDPOINT, map, keys[i]).len == 0) continue;
        if (used)
            problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(map, keys[i]), "keep one of them",
                        "both %s and %s are given", used, keys[i]);
        else
            used = keys[i];
    }
    if (b->opts->offline || !used) return;
    if (used == keys[0])
        out->password = keys_str(SECTION_ENDPOINT, map, used);
    else
        out->password = used == keys[1] ? password_from_env(b, map) : password_from_file(b, map);
    out->password_looks_encrypted = value_looks_encrypted(out->password);
}

/* -- session -- */

/* What every session sets for itself: exactness rests on these. value NULL: no other value fits either. */
static const struct {
    const char *name, *value;
} pinned[] = {
    {"sql_mode", NULL},
    {"time_zone", "+00:00"},
    {"foreign_key_checks", "0"},
    {"unique_checks", "1"},
    {"autocommit", NULL},
    {"transaction_isolation", "READ-COMMITTED"},
    {"tx_isolation", "READ-COMMITTED"},
    {"transaction_read_only", "0"},
    {"tx_read_only", "0"},
    {"character_set_client", "utf8mb4"},
    {"character_set_connection", "utf8mb4"},
    {"character_set_results", "utf8mb4"},
    {"collation_connection", NULL},
    {"tidb_txn_mode", "pessimistic"},
    {"tidb_constraint_check_in_place", "1"},
    {"sql_log_bin", "1"},
    {"timestamp", NULL},
    {"insert_id", NULL},
    {"sql_auto_is_null", "0"},
    {"sql_safe_updates", "0"},
    {"sql_select_limit", NULL},
    {"max_statement_time", NULL},
    {"check_constraint_checks", "1"},
    {"completion_type", NULL},
    {"system_versioning_alter_history", NULL},
};

static bool same_value(Str have, const char *want)
{
    bool a, c;
    if (str_ieq(have, str_of(want))) return true;
    Str w = str_of(want);
    bool known = str_eq(w, STR("0")) || str_eq(w, STR("1"));
    c = str_eq(w, STR("1"));
    return known && value_bool(have, &a) && a == c;
}

static bool var_name_ok(Str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!fits) return false;
    }
    return name.len > 0 && name.len <= 64;
}

static void session_var_check(Build *b, const NodeEntry *e)
{
    Str name = e->key->text;
    if (!var_name_ok(name)) {
        problem_add(&b->problems, ERR_CONFIG_VALUE, e->key->place, "write the bare name: letters, digits, _",
                    "session: a key is not the name of a variable");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(pinned); i++) {
        if (!str_ieq(name, str_of(pinned[i].name))) continue;
        if (pinned[i].value && same_value(e->value->text, pinned[i].value)) return;
        StrBuf remedy = {0};
        sb_c(&remedy, "remove it");
        if (pinned[i].value) sb_printf(&remedy, "; every session runs with %s", pinned[i].value);
        problem_add(
            &b->problems, ERR_CONFIG_REFUSED_KEY, e->key->place, remedy.ptr,
            "session: %s is set by the program itself: every row must come out as it went in, whatever the "
            "server's settings",
            pinned[i].name);
        sb_done(&remedy);
        return;
    }
}

static void session_build(Build *b, const Node *map, bool target, Endpoint *out)
{
    const Node *session = node_get(map, "session");
    if (!session || session->n == 0) return;
    if (!target) {
        problem_add(&b->problems, ERR_NOT_SUPPORTED, keys_place(map, "session"),
                    "remove it; no variable of our connection changes what the source writes into its binlog",
                    "session: not supported yet for a source");
        return;
    }
    out->session = arena_array(&b->task->arena, SessionVar, session->n);
    for (const NodeEntry *e = session->first; e; e = e->next) {
        session_var_check(b, e);
        out->session[out->n_session++] = (SessionVar){e->key->text, e->value->text};
    }
}

/* -- the whole -- */

void endpoint_build(Build *b, const Node *map, bool target, Endpoint *out)
{
    const Section s = SECTION_ENDPOINT;
    out->place = map->place;
    out->host = keys_str(s, map, "host");
    out->user = keys_str(s, map, "user");
    out->port = (unsigned)keys_u64(s, map, "port");
    Str socket = keys_str(s, map, "socket");
    if (socket.len) {
        out->socket = build_path(b, map->place.file, socket);
        static const char *const not_both[] = {"host", "port"};
        for (size_t i = 0; i < ARRAY_LEN(not_both); i++)
            if (node_get(map, not_both[i]))
                problem_add(&b->problems, ERR_CONFIG_VALUE, keys_place(map, not_both[i]),
                            "keep one of the two", "both socket and %s are given", not_both[i]);
    } else {
        if (!out->host.len) build_require(b, map, "host", STR(""));
        if (!out->port) out->port = target ? 4000 : 3306;
    }
    if (!out->user.len) build_require(b, map, "user", STR(""));
    password_build(b, map, out);
    session_build(b, map, target, out);
    const Node *security = node_get(map, "security");
    if (security) tls_build(b, security, &out->tls);
}
