/* Source of truth: log_event.h of both servers. */
#include "decode/event_minor.h"
#include "decode/decode_internal.h"
#include "base/poison.h"

/* INTVAR body: 1 byte kind, 8 bytes value. */
bool event_intvar(Str body, unsigned *kind, uint64_t *value, Err *err)
{
    Reader r = reader_of(body);
    *kind = reader_u8(&r);
    *value = reader_u64(&r);
    return reader_ok(&r) || decode_event_cut(err, EVENT_INTVAR);
}

/* RAND body: 8 bytes, 8 bytes. */
bool event_rand(Str body, uint64_t seed[2], Err *err)
{
    Reader r = reader_of(body);
    seed[0] = reader_u64(&r);
    seed[1] = reader_u64(&r);
    return reader_ok(&r) || decode_event_cut(err, EVENT_RAND);
}

/* USER_VAR body:
 *   0    4+n  name: length, bytes
 *   …    1    is NULL; if not:
 *   …    1    type
 *   …    4    collation
 *   …    4+n  value: length, bytes
 *   …    1    flags, since MySQL 5.5: 1 unsigned */
bool event_user_var(Str body, UserVarEvent *out, Err *err)
{
    enum { FLAG_UNSIGNED = 1 };
    Reader r = reader_of(body);
    *out = (UserVarEvent){0};
    out->name = reader_str(&r, reader_u32(&r));
    out->is_null = reader_u8(&r) != 0;
    if (reader_ok(&r) && out->is_null) return true;
    out->type = reader_u8(&r);
    out->collation = reader_u32(&r);
    out->value = reader_str(&r, reader_u32(&r));
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_USER_VAR);
    out->is_unsigned = reader_left(&r) && reader_u8(&r) & FLAG_UNSIGNED;
    return true;
}

static bool impossible(const UserVarEvent *v, Err *err)
{
    return err_set(err, ERR_DECODE_VALUE, "USER_VAR event: %zu bytes that are no value of type %u",
                   v->value.len, v->type);
}

bool event_user_var_text(const UserVarEvent *v, StrBuf *out, Err *err)
{
    Reader r = reader_of(v->value);
    if (v->is_null) {
        sb_c(out, "NULL");
        return true;
    }
    switch ((UserVarType)v->type) {
    case USER_VAR_STRING: sb_str(out, v->value); return true;
    case USER_VAR_REAL: {
        uint64_t bits = reader_u64(&r);
        double d;
        if (!reader_ok(&r) || reader_left(&r)) return impossible(v, err);
        memcpy(&d, &bits, sizeof d);
        if (!(d - d == 0)) return impossible(v, err); /* not finite */
        double_text(out, d);
        return true;
    }
    case USER_VAR_INT: {
        uint64_t n = reader_u64(&r);
        if (!reader_ok(&r) || reader_left(&r)) return impossible(v, err);
        v->is_unsigned ? sb_u64(out, n) : sb_i64(out, (int64_t)n);
        return true;
    }
    case USER_VAR_DECIMAL: {
        uint8_t precision = reader_u8(&r), scale = reader_u8(&r);
        bool sane =
            reader_ok(&r) && precision >= 1 && precision <= DECIMAL_MAX_PRECISION && scale <= precision;
        return (sane && decimal_text(out, r.at, (uint32_t)reader_left(&r), precision, scale)) ||
               impossible(v, err);
    }
    case USER_VAR_ROW: break;
    }
    return impossible(v, err);
}

/* ROWS_QUERY body: 1 byte length, not used; the text to the end. ANNOTATE_ROWS: the text. */
bool event_rows_query(unsigned type, Str body, Str *sql, Err *err)
{
    Reader r = reader_of(body);
    if (type == EVENT_ROWS_QUERY) (void)reader_u8(&r);
    if (!reader_ok(&r)) return decode_event_cut(err, type);
    *sql = reader_str(&r, reader_left(&r));
    return true;
}

/* INCIDENT body: 2 bytes number, 1 byte length, message. */
bool event_incident(Str body, unsigned *number, Str *message, Err *err)
{
    Reader r = reader_of(body);
    *number = reader_u16(&r);
    *message = reader_str(&r, reader_u8(&r));
    return reader_ok(&r) || decode_event_cut(err, EVENT_INCIDENT);
}

/* BINLOG_CHECKPOINT body: 4 bytes length, file name. */
bool event_binlog_checkpoint(Str body, Str *file, Err *err)
{
    Reader r = reader_of(body);
    *file = reader_str(&r, reader_u32(&r));
    return reader_ok(&r) || decode_event_cut(err, EVENT_BINLOG_CHECKPOINT);
}

/* 4 bytes file id, then the block to the end. */
bool event_load_block(unsigned type, Str body, uint32_t *file_id, Str *block, Err *err)
{
    Reader r = reader_of(body);
    *file_id = reader_u32(&r);
    *block = reader_str(&r, reader_left(&r));
    return reader_ok(&r) || decode_event_cut(err, type);
}

/* EXECUTE_LOAD_QUERY body: QUERY's first 13 bytes, 4 bytes file id, 4 and 4 bytes where the file's name
 * stands in the text, 1 byte what to do with duplicates; then as QUERY. */
bool event_load_query(Str body, StrBuf *scratch, uint32_t *file_id, QueryEvent *query, Err *err)
{
    enum { QUERY_HEAD = 13, LOAD_HEAD = 13 };
    Reader r = reader_of(body);
    Str head = reader_str(&r, QUERY_HEAD);
    *file_id = reader_u32(&r);
    (void)reader_bytes(&r, LOAD_HEAD - 4);
    if (!reader_ok(&r)) return decode_event_cut(err, EVENT_EXECUTE_LOAD_QUERY);
    sb_clear(scratch);
    sb_str(scratch, head);
    sb_str(scratch, reader_str(&r, reader_left(&r)));
    return event_query(sb_view(scratch), query, err);
}

/* START_ENCRYPTION body: 1 byte scheme, 4 bytes key version, 12 bytes nonce. */
bool event_start_encryption(Str body, uint32_t *key_version, Err *err)
{
    Reader r = reader_of(body);
    (void)reader_u8(&r);
    *key_version = reader_u32(&r);
    return reader_ok(&r) || decode_event_cut(err, EVENT_START_ENCRYPTION);
}
