/* libFuzzer: any bytes as a task file. Every outcome but a crash or a leak is fine: a task, or a sorted
 * report. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "config/task.h"
#include "base/check.h"
#include "base/poison.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = {"fixtures/config/minimal/shard1.yaml"};
    int fd = memfd_create("task", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "a file in memory");
    StrBuf path = {0}, problems = {0}, text = {0};
    sb_printf(&path, "/proc/self/fd/%d", fd);
    TaskOpts opts = {.source_files = files, .n_source_files = ARRAY_LEN(files)};
    Task *task = NULL;
    Err err = {0};
    bool ok = task_load(path.ptr, &opts, &task, &problems, &err);
    CHECK(ok == (problems.len == 0) && ok != err_is_set(&err), "a report with every failure");
    if (ok) task_fingerprint(task, &text);
    task_free(task);
    err_clear(&err);
    sb_done(&path);
    sb_done(&problems);
    sb_done(&text);
    close(fd);
    return 0;
}
