#include "source/spill.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/check.h"
#include "base/crc.h"
#include "base/fault.h"
#include "base/reader.h"
#include "base/poison.h"

enum { BUFFER_BYTES = 256 * 1024, FRAME_LEN = 8, KEEP_RECORD_BYTES = 1024 * 1024 };

struct Spill {
    int fd;
    char *path;       /* for messages: the file has no name any more */
    uint64_t written; /* bytes in the file */
    StrBuf buffer;    /* to be written behind them */
    uint64_t read_at;
    StrBuf record;
};

char *spill_prefix(const char *source_id)
{
    StrBuf b = {0};
    for (const char *c = source_id; *c; c++) {
        bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-';
        sb_ch(&b, plain ? *c : '_');
    }
    sb_ch(&b, '.');
    return sb_take(&b);
}

bool spill_open(const char *dir, const char *source_id, Spill **out, Err *err)
{
    enum { MOST_TRIES = 1000 };
    char *prefix = spill_prefix(source_id);
    Spill *s = mem_zalloc(sizeof *s);
    s->fd = -1;
    for (unsigned n = 0; n < MOST_TRIES && s->fd < 0; n++) {
        StrBuf path = {0};
        sb_printf(&path, "%s/%s%u.spill", dir, prefix, n);
        free(s->path);
        s->path = sb_take(&path);
        s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (s->fd < 0 && errno != EEXIST) break;
    }
    free(prefix);
    if (s->fd < 0) {
        err_set(err, ERR_SOURCE_SPILL, "cannot create %s: %s", s->path, strerror(errno));
        spill_close(s);
        return false;
    }
    (void)unlink(s->path); /* a sweep may have been faster */
    *out = s;
    return true;
}

static bool open_named(const char *path, int flags, Spill **out, Err *err)
{
    Spill *s = mem_zalloc(sizeof *s);
    struct stat about;
    s->path = str_dup(str_of(path));
    s->fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (s->fd < 0 || fstat(s->fd, &about) != 0) {
        err_set(err, ERR_SOURCE_SPILL, "cannot open %s: %s", path, strerror(errno));
        spill_close(s);
        return false;
    }
    s->written = (uint64_t)about.st_size;
    *out = s;
    return true;
}

bool spill_create(const char *path, Spill **out, Err *err)
{
    return open_named(path, O_CREAT | O_TRUNC, out, err);
}

bool spill_attach(const char *path, Spill **out, Err *err)
{
    return open_named(path, 0, out, err);
}

void spill_close(Spill *s)
{
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    free(s->path);
    sb_done(&s->buffer);
    sb_done(&s->record);
    free(s);
}

void spill_sweep(const char *dir, const char *source_id)
{
    DIR *d = opendir(dir);
    if (!d) return; /* it is made later, or spill_open says what is wrong with it */
    char *prefix = spill_prefix(source_id);
    for (struct dirent *e; (e = readdir(d));) {
        Str name = str_of(e->d_name), number = {name.ptr + strlen(prefix), 0};
        Str suffix = STR(".spill");
        if (!str_starts(name, str_of(prefix)) || name.len < strlen(prefix) + suffix.len) continue;
        number.len = name.len - strlen(prefix) - suffix.len;
        uint64_t n;
        if (!str_eq((Str){number.ptr + number.len, suffix.len}, suffix) || !str_to_u64(number, &n)) continue;
        (void)unlinkat(dirfd(d), e->d_name, 0); /* gone already: as good */
    }
    free(prefix);
    closedir(d);
}

static bool write_all(Spill *s, Str bytes, Err *err)
{
    while (bytes.len) {
        ssize_t n = -1;
        if (FAULT("spill.write"))
            errno = ENOSPC;
        else
            n = pwrite(s->fd, bytes.ptr, bytes.len, (off_t)s->written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return err_set(err, ERR_SOURCE_SPILL, "cannot write %zu bytes of a large transaction to %s: %s",
                           bytes.len, s->path, n < 0 ? strerror(errno) : "nothing was written");
        s->written += (uint64_t)n;
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

static bool flush(Spill *s, Err *err)
{
    if (!write_all(s, sb_view(&s->buffer), err)) return false;
    sb_clear(&s->buffer);
    return true;
}

static void put_u32(StrBuf *b, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        sb_ch(b, (char)(v >> (8 * i)));
}

bool spill_append(Spill *s, Str head, Str body, Err *err)
{
    uint64_t len = (uint64_t)head.len + body.len;
    if (len > UINT32_MAX)
        return err_set(err, ERR_SOURCE_SPILL, "a record of more than 4 GiB for %s", s->path);
    uint32_t crc = crc_sum(crc_sum(0, head.ptr, head.len), body.ptr, body.len);
    put_u32(&s->buffer, (uint32_t)len);
    put_u32(&s->buffer, crc);
    sb_str(&s->buffer, head);
    if (body.len >= BUFFER_BYTES) return flush(s, err) && write_all(s, body, err);
    sb_str(&s->buffer, body);
    return s->buffer.len < BUFFER_BYTES || flush(s, err);
}

uint64_t spill_length(const Spill *s)
{
    return s->written + s->buffer.len;
}

bool spill_cut(Spill *s, uint64_t length, Err *err)
{
    CHECK(length <= spill_length(s), "a spill file is only ever cut to a length it had");
    if (length >= s->written) {
        s->buffer.len = (size_t)(length - s->written);
        return true;
    }
    sb_clear(&s->buffer);
    if (ftruncate(s->fd, (off_t)length) != 0)
        return err_set(err, ERR_SOURCE_SPILL, "cannot cut %s: %s", s->path, strerror(errno));
    s->written = length;
    return true;
}

bool spill_sync(Spill *s, Err *err)
{
    if (!flush(s, err)) return false;
    if (fsync(s->fd) == 0) return true;
    return err_set(err, ERR_SOURCE_SPILL, "cannot sync %s: %s", s->path, strerror(errno));
}

bool spill_rewind(Spill *s, Err *err)
{
    s->read_at = 0;
    return flush(s, err);
}

static bool read_all(Spill *s, char *to, size_t n, Err *err)
{
    while (n) {
        ssize_t got = pread(s->fd, to, n, (off_t)s->read_at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return err_set(err, ERR_SOURCE_SPILL, "cannot read back %s at %llu: %s", s->path,
                           (unsigned long long)s->read_at,
                           got < 0 ? strerror(errno) : "it has become shorter");
        s->read_at += (uint64_t)got;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

bool spill_next(Spill *s, Str *record, bool *end, Err *err)
{
    char frame[FRAME_LEN];
    *end = s->read_at == s->written;
    if (*end) return true;
    if (!read_all(s, frame, sizeof frame, err)) return false;
    Reader r = reader_of(str_make(frame, sizeof frame));
    uint32_t len = reader_u32(&r), crc = reader_u32(&r);
    if (len > s->written - s->read_at)
        return err_set(err, ERR_SOURCE_SPILL, "%s holds other bytes than were written", s->path);
    if (s->record.cap > KEEP_RECORD_BYTES && len <= KEEP_RECORD_BYTES) sb_done(&s->record);
    sb_clear(&s->record);
    sb_reserve(&s->record, len);
    if (!read_all(s, s->record.ptr, len, err)) return false;
    sb_wrote(&s->record, len);
    *record = sb_view(&s->record);
    if (crc_sum(0, record->ptr, record->len) != crc)
        return err_set(err, ERR_SOURCE_SPILL, "%s holds other bytes than were written", s->path);
    return true;
}
