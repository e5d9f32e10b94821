#include "db/stmt.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/reader.h"
#include "db/conn_internal.h"
#include "base/poison.h"

/* How a column's values lie in a row packet. */
typedef enum Wire {
    WIRE_NULL,
    WIRE_I8,
    WIRE_U8,
    WIRE_I16,
    WIRE_U16,
    WIRE_I32, /* MEDIUMINT too */
    WIRE_U32,
    WIRE_I64,
    WIRE_F32,
    WIRE_F64,
    WIRE_DATE, /* DATE, DATETIME, TIMESTAMP */
    WIRE_TIME,
    WIRE_BYTES,
} Wire;

/* Owner: the thread that uses the connection. The library prepares and executes; the rows are read off the
 * connection here, packet by packet, since its own fetch copies every value into bound buffers. */
struct Stmt {
    Conn *conn;
    MYSQL_STMT *handle;
    uint32_t n_columns;
    uint8_t *wires; /* Wire, one a column */
    StmtValue *values;
    bool reading; /* rows or their end are still to come */
    bool broken;  /* nothing sensible can be read from the connection any more */
};

static Wire wire_of(const MYSQL_FIELD *f)
{
    bool is_unsigned = f->flags & UNSIGNED_FLAG;
    switch (f->type) {
    case MYSQL_TYPE_NULL: return WIRE_NULL;
    case MYSQL_TYPE_TINY: return is_unsigned ? WIRE_U8 : WIRE_I8;
    case MYSQL_TYPE_YEAR: return WIRE_U16;
    case MYSQL_TYPE_SHORT: return is_unsigned ? WIRE_U16 : WIRE_I16;
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG: return is_unsigned ? WIRE_U32 : WIRE_I32;
    case MYSQL_TYPE_LONGLONG: return WIRE_I64;
    case MYSQL_TYPE_FLOAT: return WIRE_F32;
    case MYSQL_TYPE_DOUBLE: return WIRE_F64;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP: return WIRE_DATE;
    case MYSQL_TYPE_TIME: return WIRE_TIME;
    default: return WIRE_BYTES; /* what servers add later is a string as well */
    }
}

static void read_fields(Stmt *s)
{
    MYSQL_RES *meta = mysql_stmt_result_metadata(s->handle);
    const MYSQL_FIELD *fields = meta ? mysql_fetch_fields(meta) : NULL;
    s->n_columns = meta ? mysql_num_fields(meta) : 0;
    s->wires = mem_zalloc(s->n_columns + 1);
    s->values = mem_zalloc(sizeof *s->values * (s->n_columns + 1));
    for (uint32_t i = 0; i < s->n_columns; i++)
        s->wires[i] = (uint8_t)wire_of(&fields[i]);
    if (meta) mysql_free_result(meta);
}

bool stmt_open(Conn *c, Str sql, Stmt **out, Err *err)
{
    *out = NULL;
    Stmt *s = mem_zalloc(sizeof *s);
    s->conn = c;
    s->handle = mysql_stmt_init(conn_handle(c));
    CHECK(s->handle != NULL, "out of memory");
    if (mysql_stmt_prepare(s->handle, sql.ptr ? sql.ptr : "", sql.len) || mysql_stmt_execute(s->handle)) {
        conn_stmt_error(c, s->handle, err);
        (void)stmt_close(s); /* the error tells whether the connection is lost */
        return false;
    }
    read_fields(s);
    s->reading = s->n_columns > 0;
    *out = s;
    return true;
}

uint32_t stmt_columns(const Stmt *s)
{
    return s->n_columns;
}

/* -- one row -- */

static inline uint64_t le(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are loaded as they lie");
    return v;
}

/* Length, then year 2, month, day, and unless zero hour, minute, second, and unless zero microsecond 4. */
static bool read_date(Reader *r, StmtTime *t)
{
    unsigned n = reader_u8(r);
    const uint8_t *p = reader_bytes(r, n);
    *t = (StmtTime){0};
    if (!p) return false;
    if (n >= 4) {
        t->year = (uint32_t)le(p, 2);
        t->month = p[2];
        t->day = p[3];
    }
    if (n >= 7) {
        t->hour = p[4];
        t->minute = p[5];
        t->second = p[6];
    }
    if (n == 11) t->microsecond = (uint32_t)le(p + 7, 4);
    return n == 0 || n == 4 || n == 7 || n == 11;
}

/* Length, then sign 1, days 4, hour, minute, second, and unless zero microsecond 4. */
static bool read_time(Reader *r, StmtTime *t)
{
    unsigned n = reader_u8(r);
    const uint8_t *p = reader_bytes(r, n);
    *t = (StmtTime){0};
    if (!p) return false;
    if (n >= 8) {
        t->negative = p[0] != 0;
        t->day = (uint32_t)le(p + 1, 4);
        t->hour = p[5];
        t->minute = p[6];
        t->second = p[7];
    }
    if (n == 12) t->microsecond = (uint32_t)le(p + 8, 4);
    return n == 0 || n == 8 || n == 12;
}

static inline bool read_int(Reader *r, StmtValue *v, unsigned n, bool sign)
{
    const uint8_t *p = reader_bytes(r, n);
    if (UNLIKELY(!p)) return false;
    uint64_t raw = le(p, n);
    unsigned unused = 64 - n * 8;
    v->kind = STMT_INT;
    v->i = sign ? (int64_t)(raw << unused) >> unused : (int64_t)raw;
    return true;
}

static inline bool read_bytes(Reader *r, StmtValue *v)
{
    uint64_t n = reader_left(r) && *r->at < 251 ? *r->at++ : reader_lenenc(r);
    const uint8_t *p = reader_bytes(r, n);
    v->kind = STMT_BYTES;
    v->bytes = str_make(p, n);
    return p && reader_ok(r);
}

static inline bool read_value(Reader *r, Wire wire, StmtValue *v)
{
    const uint8_t *p;
    switch (wire) {
    case WIRE_NULL: v->kind = STMT_NULL; return true;
    case WIRE_I8: return read_int(r, v, 1, true);
    case WIRE_U8: return read_int(r, v, 1, false);
    case WIRE_I16: return read_int(r, v, 2, true);
    case WIRE_U16: return read_int(r, v, 2, false);
    case WIRE_I32: return read_int(r, v, 4, true);
    case WIRE_U32: return read_int(r, v, 4, false);
    case WIRE_I64: return read_int(r, v, 8, false);
    case WIRE_F32:
        v->kind = STMT_FLOAT;
        p = reader_bytes(r, 4);
        if (p) v->f = (uint32_t)le(p, 4);
        return p != NULL;
    case WIRE_F64:
        v->kind = STMT_DOUBLE;
        p = reader_bytes(r, 8);
        if (p) v->d = le(p, 8);
        return p != NULL;
    case WIRE_DATE: v->kind = STMT_TIME; return read_date(r, &v->t);
    case WIRE_TIME: v->kind = STMT_TIME; return read_time(r, &v->t);
    case WIRE_BYTES: return read_bytes(r, v);
    }
    return false;
}

/* A row packet of the binary protocol:
 *   0   1             zero
 *   1   (n + 9) / 8   null bitmap: bit i + 2 = column i is NULL
 *   …   …             the values of the other columns */
static bool read_row(Stmt *s, Str packet)
{
    Reader r = reader_of(packet);
    (void)reader_u8(&r);
    const uint8_t *nulls = reader_bytes(&r, (s->n_columns + 9) / 8);
    if (!nulls) return false;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        uint32_t bit = i + 2;
        if (nulls[bit / 8] >> (bit % 8) & 1)
            s->values[i].kind = STMT_NULL;
        else if (UNLIKELY(!read_value(&r, (Wire)s->wires[i], &s->values[i])))
            return false;
    }
    return reader_left(&r) == 0;
}

/* Tells the library, which has not seen the rows go by, that the result is over. */
static void result_over(Stmt *s)
{
    s->reading = false;
    conn_handle(s->conn)->status = MYSQL_STATUS_READY;
    s->handle->state = MYSQL_STMT_FETCH_DONE;
}

/* The next packet of the result: STMT_ROW with *packet, the end, or an error. */
static StmtResult next_packet(Stmt *s, Str *packet, Err *err)
{
    enum { END_OF_ROWS = 0xfe, END_MAX_BYTES = 9 };
    if (!s->reading) return STMT_END;
    if (UNLIKELY(!conn_read_packet(s->conn, packet, err))) {
        s->broken = err->code == ERR_DB_LOST;
        result_over(s);
        return STMT_FAILED;
    }
    uint8_t first = packet->len ? (uint8_t)packet->ptr[0] : END_OF_ROWS;
    if (LIKELY(first == 0)) return STMT_ROW;
    result_over(s);
    if (first == END_OF_ROWS && packet->len > 0 && packet->len < END_MAX_BYTES) return STMT_END;
    s->broken = true;
    err_set(err, ERR_CORRUPT, "%s: a packet that is neither a row nor the end of the rows",
            conn_role(s->conn));
    return STMT_FAILED;
}

StmtResult stmt_next(Stmt *s, const StmtValue **values, Err *err)
{
    Str packet;
    StmtResult got = next_packet(s, &packet, err);
    if (got != STMT_ROW) return got;
    *values = s->values;
    if (LIKELY(read_row(s, packet))) return STMT_ROW;
    err_set(err, ERR_CORRUPT, "%s: a row of %u columns is not as long as its values", conn_role(s->conn),
            s->n_columns);
    return STMT_FAILED;
}

bool stmt_close(Stmt *s)
{
    if (!s) return true;
    Err err = {0};
    Str packet;
    while (next_packet(s, &packet, &err) == STMT_ROW)
        ;
    err_clear(&err); /* an error instead of the rest, on a connection that lives: nobody wants the rest */
    bool usable = !s->broken;
    if (mysql_stmt_close(s->handle)) usable = false;
    free(s->wires);
    free(s->values);
    free(s);
    return usable;
}
