/* Input: one byte of modes, then a statement. Tables are only named with a kind that has some; a table that a
 * TABLE_DDL names is found by the search for names as well. */
#include <stdlib.h>
#include "ddl/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Wanted {
    TableName name;
    bool seen;
} Wanted;

static bool look(void *ctx, TableName name, bool qualified)
{
    Wanted *w = ctx;
    (void)qualified;
    w->seen |= table_name_eq(name, w->name);
    return !w->seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    Arena arena = {0};
    StmtScan scan;
    Str sql = str_make(data + 1, size - 1);
    unsigned modes = data[0] & 3;
    stmt_scan(sql, STR("db"), data[0] & 4 ? FLAVOR_MYSQL : FLAVOR_MARIADB, modes, &arena, &scan);
    if (!scan.what) abort();
    bool has_tables =
        scan.kind == STMT_TABLE_DDL || scan.kind == STMT_TEMPORARY || scan.kind == STMT_DATABASE_DDL;
    if (has_tables ? scan.n_tables == 0 : scan.n_tables > 1 || (scan.n_tables && scan.kind != STMT_DML))
        abort();
    for (size_t i = 0; modes == STMT_ANSI_QUOTES && scan.kind == STMT_TABLE_DDL && i < scan.n_tables; i++) {
        Wanted w = {.name = scan.tables[i]};
        bool digits = true;
        for (size_t k = 0; k < w.name.table.len; k++)
            digits &= w.name.table.ptr[k] >= '0' && w.name.table.ptr[k] <= '9';
        stmt_each_name(sql, STR("db"), false, look, &w);
        if (!w.seen && !digits && !str_eqc(w.name.table, "")) abort();
    }
    stmt_mentions(sql, STR("db"));
    arena_done(&arena);
    return 0;
}
