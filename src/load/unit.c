/* The rows of a table without a chunk key, read from one snapshot, wait in a file: a restart goes on from it,
 * because the snapshot cannot be had again.
 *
 *   record   4 length of the image, image
 *   piece    records up to PIECE_BYTES; its offset and CRC32 are kept in memory and in the end record
 *   end      8 magic, 8 pieces, then per piece: 8 offset, 8 rows, 4 crc; 4 crc of all that, 8 offset of the
 *            magic: the last 12 bytes of the file
 *
 * Written by one reader, then read by one; numbers little-endian. Guarded by Load.mutex: done, ids. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "base/check.h"
#include "base/reader.h"
#include "load/load_impl.h"
#include "base/poison.h"

enum { PIECE_BYTES = 4 << 20, TAIL_BYTES = 12 };
static const uint64_t MAGIC = 0x31544e554d535348ULL; /* "HSSMUNT1" */

typedef struct Piece {
    uint64_t offset, rows;
    uint32_t crc;
    bool done;
} Piece;

struct Unit {
    char *path;
    FILE *file;
    Piece *pieces;
    uint64_t *ids;
    size_t n, cap;
    uint64_t length; /* of the records */
    uint64_t piece_bytes;
    const uint8_t *present; /* of a full image */
    size_t n_columns;
    size_t n_done;
};

static bool io_error(const Unit *u, const char *what, Err *err)
{
    return err_set_remedy(err, ERR_SOURCE_SPILL, "make room in the state folder, or look at its disk",
                          "%s %s: %s", what, u->path, strerror(errno));
}

static void put_u64(StrBuf *b, uint64_t v)
{
    sb_add(b, &v, sizeof v);
}

static char *path_of(const Load *l, const Member *m)
{
    StrBuf path = {0};
    sb_printf(&path, "%s/unit-%s-", l->opts.dir, l->opts.source_id);
    StrBuf name = {0};
    table_name_plain(member_copied_as(m), &name);
    sb_hex(&path, name.ptr, name.len); /* whatever the name is */
    sb_c(&path, ".rows");
    sb_done(&name);
    return sb_take(&path);
}

static Unit *unit_new(const Load *l, const LoadTable *t, const LoadShape *s)
{
    Unit *u = mem_zalloc(sizeof *u);
    u->path = path_of(l, t->member);
    u->n_columns = s->info.map->n_columns;
    return u;
}

void unit_close(Unit *u)
{
    if (!u) return;
    if (u->file) fclose(u->file);
    free(u->path);
    free(u->pieces);
    free(u->ids);
    free(u);
}

void unit_remove(Unit *u)
{
    (void)unlink(u->path); /* what stays is replaced when the name is used again */
    unit_close(u);
}

void unit_discard(const Load *l, const Member *m)
{
    char *path = path_of(l, m);
    (void)unlink(path);
    free(path);
}

bool unit_create(const Load *l, const LoadTable *t, const LoadShape *s, Unit **out, Err *err)
{
    Unit *u = unit_new(l, t, s);
    u->file = fopen(u->path, "wb+");
    if (!u->file) {
        (void)io_error(u, "cannot make", err);
        unit_close(u);
        return false;
    }
    *out = u;
    return true;
}

static Piece *add_piece(Unit *u, uint64_t offset)
{
    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 64;
        u->pieces = mem_realloc(u->pieces, u->cap * sizeof *u->pieces);
        u->ids = mem_realloc(u->ids, u->cap * sizeof *u->ids);
    }
    u->pieces[u->n] = (Piece){.offset = offset};
    u->ids[u->n] = 0;
    return &u->pieces[u->n++];
}

bool unit_add(Unit *u, const RowImage *row, Err *err)
{
    uint32_t len = (uint32_t)row->bytes.len;
    if (!u->n || u->piece_bytes >= PIECE_BYTES) {
        add_piece(u, u->length);
        u->piece_bytes = 0;
    }
    Piece *p = &u->pieces[u->n - 1];
    if (fwrite(&len, sizeof len, 1, u->file) != 1 || (len && fwrite(row->bytes.ptr, len, 1, u->file) != 1))
        return io_error(u, "cannot write", err);
    p->crc = (uint32_t)crc32_z(p->crc, (const Bytef *)&len, sizeof len);
    p->crc = (uint32_t)crc32_z(p->crc, (const Bytef *)row->bytes.ptr, len);
    p->rows++;
    u->length += sizeof len + len;
    u->piece_bytes += sizeof len + len;
    return true;
}

bool unit_seal(Unit *u, Err *err)
{
    StrBuf end = {0};
    put_u64(&end, MAGIC);
    put_u64(&end, u->n);
    for (size_t i = 0; i < u->n; i++) {
        put_u64(&end, u->pieces[i].offset);
        put_u64(&end, u->pieces[i].rows);
        sb_add(&end, &u->pieces[i].crc, 4);
    }
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)end.ptr, end.len);
    sb_add(&end, &crc, sizeof crc);
    put_u64(&end, u->length);
    bool ok =
        fwrite(end.ptr, end.len, 1, u->file) == 1 && fflush(u->file) == 0 && fsync(fileno(u->file)) == 0;
    sb_done(&end);
    return ok || io_error(u, "cannot write", err);
}

/* The end record; false (without an error) when there is none or it is not whole. */
static bool read_end(Unit *u, uint64_t size)
{
    uint8_t tail[TAIL_BYTES];
    if (size < TAIL_BYTES + 16 || fseeko(u->file, (off_t)(size - TAIL_BYTES), SEEK_SET) != 0 ||
        fread(tail, sizeof tail, 1, u->file) != 1)
        return false;
    uint32_t crc;
    memcpy(&crc, tail, 4);
    memcpy(&u->length, tail + 4, 8);
    if (u->length > size - TAIL_BYTES - 16) return false;
    size_t n = (size_t)(size - TAIL_BYTES - u->length);
    uint8_t *end = mem_alloc(n);
    bool ok = fseeko(u->file, (off_t)u->length, SEEK_SET) == 0 && fread(end, n, 1, u->file) == 1 &&
              (uint32_t)crc32_z(0, end, n) == crc;
    Reader r = reader_of((Str){(char *)end, n});
    ok = ok && reader_u64(&r) == MAGIC;
    uint64_t pieces = ok ? reader_u64(&r) : 0;
    for (uint64_t i = 0; ok && i < pieces; i++) {
        Piece *p = add_piece(u, reader_u64(&r));
        p->rows = reader_u64(&r);
        p->crc = reader_u32(&r);
        ok = reader_ok(&r);
    }
    free(end);
    return ok;
}

bool unit_open(const Load *l, const LoadTable *t, const LoadShape *s, Unit **out, Err *err)
{
    Unit *u = unit_new(l, t, s);
    struct stat st;
    *out = NULL;
    u->file = fopen(u->path, "rb");
    if (!u->file && errno != ENOENT) {
        (void)io_error(u, "cannot open", err);
        unit_close(u);
        return false;
    }
    if (!u->file || fstat(fileno(u->file), &st) != 0 || !read_end(u, (uint64_t)st.st_size))
        unit_close(u);
    else
        *out = u;
    return true;
}

uint64_t unit_pieces(const Unit *u)
{
    return u->n;
}

static bool take_records(Unit *u, Str bytes, const LoadTableInfo *info, uint64_t rows, Txn *txn, Err *err)
{
    Reader r = reader_of(bytes);
    size_t bitmap = (u->n_columns + 7) / 8;
    uint8_t *present = arena_zalloc(&txn->arena, bitmap);
    for (size_t i = 0; i < u->n_columns; i++)
        present[i / 8] |= (uint8_t)(1U << (i % 8));
    txn->ops = arena_array(&txn->arena, RowOp, rows + 1);
    for (uint64_t i = 0; i < rows; i++) {
        Str image = reader_str(&r, reader_u32(&r));
        if (!reader_ok(&r)) return err_set(err, ERR_CORRUPT, "%s: a record makes no sense", u->path);
        txn->ops[i] = (RowOp){.binding = info->binding,
                              .kind = ROW_INSERT,
                              .after = {.bytes = image, .present = present, .full = true}};
    }
    txn->n_ops = rows;
    return true;
}

uint64_t unit_piece_bytes(const Unit *u, uint64_t piece)
{
    return (piece < u->n ? u->pieces[piece].offset : u->length) - u->pieces[piece - 1].offset;
}

bool unit_piece(Unit *u, uint64_t piece, const LoadTableInfo *info, Txn *txn, Err *err)
{
    const Piece *p = &u->pieces[piece - 1];
    size_t n = (size_t)unit_piece_bytes(u, piece);
    char *data = arena_alloc(&txn->arena, n + 1);
    if (fseeko(u->file, (off_t)p->offset, SEEK_SET) != 0 || (n && fread(data, n, 1, u->file) != 1))
        return io_error(u, "cannot read", err);
    if ((uint32_t)crc32_z(0, (const Bytef *)data, n) != p->crc)
        return err_set_remedy(err, ERR_CORRUPT, "look at the disk; copy this table by hand, or start anew",
                              "%s: piece %llu has another checksum than when it was written", u->path,
                              (unsigned long long)piece);
    return take_records(u, (Str){data, n}, info, p->rows, txn, err);
}

bool unit_is_committed(const Unit *u, uint64_t piece)
{
    return u->pieces[piece - 1].done;
}

void unit_commit(Unit *u, uint64_t piece, uint64_t chunk_id)
{
    CHECK(piece >= 1 && piece <= u->n && !u->pieces[piece - 1].done, "a piece is committed once");
    u->pieces[piece - 1].done = true;
    u->ids[piece - 1] = chunk_id;
    u->n_done++;
}

bool unit_is_complete(const Unit *u)
{
    return u->n_done == u->n;
}

const uint64_t *unit_chunk_ids(const Unit *u)
{
    return u->ids;
}
