#include "model/binding.h"
#include "track/column.h"
#include "track/version.h"
#include "base/poison.h"

static void say(StrBuf *words, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(StrBuf *words, const char *fmt, ...)
{
    if (!words) return;
    va_list ap;
    va_start(ap, fmt);
    sb_vprintf(words, fmt, ap);
    va_end(ap);
    sb_ch(words, '\n');
}

bool version_is_lost(const VersionView *v, Str name)
{
    for (uint32_t i = 0; i < v->n_lost; i++)
        if (str_ieq(v->lost[i], name)) return true;
    return false;
}

bool version_same_column(const VersionView *a, uint32_t ca, const VersionView *b, uint32_t cb)
{
    const ColumnDef *x = &a->version->schema->columns[ca], *y = &b->version->schema->columns[cb];
    const ColumnOrigin *p = &a->version->origins[ca], *q = &b->version->origins[cb];
    if (x->generated && y->generated) return true; /* computed from the row: it has no history */
    bool same_loss = a->no_rows || b->no_rows || version_is_lost(a, x->name) == version_is_lost(b, y->name);
    if (p->kind == ORIGIN_ANY || q->kind == ORIGIN_ANY) return same_loss; /* its own rows hold its values */
    if (p->kind != q->kind) return false;
    if (p->kind == ORIGIN_BASE) return str_ieq(p->base, q->base);
    if (p->fill == FILL_VOLATILE || p->fill != q->fill || !str_eq(p->fill_text, q->fill_text)) return false;
    return same_loss;
}

bool version_same_origin(const VersionView *a, uint32_t ca, const VersionView *b, uint32_t cb)
{
    const ColumnOrigin *p = &a->version->origins[ca], *q = &b->version->origins[cb];
    return version_same_column(a, ca, b, cb) && str_eq(p->lossy, q->lossy);
}

static bool has_key(const TableSchema *in, const TableSchema *of, const KeyDef *k, bool by_name)
{
    for (uint32_t i = 0; i < in->n_keys; i++) {
        const KeyDef *own = &in->keys[i];
        if (!key_same_parts(in, own, of, k)) continue;
        if (!by_name || (str_ieq(own->name, k->name) && str_ieq(own->index_type, k->index_type) &&
                         own->invisible == k->invisible))
            return true;
    }
    return false;
}

/* Keys of a that b has not. */
static Agreement missing_keys(const TableSchema *a, const TableSchema *b, StrBuf *words)
{
    Agreement worst = AGREE_WHOLLY;
    for (uint32_t i = 0; i < a->n_keys; i++) {
        const KeyDef *k = &a->keys[i];
        if (has_key(b, a, k, true)) continue;
        bool hard = k->unique && !has_key(b, a, k, false);
        if (hard) worst = AGREE_NOT;
        if (worst > AGREE_ROWS) worst = AGREE_ROWS;
        say(words, "%s `" STR_FMT "` is on one side only", k->unique ? "unique key" : "index",
            STR_ARG(k->name));
    }
    return worst;
}

static bool columns_agree(const VersionView *a, const VersionView *b, bool *same_data, StrBuf *words)
{
    const TableSchema *x = a->version->schema, *y = b->version->schema;
    bool same = true;
    for (uint32_t i = 0; i < y->n_columns; i++)
        if (schema_column(x, y->columns[i].name) == NO_COLUMN) {
            say(words, "column `" STR_FMT "` is on one side only", STR_ARG(y->columns[i].name));
            same = false;
        }
    for (uint32_t i = 0; i < x->n_columns; i++) {
        uint32_t at = schema_column(y, x->columns[i].name);
        Str name = x->columns[i].name;
        if (at == NO_COLUMN) {
            say(words, "column `" STR_FMT "` is on one side only", STR_ARG(name));
            same = false;
        } else if (!column_same(&x->columns[i], &y->columns[at])) {
            say(words, "column `" STR_FMT "` is defined in two ways", STR_ARG(name));
            same = false;
        } else if (!version_same_origin(a, i, b, at)) {
            say(words,
                "column `" STR_FMT "` came about in two ways: the rows that were there hold other values",
                STR_ARG(name));
            *same_data = false;
        }
    }
    return same;
}

Agreement version_agreement(const VersionView *a, const VersionView *b, StrBuf *words)
{
    const Version *x = a->version, *y = b->version;
    bool same_data = true, same = columns_agree(a, b, &same_data, words);
    if (x->gone != y->gone) {
        say(words, "the table was dropped on one side");
        same = false;
    }
    Agreement there = missing_keys(x->schema, y->schema, words),
              back = missing_keys(y->schema, x->schema, words);
    Agreement keys = MIN(there, back);
    if (!str_eq(x->rows, y->rows)) {
        say(words, "rows went away without row events: " STR_FMT " against " STR_FMT, STR_ARG(x->rows),
            STR_ARG(y->rows));
        same_data = false;
    }
    if (!same || keys == AGREE_NOT) return AGREE_NOT;
    return same_data ? keys : AGREE_DATA;
}
