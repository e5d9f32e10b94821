#include "ops/route_census.h"
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "ops/census_values.h"
#include "track/family.h"
#include "base/poison.h"

enum {
    CHUNK_VALUES = 20000,
    PAUSE_MAX_MS = 1000, /* after a statement: as long as it took, at most this */
    KEY_COLUMNS_MAX = 16,
    GROWTH_MS = 2000, /* least time between two looks at the highest id */
};

static void pause_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Half of the time is the server's. */
static void throttle(int64_t since_ms)
{
    int64_t took = clock_mono_ms() - since_ms;
    pause_ms(MIN(took, (int64_t)PAUSE_MAX_MS));
}

/* -- ids -- */

static bool read_number(Str text, int64_t *low, uint64_t *high)
{
    int64_t i;
    if (str_to_u64(text, high)) {
        *low = *high > INT64_MAX ? INT64_MAX : (int64_t)*high;
        return true;
    }
    if (!str_to_i64(text, &i)) return false;
    *low = i;
    *high = 0;
    return true;
}

static bool read_ids(Conn *c, TableName table, Str id, CensusShard *s, Err *err)
{
    StrBuf sql = {0};
    Rows rows;
    Str v[2] = {{0}};
    int64_t ignored_low;
    uint64_t ignored_high;
    sb_c(&sql, "SELECT MIN(");
    sb_ident(&sql, id);
    sb_c(&sql, "), MAX(");
    sb_ident(&sql, id);
    sb_c(&sql, ") FROM ");
    table_name_sql(table, &sql);
    bool ok = conn_query(c, sb_view(&sql), &rows, err);
    sb_done(&sql);
    if (!ok) return false;
    s->has_ids = rows_next(&rows, v) && v[0].ptr && read_number(v[0], &s->lowest, &ignored_high) &&
                 read_number(v[1], &ignored_low, &s->highest);
    rows_done(&rows);
    return true;
}

static bool read_statistics(Conn *c, TableName table, CensusShard *s, double *age_s, Err *err)
{
    StrBuf sql = {0};
    Rows rows;
    Str v[2] = {{0}};
    uint64_t age = 0;
    sb_c(&sql, "SELECT TABLE_ROWS, GREATEST(TIMESTAMPDIFF(SECOND, CREATE_TIME, NOW()), 1) FROM "
               "information_schema.TABLES WHERE TABLE_SCHEMA = ");
    sb_quoted(&sql, table.schema);
    sb_c(&sql, " AND TABLE_NAME = ");
    sb_quoted(&sql, table.table);
    bool ok = conn_query(c, sb_view(&sql), &rows, err);
    sb_done(&sql);
    if (!ok) return false;
    if (rows_next(&rows, v)) {
        if (!v[0].ptr || !str_to_u64(v[0], &s->rows)) s->rows = 0;
        if (!v[1].ptr || !str_to_u64(v[1], &age)) age = 0;
    }
    rows_done(&rows);
    *age_s = (double)age;
    return true;
}

static bool has_id(const CensusOpts *o, const CensusTarget *t, const CensusShard *s)
{
    return t->id.len && schema_column(o->shards[s->entry], t->id) != UINT32_MAX;
}

static bool look_at_ids(const CensusOpts *o, CensusTarget *t, Err *err)
{
    for (size_t i = 0; i < t->n_shards; i++) {
        CensusShard *s = &t->shards[i];
        const RouteEntry *e = &o->plan->entries[s->entry];
        double age = 0;
        if (!read_statistics(o->conns[e->source], e->table, s, &age, err)) return false;
        if (!has_id(o, t, s)) continue;
        int64_t since = clock_mono_ms();
        if (!read_ids(o->conns[e->source], e->table, t->id, s, err)) return false;
        throttle(since);
        if (s->has_ids && age > 0 && s->lowest >= 0)
            s->ids_per_second = (double)(s->highest - (uint64_t)s->lowest) / age;
    }
    return true;
}

/* A second look, for the growth while the census ran. */
static bool look_again(const CensusOpts *o, CensusTarget *t, int64_t since_ms, Err *err)
{
    for (size_t i = 0; i < t->n_shards; i++) {
        CensusShard *s = &t->shards[i], now = *s;
        const RouteEntry *e = &o->plan->entries[s->entry];
        if (!has_id(o, t, s)) continue;
        if (!read_ids(o->conns[e->source], e->table, t->id, &now, err)) return false;
        double seconds = (double)(clock_mono_ms() - since_ms) / 1000;
        if (s->has_ids && now.has_ids && now.highest > s->highest && seconds > 0)
            s->ids_per_second = MAX(s->ids_per_second, (double)(now.highest - s->highest) / seconds);
        now.ids_per_second = s->ids_per_second;
        *s = now;
    }
    return true;
}

/* -- values of unique keys -- */

/* One key of one shard table while it is read along its index. */
typedef struct KeyScan {
    Conn *conn;
    TableName table;
    const TableSchema *schema;
    const KeyDef *key;
    bool weights;    /* texts are compared by the server's own weights: all shards have the same server and
                        collation */
    uint64_t sample; /* every sample-th value, chosen by its content: the same in all shards; 1: all */
    StrBuf last[KEY_COLUMNS_MAX]; /* literals of the last row read */
    bool begun;
} KeyScan;

static bool is_text(const ColumnDef *c)
{
    return family_of(c) == FAMILY_TEXT;
}

/* The value of the whole key as one text in which values that are equal are equal bytes. */
static void add_expression(const KeyScan *s, StrBuf *sql)
{
    sb_c(sql, "CONCAT_WS('|'");
    for (uint32_t i = 0; i < s->key->n_parts; i++) {
        const ColumnDef *c = &s->schema->columns[s->key->parts[i].column];
        bool bytes = family_of(c) == FAMILY_BINARY; /* are no text of any character set */
        sb_c(sql, bytes         ? ",HEX("
                  : !is_text(c) ? ",HEX(CAST("
                  : s->weights  ? ",HEX(WEIGHT_STRING(TRIM(TRAILING ' ' FROM "
                                : ",HEX(LOWER(CONVERT(TRIM(TRAILING ' ' FROM ");
        sb_ident(sql, c->name);
        sb_c(sql, bytes ? ")" : !is_text(c) ? " AS CHAR))" : s->weights ? ")))" : ") USING utf8mb4)))");
    }
    sb_ch(sql, ')');
}

/* Behind the last row: a > x OR (a = x AND b > y) …, with a >= x in front, so that the index is used. */
static void add_behind(const KeyScan *s, StrBuf *sql)
{
    const ColumnDef *columns = s->schema->columns;
    sb_c(sql, " AND ");
    sb_ident(sql, columns[s->key->parts[0].column].name);
    sb_printf(sql, ">=%s AND (", s->last[0].ptr);
    for (uint32_t i = 0; i < s->key->n_parts; i++) {
        sb_c(sql, i ? " OR (" : "(");
        for (uint32_t j = 0; j <= i; j++) {
            if (j) sb_c(sql, " AND ");
            sb_ident(sql, columns[s->key->parts[j].column].name);
            sb_printf(sql, "%s%s", j == i ? ">" : "=", s->last[j].ptr);
        }
        sb_ch(sql, ')');
    }
    sb_ch(sql, ')');
}

static void chunk_sql(const KeyScan *s, StrBuf *sql)
{
    sb_c(sql, "SELECT ");
    add_expression(s, sql);
    for (uint32_t i = 0; i < s->key->n_parts; i++) {
        sb_ch(sql, ',');
        sb_ident(sql, s->schema->columns[s->key->parts[i].column].name);
    }
    sb_c(sql, " FROM ");
    table_name_sql(s->table, sql);
    sb_c(sql, " WHERE ");
    for (uint32_t i = 0; i < s->key->n_parts; i++) { /* NULL meets nothing */
        if (i) sb_c(sql, " AND ");
        sb_ident(sql, s->schema->columns[s->key->parts[i].column].name);
        sb_c(sql, " IS NOT NULL");
    }
    if (s->begun) add_behind(s, sql);
    if (s->sample > 1) {
        sb_c(sql, " AND CRC32(");
        add_expression(s, sql);
        sb_printf(sql, ") %% %llu = 0", (unsigned long long)s->sample);
    }
    sb_c(sql, " ORDER BY ");
    for (uint32_t i = 0; i < s->key->n_parts; i++) {
        if (i) sb_ch(sql, ',');
        sb_ident(sql, s->schema->columns[s->key->parts[i].column].name);
    }
    sb_printf(sql, " LIMIT %d", CHUNK_VALUES);
}

static void keep_last(KeyScan *s, const Str *row)
{
    for (uint32_t i = 0; i < s->key->n_parts; i++) {
        const ColumnDef *c = &s->schema->columns[s->key->parts[i].column];
        StrBuf *b = &s->last[i];
        sb_clear(b);
        if (keys_is_integer(c->data_type)) {
            sb_str(b, row[1 + i]);
        } else if (family_of(c) == FAMILY_BINARY) {
            sb_c(b, "X'");
            sb_hex(b, row[1 + i].ptr, row[1 + i].len);
            sb_ch(b, '\'');
        } else {
            sb_quoted(b, row[1 + i]);
        }
    }
    s->begun = true;
}

static bool scan_chunk(KeyScan *s, CensusValues *values, uint32_t shard, bool *more, Err *err)
{
    StrBuf sql = {0};
    Rows rows;
    Str row[1 + KEY_COLUMNS_MAX];
    uint64_t n = 0;
    chunk_sql(s, &sql);
    int64_t since = clock_mono_ms();
    bool ok = conn_query(s->conn, sb_view(&sql), &rows, err);
    sb_done(&sql);
    if (!ok) return false;
    while (rows_next(&rows, row)) {
        n++;
        census_values_add(values, str_hash(row[0]), shard);
        if (n == rows.n_rows) keep_last(s, row);
    }
    rows_done(&rows);
    *more = n == CHUNK_VALUES;
    if (*more) throttle(since);
    return true;
}

/* The same key of another shard table: the same columns by name. */
static const KeyDef *key_like(const TableSchema *s, const TableSchema *first, const KeyDef *key)
{
    for (uint32_t i = 0; i < s->n_keys; i++) {
        const KeyDef *k = &s->keys[i];
        bool same = (k->unique || k->primary) && k->n_parts == key->n_parts;
        for (uint32_t p = 0; same && p < k->n_parts; p++)
            same = k->parts[p].column < s->n_columns &&
                   str_ieq(s->columns[k->parts[p].column].name, first->columns[key->parts[p].column].name);
        if (same) return k;
    }
    return NULL;
}

static const char *cannot_look(const TableSchema *s, const KeyDef *k)
{
    if (k->n_parts > KEY_COLUMNS_MAX) return "it has too many columns";
    for (uint32_t i = 0; i < k->n_parts; i++) {
        if (k->parts[i].column >= s->n_columns) return "it is over an expression";
        if (k->parts[i].prefix) return "it is over the beginning of a column";
        TypeFamily f = family_of(&s->columns[k->parts[i].column]);
        if (f == FAMILY_FLOAT || f == FAMILY_JSON || f == FAMILY_BIT || f == FAMILY_UNKNOWN ||
            f == FAMILY_ENUM || f == FAMILY_SET)
            return "values of its type are not compared here";
    }
    return NULL;
}

static bool same_collations(const CensusOpts *o, const CensusTarget *t, const TableSchema *first,
                            const KeyDef *key)
{
    bool mariadb = o->is_mariadb[o->plan->entries[t->shards[0].entry].source];
    for (size_t i = 0; i < t->n_shards; i++) {
        uint32_t entry = t->shards[i].entry;
        if (!key_like(o->shards[entry], first, key)) continue;
        if (o->is_mariadb[o->plan->entries[entry].source] != mariadb) return false;
        for (uint32_t p = 0; p < key->n_parts; p++) {
            const ColumnDef *c = &first->columns[key->parts[p].column];
            uint32_t at = schema_column(o->shards[entry], c->name);
            if (at == UINT32_MAX || !str_eq(o->shards[entry]->columns[at].collation, c->collation))
                return false;
        }
    }
    return true;
}

static bool has_text(const TableSchema *s, const KeyDef *k)
{
    for (uint32_t i = 0; i < k->n_parts; i++)
        if (is_text(&s->columns[k->parts[i].column])) return true;
    return false;
}

/* key: of the shard table `first`. */
static bool look_at_key(const CensusOpts *o, CensusTarget *t, const TableSchema *first, const KeyDef *key,
                        CensusKey *out, Arena *arena, Err *err)
{
    uint64_t rows = 0;
    CensusValues values = {0};
    bool ok = true, weights = same_collations(o, t, first, key);
    for (size_t i = 0; i < t->n_shards; i++)
        rows += t->shards[i].rows;
    uint64_t sample = rows > o->exact_values ? (rows + o->exact_values - 1) / o->exact_values : 1;
    for (size_t i = 0; ok && i < t->n_shards; i++) {
        uint32_t entry = t->shards[i].entry;
        const RouteEntry *e = &o->plan->entries[entry];
        KeyScan s = {.conn = o->conns[e->source],
                     .table = e->table,
                     .schema = o->shards[entry],
                     .key = key_like(o->shards[entry], first, key),
                     .weights = weights,
                     .sample = sample};
        bool more = s.key != NULL;
        while (ok && more)
            ok = scan_chunk(&s, &values, (uint32_t)i, &more, err);
        for (size_t b = 0; b < KEY_COLUMNS_MAX; b++)
            sb_done(&s.last[b]);
    }
    uint64_t shared = ok ? census_values_shared(&values, t->n_shards) : 0;
    if (ok && out->of_ids && !t->common) {
        CensusCommon *common = arena_array(arena, CensusCommon, CENSUS_PAIRS_LISTED);
        t->n_common = census_values_common(&values, t->n_shards, common, CENSUS_PAIRS_LISTED);
        t->common = common;
        t->sample = sample;
    }
    out->looked_at = true;
    out->exact = sample == 1;
    out->collisions = (double)shared * (double)sample;
    /* a value is in the sample or not, by its content: a binomial count */
    if (!out->exact) out->error = 1.96 * (double)sample * __builtin_sqrt((double)MAX(shared, (uint64_t)1));
    out->values = values.n;
    if (!weights && has_text(first, key))
        out->note = STR("the shards' collations or servers differ: texts were compared without case, "
                        "accents counted");
    census_values_done(&values);
    return ok;
}

/* Was the key looked at already, as another shard table has it? One that cannot be looked at is known by its
 * name. */
static bool is_known(const CensusOpts *o, const CensusTarget *t, size_t shard, const KeyDef *key,
                     bool by_name)
{
    const TableSchema *s = o->shards[t->shards[shard].entry];
    for (size_t i = 0; by_name && i < t->n_keys; i++)
        if (!t->keys[i].looked_at && str_ieq(t->keys[i].name, key->name)) return true;
    for (size_t i = 0; !by_name && i < shard; i++)
        if (key_like(o->shards[t->shards[i].entry], s, key)) return true;
    return false;
}

static size_t lack_key(const CensusOpts *o, const CensusTarget *t, const TableSchema *s, const KeyDef *key)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_shards; i++)
        n += key_like(o->shards[t->shards[i].entry], s, key) == NULL;
    return n;
}

static bool look_at_keys_of(const CensusOpts *o, CensusTarget *t, size_t shard, Arena *arena, Err *err)
{
    const TableSchema *s = o->shards[t->shards[shard].entry];
    for (uint32_t i = 0; i < s->n_keys; i++) {
        const KeyDef *k = &s->keys[i];
        if (!k->unique && !k->primary) continue;
        const char *why = cannot_look(s, k);
        if (is_known(o, t, shard, k, why != NULL)) continue;
        CensusKey *out = &t->keys[t->n_keys++];
        *out = (CensusKey){.name = k->name, .note = str_of(why)};
        if (!why) out->lack_it = lack_key(o, t, s, k);
        out->of_ids = k->n_parts == 1 && k->parts[0].column < s->n_columns && t->id.len &&
                      str_ieq(s->columns[k->parts[0].column].name, t->id);
        if (!why && !look_at_key(o, t, s, k, out, arena, err)) return false;
    }
    return true;
}

/* Every unique key that a shard table has. */
static bool look_at_keys(const CensusOpts *o, CensusTarget *t, Arena *arena, Err *err)
{
    size_t most = 1;
    for (size_t i = 0; i < t->n_shards; i++)
        most += o->shards[t->shards[i].entry]->n_keys;
    t->keys = arena_array(arena, CensusKey, most);
    for (size_t i = 0; i < t->n_shards; i++)
        if (!look_at_keys_of(o, t, i, arena, err)) return false;
    return true;
}

/* -- all -- */

static double highest_of(const ColumnDef *c)
{
    static const struct {
        const char *type;
        unsigned bits;
    } types[] = {{"tinyint", 8}, {"smallint", 16}, {"mediumint", 24}, {"int", 32}, {"bigint", 64}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ieq(c->data_type, str_of(types[i].type)))
            return __builtin_ldexp(1, (int)types[i].bits - (c->is_unsigned ? 0 : 1)) - 1;
    return 0;
}

/* The shards' id of the smallest type. */
static const ColumnDef *narrowest_id(const CensusOpts *o, const CensusTarget *t)
{
    const ColumnDef *least = NULL;
    for (size_t i = 0; i < t->n_shards; i++) {
        const TableSchema *s = o->shards[t->shards[i].entry];
        uint32_t at = schema_column(s, t->id);
        if (at == UINT32_MAX || !keys_is_integer(s->columns[at].data_type)) continue;
        if (!least || highest_of(&s->columns[at]) < highest_of(least)) least = &s->columns[at];
    }
    return least;
}

static void find_room(const CensusOpts *o, CensusTarget *t)
{
    const TableSchema *first = o->shards[t->shards[0].entry];
    const TableSchema *target = o->targets ? o->targets[t->target] : NULL;
    uint32_t own = schema_column(first, t->id), at = target ? schema_column(target, t->id) : UINT32_MAX;
    if (own == UINT32_MAX) return;
    const ColumnDef *c = at == UINT32_MAX ? narrowest_id(o, t) : &target->columns[at];
    double highest = 0;
    for (size_t i = 0; i < t->n_shards; i++)
        if (t->shards[i].has_ids) highest = MAX(highest, (double)t->shards[i].highest);
    t->id_type = first->columns[own].column_type;
    t->type = c->column_type;
    t->room = highest_of(c) - highest;
}

static void begin_target(const CensusOpts *o, uint32_t index, Arena *arena, CensusTarget *t)
{
    const RouteTarget *rt = &o->plan->targets[index];
    const MemberKeys *keys = route_keys_of_target(o->plan, o->keys, index);
    static const KeyRule none;
    t->target = index;
    t->chosen = keys ? keys->strategy : KEY_STRATEGY_ERROR;
    t->shards = arena_array(arena, CensusShard, rt->n_members + 1);
    for (size_t m = 0; m < rt->n_members; m++)
        if (o->shards[rt->members[m]]) t->shards[t->n_shards++].entry = rt->members[m];
    if (!t->n_shards) return;
    const KeyRule *rule = keys && keys->rule ? &keys->rule->key : &none;
    t->id = keys_id_column(rule, o->shards[t->shards[0].entry]);
    uint32_t at = schema_column(o->shards[t->shards[0].entry], t->id);
    if (at == UINT32_MAX || !keys_is_integer(o->shards[t->shards[0].entry]->columns[at].data_type))
        t->id = (Str){0};
}

bool route_census(const CensusOpts *opts, Arena *arena, CensusTarget **out, Err *err)
{
    size_t n = opts->plan->n_targets;
    int64_t since = clock_mono_ms();
    CensusTarget *list = arena_array(arena, CensusTarget, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        begin_target(opts, i, arena, &list[i]);
        if (!list[i].n_shards) continue;
        if (!look_at_ids(opts, &list[i], err) || !look_at_keys(opts, &list[i], arena, err)) return false;
    }
    int64_t left = since + GROWTH_MS - clock_mono_ms();
    if (left > 0) pause_ms(left);
    for (uint32_t i = 0; i < n; i++) {
        const MemberKeys *keys = route_keys_of_target(opts->plan, opts->keys, i);
        if (!list[i].n_shards) continue;
        if (!look_again(opts, &list[i], since, err)) return false;
        census_find_pairs(&list[i], arena);
        find_room(opts, &list[i]);
        census_judge(&list[i], keys && keys->rule ? &keys->rule->key : NULL, opts->target_is_tidb, arena);
    }
    *out = list;
    return true;
}
