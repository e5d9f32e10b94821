#include "model/applied_set.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/varint.h"
#include "base/poison.h"

/* One entry:
 *   flags    1   below
 *   stream   varint length + bytes      if NEW_STREAM
 *   mysql    16 uuid, 1 tag length, tag if NEW_CONTEXT and GTID of MySQL
 *   mariadb  varint domain, server_id   if NEW_CONTEXT and GTID of MariaDB
 *   file     varint length + server, varint length + file   if NEW_CONTEXT without GTID
 *   number   varint gno / seq / end position
 *   range    varint from, varint length, 4 crc              if PIECE
 *   counts   varint read, filtered, applied, missed, loaded, parked */
enum {
    NEW_STREAM = 1,
    HAS_GTID = 2,
    IS_MARIADB = 4,
    NEW_CONTEXT = 8,
    PIECE = 16,
    ALL_FLAGS = 31,
};

static void put_bytes(StrBuf *out, Str s)
{
    sb_varint(out, s.len);
    sb_str(out, s);
}

static bool same_context(const AppliedEncoder *e, const TxnId *id)
{
    if (!id->has_gtid) return e->has_file && str_eq(e->file, id->file) && e->server == id->server;
    if (!e->has_gtid || e->last.flavor != id->gtid.flavor) return false;
    if (id->gtid.flavor == FLAVOR_MARIADB)
        return e->last.domain == id->gtid.domain && e->last.server_id == id->gtid.server_id;
    return memcmp(e->last.uuid, id->gtid.uuid, 16) == 0 && str_eqc(str_of(e->last.tag), id->gtid.tag);
}

static void put_context(StrBuf *out, const TxnId *id)
{
    if (!id->has_gtid) {
        put_bytes(out, str_of(id->server));
        put_bytes(out, id->file);
    } else if (id->gtid.flavor == FLAVOR_MARIADB) {
        sb_varint(out, id->gtid.domain);
        sb_varint(out, id->gtid.server_id);
    } else {
        sb_add(out, id->gtid.uuid, 16);
        put_bytes(out, str_of(id->gtid.tag));
    }
}

void applied_encode(AppliedEncoder *e, Str stream, const Txn *t)
{
    const TxnId *id = &t->id;
    bool mariadb = id->has_gtid && id->gtid.flavor == FLAVOR_MARIADB;
    bool new_stream = !str_eqc(stream, e->stream) || e->out.len == 0;
    bool new_context = new_stream || !same_context(e, id);
    CHECK(stream.len < sizeof e->stream, "source ids have at most 32 characters");
    sb_ch(&e->out,
          (char)((new_stream ? NEW_STREAM : 0) | (id->has_gtid ? HAS_GTID : 0) | (mariadb ? IS_MARIADB : 0) |
                 (new_context ? NEW_CONTEXT : 0) | (t->is_piece ? PIECE : 0)));
    if (new_stream) {
        put_bytes(&e->out, stream);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an array inside *e */
        memcpy(e->stream, stream.ptr, stream.len);
        e->stream[stream.len] = 0;
        e->has_gtid = e->has_file = false;
    }
    if (new_context) put_context(&e->out, id);
    if (id->has_gtid) {
        e->last = id->gtid;
        e->has_gtid = true;
    } else {
        e->file = id->file;
        e->server = id->server;
        e->has_file = true;
    }
    sb_varint(&e->out, !id->has_gtid ? id->end_pos : mariadb ? id->gtid.seq : id->gtid.gno);
    if (t->is_piece) {
        sb_varint(&e->out, t->row_from);
        sb_varint(&e->out, t->row_to - t->row_from);
        sb_add(&e->out, &t->rows_crc, sizeof t->rows_crc);
    }
    sb_varint(&e->out, t->counts.read);
    sb_varint(&e->out, t->counts.filtered);
    sb_varint(&e->out, t->counts.applied);
    sb_varint(&e->out, t->counts.missed);
    sb_varint(&e->out, t->counts.loaded);
    sb_varint(&e->out, t->counts.parked);
}

void txn_identity(const TxnId *id, const char *server, StrBuf *out)
{
    if (id->has_gtid) {
        gtid_format(&id->gtid, out);
        return;
    }
    sb_str(out, id->file);
    sb_printf(out, ":%llu@%s", (unsigned long long)id->end_pos, server ? server : "");
}

AppliedSet *applied_set_new(void)
{
    return mem_zalloc(sizeof(AppliedSet));
}

void applied_set_free(AppliedSet *s)
{
    if (!s) return;
    size_t iter = 0;
    void *v;
    while (map_next(&s->txns, &iter, NULL, &v))
        free(((AppliedTxn *)v)->ranges);
    map_done(&s->txns);
    arena_done(&s->arena);
    free(s);
}

bool point_covers(const StreamPoint *p, const TxnId *id)
{
    if (id->has_gtid) return p->gtids && gtidset_contains(p->gtids, &id->gtid);
    if (!p->file || !p->server || !id->server || strcmp(p->server, id->server) != 0) return false;
    int c = 0;
    return binlog_file_cmp(id->file, str_of(p->file), &c) && (c < 0 || (c == 0 && id->end_pos <= p->pos));
}

bool point_reaches(const StreamPoint *floor, const StreamPoint *end)
{
    if (floor->gtids && end->gtids) return gtidset_subset(end->gtids, floor->gtids);
    if (!end->file) return false;
    TxnId last = {.file = str_of(end->file), .end_pos = end->pos, .server = server_intern(end->server)};
    return point_covers(floor, &last);
}

static void add_range(AppliedSet *s, const TxnId *id, const AppliedRange *range, bool whole)
{
    StrBuf key = {0};
    txn_identity(id, id->server, &key);
    AppliedTxn *t = map_get(&s->txns, sb_view(&key));
    if (!t) {
        t = arena_new(&s->arena, AppliedTxn);
        t->id = *id;
        t->id.file = arena_str(&s->arena, id->file);
        map_put(&s->txns, sb_view(&key), t);
    }
    sb_done(&key);
    t->whole |= whole;
    t->ranges = mem_realloc(t->ranges, (t->n_ranges + 1) * sizeof *t->ranges);
    size_t i = t->n_ranges++;
    for (; i > 0 && t->ranges[i - 1].from > range->from; i--)
        t->ranges[i] = t->ranges[i - 1];
    t->ranges[i] = *range;
}

/* One entry off the reader; the context carries over from the entry before. */
typedef struct Decoder {
    Str stream, server, file;
    Gtid gtid;
} Decoder;

static bool take_entry(Reader *r, Decoder *d, TxnId *id, AppliedRange *range, bool *whole)
{
    uint8_t flags = reader_u8(r);
    if (flags & ~ALL_FLAGS) r->failed = true;
    if (flags & NEW_STREAM) d->stream = reader_str(r, reader_varint(r));
    *id = (TxnId){.has_gtid = flags & HAS_GTID};
    if (flags & NEW_CONTEXT) {
        /* A context of one kind leaves the other kind's alone, as the encoder does. */
        if (id->has_gtid) d->gtid = (Gtid){.flavor = flags & IS_MARIADB ? FLAVOR_MARIADB : FLAVOR_MYSQL};
        if (!id->has_gtid) {
            d->server = reader_str(r, reader_varint(r));
            d->file = reader_str(r, reader_varint(r));
        } else if (flags & IS_MARIADB) {
            d->gtid.domain = (uint32_t)reader_varint(r);
            d->gtid.server_id = (uint32_t)reader_varint(r);
        } else {
            const uint8_t *uuid = reader_bytes(r, 16);
            Str tag = reader_str(r, reader_varint(r));
            if (uuid) memcpy(d->gtid.uuid, uuid, 16);
            if (tag.len >= sizeof d->gtid.tag)
                r->failed = true;
            else if (tag.len)
                memcpy(d->gtid.tag, tag.ptr, tag.len);
        }
    }
    uint64_t number = reader_varint(r);
    if (id->has_gtid) {
        d->gtid.gno = d->gtid.seq = number;
        id->gtid = d->gtid;
    } else {
        char *server = str_dup(d->server);
        id->server = server_intern(server);
        free(server);
        id->file = d->file;
        id->end_pos = number;
    }
    *range = (AppliedRange){0};
    *whole = !(flags & PIECE);
    if (flags & PIECE) {
        range->from = reader_varint(r);
        range->to = range->from + reader_varint(r);
        range->crc = reader_u32(r);
    }
    range->counts.read = reader_varint(r);
    range->counts.filtered = reader_varint(r);
    range->counts.applied = reader_varint(r);
    range->counts.missed = reader_varint(r);
    range->counts.loaded = reader_varint(r);
    range->counts.parked = reader_varint(r);
    if (*whole) range->to = range->counts.read;
    return reader_ok(r);
}

/* The next entry; false at the end and on bytes that are none (then *err is set). */
static bool next_entry(Reader *r, Decoder *d, TxnId *id, AppliedRange *range, bool *whole, Err *err)
{
    if (!reader_left(r)) return false;
    if (take_entry(r, d, id, range, whole)) return true;
    return err_set(err, ERR_CORRUPT, "an entry of the applied set cannot be read");
}

bool applied_set_decode(AppliedSet *s, Str bytes, Str stream, const StreamPoint *floor, size_t *added,
                        Err *err)
{
    Reader r = reader_of(bytes);
    Decoder d = {0};
    TxnId id;
    AppliedRange range;
    for (bool whole; next_entry(&r, &d, &id, &range, &whole, err);) {
        if (!str_eq(d.stream, stream) || point_covers(floor, &id)) continue;
        add_range(s, &id, &range, whole);
        (*added)++;
    }
    return !err_is_set(err);
}

bool applied_row_streams(Str bytes, void (*fn)(void *ctx, Str stream), void *ctx, Err *err)
{
    Reader r = reader_of(bytes);
    Decoder d = {0};
    TxnId id;
    AppliedRange range;
    for (bool whole; next_entry(&r, &d, &id, &range, &whole, err);)
        fn(ctx, d.stream);
    return !err_is_set(err);
}

bool applied_set_below(const AppliedSet *s, const StreamPoint *p)
{
    size_t iter = 0;
    void *v;
    while (map_next(&s->txns, &iter, NULL, &v))
        if (!point_covers(p, &((const AppliedTxn *)v)->id)) return false;
    return true;
}

const AppliedTxn *applied_set_find(const AppliedSet *s, const TxnId *id, const char *server)
{
    if (!s || s->txns.count == 0) return NULL;
    StrBuf key = {0};
    txn_identity(id, server, &key);
    const AppliedTxn *t = map_get(&s->txns, sb_view(&key));
    sb_done(&key);
    return t;
}
