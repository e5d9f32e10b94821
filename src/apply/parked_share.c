#include "apply/parked_share.h"
#include "base/fault.h"
#include "db/schema_read.h"
#include "base/poison.h"

enum {
    VALUES_MOST = 500,        /* of one transaction; a longer list becomes a table of its own in MariaDB,
                                 with collations of its own */
    VALUES_BYTES = 256 << 10, /* their texts */
};

/* -- values in a statement -- */

/* How a value comes from the server and goes back to it, so that it is the same value and has the same place
 * in the index's order. */
typedef struct Form {
    const char *before, *behind; /* of the column, where it is selected */
    enum { AS_TEXT, AS_NUMBER, AS_DOUBLE, AS_BYTES } literal;
} Form;

static Form form_of(const ColumnDef *c)
{
    static const struct {
        const char *type;
        Form form;
    } forms[] = {
        {"tinyint", {"", "", AS_NUMBER}},    {"smallint", {"", "", AS_NUMBER}},
        {"mediumint", {"", "", AS_NUMBER}},  {"int", {"", "", AS_NUMBER}},
        {"bigint", {"", "", AS_NUMBER}},     {"decimal", {"", "", AS_NUMBER}},
        {"year", {"", "", AS_NUMBER}},       {"bit", {"", "+0", AS_NUMBER}},
        {"enum", {"", "+0", AS_NUMBER}},     {"set", {"", "+0", AS_NUMBER}},
        {"float", {"", "+0e0", AS_DOUBLE}},  {"double", {"", "+0e0", AS_DOUBLE}},
        {"binary", {"HEX(", ")", AS_BYTES}}, {"varbinary", {"HEX(", ")", AS_BYTES}},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_eqc(c->data_type, forms[i].type)) return forms[i].form;
    return (Form){"", "", AS_TEXT};
}

static void put_literal(StrBuf *out, const Form *f, Str value)
{
    switch (f->literal) {
    case AS_TEXT: sb_quoted(out, value); break;
    case AS_NUMBER: sb_str(out, value); break;
    case AS_DOUBLE: /* without an exponent it would be a decimal */
        sb_str(out, value);
        if (str_find(value, STR("e")) == SIZE_MAX) sb_c(out, "e0");
        break;
    case AS_BYTES: sb_printf(out, "x'" STR_FMT "'", STR_ARG(value)); break;
    }
}

/* -- the search -- */

/* One key to come, and some of the values that several rows have. */
typedef struct Share {
    const TargetKey *key;
    Form *forms; /* by part */
    Str *names;  /* `a` */
    Arena arena; /* of these */
    Str *last;   /* the search goes on behind this value, by part; NULL: it begins */
    Arena kept;  /* of that */
    Settle s;
    Str *values; /* n × parts; literals */
    size_t n;
    bool full; /* there may be more behind them */
} Share;

static void put_names(const Share *h, const char *between, const char *behind, StrBuf *out)
{
    for (uint32_t i = 0; i < h->key->n_parts; i++)
        sb_printf(out, "%s" STR_FMT "%s", i ? between : "", STR_ARG(h->names[i]), behind);
}

/* " AND `a`>=1 AND (`a`>1 OR (`a`=1 AND (`b`>2)))": of which the server makes one range of the index. */
static void put_behind_last(const Share *h, StrBuf *out)
{
    uint32_t n = h->key->n_parts;
    if (!h->last) return;
    sb_printf(out, " AND " STR_FMT ">=" STR_FMT " AND (", STR_ARG(h->names[0]), STR_ARG(h->last[0]));
    for (uint32_t i = 0; i < n; i++) {
        sb_printf(out, STR_FMT ">" STR_FMT, STR_ARG(h->names[i]), STR_ARG(h->last[i]));
        if (i + 1 < n)
            sb_printf(out, " OR (" STR_FMT "=" STR_FMT " AND (", STR_ARG(h->names[i]), STR_ARG(h->last[i]));
    }
    for (uint32_t i = 1; i < n; i++)
        sb_c(out, "))");
    sb_ch(out, ')');
}

/* The next values that several rows have, in the key's order. Through the index that stands in the key's
 * place: from last on, and no further than to the values that are found. */
static bool find_groups(Share *h, Err *err)
{
    uint32_t n = h->key->n_parts;
    size_t most = MAX(VALUES_MOST / n, 1U), bytes = 0;
    CLEANUP(sb_done) StrBuf sql = {0}, literal = {0};
    Rows rows = {0};
    sb_c(&sql, "SELECT ");
    for (uint32_t i = 0; i < n; i++)
        sb_printf(&sql, "%s%s" STR_FMT "%s", i ? "," : "", h->forms[i].before, STR_ARG(h->names[i]),
                  h->forms[i].behind);
    sb_printf(&sql, " FROM " STR_FMT " WHERE ", STR_ARG(h->s.t->sql_name));
    put_names(h, " AND ", " IS NOT NULL", &sql);
    put_behind_last(h, &sql);
    sb_c(&sql, " GROUP BY ");
    put_names(h, ",", "", &sql);
    sb_c(&sql, " HAVING COUNT(*) > 1 ORDER BY ");
    put_names(h, ",", "", &sql);
    sb_printf(&sql, " LIMIT %zu", most);
    if (!conn_query(h->s.conn, sb_view(&sql), &rows, err)) return false;
    h->values = arena_array(&h->s.arena, Str, (size_t)rows.n_rows * n + 1);
    Str *v = arena_array(&h->s.arena, Str, n + 1);
    for (h->n = 0; bytes < VALUES_BYTES && rows_next(&rows, v); h->n++)
        for (uint32_t i = 0; i < n; i++) {
            sb_clear(&literal);
            put_literal(&literal, &h->forms[i], v[i]);
            h->values[h->n * n + i] = arena_str(&h->s.arena, sb_view(&literal));
            bytes += literal.len;
        }
    h->full = h->n == most || h->n < rows.n_rows;
    rows_done(&rows);
    return true;
}

/* The next search begins behind what was found, or at the beginning. */
static void go_behind(Share *h)
{
    uint32_t n = h->key->n_parts;
    h->last = NULL;
    arena_done(&h->kept);
    if (!h->full) return;
    h->last = arena_array(&h->kept, Str, n);
    for (uint32_t i = 0; i < n; i++)
        h->last[i] = arena_str(&h->kept, h->values[(h->n - 1) * n + i]);
}

/* -- parking what was found -- */

/* " FROM target t JOIN (those of the values that several rows have) g ON …" */
static void from_groups(const Share *h, StrBuf *out)
{
    uint32_t n = h->key->n_parts;
    sb_printf(out, " FROM " STR_FMT " t JOIN (SELECT ", STR_ARG(h->s.t->sql_name));
    put_names(h, ",", "", out);
    sb_printf(out, " FROM " STR_FMT " WHERE %s", STR_ARG(h->s.t->sql_name), n > 1 ? "(" : "");
    put_names(h, ",", "", out);
    sb_printf(out, "%s IN (", n > 1 ? ")" : "");
    for (size_t at = 0; at < h->n; at++) {
        sb_c(out, at ? "," : "");
        for (uint32_t i = 0; i < n; i++)
            sb_printf(out, "%s" STR_FMT, i ? "," : n > 1 ? "(" : "", STR_ARG(h->values[at * n + i]));
        if (n > 1) sb_ch(out, ')');
    }
    sb_c(out, ") GROUP BY ");
    put_names(h, ",", "", out);
    sb_c(out, " HAVING COUNT(*) > 1) g ON ");
    for (uint32_t i = 0; i < n; i++)
        sb_printf(out, "%st." STR_FMT "=g." STR_FMT, i ? " AND " : "", STR_ARG(h->names[i]),
                  STR_ARG(h->names[i]));
}

/* Whose rows they are. */
typedef struct Owners {
    const Member **members;
    Str **provenance; /* its values, of each */
    size_t n;
} Owners;

static bool find_owners(Share *h, Owners *out, Err *err)
{
    const ParkedTarget *p = h->s.p;
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    sb_printf(&sql, "SELECT DISTINCT " STR_FMT, STR_ARG(p->provenance_list));
    from_groups(h, &sql);
    if (!conn_query(h->s.conn, sb_view(&sql), &rows, err)) return false;
    out->members = arena_array(&h->s.arena, const Member *, (size_t)rows.n_rows + 1);
    out->provenance = arena_array(&h->s.arena, Str *, (size_t)rows.n_rows + 1);
    Str *v = arena_array(&h->s.arena, Str, rows.n_columns + 1);
    bool ok = true;
    for (out->n = 0; ok && rows_next(&rows, v); out->n++) {
        out->members[out->n] = p->world.owner(p->world.ctx, h->s.t, v, p->n_provenance);
        Str *kept = out->provenance[out->n] = arena_array(&h->s.arena, Str, p->n_provenance + 1);
        for (uint32_t i = 0; i < p->n_provenance; i++)
            kept[i] = v[i].ptr ? arena_str(&h->s.arena, v[i]) : (Str){0};
        ok = out->members[out->n] != NULL;
    }
    rows_done(&rows);
    return ok || err_set(err, ERR_DB_DUPLICATE_KEY,
                         "a row that shares the new key belongs to no shard table that is known now, by its "
                         "provenance");
}

/* "CASE WHEN t.`shard` <=> 's1' THEN … END" */
static void put_by_owner(const Share *h, const Owners *o, Str (*of)(const ParkedTarget *, const Member *),
                         StrBuf *out)
{
    const ParkedTarget *p = h->s.p;
    sb_c(out, "CASE");
    for (size_t at = 0; at < o->n; at++) {
        sb_c(out, " WHEN ");
        for (uint32_t i = 0; i < p->n_provenance; i++) {
            sb_c(out, i ? " AND t." : "t.");
            sb_ident(out, h->s.t->schema->columns[p->provenance[i]].name);
            sb_c(out, " <=> ");
            if (o->provenance[at][i].ptr)
                sb_quoted(out, o->provenance[at][i]);
            else
                sb_c(out, "NULL");
        }
        sb_c(out, " THEN ");
        sb_quoted(out, of(p, o->members[at]));
    }
    sb_c(out, " END,");
}

static Str source_of(const ParkedTarget *p, const Member *m)
{
    return p->world.source_id(p->world.ctx, m->source);
}

static Str schema_of(const ParkedTarget *p, const Member *m)
{
    (void)p;
    return m->name.schema;
}

static Str table_of(const ParkedTarget *p, const Member *m)
{
    (void)p;
    return m->name.table;
}

/* All rows that have one of the values become parked ones. */
static bool insert_parked(Share *h, const Owners *o, uint64_t *rows, Err *err)
{
    Settle *s = &h->s;
    const ParkedTarget *p = s->p;
    settle_insert_head(s);
    sb_printf(&s->sql, "SELECT %llu + ROW_NUMBER() OVER (),", (unsigned long long)atomic_load(&p->next_id));
    put_by_owner(h, o, source_of, &s->sql);
    put_by_owner(h, o, schema_of, &s->sql);
    put_by_owner(h, o, table_of, &s->sql);
    sb_printf(&s->sql,
              "UTC_TIMESTAMP(),COALESCE(d.sm_id,0),COALESCE(d.sm_pinned,0),COALESCE(d.sm_renamed,0)," STR_FMT,
              STR_ARG(p->prefixed));
    from_groups(h, &s->sql);
    sb_printf(&s->sql, " LEFT JOIN " STR_FMT " d ON d.sm_side=%d", STR_ARG(p->decided_table), SIDE_WRITTEN);
    settle_same_row(s, &s->sql, "d", "t");
    sb_printf(&s->sql, " AND NOT EXISTS (SELECT 1 FROM " STR_FMT " y WHERE y.sm_decided=d.sm_id)",
              STR_ARG(p->table));
    if (!conn_exec(s->conn, sb_view(&s->sql), rows, err)) return false;
    atomic_store(&s->p->ever, true);
    atomic_fetch_add(&s->p->next_id, *rows + 1);
    return true;
}

/* Those that were parked since the number `first` leave the target. */
static bool leave_target(Settle *s, uint64_t first, uint64_t rows, Err *err)
{
    uint64_t n = 0;
    sb_clear(&s->sql);
    CLEANUP(sb_done) StrBuf target = {0}; /* by its name: an alias would want a default schema */
    sb_str(&target, s->t->sql_name);
    sb_printf(&s->sql, "DELETE FROM %s USING %s JOIN " STR_FMT " p ON p.sm_id>=%llu", target.ptr, target.ptr,
              STR_ARG(s->p->table), (unsigned long long)first);
    settle_same_row(s, &s->sql, "p", target.ptr);
    if (!conn_exec(s->conn, sb_view(&s->sql), &n, err)) return false;
    return n == rows || err_set(err, ERR_APPLY_MISSED, "%llu rows were parked, %llu have left the target",
                                (unsigned long long)rows, (unsigned long long)n);
}

static bool park_groups(Share *h, const Dialect *d, const ParkedRekey *r, uint64_t *rows, Err *err)
{
    Settle *s = &h->s;
    Owners owners = {0};
    if (!find_owners(h, &owners, err)) return false;
    if (FAULT("parked.rekey_found")) return err_set(err, ERR_DB_LOST, "fault parked.rekey_found");
    uint64_t first = atomic_load(&s->p->next_id);
    bool ok = rekey_begin(s->conn, d, r, err) && insert_parked(h, &owners, rows, err) &&
              leave_target(s, first, *rows, err);
    if (ok && !*rows) /* or it would be tried for ever */
        ok = err_set(err, ERR_DB_DUPLICATE_KEY, "rows share the new key, and are not found by its values");
    if (ok && FAULT("parked.rekey_parked")) ok = err_set(err, ERR_DB_LOST, "fault parked.rekey_parked");
    if (!rekey_end(s->conn, ok, err)) return false;
    return !FAULT("parked.rekey_out") || err_set(err, ERR_DB_LOST, "fault parked.rekey_out");
}

/* -- all of them -- */

static void share_of(const Target *t, const TargetKey *key, Share *h)
{
    *h = (Share){.key = key};
    h->forms = arena_array(&h->arena, Form, key->n_parts);
    h->names = arena_array(&h->arena, Str, key->n_parts);
    for (uint32_t i = 0; i < key->n_parts; i++) {
        const ColumnDef *column = &t->schema->columns[key->parts[i].column];
        CLEANUP(sb_done) StrBuf name = {0};
        sb_ident(&name, column->name);
        h->forms[i] = form_of(column);
        h->names[i] = arena_str(&h->arena, sb_view(&name));
    }
}

/* The values are searched from the first one on to the last, in pieces; then again, until nothing is found:
 * one whose text the server does not order as the value itself is found then. */
static bool park_key(Conn *c, const Dialect *d, const ParkedRekey *r, uint32_t k, int64_t *moved, Err *err)
{
    Share h;
    bool ok = true;
    share_of(r->parked->target, &r->parked->target->keys[k], &h);
    for (bool more = true; ok && more;) {
        uint64_t rows = 0;
        h.s = rekey_settle(c, r);
        ok = find_groups(&h, err);
        more = ok && (h.n || h.last);
        ok = ok && (!h.n || park_groups(&h, d, r, &rows, err));
        if (ok) go_behind(&h);
        *moved += (int64_t)rows;
        settle_done(&h.s);
    }
    arena_done(&h.kept);
    arena_done(&h.arena);
    return ok;
}

/* Is there a unique index of this key's columns now? */
static bool is_unique_now(const TableSchema *live, const Target *t, const TargetKey *key)
{
    for (uint32_t i = 0; i < live->n_keys; i++) {
        const KeyDef *k = &live->keys[i];
        bool same = k->unique && k->n_parts == key->n_parts;
        for (uint32_t p = 0; same && p < k->n_parts; p++)
            same = k->parts[p].column != NO_COLUMN && str_ieq(live->columns[k->parts[p].column].name,
                                                              t->schema->columns[key->parts[p].column].name);
        if (same) return true;
    }
    return false;
}

bool parked_share(Conn *c, const Dialect *d, const ParkedRekey *r, int64_t *moved, Err *err)
{
    const Target *t = r->parked->target;
    TableSchema *live = NULL;
    if (!schema_read(c, t->name, &live, err)) return false;
    bool ok = live || err_set(err, ERR_DDL_DIFFERS, "target " STR_FMT " is gone", STR_ARG(t->sql_name));
    for (uint32_t k = 0; ok && k < t->n_keys; k++)
        if (parked_counts_key(&t->keys[k]) && !is_unique_now(live, t, &t->keys[k]))
            ok = park_key(c, d, r, k, moved, err);
    schema_free(live);
    return ok;
}
