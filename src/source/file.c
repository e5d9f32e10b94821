#include "source/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/check.h"
#include "base/reader.h"
#include "base/poison.h"

enum {
    MAGIC_LEN = 4,
    CHUNK = 1 << 20,
    CHECKSUM_LEN = 4,
    FLAG_IN_USE = 1,
    FLAG_RELAY_LOG = 0x40,
};
static const uint8_t magic_plain[MAGIC_LEN] = {0xfe, 'b', 'i', 'n'},
                     magic_encrypted[MAGIC_LEN] = {0xfd, 'b', 'i', 'n'};
static const char encrypted_remedy[] =
    "read it from the server, which decrypts it: shardmerge events TASK.yaml --source ID --from FILE:POS";

struct BinlogFile {
    int fd;
    Str name; /* in arena */
    Arena arena, format_arena;
    FormatDescription format;
    bool has_format, in_use, relay, encrypted;
    StrBuf bytes;   /* read ahead */
    size_t at;      /* of the next event in bytes */
    uint64_t pos;   /* of the next event in the file */
    bool end;       /* nothing more to read */
    int read_errno; /* 0: none */
};

/* -- bytes -- */

/* Are n bytes there from `at` on? Reads as needed; room grows with what has come in, at most twofold. */
static bool fill(BinlogFile *f, size_t n)
{
    while (f->bytes.len - f->at < n && !f->end) {
        if (f->at && f->bytes.len - f->at < CHUNK) {
            memmove(f->bytes.ptr, f->bytes.ptr + f->at, f->bytes.len - f->at);
            f->bytes.len -= f->at;
            f->at = 0;
        }
        sb_reserve(&f->bytes, CHUNK);
        ssize_t got = read(f->fd, f->bytes.ptr + f->bytes.len, f->bytes.cap - f->bytes.len - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) f->read_errno = errno;
        if (got <= 0)
            f->end = true;
        else
            sb_wrote(&f->bytes, (size_t)got);
    }
    return f->bytes.len - f->at >= n;
}

static Str buffered(const BinlogFile *f)
{
    return str_make(f->bytes.ptr + f->at, f->bytes.len - f->at);
}

/* -- opening -- */

static bool check_magic(BinlogFile *f, Err *err)
{
    bool there = fill(f, MAGIC_LEN);
    if (f->read_errno) return err_set(err, ERR_IO, STR_FMT ": %s", STR_ARG(f->name), strerror(f->read_errno));
    Str head = buffered(f);
    if (there && memcmp(head.ptr, magic_encrypted, MAGIC_LEN) == 0)
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED, encrypted_remedy,
                              STR_FMT ": MySQL has encrypted this file (binlog_encryption)",
                              STR_ARG(f->name));
    if (!there || memcmp(head.ptr, magic_plain, MAGIC_LEN) != 0) {
        CLEANUP(sb_done) StrBuf hex = {0};
        sb_hex(&hex, head.ptr, MIN(head.len, (size_t)MAGIC_LEN));
        return err_set_remedy(
            err, ERR_CORRUPT,
            "give binlog or relay log files; for a live server: events TASK.yaml --source ID",
            STR_FMT ": no binlog: it begins with %s%s, not fe62696e", STR_ARG(f->name),
            hex.len ? "" : "nothing", sb_view(&hex).ptr);
    }
    f->at += MAGIC_LEN;
    f->pos = MAGIC_LEN;
    return true;
}

bool file_open(const char *path, BinlogFile **out, Err *err)
{
    BinlogFile *f = mem_zalloc(sizeof *f);
    bool standard_input = strcmp(path, "-") == 0;
    const char *slash = strrchr(path, '/');
    *out = NULL;
    f->name = arena_str(&f->arena, standard_input ? STR("standard input") : str_of(slash ? slash + 1 : path));
    f->fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool ok = f->fd >= 0 || err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    if (!ok || !check_magic(f, err)) {
        file_close(f);
        return false;
    }
    *out = f;
    return true;
}

void file_close(BinlogFile *f)
{
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    sb_done(&f->bytes);
    arena_done(&f->format_arena);
    arena_done(&f->arena);
    free(f);
}

/* -- events -- */

static FileResult fail_at(const BinlogFile *f, FileResult result, Err *err)
{
    err_wrap(err, STR_FMT ":%llu", STR_ARG(f->name), (unsigned long long)f->pos);
    return result;
}

static bool all_zero(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i]) return false;
    return true;
}

/* The file ends inside the event that begins here. */
static bool half_written(const BinlogFile *f, uint32_t size, Err *err)
{
    size_t left = buffered(f).len;
    const char *remedy =
        f->in_use
            ? "the server still writes this file, or crashed while it did: read it again later, or ask the "
              "server itself"
            : "the file was cut off: copy it again from the server";
    CLEANUP(sb_done) StrBuf whole = {0};
    if (size) sb_printf(&whole, " of %u", size);
    return err_set_remedy(err, ERR_DECODE_TRUNCATED, remedy,
                          "the file ends inside this event: %zu%s bytes are there", left,
                          whole.ptr ? whole.ptr : "");
}

/* The next event's bytes into *whole. FILE_EVENT, FILE_END or FILE_FAILED. */
static FileResult take_bytes(BinlogFile *f, Str *whole, Err *err)
{
    if (!fill(f, EVENT_HEADER_LEN)) {
        if (f->read_errno) {
            err_set(err, ERR_IO, "%s", strerror(f->read_errno));
            return FILE_FAILED;
        }
        if (buffered(f).len == 0) return FILE_END;
        half_written(f, 0, err);
        return FILE_FAILED;
    }
    if (f->encrypted) {
        err_set_remedy(err, ERR_DECODE_UNSUPPORTED, encrypted_remedy,
                       "MariaDB has encrypted this file from here on (encrypt_binlog)");
        return FILE_FAILED;
    }
    Reader r = reader_of(str_make(f->bytes.ptr + f->at, EVENT_HEADER_LEN));
    (void)reader_bytes(&r, 9);
    uint32_t size = reader_u32(&r);
    if (size < EVENT_HEADER_LEN) {
        if (all_zero(str_make(f->bytes.ptr + f->at, EVENT_HEADER_LEN)))
            err_set_remedy(err, ERR_CORRUPT,
                           "the rest of the file is lost: ask the server, or copy the file again",
                           "zero bytes where an event is due: the machine crashed while it wrote");
        else
            err_set(err, ERR_CORRUPT, "an event of %u bytes: its header alone has %d", size,
                    EVENT_HEADER_LEN);
        return FILE_FAILED;
    }
    if (!fill(f, size)) {
        if (f->read_errno)
            err_set(err, ERR_IO, "%s", strerror(f->read_errno));
        else
            half_written(f, size, err);
        return FILE_FAILED;
    }
    *whole = str_make(f->bytes.ptr + f->at, size);
    f->at += size;
    return FILE_EVENT;
}

static bool take_format(BinlogFile *f, const RawEvent *ev, Err *err)
{
    arena_done(&f->format_arena);
    f->format_arena = (Arena){0};
    f->has_format = event_format_description(ev->whole, &f->format_arena, &f->format, err);
    f->in_use = ev->header.flags & FLAG_IN_USE;
    f->relay |= (ev->header.flags & FLAG_RELAY_LOG) != 0;
    return f->has_format;
}

/* A relay log keeps the ROTATE that the source made up, with a checksum or without. */
static bool split(const BinlogFile *f, RawEvent *out, Err *err)
{
    unsigned type = (uint8_t)out->whole.ptr[4];
    bool sum = f->format.checksum_crc32 &&
               type != EVENT_FORMAT_DESCRIPTION; /* that one is verified with its parse */
    if (event_split(out->whole, sum, &out->header, &out->body, err)) return true;
    if (err->code != ERR_DECODE_CHECKSUM || type != EVENT_ROTATE ||
        !(out->header.flags & EVENT_FLAG_ARTIFICIAL))
        return false;
    err_clear(err);
    return event_split(out->whole, false, &out->header, &out->body, err);
}

/* Little-endian; an event is longer than that. */
static uint32_t last_four(Str event)
{
    Reader r = reader_of(event);
    (void)reader_bytes(&r, event.len - CHECKSUM_LEN);
    return reader_u32(&r);
}

FileResult file_next(BinlogFile *f, RawEvent *out, Err *err)
{
    *out = (RawEvent){.file = f->name, .start_pos = f->pos, .end_pos = f->pos};
    FileResult result = take_bytes(f, &out->whole, err);
    if (result == FILE_FAILED) return fail_at(f, result, err);
    if (result == FILE_END) return result;
    unsigned type = (uint8_t)out->whole.ptr[4];
    out->end_pos = f->pos + out->whole.len;
    if (!f->has_format && type != EVENT_FORMAT_DESCRIPTION) {
        err_set(err, ERR_CORRUPT, "%s event before FORMAT_DESCRIPTION", event_type_name(type));
        return fail_at(f, FILE_FAILED, err);
    }
    bool ok = split(f, out, err);
    if (ok && type == EVENT_FORMAT_DESCRIPTION && !take_format(f, out, err))
        return fail_at(f, FILE_FAILED, err); /* nobody could say how to read what follows */
    if (!ok)
        fail_at(f, FILE_DAMAGED, err);
    else if (f->format.checksum_crc32)
        out->crc = last_four(out->whole);
    f->encrypted |= ok && type == EVENT_START_ENCRYPTION;
    f->pos = out->end_pos;
    return ok ? FILE_EVENT : FILE_DAMAGED;
}

const FormatDescription *file_format(const BinlogFile *f)
{
    return &f->format;
}

Str file_name(const BinlogFile *f)
{
    return f->name;
}

bool file_is_relay(const BinlogFile *f)
{
    return f->relay;
}
