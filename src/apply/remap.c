#include "apply/remap.h"
#include <pthread.h>
#include <stdlib.h>
#include "apply/meta_sql.h"
#include "apply/remap_want.h"
#include "base/check.h"
#include "base/fault.h"
#include "db/schema_read.h"
#include "route/keys.h"
#include "base/poison.h"

enum {
    CACHE_ENTRIES = 1 << 18, /* 8 MiB */
    STATEMENT_IDS = 4000,    /* a look-up, or an INSERT: some 100 KiB */
    RANGE_SLACK = 2,         /* a range may be so many times as wide as the ids in it */
    ALLOCATE_IDS = 10000,    /* one transaction */
};

/* The map of one target. */
typedef struct RemapMap {
    TableName target;
    Str table; /* `meta`.`sm_remap_…` */
} RemapMap;

struct Remap {
    const MetaTask *meta;
    uint64_t epoch;
    pthread_mutex_t mutex; /* guards the cache */
    RemapCache *cache;
    pthread_mutex_t
        opening; /* guards all below; held while asking the downstream, once a map and shard table */
    Arena arena;
    RemapMap **maps;
    size_t n_maps;
    uint32_t *members; /* by KeySpace.id: number in its map; 0: not known yet */
    size_t n_members;
};

Remap *remap_new(const MetaTask *m, uint64_t epoch)
{
    Remap *r = mem_zalloc(sizeof *r);
    r->meta = m;
    r->epoch = epoch;
    r->cache = remap_cache_new(CACHE_ENTRIES);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_mutex_init(&r->opening, NULL);
    return r;
}

void remap_free(Remap *r)
{
    if (!r) return;
    remap_cache_free(r->cache);
    arena_done(&r->arena);
    free(r->maps);
    free(r->members);
    pthread_mutex_destroy(&r->mutex);
    pthread_mutex_destroy(&r->opening);
    free(r);
}

static bool scalar_u64(Conn *c, const StrBuf *sql, uint64_t *out, bool *found, Err *err)
{
    char *text = NULL;
    *out = 0;
    bool ok = conn_scalar(c, sb_view(sql), &text, err);
    *found = ok && text;
    if (*found) ok = meta_u64(str_of(text), out, err);
    free(text);
    return ok;
}

/* Opens a transaction that nobody else allocates beside: the map's row is locked. */
static bool lock_map(const Remap *r, Conn *c, const Dialect *d, TableName target, uint64_t *next, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Rows rows = {0};
    Str v[2];
    uint64_t epoch = 0;
    sb_c(&sql, "SELECT next_id, epoch FROM ");
    meta_table(&sql, r->meta, "sm_remap");
    meta_where_target(&sql, r->meta, target);
    sb_c(&sql, " FOR UPDATE");
    if (!conn_exec(c, str_of(session_begin_sql(d)), NULL, err) || !conn_query(c, sb_view(&sql), &rows, err))
        return false;
    bool ok = rows_next(&rows, v) && str_to_u64(v[0], next) && str_to_u64(v[1], &epoch);
    rows_done(&rows);
    if (!ok)
        return err_set(err, ERR_APPLY_META, "sm_remap has no usable row for target " STR_FMT "." STR_FMT,
                       STR_ARG(target.schema), STR_ARG(target.table));
    if (epoch <= r->epoch) return true;
    return err_set(err, ERR_APPLY_FENCED,
                   "the ids of target " STR_FMT "." STR_FMT " are given by epoch %llu, ours is %llu",
                   STR_ARG(target.schema), STR_ARG(target.table), (unsigned long long)epoch,
                   (unsigned long long)r->epoch);
}

static bool commit_map(const Remap *r, Conn *c, TableName target, uint64_t next, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    sb_c(&sql, "UPDATE ");
    meta_table(&sql, r->meta, "sm_remap");
    sb_printf(&sql, " SET next_id = %llu, epoch = %llu", (unsigned long long)next,
              (unsigned long long)r->epoch);
    meta_where_target(&sql, r->meta, target);
    if (!conn_exec(c, sb_view(&sql), NULL, err)) return false;
    if (FAULT("remap.before_commit")) return err_set(err, ERR_DB_LOST, "fault remap.before_commit");
    if (!conn_exec(c, STR("COMMIT"), NULL, err)) return false;
    return !FAULT("remap.after_commit") || err_set(err, ERR_DB_LOST, "fault remap.after_commit");
}

/* -- maps -- */

/* sm_remap_orders_0123456789abcdef; without the table's name where that would be too long, or is no plain
 * one. */
static Str map_name(const MetaTask *m, TableName target, Arena *arena)
{
    enum { NAME_MOST = 38 };
    CLEANUP(sb_done) StrBuf id = {0};
    sb_str(&id, m->task);
    sb_ch(&id, '\n');
    table_name_sql(target, &id);
    bool plain = target.table.len <= NAME_MOST;
    for (size_t i = 0; plain && i < target.table.len; i++) {
        char ch = target.table.ptr[i];
        plain = (ch >= '0' && ch <= '9') || ch == '_' || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z');
    }
    return arena_printf(arena, "sm_remap_" STR_FMT "%s%016llx", STR_ARG((plain ? target.table : (Str){0})),
                        plain ? "_" : "", (unsigned long long)str_hash(sb_view(&id)));
}

/* Raises *first above the highest value of a column. */
static bool raise_above(Conn *c, TableName table, Str column, uint64_t *first, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t n = 0;
    bool found;
    sb_c(&sql, "SELECT MAX(");
    sb_ident(&sql, column);
    sb_c(&sql, ") FROM ");
    table_name_sql(table, &sql);
    sb_c(&sql, " WHERE ");
    sb_ident(&sql, column);
    sb_c(&sql, " > 0");
    if (!scalar_u64(c, &sql, &n, &found, err)) return false;
    if (n >= INT64_MAX)
        return err_set(err, ERR_KEY_RANGE, STR_FMT "." STR_FMT ": no id is left above those it holds",
                       STR_ARG(table.schema), STR_ARG(table.table));
    *first = MAX(*first, n + 1);
    return true;
}

/* The column of the target that holds the ids; UINT32_MAX: not known. Where the rule names none, and the
 * definition of the shard table was not known (a reference says that its ids come from there), the target
 * itself says which. */
static uint32_t id_column(const KeySpace *s, const TableSchema *target)
{
    const KeyRule unnamed = {0};
    Str column = s->column.len ? s->column : keys_id_column(&unnamed, target);
    return column.len ? schema_column(target, column) : UINT32_MAX;
}

/* Raises *first above the ids that the target holds. */
static bool raise_above_target(Conn *c, const KeySpace *s, uint64_t *first, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    CLEANUP(sb_done) StrBuf name = {0};
    TableSchema *target = NULL;
    uint64_t one = 0;
    bool found = false;
    if (!schema_read(c, s->target, &target, err)) return false;
    if (!target) return true; /* it will be made, empty */
    uint32_t at = id_column(s, target);
    bool ok = true;
    table_name_sql(s->target, &name);
    if (at != UINT32_MAX) {
        ok = raise_above(c, s->target, target->columns[at].name, first, err);
    } else {
        sb_printf(&sql, "SELECT 1 FROM %s LIMIT 1", name.ptr);
        ok = scalar_u64(c, &sql, &one, &found, err);
        if (ok && found)
            ok =
                err_set_remedy(err, ERR_KEY_STRATEGY, "name the column with `column` in the target's rule",
                               "target %s holds rows, and which of its columns holds their ids is not known: "
                               "new ids could be some of theirs",
                               name.ptr);
    }
    schema_free(target);
    return ok;
}

static bool read_map(Remap *r, Conn *c, TableName target, Str *table, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    char *name = NULL;
    *table = (Str){0};
    sb_c(&sql, "SELECT map_table FROM ");
    meta_table(&sql, r->meta, "sm_remap");
    meta_where_target(&sql, r->meta, target);
    if (!conn_scalar(c, sb_view(&sql), &name, err)) return false;
    if (name) {
        CLEANUP(sb_done) StrBuf full = {0};
        table_name_sql((TableName){r->meta->schema, str_of(name)}, &full);
        *table = arena_str(&r->arena, sb_view(&full));
    }
    free(name);
    return true;
}

/* The table, then its row in sm_remap: whoever finds the row finds the table. */
static bool make_map(Remap *r, Conn *c, const KeySpace *s, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    Str name = map_name(r->meta, s->target, &r->arena);
    uint64_t first = 1;
    sb_c(&sql, "CREATE TABLE IF NOT EXISTS ");
    table_name_sql((TableName){r->meta->schema, name}, &sql);
    sb_c(&sql,
         " (member INT UNSIGNED NOT NULL, old_id DECIMAL(20,0) NOT NULL, new_id BIGINT UNSIGNED NOT NULL,"
         " PRIMARY KEY (member, old_id), UNIQUE KEY new_id (new_id)) ENGINE=InnoDB");
    if (!conn_exec(c, sb_view(&sql), NULL, err)) return false;
    if (FAULT("remap.made")) return err_set(err, ERR_DB_LOST, "fault remap.made");
    if (!raise_above_target(c, s, &first, err) ||
        !raise_above(c, (TableName){r->meta->schema, name}, STR("new_id"), &first, err))
        return false;
    sb_clear(&sql);
    sb_c(&sql, "INSERT INTO ");
    meta_table(&sql, r->meta, "sm_remap");
    sb_c(&sql, " (task, target_schema, target_table, map_table, next_id, epoch) VALUES (");
    meta_target_values(&sql, r->meta, s->target);
    sb_ch(&sql, ',');
    sb_quoted(&sql, name);
    sb_printf(&sql, ",%llu,%llu)", (unsigned long long)first, (unsigned long long)r->epoch);
    if (conn_exec(c, sb_view(&sql), NULL, err)) return true;
    if (err->code != ERR_DB_DUPLICATE_KEY) return false;
    err_clear(err); /* another process of this task was faster: its row counts */
    return true;
}

/* The opening mutex is held. */
static bool open_map(Remap *r, Conn *c, const KeySpace *s, const RemapMap **out, Err *err)
{
    for (size_t i = 0; i < r->n_maps; i++)
        if (table_name_eq(r->maps[i]->target, s->target)) {
            *out = r->maps[i];
            return true;
        }
    Str table;
    if (!read_map(r, c, s->target, &table, err)) return false;
    if (!table.len && (!make_map(r, c, s, err) || !read_map(r, c, s->target, &table, err))) return false;
    if (!table.len) return err_set(err, ERR_APPLY_META, "sm_remap does not keep its rows");
    RemapMap *map = arena_new(&r->arena, RemapMap);
    *map = (RemapMap){s->target, table};
    r->maps = mem_realloc(r->maps, (r->n_maps + 1) * sizeof *r->maps);
    *out = r->maps[r->n_maps++] = map;
    return true;
}

/* What a task of the same name has left would be taken for ids of another shard table. */
static bool is_unused(Conn *c, const RemapMap *map, uint32_t member, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t one = 0;
    bool found;
    sb_printf(&sql, "SELECT 1 FROM " STR_FMT " WHERE member = %u LIMIT 1 FOR UPDATE", STR_ARG(map->table),
              member);
    if (!scalar_u64(c, &sql, &one, &found, err)) return false;
    if (!found) return true;
    CLEANUP(sb_done) StrBuf remedy = {0};
    sb_printf(&remedy,
              "to load the target anew, drop " STR_FMT
              " and the target's rows in sm_remap and sm_remap_member; else "
              "restore those rows",
              STR_ARG(map->table));
    return err_set_remedy(err, ERR_APPLY_META, remedy.ptr,
                          "the map " STR_FMT
                          " has ids of a shard table %u that sm_remap_member does not know",
                          STR_ARG(map->table), member);
}

/* The shard table's number in its map, given now if need be. In the locked map's transaction. */
static bool number_member(const Remap *r, Conn *c, const KeySpace *s, const RemapMap *map, uint32_t *member,
                          Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t n = 0;
    bool found;
    sb_c(&sql, "SELECT member FROM ");
    meta_table(&sql, r->meta, "sm_remap_member");
    meta_where_target(&sql, r->meta, s->target);
    sb_c(&sql, " AND source = ");
    sb_quoted(&sql, s->source);
    sb_c(&sql, " AND source_schema = ");
    sb_quoted(&sql, s->shard.schema);
    sb_c(&sql, " AND source_table = ");
    sb_quoted(&sql, s->shard.table);
    sb_c(&sql, " FOR UPDATE");
    if (!scalar_u64(c, &sql, &n, &found, err)) return false;
    *member = (uint32_t)n;
    if (found) return true;
    sb_clear(&sql);
    sb_c(&sql, "SELECT COALESCE(MAX(member), 0) + 1 FROM ");
    meta_table(&sql, r->meta, "sm_remap_member");
    meta_where_target(&sql, r->meta, s->target);
    sb_c(&sql, " FOR UPDATE");
    if (!scalar_u64(c, &sql, &n, &found, err)) return false;
    *member = (uint32_t)n;
    if (!is_unused(c, map, *member, err)) return false;
    sb_clear(&sql);
    sb_c(&sql, "INSERT INTO ");
    meta_table(&sql, r->meta, "sm_remap_member");
    sb_c(&sql, " (task, target_schema, target_table, member, source, source_schema, source_table) VALUES (");
    meta_target_values(&sql, r->meta, s->target);
    sb_printf(&sql, ",%u,", *member);
    sb_quoted(&sql, s->source);
    sb_ch(&sql, ',');
    sb_quoted(&sql, s->shard.schema);
    sb_ch(&sql, ',');
    sb_quoted(&sql, s->shard.table);
    sb_ch(&sql, ')');
    return conn_exec(c, sb_view(&sql), NULL, err);
}

static bool open_member(Remap *r, Conn *c, const Dialect *d, const KeySpace *s, const RemapMap *map, Err *err)
{
    uint64_t next = 0;
    uint32_t member = 0;
    if (r->n_members <= s->id) {
        size_t n = (size_t)s->id + 16;
        r->members = mem_realloc(r->members, n * sizeof *r->members);
        memset(r->members + r->n_members, 0, (n - r->n_members) * sizeof *r->members);
        r->n_members = n;
    }
    if (r->members[s->id]) return true;
    if (!lock_map(r, c, d, s->target, &next, err) || !number_member(r, c, s, map, &member, err) ||
        !commit_map(r, c, s->target, next, err)) {
        meta_rollback(c);
        return false;
    }
    r->members[s->id] = member;
    return true;
}

static bool open_space(Remap *r, Conn *c, const Dialect *d, const KeySpace *s, const RemapMap **map,
                       uint32_t *member, Err *err)
{
    pthread_mutex_lock(&r->opening);
    bool ok = open_map(r, c, s, map, err) && open_member(r, c, d, s, *map, err);
    if (ok) *member = r->members[s->id];
    pthread_mutex_unlock(&r->opening);
    return ok || err_wrap(err, "the map of ids of target " STR_FMT "." STR_FMT, STR_ARG(s->target.schema),
                          STR_ARG(s->target.table));
}

/* -- entries -- */

/* Ids of one shard table that are not in memory. */
typedef struct Missing {
    Conn *conn;
    const Dialect *dialect;
    const KeySpace *space;
    const RemapMap *map;
    uint32_t member;
    RemapEntry *entries; /* sorted */
    size_t n;
} Missing;

static void put_old(StrBuf *sql, const RemapOld *old)
{
    old->negative ? sb_i64(sql, (int64_t)old->value) : sb_u64(sql, old->value);
}

static bool take_rows(const Missing *m, Rows *rows, Err *err)
{
    for (Str v[2]; rows_next(rows, v);) {
        int64_t i = 0;
        uint64_t u = 0, id = 0;
        bool negative = v[0].len && v[0].ptr[0] == '-';
        bool ok = negative ? str_to_i64(v[0], &i) : str_to_u64(v[0], &u);
        if (!ok || !str_to_u64(v[1], &id) || id == 0)
            return err_set(err, ERR_APPLY_META, "the map " STR_FMT " has a row that cannot be read",
                           STR_ARG(m->map->table));
        RemapEntry *e = remap_entry_find(m->entries, m->n, negative, negative ? (uint64_t)i : u);
        if (e) e->new_id = id; /* a range holds others, too */
    }
    return true;
}

/* The condition for entries from *at on that have no new id, as many as a statement asks for. Ids that lie
 * close together are asked for as a range: a copy meets them so, and a range without rows costs nothing.
 * False: none is left. */
static bool ask_for(const Missing *m, size_t *at, StrBuf *sql)
{
    size_t first = SIZE_MAX, last = 0, n = 0, start = sql->len;
    sb_c(sql, "old_id IN (");
    for (; *at < m->n && n < STATEMENT_IDS; ++*at) {
        if (m->entries[*at].new_id) continue;
        if (n++)
            sb_ch(sql, ',');
        else
            first = *at;
        last = *at;
        put_old(sql, &m->entries[*at].old);
    }
    if (n == 0) return false;
    sb_ch(sql, ')');
    const RemapOld *lo = &m->entries[first].old, *hi = &m->entries[last].old;
    if (lo->negative != hi->negative || hi->value - lo->value >= n * RANGE_SLACK) return true;
    sql->len = start;
    sb_c(sql, "old_id BETWEEN ");
    put_old(sql, lo);
    sb_c(sql, " AND ");
    put_old(sql, hi);
    return true;
}

/* Reads what the map says of entries without a new id. lock: in a transaction, where only a locking read sees
 * the latest rows on every server. */
static bool read_entries(const Missing *m, bool lock, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    for (size_t i = 0; i < m->n;) {
        Rows rows = {0};
        sb_clear(&sql);
        sb_printf(&sql, "SELECT old_id, new_id FROM " STR_FMT " WHERE member = %u AND ",
                  STR_ARG(m->map->table), m->member);
        if (!ask_for(m, &i, &sql)) break;
        if (lock) sb_c(&sql, " FOR UPDATE");
        if (!conn_query(m->conn, sb_view(&sql), &rows, err)) return false;
        bool ok = take_rows(m, &rows, err);
        rows_done(&rows);
        if (!ok) return false;
    }
    return true;
}

static bool insert_entries(const Missing *m, const uint64_t *ids, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    for (size_t i = 0; i < m->n;) {
        size_t rows = 0;
        sb_clear(&sql);
        sb_printf(&sql, "INSERT INTO " STR_FMT " (member, old_id, new_id) VALUES ", STR_ARG(m->map->table));
        for (; i < m->n && rows < STATEMENT_IDS; i++) {
            if (m->entries[i].new_id) continue;
            sb_printf(&sql, "%s(%u,", rows++ ? "," : "", m->member);
            put_old(&sql, &m->entries[i].old);
            sb_printf(&sql, ",%llu)", (unsigned long long)ids[i]);
        }
        if (rows && !conn_exec(m->conn, sb_view(&sql), NULL, err)) return false;
    }
    return true;
}

static bool allocate_locked(const Remap *r, const Missing *m, uint64_t *ids, Err *err)
{
    uint64_t next = 0;
    if (!lock_map(r, m->conn, m->dialect, m->map->target, &next, err) || !read_entries(m, true, err))
        return false;
    for (size_t i = 0; i < m->n; i++) {
        if (m->entries[i].new_id) continue;
        if (next >= INT64_MAX)
            return err_set(err, ERR_KEY_RANGE, "target " STR_FMT "." STR_FMT ": no new id is left",
                           STR_ARG(m->map->target.schema), STR_ARG(m->map->target.table));
        ids[i] = next++;
    }
    return insert_entries(m, ids, err) && commit_map(r, m->conn, m->map->target, next, err);
}

/* New numbers for entries that have none. Nothing is taken over from a transaction that did not commit. */
static bool allocate(const Remap *r, const Missing *m, Err *err)
{
    uint64_t *ids = mem_zalloc((m->n + 1) * sizeof *ids);
    bool ok = allocate_locked(r, m, ids, err);
    for (size_t i = 0; ok && i < m->n; i++)
        if (ids[i]) m->entries[i].new_id = ids[i];
    free(ids);
    if (!ok) meta_rollback(m->conn);
    return ok;
}

static bool has_open_entries(const Missing *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (!m->entries[i].new_id) return true;
    return false;
}

static bool settle(Remap *r, Missing *m, Err *err)
{
    if (!open_space(r, m->conn, m->dialect, m->space, &m->map, &m->member, err)) return false;
    if (!read_entries(m, false, err) || (has_open_entries(m) && !allocate(r, m, err)))
        return err_wrap(err, "the map of ids of target " STR_FMT "." STR_FMT, STR_ARG(m->map->target.schema),
                        STR_ARG(m->map->target.table));
    return true;
}

/* Takes what the cache knows off the list. */
static void ask_cache(Remap *r, RemapWants *w)
{
    size_t kept = 0;
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < w->n; i++) {
        uint64_t id = remap_cache_get(r->cache, &w->list[i].old);
        if (id)
            *w->list[i].to = id;
        else
            w->list[kept++] = w->list[i];
    }
    w->n = kept;
    pthread_mutex_unlock(&r->mutex);
}

static void tell_cache(Remap *r, const RemapEntry *entries, size_t n)
{
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < n; i++)
        remap_cache_put(r->cache, &entries[i].old, entries[i].new_id);
    pthread_mutex_unlock(&r->mutex);
}

static bool settle_all(Remap *r, Conn *c, const Dialect *d, RemapWants *w, Err *err)
{
    RemapEntry *entries;
    size_t n = remap_wants_entries(w, &entries);
    bool ok = true;
    for (size_t i = 0, end; ok && i < n; i = end) {
        for (end = i + 1; end < n && end - i < ALLOCATE_IDS && entries[end].space == entries[i].space;
             end++) {
        }
        Missing m = {
            .conn = c, .dialect = d, .space = entries[i].space, .entries = entries + i, .n = end - i};
        ok = settle(r, &m, err);
        if (ok) tell_cache(r, entries + i, end - i);
    }
    if (ok) remap_wants_fill(w, entries, n);
    free(entries);
    return ok;
}

bool remap_resolve(Remap *r, Conn *c, const Dialect *d, Txn *const *txns, size_t n, Err *err)
{
    RemapWants w = {0};
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        if (!txns[i]->has_ids) remap_wants_add(&w, txns[i]);
    ask_cache(r, &w);
    if (w.n) ok = settle_all(r, c, d, &w, err);
    for (size_t i = 0; ok && i < n; i++)
        txns[i]->has_ids = true;
    remap_wants_done(&w);
    return ok;
}

bool remap_next_id(Conn *c, const MetaTask *m, TableName target, uint64_t *next, Err *err)
{
    CLEANUP(sb_done) StrBuf sql = {0};
    uint64_t there = 0;
    bool found;
    *next = 0;
    sb_c(&sql,
         "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'sm_remap' AND TABLE_SCHEMA = ");
    sb_quoted(&sql, m->schema);
    if (!scalar_u64(c, &sql, &there, &found, err)) return false;
    if (!there) return true; /* the task was run by an older version */
    sb_clear(&sql);
    sb_c(&sql, "SELECT next_id FROM ");
    meta_table(&sql, m, "sm_remap");
    meta_where_target(&sql, m, target);
    return scalar_u64(c, &sql, next, &found, err);
}
