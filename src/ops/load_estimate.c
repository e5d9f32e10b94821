#include "ops/load_estimate.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "db/stmt.h"
#include "base/poison.h"

static void map_key(TableName n, StrBuf *out)
{
    sb_clear(out);
    sb_str(out, n.schema);
    sb_ch(out, 0); /* no name holds it */
    sb_str(out, n.table);
}

/* Every schema once: names come in any order. */
static void schema_list(const TableName *names, size_t n, StrBuf *sql)
{
    Map seen = {0};
    const char *sep = "";
    for (size_t i = 0; i < n; i++) {
        if (map_put(&seen, names[i].schema, (void *)names)) continue;
        sb_c(sql, sep);
        sb_quoted(sql, names[i].schema);
        sep = ", ";
    }
    map_done(&seen);
}

bool load_sizes_read(Conn *c, const TableName *names, size_t n, TableSize *out, Err *err)
{
    enum { SCHEMA, TABLE, ROWS, BYTES, COLUMNS };
    memset(out, 0, n * sizeof *out);
    if (!n) return true;
    CLEANUP(sb_done) StrBuf sql = {0}, key = {0};
    Err none = {0};
    /* MySQL 8 keeps these figures for a day unless asked; other servers do not know the variable. */
    if (!conn_exec(c, STR("SET SESSION information_schema_stats_expiry = 0"), NULL, &none)) err_clear(&none);
    sb_c(&sql, "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES "
               "WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN (");
    schema_list(names, n, &sql);
    sb_ch(&sql, ')');
    Rows rows;
    if (!conn_query(c, sb_view(&sql), &rows, err)) return false;
    Map places = {0};
    for (size_t i = 0; i < n; i++) {
        map_key(names[i], &key);
        map_put(&places, sb_view(&key), &out[i]);
    }
    Str *v = mem_zalloc(MAX((size_t)rows.n_columns, (size_t)COLUMNS) * sizeof *v);
    while (rows_next(&rows, v)) {
        map_key((TableName){v[SCHEMA], v[TABLE]}, &key);
        TableSize *size = map_get(&places, sb_view(&key));
        if (!size) continue;
        if (!str_to_u64(v[ROWS], &size->rows)) size->rows = 0;
        if (!str_to_u64(v[BYTES], &size->bytes)) size->bytes = 0;
    }
    free(v);
    map_done(&places);
    rows_done(&rows);
    return true;
}

bool load_sample_read(Conn *c, TableName name, TableSize size, ReadSample *out, Err *err)
{
    enum { MOST_ROWS = 5000, MOST_BYTES = 4 << 20 };
    uint64_t row_bytes = size.rows ? size.bytes / size.rows : 0;
    uint64_t limit =
        row_bytes ? MIN((uint64_t)MOST_ROWS, MAX(MOST_BYTES / row_bytes, (uint64_t)1)) : MOST_ROWS;
    CLEANUP(sb_done) StrBuf sql = {0};
    Stmt *s = NULL;
    const StmtValue *values;
    StmtResult got;
    sb_c(&sql, "SELECT * FROM ");
    table_name_sql(name, &sql);
    sb_printf(&sql, " LIMIT %llu", (unsigned long long)limit);
    *out = (ReadSample){0};
    int64_t begin_ms = clock_mono_ms();
    if (!stmt_open(c, sb_view(&sql), &s, err)) return false;
    while ((got = stmt_next(s, &values, err)) == STMT_ROW)
        out->rows++;
    out->seconds = (double)MAX(clock_mono_ms() - begin_ms, (int64_t)1) / 1000;
    bool closed = stmt_close(s);
    if (got == STMT_FAILED) return false;
    return closed || err_set(err, ERR_DB_LOST, "the connection was lost while rows were read");
}
