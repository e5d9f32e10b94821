#include "source/xa.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/check.h"
#include "base/fault.h"
#include "base/varint.h"
#include "source/spill.h"
#include "base/poison.h"

enum { VERSION = 1, RECORD_EVENT = 'E', RECORD_PREPARED = 'P', RECORD_ENDED = 'D' };

typedef struct Prepared {
    Arena arena;
    char *path;
    Str xid;
    TxnId prepare, end;
    bool ended;
    FormatDescription fmt;
    struct Prepared *next; /* in the order of their PREPAREs as far as known */
} Prepared;

struct XaStore {
    char *dir, *source_id;
    char *prefix; /* dir/<source>. */
    Prepared *first;
    Spill *writing;
    char *writing_path;
    uint64_t n_events;
};

/* ---- identities and names ---- */

static void put_str(StrBuf *b, Str s)
{
    sb_varint(b, s.len);
    sb_str(b, s);
}

static Str take_str(Reader *r)
{
    return reader_str(r, reader_varint(r));
}

static void put_id(StrBuf *b, const TxnId *id)
{
    StrBuf gtid = {0};
    if (id->has_gtid) gtid_format(&id->gtid, &gtid);
    sb_ch(b, (char)id->gtid.flavor);
    put_str(b, sb_view(&gtid));
    put_str(b, id->file);
    sb_varint(b, id->end_pos);
    put_str(b, str_of(id->server));
    sb_done(&gtid);
}

static bool take_id(Reader *r, Arena *arena, TxnId *id)
{
    Err err = {0};
    *id = (TxnId){0};
    Flavor flavor = (Flavor)reader_u8(r);
    Str gtid = take_str(r);
    id->file = arena_str(arena, take_str(r));
    id->end_pos = reader_varint(r);
    id->server = server_intern(arena_str(arena, take_str(r)).ptr);
    id->has_gtid = gtid.len > 0;
    bool ok = reader_ok(r) && (!id->has_gtid || gtid_parse(flavor, gtid, &id->gtid, &err));
    err_clear(&err);
    return ok;
}

static char *file_path(const XaStore *s, Str xid, const TxnId *prepare)
{
    StrBuf id = {0}, path = {0};
    put_id(&id, prepare);
    sb_printf(&path, "%s%016llx-%016llx-%016llx.xa", s->prefix,
              (unsigned long long)str_hash(str_of(s->source_id)), (unsigned long long)str_hash(xid),
              (unsigned long long)str_hash(sb_view(&id)));
    sb_done(&id);
    return sb_take(&path);
}

static char *writing_path(const XaStore *s)
{
    StrBuf path = {0};
    sb_printf(&path, "%s%016llx.tmp", s->prefix, (unsigned long long)str_hash(str_of(s->source_id)));
    return sb_take(&path);
}

static bool sync_dir(const XaStore *s, Err *err)
{
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok) err_set(err, ERR_SOURCE_SPILL, "cannot sync the folder %s: %s", s->dir, strerror(errno));
    if (fd >= 0) close(fd);
    return ok;
}

/* ---- the list ---- */

static void prepared_free(Prepared *p)
{
    if (!p) return;
    arena_done(&p->arena);
    free(p->path);
    free(p);
}

static void append(XaStore *s, Prepared *p)
{
    Prepared **at = &s->first;
    while (*at)
        at = &(*at)->next;
    *at = p;
}

static Prepared *find(const XaStore *s, Str xid)
{
    Prepared *found = NULL;
    for (Prepared *p = s->first; p; p = p->next)
        if (!p->ended && str_eq(p->xid, xid)) found = p;
    return found;
}

bool xa_is_prepared(const XaStore *s, Str xid)
{
    return find(s, xid) != NULL;
}

size_t xa_n_prepared(const XaStore *s)
{
    size_t n = 0;
    for (const Prepared *p = s->first; p; p = p->next)
        n += !p->ended;
    return n;
}

/* ---- opening ---- */

static bool read_prepared_record(Prepared *p, Str source_id, Reader *r, uint64_t n_events)
{
    if (reader_varint(r) != VERSION || !str_eq(take_str(r), source_id) || reader_varint(r) != n_events)
        return false;
    p->xid = arena_str(&p->arena, take_str(r));
    p->fmt.is_mariadb = reader_u8(r);
    const uint8_t *lens = reader_bytes(r, sizeof p->fmt.post_header_len);
    if (lens) memcpy(p->fmt.post_header_len, lens, sizeof p->fmt.post_header_len);
    return take_id(r, &p->arena, &p->prepare) && reader_ok(r);
}

/* *whole: its end record is there and right. */
static bool read_file(const XaStore *s, Prepared *p, bool *whole, Err *err)
{
    Spill *f;
    uint64_t n_events = 0;
    *whole = false;
    if (!spill_attach(p->path, &f, err)) return false;
    bool end = false, ok = true;
    while (ok && !end) {
        Str record;
        Err broken = {0};
        if (!spill_next(f, &record, &end,
                        &broken)) { /* cut off, or other bytes: what is whole before it counts */
            err_clear(&broken);
            break;
        }
        if (end) break;
        Reader r = reader_of(record);
        switch (reader_u8(&r)) {
        case RECORD_EVENT:
            ok = !*whole;
            n_events++;
            break;
        case RECORD_PREPARED:
            *whole = ok = !*whole && read_prepared_record(p, str_of(s->source_id), &r, n_events);
            break;
        case RECORD_ENDED: ok = p->ended = *whole && take_id(&r, &p->arena, &p->end); break;
        default: ok = false;
        }
    }
    *whole &= ok;
    spill_close(f);
    return true;
}

static bool covers(const StreamPoint *from, TxnId id)
{
    id.has_gtid = id.has_gtid && from->gtids;
    return point_covers(from, &id);
}

/* Names of other sources may begin the same way. */
static bool is_of_source(const XaStore *s, Str name)
{
    char own[40];
    snprintf(own, sizeof own, ".%016llx-", (unsigned long long)str_hash(str_of(s->source_id)));
    return str_find(name, str_of(own)) != SIZE_MAX;
}

static bool open_file(XaStore *s, const char *name, const StreamPoint *from, Err *err)
{
    Prepared *p = mem_zalloc(sizeof *p);
    StrBuf path = {0};
    bool whole;
    sb_printf(&path, "%s/%s", s->dir, name);
    p->path = sb_take(&path);
    if (!read_file(s, p, &whole, err)) {
        prepared_free(p);
        return false;
    }
    if (!whole) {
        err_set_remedy(
            err, ERR_SOURCE_SPILL,
            "bring it back from a copy, or move it away: the source then stops if its XA COMMIT comes",
            "%s: the rows of a prepared XA transaction, or of another source, are broken on the disk",
            p->path);
        prepared_free(p);
        return false;
    }
    bool keep = covers(from, p->prepare) && !(p->ended && covers(from, p->end));
    if (keep) {
        p->ended = false; /* its end is read again */
        append(s, p);
        return true;
    }
    (void)unlink(p->path); /* gone already: as good */
    prepared_free(p);
    return true;
}

bool xa_open(const char *dir, const char *source_id, const StreamPoint *from, XaStore **out, Err *err)
{
    XaStore *s = mem_zalloc(sizeof *s);
    char *name = spill_prefix(source_id);
    StrBuf prefix = {0};
    bool ok = true;
    sb_printf(&prefix, "%s/%s", dir, name);
    s->prefix = sb_take(&prefix);
    s->dir = str_dup(str_of(dir));
    s->source_id = str_dup(str_of(source_id));
    DIR *d = opendir(dir);
    if (!d && errno != ENOENT)
        ok = err_set(err, ERR_SOURCE_SPILL, "cannot read the folder %s: %s", dir, strerror(errno));
    for (struct dirent *e; ok && d && (e = readdir(d));) {
        Str n = str_of(e->d_name), suffix = STR(".xa");
        if (!str_starts(n, str_of(name)) || n.len < suffix.len) continue;
        if (!str_eq((Str){n.ptr + n.len - suffix.len, suffix.len}, suffix)) continue;
        if (!is_of_source(s, n)) continue;
        ok = open_file(s, e->d_name, from, err);
    }
    if (d) closedir(d);
    free(name);
    char *unfinished = writing_path(s);
    (void)unlink(unfinished);
    free(unfinished);
    if (!ok) {
        xa_close(s);
        return false;
    }
    *out = s;
    return true;
}

void xa_close(XaStore *s)
{
    if (!s) return;
    xa_drop(s);
    for (Prepared *p = s->first, *next; p; p = next) {
        next = p->next;
        prepared_free(p);
    }
    free(s->dir);
    free(s->source_id);
    free(s->prefix);
    free(s);
}

/* ---- writing ---- */

bool xa_begin(XaStore *s, Err *err)
{
    xa_drop(s);
    s->writing_path = writing_path(s);
    s->n_events = 0;
    return spill_create(s->writing_path, &s->writing, err);
}

bool xa_add(XaStore *s, unsigned event_type, Str body, Err *err)
{
    CHECK(s->writing, "begun");
    char head[2] = {RECORD_EVENT, (char)event_type};
    s->n_events++;
    return spill_append(s->writing, str_make(head, sizeof head), body, err);
}

void xa_drop(XaStore *s)
{
    if (s->writing) (void)unlink(s->writing_path);
    spill_close(s->writing);
    s->writing = NULL;
    free(s->writing_path);
    s->writing_path = NULL;
}

/* Writes that p has ended in that transaction into its file; with sync it is on the disk. */
static bool write_end(const Prepared *p, const TxnId *end, bool sync, Err *err)
{
    Spill *f;
    if (!spill_attach(p->path, &f, err)) return false;
    StrBuf record = {0};
    sb_ch(&record, RECORD_ENDED);
    put_id(&record, end);
    bool ok = spill_append(f, sb_view(&record), (Str){0}, err) &&
              (sync ? spill_sync(f, err) : spill_rewind(f, err));
    sb_done(&record);
    spill_close(f);
    return ok;
}

/* The xid is used again: that its older transactions are over is on the disk before the new file is, or else
 * a start after a crash of the machine would find two in force and not know which is the newer. */
static bool settle_older(const XaStore *s, Str xid, const char *path, const TxnId *prepare, Err *err)
{
    for (const Prepared *p = s->first; p; p = p->next) {
        if (!str_eq(p->xid, xid) || strcmp(p->path, path) == 0) continue;
        if (!write_end(p, p->ended ? &p->end : prepare, true, err)) return false;
    }
    return true;
}

/* A file's name stands before its bytes do only when both are synced in this order. */
static bool publish(XaStore *s, const char *path, Err *err)
{
    if (FAULT("xa.before_sync"))
        return err_set(err, ERR_SOURCE_SPILL, "cannot sync %s (injected)", s->writing_path);
    if (!spill_sync(s->writing, err)) return false;
    if (rename(s->writing_path, path) != 0)
        return err_set(err, ERR_SOURCE_SPILL, "cannot rename %s to %s: %s", s->writing_path, path,
                       strerror(errno));
    spill_close(s->writing);
    s->writing = NULL;
    if (!sync_dir(s, err)) return false;
    (void)FAULT("xa.after_rename");
    return true;
}

/* The file of a PREPARE that is read a second time is the same file; older ones of the xid had their end. */
static void replace_older(XaStore *s, Prepared *p)
{
    for (Prepared **at = &s->first; *at;) {
        Prepared *old = *at;
        if (strcmp(old->path, p->path) == 0) {
            *at = old->next;
            prepared_free(old);
            continue;
        }
        if (!old->ended && str_eq(old->xid, p->xid)) {
            old->ended = true;
            old->end = p->prepare;
            old->end.file = arena_str(&old->arena, p->prepare.file);
        }
        at = &old->next;
    }
    append(s, p);
}

bool xa_prepared(XaStore *s, Str xid, const TxnId *prepare, const FormatDescription *fmt, Err *err)
{
    CHECK(s->writing, "begun");
    StrBuf end = {0};
    sb_ch(&end, RECORD_PREPARED);
    sb_varint(&end, VERSION);
    put_str(&end, str_of(s->source_id));
    sb_varint(&end, s->n_events);
    put_str(&end, xid);
    sb_ch(&end, (char)fmt->is_mariadb);
    sb_add(&end, fmt->post_header_len, sizeof fmt->post_header_len);
    put_id(&end, prepare);
    char *path = file_path(s, xid, prepare);
    bool ok = spill_append(s->writing, sb_view(&end), (Str){0}, err) &&
              settle_older(s, xid, path, prepare, err) && publish(s, path, err);
    sb_done(&end);
    if (!ok) {
        free(path);
        xa_drop(s);
        return false;
    }
    Prepared *p = mem_zalloc(sizeof *p);
    p->path = path;
    p->xid = arena_str(&p->arena, xid);
    p->prepare = *prepare;
    p->prepare.file = arena_str(&p->arena, prepare->file);
    p->fmt.is_mariadb = fmt->is_mariadb;
    memcpy(p->fmt.post_header_len, fmt->post_header_len, sizeof p->fmt.post_header_len);
    replace_older(s, p);
    xa_drop(s);
    return true;
}

/* ---- reading ---- */

static bool replay(Spill *f, const FormatDescription *fmt, XaEventFn fn, void *ctx, uint64_t *n, Err *err)
{
    if (!spill_rewind(f, err)) return false;
    for (bool end = false;;) {
        Str record;
        if (!spill_next(f, &record, &end, err)) return false;
        if (end) return true;
        Reader r = reader_of(record);
        if (reader_u8(&r) != RECORD_EVENT) continue;
        unsigned type = reader_u8(&r);
        ++*n;
        if (!fn(ctx, fmt, type, reader_str(&r, reader_left(&r)), err)) return false;
    }
}

bool xa_replay(XaStore *s, Str xid, const FormatDescription *now, XaEventFn fn, void *ctx, Err *err)
{
    uint64_t n = 0;
    if (!xid.len) {
        CHECK(s->writing, "begun");
        return replay(s->writing, now, fn, ctx, &n, err);
    }
    Prepared *p = find(s, xid);
    Spill *f;
    CHECK(p, "prepared");
    if (!spill_attach(p->path, &f, err)) return false;
    bool ok = replay(f, &p->fmt, fn, ctx, &n, err);
    spill_close(f);
    return ok;
}

bool xa_ended(XaStore *s, Str xid, const TxnId *end, Err *err)
{
    Prepared *p = find(s, xid);
    CHECK(p, "prepared");
    p->end = *end;
    p->end.file = arena_str(&p->arena, end->file);
    p->ended = true;
    return write_end(p, &p->end, false, err);
}

void xa_collect(XaStore *s, XaCoveredFn covered, void *ctx)
{
    for (Prepared **at = &s->first; *at;) {
        Prepared *p = *at;
        if (!p->ended) {
            at = &p->next;
            continue;
        }
        if (!covered(ctx, &p->end)) return;
        (void)FAULT("xa.before_remove");
        (void)unlink(p->path);
        *at = p->next;
        prepared_free(p);
    }
}
