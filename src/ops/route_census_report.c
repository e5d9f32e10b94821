#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include "ops/route_census.h"
#include "ops/text_table.h"
#include "base/poison.h"

enum { YEAR_S = 31557600 };

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

static void put_shard(const CensusOpts *o, const CensusShard *s, StrBuf *out)
{
    const RouteEntry *e = &o->plan->entries[s->entry];
    sb_printf(out, STR_FMT " ", STR_ARG(o->source_ids[e->source]));
    table_name_plain(e->table, out);
}

static void pairs_human(const CensusOpts *o, const CensusTarget *t, StrBuf *out)
{
    enum { MOST = 10 };
    for (size_t i = 0; i < MIN(t->n_listed, (size_t)MOST); i++) {
        const CensusPair *p = &t->pairs[i];
        sb_c(out, "    ");
        put_shard(o, &t->shards[p->a], out);
        sb_c(out, " and ");
        put_shard(o, &t->shards[p->b], out);
        sb_printf(out, ": both from %lld to %llu", (long long)p->from, (unsigned long long)p->to);
        if (isnan(p->collisions))
            sb_c(out, ", ids are no unique key by themselves\n");
        else if (p->error > 0)
            sb_printf(out, ", about %.0f ids (± %.0f) in both\n", p->collisions, p->error);
        else
            sb_printf(out, ", %.0f ids in both\n", p->collisions);
    }
    if (t->n_pairs > MOST) sb_printf(out, "    and %zu more pairs\n", t->n_pairs - MOST);
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
        if (k->lack_it)
            sb_printf(out, "; %zu of %zu shard tables have no such key, their values were not looked at",
                      k->lack_it, t->n_shards);
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
                      STR_ARG(t->id), STR_ARG(t->id_type), t->n_pairs ? "overlap" : "do not overlap",
                      STR_ARG(t->type), t->room);
        pairs_human(opts, t, out);
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
        json_array_append_new(
            list, json_pack("{s:o, s:b, s:b, s:b, s:f, s:f, s:I, s:I, s:o}", "name", text(k->name), "of_ids",
                            k->of_ids, "looked_at", k->looked_at, "exact", k->exact, "collisions",
                            k->collisions, "error", k->error, "values", (json_int_t)k->values, "lack_it",
                            (json_int_t)k->lack_it, "note", k->note.len ? text(k->note) : json_null()));
    }
    return list;
}

static json_t *shard_json(const CensusOpts *o, const CensusShard *s)
{
    const RouteEntry *e = &o->plan->entries[s->entry];
    return json_pack("{s:o, s:o, s:o}", "source", text(o->source_ids[e->source]), "schema",
                     text(e->table.schema), "table", text(e->table.table));
}

/* The pairs with the most collisions. */
static json_t *overlaps_json(const CensusOpts *o, const CensusTarget *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_listed; i++) {
        const CensusPair *p = &t->pairs[i];
        bool known = !isnan(p->collisions);
        json_array_append_new(
            list, json_pack("{s:[o,o], s:I, s:I, s:o, s:b, s:f}", "shards", shard_json(o, &t->shards[p->a]),
                            shard_json(o, &t->shards[p->b]), "from", (json_int_t)p->from, "to",
                            (json_int_t)p->to, "collisions", known ? json_real(p->collisions) : json_null(),
                            "exact", known && p->error <= 0, "error", p->error));
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
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:f, s:b, s:I, s:o, s:o, s:o, s:o, s:s, s:o}", "schema",
                     text(name.schema), "table", text(name.table), "strategy", keys_strategy_name(t->chosen),
                     "id", t->id.len ? text(t->id) : json_null(), "type",
                     t->id.len ? text(t->type) : json_null(), "room", t->room, "ranges_overlap",
                     t->n_pairs > 0, "overlapping_pairs", (json_int_t)t->n_pairs, "overlaps",
                     overlaps_json(o, t), "shards", shards_json(o, t), "keys", keys_json(t), "strategies",
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
