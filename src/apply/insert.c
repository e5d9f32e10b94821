/* INSERTs of a batch. MariaDB takes rows as values of a prepared INSERT, many in one command: a third less
 * work for it than reading them as text. Everything else gets multi-row text. Both are one statement each: a
 * duplicate key refuses it whole, and nothing is passed over. */
#include <stdatomic.h>
#include <stdlib.h>
#include "apply/applier_internal.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/poison.h"

enum {
    BULK_LEAST_ROWS = 16, /* below, preparing is not worth it */
    BULK_ROWS_FACTOR = 4, /* a command holds so many times the rows of a text statement, within its bytes */
    PACKET_MARGIN = 2,    /* the command byte, and a packet is below max_allowed_packet */
    ROW_SLACK = 4096,     /* bytes of a row's text beyond twice its image: names, quotes, digits */
};

/* -- text -- */

static bool send_text(Applier *a, Err *err)
{
    SqlStatement *s = &a->statement;
    if (s->rows == 0) return true;
    rowsql_end(s, &a->dialect);
    size_t rows = s->rows;
    s->rows = 0;
    return applier_exec_rows(a, sb_view(&s->sql), rows, err);
}

/* Is the statement better sent before a row of so many bytes is added? */
static bool is_full(const Applier *a, size_t rows, size_t most_rows, size_t length, size_t row_bytes)
{
    return rows >= most_rows || length >= a->opts.statement_bytes ||
           length + row_bytes * 2 + ROW_SLACK > a->dialect.max_packet;
}

static bool add_text(Applier *a, const BatchOp *op, Err *err)
{
    SqlStatement *s = &a->statement;
    const Binding *b = op->op->binding;
    Shape *shape;
    if (!rowsql_shape(b, &op->after, &shape, err)) return false;
    if (s->rows &&
        (shape != s->shape || is_full(a, s->rows, a->opts.statement_rows, s->sql.len, op->after.bytes.len)))
        if (!send_text(a, err)) return false;
    if (s->rows == 0) rowsql_begin(s, SQL_INSERT, b->target, shape);
    return rowsql_add_row(s, b, &op->after, err);
}

/* -- bulk -- */

static void forget_one(BulkStatement *b)
{
    bulk_close(b->bulk);
    free(b->sql);
    *b = (BulkStatement){0};
}

void insert_forget(Applier *a)
{
    for (size_t i = 0; i < ARRAY_LEN(a->bulks); i++)
        forget_one(&a->bulks[i]);
}

void insert_done(Applier *a)
{
    insert_forget(a);
    rowbulk_done(&a->plan);
    sb_done(&a->command);
}

/* The prepared INSERT of this text: one that is there, or a new one in the place of the least used. Found by
 * its text: a table may get other columns. */
static bool prepared(Applier *a, Str sql, uint32_t n_columns, Bulk **out, Err *err)
{
    BulkStatement *at = &a->bulks[0];
    for (size_t i = 0; i < ARRAY_LEN(a->bulks); i++) {
        BulkStatement *b = &a->bulks[i];
        if (b->sql && str_eqc(sql, b->sql)) {
            b->used = ++a->bulk_clock;
            *out = b->bulk;
            return true;
        }
        if (b->used < at->used) at = b;
    }
    forget_one(at);
    if (FAULT("apply.prepare")) return err_set(err, ERR_DB_SERVER, "fault apply.prepare");
    if (!bulk_open(a->conn, sql, n_columns, &at->bulk, err)) return false;
    at->sql = str_dup(sql);
    at->used = ++a->bulk_clock;
    *out = at->bulk;
    return true;
}

static bool send_bulk(Applier *a, Bulk *bulk, size_t rows, Err *err)
{
    uint64_t affected = 0;
    unsigned warnings = 0;
    if (!applier_fits_packet(a, a->command.len, err)) return false;
    atomic_fetch_add(&a->n_statements, 1);
    return bulk_exec(bulk, sb_view(&a->command), &affected, &warnings, err) &&
           applier_check_rows(a, rows, affected, warnings, err);
}

/* n rows of one binding, whose plan is made. */
static bool run_bulk(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    const Binding *b = a->plan.binding;
    Bulk *bulk = NULL;
    size_t rows = 0;
    a->bulk_used = true;
    sb_clear(&a->text);
    rowbulk_sql(b->target, b->full_shape, &a->text);
    if (!prepared(a, sb_view(&a->text), a->plan.n, &bulk, err)) return false;
    for (size_t i = 0; i < n; i++) {
        if (rows && is_full(a, rows, a->opts.statement_rows * BULK_ROWS_FACTOR, a->command.len,
                            ops[i].after.bytes.len)) {
            if (!send_bulk(a, bulk, rows, err)) return false;
            rows = 0;
        }
        if (rows == 0) bulk_begin(bulk, a->plan.types, &a->command);
        size_t before = a->command.len;
        if (!rowbulk_add(&a->command, &a->plan, &ops[i].after, err)) return false;
        if (rows && a->command.len + PACKET_MARGIN > a->dialect.max_packet) {
            /* narrow columns take nine times their image: the command without the row, then it in a new one
             */
            a->command.len = before;
            if (!send_bulk(a, bulk, rows, err)) return false;
            rows = 0;
            bulk_begin(bulk, a->plan.types, &a->command);
            if (!rowbulk_add(&a->command, &a->plan, &ops[i].after, err)) return false;
        }
        rows++;
    }
    return send_bulk(a, bulk, rows, err);
}

bool insert_run(Applier *a, const BatchOp *ops, size_t n, Err *err)
{
    bool offered = a->bulk_offered && !a->bulk_refused && !a->text_only;
    a->statement.rows = 0;
    for (size_t i = 0, end; i < n; i = end) {
        const Binding *b = ops[i].op->binding;
        for (end = i; end < n && ops[end].op->binding == b && ops[end].after.full; end++) {
        }
        if (offered && end - i >= BULK_LEAST_ROWS && rowbulk_plan(&a->plan, b)) {
            if (!run_bulk(a, &ops[i], end - i, err)) return false;
            continue;
        }
        end = MAX(end, i + 1);
        for (size_t k = i; k < end; k++)
            if (!add_text(a, &ops[k], err)) return false;
    }
    return send_text(a, err);
}
