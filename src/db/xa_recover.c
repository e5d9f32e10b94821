#include "db/xa_recover.h"
#include "base/poison.h"

enum { COLUMNS = 4 }; /* formatID, gtrid_length, bqual_length, data */

/* False: the row is no xid. */
static bool print_xid(const Str v[COLUMNS], StrBuf *out)
{
    int64_t format;
    uint64_t n_gtrid, n_bqual;
    if (!str_to_i64(v[0], &format) || !str_to_u64(v[1], &n_gtrid) || !str_to_u64(v[2], &n_bqual))
        return false;
    if (n_gtrid > v[3].len || n_bqual > v[3].len - n_gtrid) return false;
    sb_c(out, "X'");
    sb_hex(out, v[3].ptr, n_gtrid);
    sb_c(out, "',X'");
    sb_hex(out, v[3].ptr + n_gtrid, n_bqual);
    sb_c(out, "',");
    sb_i64(out, format);
    return true;
}

bool xa_recover(Conn *c, PreparedXids *out, Err *err)
{
    Rows rows;
    Str v[COLUMNS];
    StrBuf text = {0};
    size_t cap = 0;
    bool ok = true;
    *out = (PreparedXids){0};
    if (!conn_query(c, STR("XA RECOVER"), &rows, err)) {
        if (err->code == ERR_DB_ACCESS_DENIED) {
            Err cause = {0};
            err_move(&cause, err);
            err_set_remedy(err, ERR_DB_ACCESS_DENIED, "GRANT XA_RECOVER_ADMIN ON *.* to the source's user",
                           "may not ask for prepared XA transactions (XA_RECOVER_ADMIN): %s", cause.message);
            err_clear(&cause);
        }
        return false;
    }
    while (ok && rows_next(&rows, v)) {
        sb_clear(&text);
        ok = print_xid(v, &text) || err_set(err, ERR_CORRUPT, "XA RECOVER told an xid that makes no sense");
        if (!ok) break;
        if (out->n == cap) {
            cap = cap ? cap * 2 : 8;
            Str *grown = arena_array(&out->arena, Str, cap);
            if (out->n) memcpy(grown, out->xids, out->n * sizeof *grown);
            out->xids = grown;
        }
        out->xids[out->n++] = arena_str(&out->arena, sb_view(&text));
    }
    rows_done(&rows);
    sb_done(&text);
    if (!ok) xa_recover_done(out);
    return ok;
}

void xa_recover_done(PreparedXids *p)
{
    arena_done(&p->arena);
    *p = (PreparedXids){0};
}
