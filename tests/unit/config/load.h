/* Loads task texts in a folder of their own, for the tests of config/. */
#ifndef SM_TESTS_CONFIG_LOAD_H
#define SM_TESTS_CONFIG_LOAD_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "unit.h"
#include "config/task.h"

/* One temporary folder with files, and what loading task.yaml in it gave. */
typedef struct Load {
    char dir[64];
    Task *task; /* NULL when it did not load */
    StrBuf problems;
    Err err;
    const char *files[4]; /* --source */
    size_t n_files;
    bool offline;
} Load;

static inline void load_init(Load *l)
{
    *l = (Load){.dir = "/tmp/sm-config-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(l->dir));
}

static inline char *load_path(const Load *l, const char *name)
{
    StrBuf b = {0};
    sb_printf(&b, "%s/%s", l->dir, name);
    return sb_take(&b);
}

static inline void load_write(const Load *l, const char *name, Str text, mode_t mode)
{
    char *path = load_path(l, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text.ptr, text.len), (ssize_t)text.len);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
    free(path);
}

/* Loads task.yaml with this text. */
static inline bool load_bytes(Load *l, Str text)
{
    char *path = load_path(l, "task.yaml");
    load_write(l, "task.yaml", text, 0600);
    task_free(l->task);
    l->task = NULL;
    sb_clear(&l->problems);
    err_clear(&l->err);
    TaskOpts opts = {.source_files = l->files, .n_source_files = l->n_files, .offline = l->offline};
    bool ok = task_load(path, &opts, &l->task, &l->problems, &l->err);
    ck_assert(ok == (l->task != NULL));
    ck_assert(ok != err_is_set(&l->err));
    ck_assert(ok == (l->problems.len == 0));
    free(path);
    return ok;
}

static inline bool load_text(Load *l, const char *text)
{
    return load_bytes(l, str_of(text));
}

static inline void load_remove(const char *dir)
{
    StrBuf b = {0};
    sb_printf(&b, "rm -rf %s", dir);
    ck_assert_int_eq(system(b.ptr), 0);
    sb_done(&b);
}

static inline void load_done(Load *l)
{
    task_free(l->task);
    sb_done(&l->problems);
    err_clear(&l->err);
    load_remove(l->dir);
}

/* The text loads; shows the problems when it does not. */
#define ck_loads(l, text) ck_assert_msg(load_text((l), (text)), "%s", (l)->problems.ptr)

/* The text does not load, the first error has this code, and one line of the report holds `what`. */
#define ck_refused(l, text, code_, what)                                                                     \
    do {                                                                                                     \
        ck_assert_msg(!load_text((l), (text)), "loaded: %s", (text));                                        \
        ck_assert_msg((l)->err.code == (code_), "%s", (l)->problems.ptr);                                    \
        ck_assert_msg(strstr((l)->problems.ptr, (what)) != NULL, "%s", (l)->problems.ptr);                   \
    } while (0)

#define ck_str(s, c) ck_assert_msg(str_eqc((s), (c)), "'" STR_FMT "' is not '%s'", STR_ARG(s), (c))

/* The least that loads; more lines may follow at top level, or first those of the last source. */
#define HEAD "name: t\ntask-mode: incremental\n"
#define TARGET "target-database: {host: db, user: root}\n"
#define INSTANCE "mysql-instances:\n  - source-id: s1\n"
#define SOURCE "sources:\n  - source-id: s1\n    from: {host: up, user: repl}\n"
#define LEAST HEAD TARGET INSTANCE SOURCE

#endif
