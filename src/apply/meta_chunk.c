/* sm_chunk: what of the existing rows has been copied. */
#include "apply/meta_sql.h"
#include "base/poison.h"

static void hex_text(StrBuf *out, Str bytes)
{
    sb_c(out, "x'");
    sb_hex(out, bytes.ptr, bytes.len);
    sb_ch(out, '\'');
}

void meta_chunk_sql(const MetaTask *m, Str stream, const TxnChunk *chunk, StrBuf *out)
{
    sb_c(out, "INSERT INTO ");
    meta_table(out, m, "sm_chunk");
    sb_c(out, " (task, stream, chunk, source_schema, source_table, piece, lo, hi, point, row_count,"
              " byte_count, copied) VALUES (");
    sb_quoted(out, m->task);
    sb_ch(out, ',');
    sb_quoted(out, stream);
    sb_printf(out, ",%llu,", (unsigned long long)chunk->id);
    TableName name = member_copied_as(chunk->member);
    sb_quoted(out, name.schema);
    sb_ch(out, ',');
    sb_quoted(out, name.table);
    sb_printf(out, ",%llu,", (unsigned long long)chunk->piece);
    hex_text(out, chunk->lo);
    sb_ch(out, ',');
    hex_text(out, chunk->hi);
    sb_ch(out, ',');
    sb_quoted(out, chunk->point_json);
    sb_printf(out, ",%llu,%llu,UTC_TIMESTAMP())", (unsigned long long)chunk->rows,
              (unsigned long long)chunk->bytes);
}

static void where_stream(StrBuf *sql, const MetaTask *m, Str stream)
{
    meta_where_task(sql, m);
    sb_c(sql, " AND stream = ");
    sb_quoted(sql, stream);
}

static bool read_rows(Conn *c, const MetaTask *m, Str stream, Arena *arena, MetaChunk **out, size_t *n,
                      Err *err)
{
    StrBuf sql = {0};
    Rows rows = {0};
    bool ok = false;
    sb_c(&sql,
         "SELECT chunk, source_schema, source_table, piece, lo, hi, point, row_count, byte_count FROM ");
    meta_table(&sql, m, "sm_chunk");
    where_stream(&sql, m, stream);
    sb_c(&sql, " ORDER BY chunk FOR UPDATE");
    if (!conn_query(c, sb_view(&sql), &rows, err)) goto out;
    *out = arena_array(arena, MetaChunk, rows.n_rows + 1);
    *n = 0;
    for (Str v[9]; rows_next(&rows, v);) {
        MetaChunk *k = &(*out)[(*n)++];
        if (!meta_u64(v[0], &k->id, err) || !meta_u64(v[3], &k->piece, err) ||
            !meta_u64(v[7], &k->rows, err) || !meta_u64(v[8], &k->bytes, err))
            goto out;
        k->table = (TableName){arena_str(arena, v[1]), arena_str(arena, v[2])};
        k->lo = arena_str(arena, v[4]);
        k->hi = arena_str(arena, v[5]);
        if (v[6].ptr) k->point_json = arena_str(arena, v[6]);
    }
    ok = true;
out:
    rows_done(&rows);
    sb_done(&sql);
    return ok;
}

bool meta_read_chunks(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream, Arena *arena,
                      MetaChunk **out, size_t *n, Err *err)
{
    *out = NULL;
    *n = 0;
    if (!conn_exec(c, str_of(session_begin_sql(d)), NULL, err)) return false;
    if (meta_lock_epoch(c, m, epoch, err) && read_rows(c, m, stream, arena, out, n, err) &&
        conn_exec(c, STR("COMMIT"), NULL, err))
        return true;
    meta_rollback(c);
    return false;
}

static bool delete_gone(Conn *c, const MetaTask *m, const MetaChunkMerge *merge, Err *err)
{
    enum { AT_ONCE = 1000 };
    StrBuf sql = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < merge->n_gone; i += AT_ONCE) {
        sb_clear(&sql);
        sb_c(&sql, "DELETE FROM ");
        meta_table(&sql, m, "sm_chunk");
        where_stream(&sql, m, merge->stream);
        sb_c(&sql, " AND chunk IN (");
        for (size_t j = i; j < merge->n_gone && j < i + AT_ONCE; j++)
            sb_printf(&sql, "%s%llu", j > i ? "," : "", (unsigned long long)merge->gone[j]);
        sb_ch(&sql, ')');
        ok = conn_exec(c, sb_view(&sql), NULL, err);
    }
    sb_done(&sql);
    return ok;
}

bool meta_forget_chunks(Conn *c, const Dialect *d, const MetaTask *m, uint64_t epoch, Str stream,
                        TableName table, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "DELETE FROM ");
    meta_table(&sql, m, "sm_chunk");
    where_stream(&sql, m, stream);
    sb_c(&sql, " AND source_schema = ");
    sb_quoted(&sql, table.schema);
    sb_c(&sql, " AND source_table = ");
    sb_quoted(&sql, table.table);
    if (conn_exec(c, str_of(session_begin_sql(d)), NULL, err) && meta_lock_epoch(c, m, epoch, err) &&
        conn_exec(c, sb_view(&sql), NULL, err) && conn_exec(c, STR("COMMIT"), NULL, err))
        return true;
    meta_rollback(c);
    return false;
}

bool meta_merge_chunks(Conn *c, const MetaTask *m, const MetaChunkMerge *merge, Err *err)
{
    StrBuf sql = {0};
    uint64_t matched = 0;
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, m, "sm_chunk");
    sb_c(&sql, " SET piece = 0, point = NULL, hi = ");
    hex_text(&sql, merge->hi);
    sb_printf(&sql, ", row_count = %llu, byte_count = %llu", (unsigned long long)merge->rows,
              (unsigned long long)merge->bytes);
    where_stream(&sql, m, merge->stream);
    sb_printf(&sql, " AND chunk = %llu", (unsigned long long)merge->keep);
    bool ok = conn_exec(c, sb_view(&sql), &matched, err);
    sb_done(&sql);
    if (ok && matched != 1)
        ok = err_set(err, ERR_APPLY_META, "chunk %llu of source " STR_FMT " is gone from the meta schema",
                     (unsigned long long)merge->keep, STR_ARG(merge->stream));
    return ok && delete_gone(c, m, merge, err);
}
