#include "apply/rowsql.h"
#include <stdlib.h>
#include <jansson.h>
#include "apply/parked.h"
#include "base/check.h"
#include "decode/row.h"
#include "decode/value.h"
#include "track/bind.h"
#include "base/poison.h"

/* Fields of one image, on the stack for ordinary tables. */
enum { FEW_COLUMNS = 128 };
typedef struct Fields {
    Field few[FEW_COLUMNS];
    Field *all;
} Fields;

/* The image's fields as the shard wrote them, then the constants of the shard table. */
static void fields_raw(Fields *f, const Binding *b, const RowImage *image)
{
    uint32_t n = b->n_columns + b->n_constants;
    f->all = n <= FEW_COLUMNS ? f->few : mem_alloc(n * sizeof(Field));
    row_fields(b->map, image->present, image->bytes, f->all);
    for (uint32_t i = 0; i < b->n_constants; i++)
        f->all[b->n_columns + i] = b->constants[i];
}

/* The same, with the new ids in the place of mapped ones. */
static void fields_of(Fields *f, const Binding *b, const RowImage *image)
{
    fields_raw(f, b, image);
    for (uint32_t i = 0; i < b->n_mapped; i++) {
        Field *id = &f->all[b->mapped[i]];
        if (id->state != FIELD_VALUE) continue;
        CHECK(image->ids, "the new ids are known before a row is written");
        *id = (Field){(const uint8_t *)&image->ids[i], sizeof image->ids[i], FIELD_VALUE};
    }
}

static void fields_done(Fields *f)
{
    if (f->all != f->few) free(f->all);
}

static bool in_row(const Binding *b, uint32_t i, const Fields *f)
{
    return f->all[i].state != FIELD_ABSENT && b->columns[i].target_column != NO_COLUMN;
}

/* A new id, by fields_of. */
static bool remapped(StrBuf *out, const Binding *b, uint32_t column, Field f, Err *err)
{
    const BoundColumn *c = &b->columns[column];
    uint64_t id = 0;
    CHECK(f.len == sizeof id, "a new id");
    memcpy(&id, f.ptr, sizeof id);
    if (id <= c->rewrite->high) {
        sb_u64(out, id);
        return true;
    }
    return err_set_remedy(
        err, ERR_KEY_RANGE, "give the target's column a wider type (BIGINT), and resume",
        STR_FMT "." STR_FMT ", column %s: a new id is beyond the column's type in target " STR_FMT " (%llu)",
        STR_ARG(b->member->name.schema), STR_ARG(b->member->name.table), c->sql_name.ptr,
        STR_ARG(b->target->sql_name), (unsigned long long)c->rewrite->high);
}

/* An id as the target has it. */
static bool rewritten(StrBuf *out, const Binding *b, uint32_t column, Field f, Err *err)
{
    const BoundColumn *c = &b->columns[column];
    const KeyRewrite *r = c->rewrite;
    if (r->space) return remapped(out, b, column, f, err);
    uint64_t v = (uint64_t)value_int(&c->codec, f);
    bool negative = !c->codec.is_unsigned && (int64_t)v < 0;
    if (key_rewrite(r, &negative, &v)) {
        negative ? sb_i64(out, (int64_t)v) : sb_u64(out, v);
        return true;
    }
    return err_set(err, ERR_KEY_RANGE,
                   STR_FMT "." STR_FMT ", column %s: an id is beyond what %s leaves for it (%lld to %llu)",
                   STR_ARG(b->member->name.schema), STR_ARG(b->member->name.table), c->sql_name.ptr,
                   r->strategy, (long long)r->low, (unsigned long long)r->high);
}

static bool value(StrBuf *out, const Binding *b, uint32_t column, Field f, Err *err)
{
    if (UNLIKELY(b->columns[column].rewrite) && f.state == FIELD_VALUE)
        return rewritten(out, b, column, f, err);
    if (value_sql(out, &b->columns[column].codec, f, err)) return true;
    return err_wrap(err, "column %s", b->columns[column].sql_name.ptr);
}

static int cmp_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

bool rowsql_shape(const Binding *b, const RowImage *image, Shape **out, Err *err)
{
    if (image->full) {
        *out = b->full_shape;
        return true;
    }
    uint32_t *columns = mem_alloc((b->n_columns + b->n_constants + 1) * sizeof *columns), n = 0;
    bool ok = true;
    for (uint32_t i = 0; i < b->n_constants; i++)
        columns[n++] = b->columns[b->n_columns + i].target_column;
    for (uint32_t i = 0; i < b->n_columns; i++) {
        if (b->columns[i].target_column == NO_COLUMN) continue;
        if (image->present[i / 8] & 1 << i % 8)
            columns[n++] = b->columns[i].target_column;
        else if (b->columns[i].default_differs)
            ok = err_set(err, ERR_TRACK_TARGET,
                         "an INSERT without column %s (binlog_row_image is not FULL), and the target's "
                         "default for it is "
                         "not the shard's",
                         b->columns[i].sql_name.ptr);
    }
    qsort(columns, n, sizeof *columns, cmp_u32);
    if (ok) *out = target_shape(b->target, columns, n);
    free(columns);
    return ok;
}

/* (v,v,…) in the order of the shape. Map columns usually stand in that order already. */
static bool add_values(StrBuf *out, const Shape *shape, const Binding *b, const RowImage *image, Err *err)
{
    Fields f;
    fields_of(&f, b, image);
    uint32_t all = b->n_columns + b->n_constants;
    bool ok = true;
    uint32_t next = 0; /* column tried first */
    sb_ch(out, '(');
    for (uint32_t s = 0; ok && s < shape->n_columns; s++) {
        uint32_t tried = 0;
        while (tried < all && b->columns[next].target_column != shape->columns[s]) {
            next = next + 1 < all ? next + 1 : 0;
            tried++;
        }
        CHECK(tried < all, "every column of a shape comes from the binding");
        if (s) sb_ch(out, ',');
        ok = value(out, b, next, f.all[next], err);
        next = next + 1 < all ? next + 1 : 0;
    }
    sb_ch(out, ')');
    fields_done(&f);
    return ok;
}

static bool missing_key(const Binding *b, Err *err)
{
    StrBuf names = {0};
    rowsql_key_names(b->target, &names);
    err_set_remedy(err, ERR_TRACK_TARGET, "set binlog_row_image=FULL on the source",
                   "the row image lacks a column of the target's key %s", names.ptr);
    sb_done(&names);
    return false;
}

static bool add_key_value(StrBuf *out, const Binding *b, uint32_t column, const Fields *f, Err *err)
{
    if (column == NO_COLUMN || f->all[column].state != FIELD_VALUE) return missing_key(b, err);
    return value(out, b, column, f->all[column], err);
}

/* One key value: v, or (v,v). */
static bool add_key(StrBuf *out, const Binding *b, const RowImage *image, Err *err)
{
    const TargetKey *key = &b->target->keys[b->target->row_key];
    const uint32_t *columns = b->key_columns[b->target->row_key];
    Fields f;
    fields_of(&f, b, image);
    bool ok = true;
    if (key->n_parts > 1) sb_ch(out, '(');
    for (uint32_t p = 0; ok && p < key->n_parts; p++) {
        if (p) sb_ch(out, ',');
        ok = add_key_value(out, b, columns[p], &f, err);
    }
    if (key->n_parts > 1) sb_ch(out, ')');
    fields_done(&f);
    return ok;
}

static void add_key_columns(StrBuf *out, const Target *t)
{
    const TargetKey *key = &t->keys[t->row_key];
    if (key->n_parts > 1) sb_ch(out, '(');
    for (uint32_t p = 0; p < key->n_parts; p++) {
        if (p) sb_ch(out, ',');
        sb_ident(out, t->schema->columns[key->parts[p].column].name);
    }
    if (key->n_parts > 1) sb_ch(out, ')');
}

void rowsql_begin(SqlStatement *s, SqlKind kind, const Target *target, const Shape *shape)
{
    s->kind = kind;
    s->target = target;
    s->shape = shape;
    s->rows = 0;
    sb_clear(&s->sql);
    switch (kind) {
    case SQL_INSERT:
    case SQL_UPSERT:
        sb_c(&s->sql, "INSERT INTO ");
        sb_str(&s->sql, target->sql_name);
        sb_str(&s->sql, shape->column_list);
        sb_c(&s->sql, "VALUES");
        break;
    case SQL_DELETE:
    case SQL_LOCK:
        sb_c(&s->sql, kind == SQL_DELETE ? "DELETE FROM " : "SELECT 1 FROM ");
        sb_str(&s->sql, target->sql_name);
        sb_c(&s->sql, " WHERE ");
        add_key_columns(&s->sql, target);
        sb_c(&s->sql, " IN (");
        break;
    }
}

bool rowsql_add_row(SqlStatement *s, const Binding *b, const RowImage *image, Err *err)
{
    s->binding = b;
    if (s->rows++) sb_ch(&s->sql, ',');
    if (s->kind == SQL_INSERT || s->kind == SQL_UPSERT) return add_values(&s->sql, s->shape, b, image, err);
    return add_key(&s->sql, b, image, err);
}

/* A row key column whose equal values have equal bytes keeps its value in an upsert; 'a' may become 'A'. */
static bool is_exact_key_column(const Target *t, uint32_t column)
{
    const TargetKey *key = &t->keys[t->row_key];
    for (uint32_t p = 0; p < key->n_parts; p++)
        if (key->parts[p].column == column)
            return key->parts[p].fold == KEY_FOLD_EXACT || key->parts[p].fold == KEY_FOLD_BYTES;
    return false;
}

static void add_upsert_assignment(SqlStatement *s, const Dialect *d, uint32_t column, bool first)
{
    Str name = s->target->schema->columns[column].name;
    if (!first) sb_ch(&s->sql, ',');
    sb_ident(&s->sql, name);
    sb_c(&s->sql, d->upsert_alias ? "=n." : "=VALUES(");
    sb_ident(&s->sql, name);
    if (!d->upsert_alias) sb_ch(&s->sql, ')');
}

/* " AND `shard`='s1'": where another shard's row may stand in this one's place. */
static bool add_provenance(StrBuf *out, const Binding *b, Err *err)
{
    for (uint32_t i = 0; i < b->n_constants; i++) {
        uint32_t column = b->n_columns + i;
        if (!parked_is_provenance(b->target->parked, b->columns[column].target_column)) continue;
        sb_c(out, " AND ");
        sb_str(out, b->columns[column].sql_name);
        sb_ch(out, '=');
        if (!value(out, b, column, b->constants[i], err)) return false;
    }
    return true;
}

void rowsql_end(SqlStatement *s, const Dialect *d)
{
    if (s->kind == SQL_DELETE || s->kind == SQL_LOCK) sb_ch(&s->sql, ')');
    if (s->kind == SQL_DELETE && s->target->parked) {
        Err none = {0};
        CHECK(add_provenance(&s->sql, s->binding, &none), "provenance can be written");
    }
    if (s->kind == SQL_LOCK) sb_c(&s->sql, " FOR UPDATE");
    if (s->kind != SQL_UPSERT) return;
    sb_c(&s->sql, d->upsert_alias ? " AS n ON DUPLICATE KEY UPDATE " : " ON DUPLICATE KEY UPDATE ");
    bool any = false;
    for (uint32_t i = 0; i < s->shape->n_columns; i++) {
        if (is_exact_key_column(s->target, s->shape->columns[i])) continue;
        add_upsert_assignment(s, d, s->shape->columns[i], !any);
        any = true;
    }
    if (!any) add_upsert_assignment(s, d, s->shape->columns[0], true);
}

/* `a`=v,… of every written column of the image. A column that the target sets by itself and the image lacks
 * keeps its value: `c`=`c`. */
static bool add_assignments(StrBuf *out, const Binding *b, const RowImage *image, Err *err)
{
    Fields f;
    fields_of(&f, b, image);
    bool ok = true, any = false;
    for (uint32_t i = 0; ok && i < b->n_columns; i++) {
        const BoundColumn *c = &b->columns[i];
        bool given = in_row(b, i, &f);
        if (!given && (c->target_column == NO_COLUMN || !c->on_update_now)) continue;
        if (any) sb_ch(out, ',');
        sb_str(out, c->sql_name);
        sb_ch(out, '=');
        if (given)
            ok = value(out, b, i, f.all[i], err);
        else
            sb_str(out, c->sql_name);
        any = true;
    }
    fields_done(&f);
    if (ok && !any) return err_set(err, ERR_CORRUPT, "an UPDATE image without columns");
    return ok;
}

/* `c` <=> value by exact value: text by its bytes, whatever the column's collation and padding say. */
static bool add_exact_equality(StrBuf *out, const Binding *b, uint32_t i, Field f, Err *err)
{
    bool text = f.state == FIELD_VALUE &&
                (b->columns[i].codec.text == TEXT_UTF8 || b->columns[i].codec.text == TEXT_OTHER);
    if (text) sb_c(out, "CAST(CONVERT(");
    sb_str(out, b->columns[i].sql_name);
    sb_c(out, text ? " USING utf8mb4) AS BINARY) <=> CAST(CONVERT(" : " <=> ");
    if (!value(out, b, i, f, err)) return false;
    if (text) sb_c(out, " USING utf8mb4) AS BINARY)");
    return true;
}

/* `a`=v AND `b`=v of the row key: MariaDB reads the whole table for (a,b)=(v,v), though not for (a,b) IN (…).
 */
static bool add_key_equality(StrBuf *out, const Binding *b, const RowImage *image, Err *err)
{
    const TargetKey *key = &b->target->keys[b->target->row_key];
    const uint32_t *columns = b->key_columns[b->target->row_key];
    Fields f;
    fields_of(&f, b, image);
    bool ok = true;
    for (uint32_t p = 0; ok && p < key->n_parts; p++) {
        if (p) sb_c(out, " AND ");
        sb_ident(out, b->target->schema->columns[key->parts[p].column].name);
        sb_ch(out, '=');
        ok = add_key_value(out, b, columns[p], &f, err);
    }
    fields_done(&f);
    return ok;
}

/* The row of the before image: by key, or every column with <=> for tables without one. */
static bool add_where(StrBuf *out, const Binding *b, const RowImage *image, Err *err)
{
    sb_c(out, " WHERE ");
    if (b->target->row_key != NO_COLUMN)
        return add_key_equality(out, b, image, err) && (!b->target->parked || add_provenance(out, b, err));
    if (!image->full)
        return err_set_remedy(err, ERR_TRACK_TARGET,
                              "set binlog_row_image=FULL on the source, or give the table a key",
                              "a partial row image of a table without a key");
    Fields f;
    fields_of(&f, b, image);
    bool ok = true, any = false;
    for (uint32_t i = 0; ok && i < b->n_columns + b->n_constants; i++) {
        if (!in_row(b, i, &f)) continue;
        if (any) sb_c(out, " AND ");
        ok = add_exact_equality(out, b, i, f.all[i], err);
        any = true;
    }
    sb_c(out, " LIMIT 1");
    fields_done(&f);
    return ok;
}

bool rowsql_where(StrBuf *out, const RowOp *op, Err *err)
{
    return add_where(out, op->binding, &op->before, err);
}

bool rowsql_assignments(StrBuf *out, const RowOp *op, Err *err)
{
    return add_assignments(out, op->binding, &op->after, err);
}

bool rowsql_insert_more(StrBuf *out, const RowOp *op, const RowsqlMore *more, Err *err)
{
    Shape *shape;
    if (!rowsql_shape(op->binding, &op->after, &shape, err)) return false;
    CLEANUP(sb_done) StrBuf values = {0};
    if (!add_values(&values, shape, op->binding, &op->after, err)) return false;
    Str columns = shape->column_list; /* both begin with a parenthesis */
    sb_printf(out, "INSERT INTO " STR_FMT " (" STR_FMT ",", STR_ARG(more->table), STR_ARG(more->columns));
    sb_add(out, columns.ptr + 1, columns.len - 1);
    sb_printf(out, " VALUES (" STR_FMT ",", STR_ARG(more->values));
    sb_add(out, values.ptr + 1, values.len - 1);
    return true;
}

bool rowsql_update_one(StrBuf *out, const RowOp *op, const RowImage *after, Err *err)
{
    sb_c(out, "UPDATE ");
    sb_str(out, op->binding->target->sql_name);
    sb_c(out, " SET ");
    return add_assignments(out, op->binding, after, err) && add_where(out, op->binding, &op->before, err);
}

bool rowsql_delete_one(StrBuf *out, const RowOp *op, Err *err)
{
    sb_c(out, "DELETE FROM ");
    sb_str(out, op->binding->target->sql_name);
    return add_where(out, op->binding, &op->before, err);
}

bool rowsql_insert_one(StrBuf *out, const RowOp *op, Err *err)
{
    Shape *shape;
    if (!rowsql_shape(op->binding, &op->after, &shape, err)) return false;
    sb_c(out, "INSERT INTO ");
    sb_str(out, op->binding->target->sql_name);
    sb_str(out, shape->column_list);
    sb_c(out, "VALUES");
    return add_values(out, shape, op->binding, &op->after, err);
}

bool rowsql_next_converted(const Binding *b, const RowImage *image, uint32_t *at, StrBuf *out)
{
    Fields f;
    Err ignored = {0};
    bool found = false;
    fields_raw(&f, b, image);
    for (; !found && *at < b->n_columns; ++*at) {
        if (b->columns[*at].codec.text != TEXT_OTHER || f.all[*at].state != FIELD_VALUE) continue;
        sb_clear(out);
        found = value_sql(out, &b->columns[*at].codec, f.all[*at], &ignored);
        err_clear(&ignored);
        if (found) break;
    }
    fields_done(&f);
    return found;
}

void rowsql_key_names(const Target *t, StrBuf *out)
{
    if (t->row_key == NO_COLUMN)
        sb_c(out, "(none)");
    else
        add_key_columns(out, t);
}

bool rowsql_image_json(const Binding *b, const RowImage *image, StrBuf *out, Err *err)
{
    Fields f;
    fields_raw(&f, b, image);
    json_t *o = json_object();
    StrBuf text = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < b->n_columns; i++) {
        if (f.all[i].state == FIELD_ABSENT) continue;
        Str name = i < b->schema->n_columns ? b->schema->columns[i].name : STR("?");
        sb_clear(&text);
        json_t *v = json_null();
        if (f.all[i].state == FIELD_VALUE) {
            ok = value_text(&text, &b->columns[i].codec, f.all[i], err);
            v = json_stringn(text.ptr ? text.ptr : "", text.len);
            if (!v) { /* not UTF-8 */
                sb_clear(&text);
                sb_c(&text, "0x");
                sb_hex(&text, f.all[i].ptr, f.all[i].len);
                v = json_string(text.ptr);
            }
        }
        json_object_set_new(o, name.ptr, v);
    }
    char *dump = json_dumps(o, JSON_COMPACT);
    sb_c(out, dump);
    free(dump);
    json_decref(o);
    sb_done(&text);
    fields_done(&f);
    return ok;
}

bool rowsql_same_key(const Binding *b, uint32_t k, const RowImage *x, const RowImage *y)
{
    const TargetKey *key = &b->target->keys[k];
    const uint32_t *columns = b->key_columns[k];
    Fields fx, fy;
    fields_raw(&fx, b, x);
    fields_raw(&fy, b, y);
    bool same = true;
    for (uint32_t p = 0; same && p < key->n_parts; p++) {
        if (columns[p] == NO_COLUMN) {
            same = false;
            break;
        }
        Field u = fx.all[columns[p]], v = fy.all[columns[p]];
        same = u.state == FIELD_VALUE && v.state == FIELD_VALUE && u.len == v.len &&
               memcmp(u.ptr, v.ptr, u.len) == 0;
    }
    fields_done(&fx);
    fields_done(&fy);
    return same;
}

bool rowsql_changes_column(const Binding *b, uint32_t target_column, const RowImage *before,
                           const RowImage *after)
{
    uint32_t at = 0;
    while (at < b->n_columns && b->columns[at].target_column != target_column)
        at++;
    if (at == b->n_columns) return false; /* the shard has no such column: it is the same in all its rows */
    Fields fx, fy;
    fields_of(&fx, b, before);
    fields_of(&fy, b, after);
    Field u = fx.all[at], v = fy.all[at];
    bool same = v.state == FIELD_ABSENT ||
                (u.state == v.state &&
                 (u.state != FIELD_VALUE || (u.len == v.len && memcmp(u.ptr, v.ptr, u.len) == 0)));
    fields_done(&fx);
    fields_done(&fy);
    return !same;
}

bool rowsql_same_row_key(const Binding *b, const RowImage *x, const RowImage *y)
{
    return b->target->row_key != NO_COLUMN && rowsql_same_key(b, b->target->row_key, x, y);
}

bool rowsql_key_condition(const Binding *b, uint32_t k, const RowImage *image, bool shard_names, StrBuf *out)
{
    const TargetKey *key = &b->target->keys[k];
    Fields f;
    fields_of(&f, b, image);
    bool ok = key->n_parts > 0;
    for (uint32_t p = 0; ok && p < key->n_parts; p++) {
        uint32_t column = b->key_columns[k][p];
        Err ignored = {0};
        bool others_differ = shard_names && (column >= b->n_columns || b->columns[column].rewrite);
        if (column == NO_COLUMN || f.all[column].state != FIELD_VALUE || others_differ) {
            ok = false;
            break;
        }
        if (p) sb_c(out, " AND ");
        if (shard_names)
            sb_ident(out, b->schema->columns[column].name);
        else
            sb_ident(out, b->target->schema->columns[key->parts[p].column].name);
        sb_ch(out, '=');
        ok = value(out, b, column, f.all[column], &ignored);
        err_clear(&ignored);
    }
    fields_done(&f);
    return ok;
}
