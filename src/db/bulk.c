#include "db/bulk.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/reader.h"
#include "db/conn_internal.h"
#include "base/poison.h"

/* Owner: the thread that uses the connection. */
struct Bulk {
    Conn *conn;
    MYSQL_STMT *handle;
    uint32_t n_columns;
};

bool bulk_is_offered(Conn *c)
{
    unsigned int extended = 0; /* the upper half of the server's capabilities, 0 for those that have none */
    if (mariadb_get_infov(conn_handle(c), MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &extended) != 0)
        return false;
    return extended & (unsigned int)(MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32);
}

bool bulk_open(Conn *c, Str sql, uint32_t n_columns, Bulk **out, Err *err)
{
    *out = NULL;
    Bulk *b = mem_zalloc(sizeof *b);
    b->conn = c;
    b->n_columns = n_columns;
    b->handle = mysql_stmt_init(conn_handle(c));
    CHECK(b->handle != NULL, "out of memory");
    bool ok = mysql_stmt_prepare(b->handle, sql.ptr, sql.len) == 0 || conn_stmt_error(c, b->handle, err);
    if (ok && mysql_stmt_param_count(b->handle) != n_columns)
        ok = err_set(err, ERR_BUG, "%s: %lu placeholders prepared, %u columns", conn_role(c),
                     mysql_stmt_param_count(b->handle), n_columns);
    if (ok)
        *out = b;
    else
        bulk_close(b);
    return ok;
}

void bulk_close(Bulk *b)
{
    if (!b) return;
    (void)mysql_stmt_close(b->handle); /* tells the server without waiting; a lost connection has none */
    free(b);
}

/*   0   4   statement id
 *   4   2   flags: 128, types are given
 *   6   2n  for each placeholder: its type, and 128 where the number is unsigned
 *   …   …   the rows */
void bulk_begin(const Bulk *b, const BulkType *types, StrBuf *out)
{
    static const struct {
        uint8_t type, flag;
    } wire[] = {
        [BULK_INT] = {MYSQL_TYPE_LONGLONG, 0},    [BULK_UINT] = {MYSQL_TYPE_LONGLONG, 128},
        [BULK_DOUBLE] = {MYSQL_TYPE_DOUBLE, 0},   [BULK_DECIMAL] = {MYSQL_TYPE_NEWDECIMAL, 0},
        [BULK_TEXT] = {MYSQL_TYPE_VAR_STRING, 0}, [BULK_BYTES] = {MYSQL_TYPE_BLOB, 0},
    };
    uint32_t id = (uint32_t)b->handle->stmt_id;
    uint16_t flags = STMT_BULK_FLAG_CLIENT_SEND_TYPES;
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are sent as they lie");
    sb_clear(out);
    sb_add(out, &id, sizeof id);
    sb_add(out, &flags, sizeof flags);
    for (uint32_t i = 0; i < b->n_columns; i++)
        sb_add(out, &wire[types[i]], 2);
}

/* An OK packet: 0, affected rows, last insert id, status 2, warnings 2. */
bool bulk_exec(Bulk *b, Str command, uint64_t *affected, unsigned *warnings, Err *err)
{
    Str packet;
    if (!conn_send_command(b->conn, COM_STMT_BULK_EXECUTE, command, err) ||
        !conn_read_packet(b->conn, &packet, err))
        return false;
    Reader r = reader_of(packet);
    unsigned first = reader_u8(&r);
    *affected = reader_lenenc(&r);
    (void)reader_lenenc(&r);
    (void)reader_u16(&r);
    *warnings = reader_u16(&r);
    if (reader_ok(&r) && first == 0) return true;
    return err_set(err, ERR_DB_LOST, "%s: the answer to a bulk INSERT is no OK packet", conn_role(b->conn));
}

/* ---- values ---- */

enum { GIVEN = 0, IS_NULL = 1, LENGTH_MOST = 9 };

void bulk_put_null(StrBuf *out)
{
    sb_ch(out, IS_NULL);
}

void bulk_put_u64(StrBuf *out, uint64_t v)
{
    sb_reserve(out, 1 + sizeof v);
    char *to = out->ptr + out->len;
    *to = GIVEN;
    memcpy(to + 1, &v, sizeof v);
    sb_wrote(out, 1 + sizeof v);
}

void bulk_put_double(StrBuf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bulk_put_u64(out, bits);
}

/* Below 251: 1 byte; else 252, 253 or 254 and 2, 3 or 8 bytes. */
static char *put_length(char *to, uint64_t n)
{
    unsigned bytes = n < 1u << 16 ? 2 : n < 1u << 24 ? 3 : 8;
    if (n < 251) {
        *to = (char)n;
        return to + 1;
    }
    *to = (char)(bytes == 8 ? 254 : 250 + bytes);
    memcpy(to + 1, &n, bytes);
    return to + 1 + bytes;
}

void bulk_put_padded(StrBuf *out, Str bytes, size_t zeros)
{
    size_t n = bytes.len + zeros;
    sb_reserve(out, 1 + LENGTH_MOST + n);
    char *start = out->ptr + out->len, *to = start;
    *to++ = GIVEN;
    to = put_length(to, n);
    if (bytes.len) memcpy(to, bytes.ptr, bytes.len);
    memset(to + bytes.len, 0, zeros);
    sb_wrote(out, (size_t)(to - start) + n);
}

void bulk_put_bytes(StrBuf *out, Str bytes)
{
    bulk_put_padded(out, bytes, 0);
}
