#include "model/schema.h"
#include <stdlib.h>
#include "base/poison.h"

void table_name_sql(TableName n, StrBuf *out)
{
    sb_ident(out, n.schema);
    sb_ch(out, '.');
    sb_ident(out, n.table);
}

void table_name_plain(TableName n, StrBuf *out)
{
    sb_str(out, n.schema);
    sb_ch(out, '.');
    sb_str(out, n.table);
}

void schema_free(TableSchema *s)
{
    if (!s) return;
    arena_done(&s->arena);
    free(s);
}

bool engine_has_transactions(Str engine)
{
    static const char *const plain[] = {"myisam",    "aria",    "memory",     "heap",
                                        "csv",       "archive", "mrg_myisam", "blackhole",
                                        "federated", "connect", "spider",     "sequence"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (str_ieq(engine, str_of(plain[i]))) return false;
    return true;
}

uint32_t schema_column(const TableSchema *s, Str name)
{
    for (uint32_t i = 0; i < s->n_columns; i++)
        if (str_ieq(s->columns[i].name, name)) return i;
    return UINT32_MAX;
}

const KeyDef *schema_primary(const TableSchema *s)
{
    return s->n_keys && s->keys[0].primary ? &s->keys[0] : NULL;
}
