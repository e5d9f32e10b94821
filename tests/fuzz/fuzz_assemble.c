/* Input: a list of events: 1 byte type, 1 byte flags (0: none, else ignorable), 2 bytes length, body.
 * Whatever comes, a group is delivered whole or not at all, counts add up, and an error leaves no open group.
 */
#include <stdlib.h>
#include "base/reader.h"
#include "source/assemble.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool resolve(void *ctx, uint32_t source, const TableMap *map, const Binding **binding, Err *err)
{
    (void)ctx;
    (void)source;
    (void)map;
    (void)err;
    *binding = NULL;
    return true;
}

static bool routed(void *ctx, uint32_t source, TableName name)
{
    (void)ctx;
    (void)source;
    return name.table.len && name.table.ptr[0] == 'r';
}

static bool schema_routed(void *ctx, uint32_t source, Str schema)
{
    (void)ctx;
    (void)source;
    return schema.len && schema.ptr[0] == 'r';
}

static bool deliver(void *ctx, Txn *t)
{
    Budget *budget = ctx;
    if (t->n_ops || t->counts.read != t->counts.filtered || t->row_to < t->row_from + t->counts.read) abort();
    budget_give(budget, t->budget_bytes);
    txn_free(t);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    Budget budget;
    budget_init(&budget, 1 << 30);
    FormatDescription fmt = {.binlog_version = 4, .is_mariadb = data[0] & 1};
    AssembleOpts opts = {.source_id = "fuzz",
                         .server = "server",
                         .flavor = data[0] & 1 ? FLAVOR_MARIADB : FLAVOR_MYSQL,
                         .use_gtid = data[0] & 2,
                         .spill_bytes = 1 << 20,
                         .split_rows = 100,
                         .budget = &budget,
                         .hooks = {.ctx = &budget,
                                   .resolve = resolve,
                                   .routed = routed,
                                   .schema_routed = schema_routed,
                                   .deliver = deliver}};
    Assembler *a = assembler_new(&opts);
    StreamPoint from = {.flavor = opts.flavor, .gtids = opts.use_gtid ? gtidset_new(opts.flavor) : NULL};
    assembler_set_point(a, &from);
    point_done(&from);
    Reader r = reader_of(str_make(data + 1, size - 1));
    uint64_t pos = 4;
    while (reader_left(&r)) {
        RawEvent ev = {.file = STR("bin.000001"), .start_pos = pos};
        Err err = {0};
        ev.header.type = reader_u8(&r);
        ev.header.flags = reader_u8(&r) ? EVENT_FLAG_IGNORABLE : 0;
        ev.body = reader_str(&r, reader_u16(&r));
        ev.header.size = (uint32_t)(EVENT_HEADER_LEN + ev.body.len);
        if (!reader_ok(&r)) break;
        ev.end_pos = pos += ev.header.size;
        bool ok = assembler_event(a, &fmt, &ev, &err);
        if (ok == err_is_set(&err) || (!ok && assembler_in_transaction(a))) abort();
        if (!ok && err_class(&err) == ERR_CLASS_BUG) abort();
        err_clear(&err);
    }
    assembler_free(a);
    if (budget_used(&budget)) abort();
    budget_done(&budget);
    return 0;
}
