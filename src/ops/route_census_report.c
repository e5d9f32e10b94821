#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include "ops/route_census.h"
#include "ops/text_table.h"
#include "base/poison.h"

enum { YEAR_S = 31557600, YEARS_ENOUGH = 10 };

/* -- judging -- */

/* Seconds until ids reach `bound` in the shard that gets there first. */
static double seconds_until(const CensusTarget *t, double bound)
{
    double least = INFINITY;
    for (size_t i = 0; i < t->n_shards; i++) {
        const CensusShard *s = &t->shards[i];
        if (!s->has_ids || s->ids_per_second <= 0) continue;
        double left = bound - (double)s->highest;
        least = fmin(least, left <= 0 ? 0 : left / s->ids_per_second);
    }
    return least;
}

/* Seconds until one shard's ids reach the next shard's range. */
static double seconds_until_meeting(const CensusTarget *t)
{
    double least = INFINITY;
    for (size_t i = 0; i < t->n_shards; i++)
        for (size_t j = 0; j < t->n_shards; j++) {
            const CensusShard *a = &t->shards[i], *b = &t->shards[j];
            if (i == j || !a->has_ids || !b->has_ids || a->ids_per_second <= 0) continue;
            double gap = (double)b->lowest - (double)a->highest;
            if (gap > 0) least = fmin(least, gap / a->ids_per_second);
        }
    return least;
}

static bool ids_within(const CensusTarget *t, double bound, bool negative_too)
{
    for (size_t i = 0; i < t->n_shards; i++)
        if (t->shards[i].has_ids &&
            ((double)t->shards[i].highest > bound || (!negative_too && t->shards[i].lowest < 0)))
            return false;
    return true;
}

static double other_collisions(const CensusTarget *t)
{
    double n = 0;
    for (size_t i = 0; i < t->n_keys; i++)
        if (!t->keys[i].of_ids) n += t->keys[i].collisions;
    return n;
}

static double all_collisions(const CensusTarget *t)
{
    double n = 0;
    for (size_t i = 0; i < t->n_keys; i++)
        n += t->keys[i].collisions;
    return n;
}

/* A key that could not be looked at proves nothing. */
static bool is_unknown(const CensusTarget *t, bool ids_too)
{
    bool any = false;
    for (size_t i = 0; i < t->n_keys; i++)
        any |= !t->keys[i].looked_at && (ids_too || !t->keys[i].of_ids);
    return any;
}

static uint64_t stride_of(const CensusTarget *t, const KeyRule *rule)
{
    uint64_t n = 16;
    if (rule && rule->strategy == KEY_STRATEGY_STRIDE && rule->shards) return rule->shards;
    while (n < 2 * t->n_shards)
        n *= 2;
    return n;
}

static void judge_error(CensusTarget *t, CensusVerdict *v)
{
    double n = all_collisions(t);
    v->fits = n <= 0 && !t->ranges_overlap && !is_unknown(t, true);
    v->seconds_left = v->fits ? seconds_until_meeting(t) : 0;
    v->why = n > 0                 ? STR("values of its keys are in more than one shard")
             : t->ranges_overlap   ? STR("the shards count in the same range: the next row may collide")
             : is_unknown(t, true) ? STR("a key could not be looked at")
                                   : STR("the ranges are apart");
}

static void judge_rewriting(CensusTarget *t, double bound, bool negative_too, Str fits, CensusVerdict *v)
{
    v->fits =
        t->id.len && ids_within(t, bound, negative_too) && other_collisions(t) <= 0 && !is_unknown(t, false);
    v->seconds_left = v->fits ? seconds_until(t, bound) : 0;
    v->why = !t->id.len                            ? STR("there is no integer id column")
             : !ids_within(t, bound, negative_too) ? STR("ids are beyond the width")
             : other_collisions(t) > 0
                 ? STR("another unique key has values in more than one shard, which no id mends")
             : is_unknown(t, false) ? STR("another unique key could not be looked at")
                                    : fits;
}

/* New ids: as many as there ever are rows, whatever the old ones look like. */
static void judge_remap(CensusTarget *t, CensusVerdict *v)
{
    double rate = 0;
    for (size_t i = 0; i < t->n_shards; i++)
        rate += t->shards[i].ids_per_second;
    v->fits = t->id.len && other_collisions(t) <= 0 && !is_unknown(t, false);
    v->seconds_left = !v->fits ? 0 : rate > 0 ? t->room / rate : INFINITY;
    v->why =
        !t->id.len ? STR("there is no integer id column")
        : other_collisions(t) > 0
            ? STR("another unique key has values in more than one shard, which no id mends")
        : is_unknown(t, false)
            ? STR("another unique key could not be looked at")
            : STR("new ids, one after the other; a map of as many rows as there are ids stands downstream");
}

void census_judge(CensusTarget *t, const KeyRule *rule, bool target_is_tidb, Arena *arena)
{
    PartitionRule widths = {.instance_bits = 4, .schema_bits = 7, .table_bits = 8};
    if (rule && rule->strategy == KEY_STRATEGY_PARTITION_ID) widths = rule->partition;
    unsigned id_bits = 63 - widths.instance_bits - widths.schema_bits - widths.table_bits;
    uint64_t stride = stride_of(t, rule);
    CensusVerdict *v = t->verdicts;
    for (unsigned i = 0; i < CENSUS_VERDICTS; i++)
        v[i].strategy = (KeyStrategy)i;
    judge_error(t, &v[KEY_STRATEGY_ERROR]);
    judge_rewriting(t, ldexp(1, (int)id_bits) - 1, false, arena_printf(arena, "%u bits for the id", id_bits),
                    &v[KEY_STRATEGY_PARTITION_ID]);
    judge_rewriting(t, floor(ldexp(1, 63) / (double)stride) - 1, true,
                    arena_printf(arena, "shards: %llu", (unsigned long long)stride), &v[KEY_STRATEGY_STRIDE]);
    for (unsigned i = KEY_STRATEGY_COMPOSITE; i <= KEY_STRATEGY_PLAIN_INDEX; i++) {
        double room = t->room;
        v[i].fits = true;
        v[i].seconds_left = INFINITY;
        for (size_t s = 0; t->id.len && s < t->n_shards; s++)
            if (t->shards[s].ids_per_second > 0)
                v[i].seconds_left = fmin(v[i].seconds_left, room / t->shards[s].ids_per_second);
        v[i].why = i == KEY_STRATEGY_COMPOSITE ? STR("ids stay; every unique key is unique within its shard")
                                               : STR("ids stay; nothing is unique downstream");
    }
    judge_remap(t, &v[KEY_STRATEGY_REMAP]);
    const double enough = (double)YEAR_S * YEARS_ENOUGH;
    KeyStrategy first = target_is_tidb ? KEY_STRATEGY_PARTITION_ID : KEY_STRATEGY_STRIDE;
    KeyStrategy second = target_is_tidb ? KEY_STRATEGY_STRIDE : KEY_STRATEGY_PARTITION_ID;
    KeyStrategy order[] = {KEY_STRATEGY_ERROR, first, second, KEY_STRATEGY_REMAP}; /* cheap ones first */
    t->recommended = KEY_STRATEGY_COMPOSITE;
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (v[order[i]].fits && v[order[i]].seconds_left >= enough) {
            t->recommended = order[i];
            break;
        }
    t->reason = t->n_shards == 1 ? STR("one shard table: nothing can collide") : v[t->recommended].why;
    if (t->n_shards == 1) t->recommended = KEY_STRATEGY_ERROR;
}

bool census_has_problems(const CensusOpts *opts, const CensusTarget *list)
{
    for (size_t i = 0; i < opts->plan->n_targets; i++)
        if (list[i].n_shards > 1 && (unsigned)list[i].chosen < CENSUS_VERDICTS &&
            !list[i].verdicts[list[i].chosen].fits)
            return true;
    return false;
}

/* -- for people -- */

static void put_duration(StrBuf *b, double s)
{
    if (isinf(s))
        sb_c(b, "no end seen");
    else if (s >= YEAR_S)
        sb_printf(b, "%.0f years", fmin(s / YEAR_S, 1e9));
    else if (s >= 86400)
        sb_printf(b, "%.0f days", s / 86400);
    else
        sb_printf(b, "%.0f hours", s / 3600);
}

static void cell(TextTable *t, StrBuf *b)
{
    table_text(t, sb_view(b));
    sb_clear(b);
}

static void heads(TextTable *t, const char *const *names)
{
    for (size_t i = 0; i < t->columns; i++)
        table_text(t, str_of(names[i]));
}

static void shards_human(const CensusOpts *o, const CensusTarget *t, StrBuf *out)
{
    static const char *const names[] = {"  source",   "table",        "lowest id",
                                        "highest id", "rows (about)", "ids a day"};
    TextTable table = {.columns = ARRAY_LEN(names)};
    StrBuf b = {0};
    heads(&table, names);
    for (size_t i = 0; i < t->n_shards; i++) {
        const CensusShard *s = &t->shards[i];
        const RouteEntry *e = &o->plan->entries[s->entry];
        sb_printf(&b, "  " STR_FMT, STR_ARG(o->source_ids[e->source]));
        cell(&table, &b);
        table_name_plain(e->table, &b);
        cell(&table, &b);
        s->has_ids ? sb_i64(&b, s->lowest) : sb_c(&b, "-");
        cell(&table, &b);
        s->has_ids ? sb_u64(&b, s->highest) : sb_c(&b, "-");
        cell(&table, &b);
        table_count(&table, s->rows);
        sb_printf(&b, "%.0f", s->ids_per_second * 86400);
        cell(&table, &b);
    }
    table_print(&table, false, out);
    sb_done(&b);
    table_done(&table);
}

static void keys_human(const CensusTarget *t, StrBuf *out)
{
    for (size_t i = 0; i < t->n_keys; i++) {
        const CensusKey *k = &t->keys[i];
        sb_printf(out, "  unique key " STR_FMT ": ", STR_ARG(k->name));
        if (!k->looked_at)
            sb_printf(out, "not looked at: " STR_FMT, STR_ARG(k->note));
        else if (k->exact)
            sb_printf(out, "%.0f values are in more than one shard table (%llu compared)", k->collisions,
                      (unsigned long long)k->values);
        else
            sb_printf(out, "about %.0f values (± %.0f) are in more than one shard table (a sample of %llu)",
                      k->collisions, k->error, (unsigned long long)k->values);
        if (k->looked_at && k->note.len) sb_printf(out, "; " STR_FMT, STR_ARG(k->note));
        if (k->looked_at && k->collisions > 0 && !k->of_ids)
            sb_c(out,
                 "; no id strategy mends this: composite (unique within the shard), or change the values");
        sb_ch(out, '\n');
    }
}

static void verdicts_human(const CensusTarget *t, StrBuf *out)
{
    static const char *const names[] = {"  strategy", "fits", "for", "why"};
    TextTable table = {.columns = ARRAY_LEN(names)};
    StrBuf b = {0};
    heads(&table, names);
    for (size_t i = 0; i < CENSUS_VERDICTS; i++) {
        const CensusVerdict *v = &t->verdicts[i];
        sb_printf(&b, "%s %s", v->strategy == t->recommended ? " *" : "  ", keys_strategy_name(v->strategy));
        cell(&table, &b);
        table_text(&table, v->fits ? STR("yes") : STR("no"));
        v->fits ? put_duration(&b, v->seconds_left) : sb_c(&b, "-");
        cell(&table, &b);
        table_text(&table, v->why);
    }
    table_print(&table, false, out);
    sb_done(&b);
    table_done(&table);
}

void census_human(const CensusOpts *opts, Str task, const CensusTarget *list, StrBuf *out)
{
    sb_printf(out, "task " STR_FMT ": keys of the live shards\n", STR_ARG(task));
    for (size_t i = 0; i < opts->plan->n_targets; i++) {
        const CensusTarget *t = &list[i];
        sb_ch(out, '\n');
        table_name_plain(opts->plan->targets[i].name, out);
        sb_printf(out, ": %zu shard tables, key strategy %s\n", t->n_shards, keys_strategy_name(t->chosen));
        if (!t->n_shards) continue;
        shards_human(opts, t, out);
        if (t->id.len)
            sb_printf(out,
                      "  id `" STR_FMT "` " STR_FMT ": ranges %s; room left in the target's " STR_FMT
                      ": %.0f ids\n",
                      STR_ARG(t->id), STR_ARG(t->id_type), t->ranges_overlap ? "overlap" : "do not overlap",
                      STR_ARG(t->type), t->room);
        keys_human(t, out);
        verdicts_human(t, out);
        sb_printf(out, "  recommended: %s (" STR_FMT ")\n", keys_strategy_name(t->recommended),
                  STR_ARG(t->reason));
    }
}

/* -- JSON -- */

static json_t *text(Str s)
{
    json_t *j = json_stringn(s.ptr ? s.ptr : "", s.len);
    return j ? j : json_string("(not UTF-8)");
}

static json_t *seconds(double s)
{
    return isinf(s) ? json_null() : json_real(s);
}

static json_t *shards_json(const CensusOpts *o, const CensusTarget *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_shards; i++) {
        const CensusShard *s = &t->shards[i];
        const RouteEntry *e = &o->plan->entries[s->entry];
        json_t *j = json_pack("{s:o, s:o, s:o, s:I, s:f}", "source", text(o->source_ids[e->source]), "schema",
                              text(e->table.schema), "table", text(e->table.table), "rows_estimate",
                              (json_int_t)s->rows, "ids_per_second", s->ids_per_second);
        json_object_set_new(j, "lowest", s->has_ids ? json_integer((json_int_t)s->lowest) : json_null());
        json_object_set_new(j, "highest", s->has_ids ? json_integer((json_int_t)s->highest) : json_null());
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *keys_json(const CensusTarget *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_keys; i++) {
        const CensusKey *k = &t->keys[i];
        json_array_append_new(list, json_pack("{s:o, s:b, s:b, s:b, s:f, s:f, s:I, s:o}", "name",
                                              text(k->name), "of_ids", k->of_ids, "looked_at", k->looked_at,
                                              "exact", k->exact, "collisions", k->collisions, "error",
                                              k->error, "values", (json_int_t)k->values, "note",
                                              k->note.len ? text(k->note) : json_null()));
    }
    return list;
}

static json_t *target_json(const CensusOpts *o, size_t i, const CensusTarget *t)
{
    json_t *verdicts = json_array();
    for (size_t v = 0; t->n_shards && v < CENSUS_VERDICTS; v++)
        json_array_append_new(verdicts, json_pack("{s:s, s:b, s:o, s:o}", "strategy",
                                                  keys_strategy_name(t->verdicts[v].strategy), "fits",
                                                  t->verdicts[v].fits, "seconds_left",
                                                  seconds(t->verdicts[v].seconds_left), "why",
                                                  text(t->verdicts[v].why)));
    TableName name = o->plan->targets[i].name;
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:f, s:b, s:o, s:o, s:o, s:s, s:o}", "schema",
                     text(name.schema), "table", text(name.table), "strategy", keys_strategy_name(t->chosen),
                     "id", t->id.len ? text(t->id) : json_null(), "type",
                     t->id.len ? text(t->type) : json_null(), "room", t->room, "ranges_overlap",
                     t->ranges_overlap, "shards", shards_json(o, t), "keys", keys_json(t), "strategies",
                     verdicts, "recommended", keys_strategy_name(t->recommended), "reason", text(t->reason));
}

void census_json(const CensusOpts *opts, Str task, const CensusTarget *list, StrBuf *out)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < opts->plan->n_targets; i++)
        json_array_append_new(targets, target_json(opts, i, &list[i]));
    json_t *root = json_pack("{s:o, s:b, s:o}", "task", text(task), "ok", !census_has_problems(opts, list),
                             "targets", targets);
    char *dump = json_dumps(root, JSON_COMPACT);
    sb_c(out, dump);
    sb_ch(out, '\n');
    free(dump);
    json_decref(root);
}
