#include "track/schema_edit.h"
#include "base/poison.h"

/* The partitions of the table under change; the lists are made anew. */
typedef struct Parts {
    Edit *e;
    PartitionDef *list;
    uint32_t n, cap;
} Parts;

static void push(Parts *p, PartitionDef d)
{
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 16;
        PartitionDef *grown = arena_array(p->e->arena, PartitionDef, cap);
        if (p->n) memcpy(grown, p->list, sizeof *grown * p->n);
        p->list = grown;
        p->cap = cap;
    }
    p->list[p->n++] = d;
}

static void put(Parts *p)
{
    p->e->table.partitioning.parts = p->list;
    p->e->table.partitioning.n_parts = p->n;
}

static Str columns_text(Edit *e, const DdlName *names)
{
    StrBuf b = {0};
    for (const DdlName *n = names; n; n = n->next) {
        const EditColumn *c = edit_column(e, n->name);
        if (b.len) sb_ch(&b, ',');
        sb_ident(&b, c ? c->def.name : n->name);
    }
    Str s = arena_str(e->arena, sb_view(&b));
    sb_done(&b);
    return s;
}

static uint64_t days_of(uint64_t y, uint64_t m, uint64_t d)
{
    if (!y && !m) return 0;
    uint64_t days = 365 * y + 31 * (m - 1) + d;
    if (m <= 2)
        y--;
    else
        days -= (m * 4 + 23) / 10;
    return days + y / 4 - (y / 100 + 1) * 3 / 4;
}

/* to_days('2024-01-01') and year('2024-01-01') as the number they are. */
static Str evaluated(Edit *e, Str text)
{
    static const Str functions[] = {{"to_days('", 9}, {"year('", 6}};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (!str_istarts(text, functions[i])) continue;
        Str rest = {text.ptr + functions[i].len, text.len - functions[i].len}, parts[3];
        if (rest.len < 10 || rest.ptr[4] != '-' || rest.ptr[7] != '-') return text;
        uint64_t v[3];
        parts[0] = (Str){rest.ptr, 4};
        parts[1] = (Str){rest.ptr + 5, 2};
        parts[2] = (Str){rest.ptr + 8, 2};
        for (size_t k = 0; k < 3; k++)
            if (!str_to_u64(parts[k], &v[k])) return text;
        return arena_printf(e->arena, "%u", (unsigned)(i ? v[0] : days_of(v[0], v[1], v[2])));
    }
    return text;
}

static PartitionDef definition(Edit *e, const DdlPartition *d)
{
    const Partitioning *by = &e->table.partitioning;
    PartitionDef p = {.name = d->name, .comment = d->comment};
    bool columns = str_find(by->method, STR("COLUMNS")) != SIZE_MAX;
    p.values = columns ? d->values : evaluated(e, d->values);
    if (d->is_default) p.values = STR("DEFAULT");
    if (d->current || d->history) p.values = STR("CURRENT");
    for (const DdlPartition *s = d->sub; s; s = s->next)
        p.n_subpartitions++;
    Str *names = arena_array(e->arena, Str, p.n_subpartitions + 1);
    uint32_t n = 0;
    for (const DdlPartition *s = d->sub; s; s = s->next)
        names[n++] = s->name;
    p.subpartitions = names;
    return p;
}

/* p0sp0, p0sp1, … where the statement gives only their number. */
static void name_subpartitions(Edit *e, PartitionDef *p, uint32_t count)
{
    if (p->n_subpartitions || !count) return;
    Str *names = arena_array(e->arena, Str, count);
    for (uint32_t i = 0; i < count; i++)
        names[i] = arena_printf(e->arena, STR_FMT "sp%u", STR_ARG(p->name), i);
    p->subpartitions = names;
    p->n_subpartitions = count;
}

static void partition_by(Edit *e, const DdlPartitioning *d)
{
    Partitioning *by = &e->table.partitioning;
    Parts p = {.e = e};
    uint32_t subs = 0;
    *by = (Partitioning){.method = d->method, .expr = d->expr.len ? d->expr : columns_text(e, d->columns)};
    if (d->sub) {
        by->sub_method = d->sub->method;
        by->sub_expr = d->sub->expr.len ? d->sub->expr : columns_text(e, d->sub->columns);
        subs = d->sub->count ? d->sub->count : 1;
    }
    for (const DdlPartition *q = d->parts; q; q = q->next)
        push(&p, definition(e, q));
    for (uint32_t i = 0; !d->parts && i < MAX(d->count, 1); i++)
        push(&p, (PartitionDef){.name = arena_printf(e->arena, "p%u", i)});
    for (uint32_t i = 0; i < p.n; i++)
        name_subpartitions(e, &p.list[i], subs);
    put(&p);
}

static bool listed(const DdlName *names, Str name)
{
    for (const DdlName *n = names; n; n = n->next)
        if (str_ieq(n->name, name)) return true;
    return false;
}

static uint32_t subs_of(const Partitioning *by)
{
    return by->n_parts ? by->parts[0].n_subpartitions : 0;
}

static void add_partitions(Edit *e, const DdlChange *c, Parts *p)
{
    const Partitioning *by = &e->table.partitioning;
    uint32_t count = c->parts ? 0 : c->count;
    for (uint32_t i = 0; i < by->n_parts; i++)
        push(p, by->parts[i]);
    for (const DdlPartition *d = c->parts; d; d = d->next) {
        bool there = false;
        for (uint32_t i = 0; i < by->n_parts; i++)
            there = there || str_ieq(by->parts[i].name, d->name);
        if (there && c->if_not_exists) continue;
        PartitionDef def = definition(e, d);
        name_subpartitions(e, &def, subs_of(by));
        push(p, def);
    }
    for (uint32_t i = 0; i < count; i++)
        push(p, (PartitionDef){.name = arena_printf(e->arena, "p%u", by->n_parts + i)});
}

static void reorganize(Edit *e, const DdlChange *c, Parts *p)
{
    const Partitioning *by = &e->table.partitioning;
    bool done = false;
    for (uint32_t i = 0; i < by->n_parts; i++) {
        if (!listed(c->names, by->parts[i].name)) {
            push(p, by->parts[i]);
            continue;
        }
        for (const DdlPartition *d = c->parts; d && !done; d = d->next) {
            PartitionDef def = definition(e, d);
            name_subpartitions(e, &def, subs_of(by));
            push(p, def);
        }
        done = true;
    }
}

static bool change_partitions(Edit *e, const DdlChange *c)
{
    const Partitioning *by = &e->table.partitioning;
    Parts p = {.e = e};
    if (!by->method.len) return edit_refuse(e, "the table has no partitions:", e->table.name.table);
    switch (c->kind) {
    case DDL_ADD_PARTITION: add_partitions(e, c, &p); break;
    case DDL_CONVERT_TABLE:
        add_partitions(e, c, &p);
        e->rows = ROWS_UNKNOWN;
        break;
    case DDL_REORGANIZE_PARTITION:
        if (!c->names) return true;
        reorganize(e, c, &p);
        break;
    case DDL_COALESCE_PARTITION:
        if (c->count >= by->n_parts)
            return edit_refuse(e, "fewer partitions than that:", e->table.name.table);
        for (uint32_t i = 0; i + c->count < by->n_parts; i++)
            push(&p, by->parts[i]);
        break;
    default: { /* DROP, CONVERT … TO TABLE */
        DdlName one = {.name = c->name};
        for (uint32_t i = 0; i < by->n_parts; i++)
            if (!listed(c->kind == DDL_DROP_PARTITION ? c->names : &one, by->parts[i].name))
                push(&p, by->parts[i]);
        if (p.n == by->n_parts && !c->if_exists)
            return edit_refuse(e, "no such partition:", c->names ? c->names->name : c->name);
        if (p.n < by->n_parts) e->rows = ROWS_SOME_GONE;
    }
    }
    put(&p);
    return true;
}

bool edit_partitions_change(Edit *e)
{
    for (const DdlChange *c = e->stmt->changes; c; c = c->next) {
        switch (c->kind) {
        case DDL_PARTITION_BY: partition_by(e, c->partitioning); break;
        case DDL_REMOVE_PARTITIONING: e->table.partitioning = (Partitioning){0}; break;
        case DDL_TRUNCATE_PARTITION: e->rows = c->names ? ROWS_SOME_GONE : ROWS_ALL_GONE; break;
        case DDL_EXCHANGE_PARTITION: e->rows = ROWS_UNKNOWN; break; /* the other table's came in */
        case DDL_ADD_PARTITION:
        case DDL_DROP_PARTITION:
        case DDL_COALESCE_PARTITION:
        case DDL_REORGANIZE_PARTITION:
        case DDL_CONVERT_PARTITION:
        case DDL_CONVERT_TABLE:
            if (!change_partitions(e, c)) return false;
            break;
        default: break;
        }
    }
    return true;
}
