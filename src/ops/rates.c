#include "ops/rates.h"
#include <stdlib.h>
#include "base/poison.h"

enum { SMOOTH_MS = 2000 };

typedef struct Sample {
    int64_t at_ms;
    double rows, per_s;
} Sample;

static double durable_rows(const json_t *source)
{
    static const char *const names[] = {"applied", "filtered", "held", "parked", "missed", "loaded"};
    const json_t *counters = json_object_get(source, "counters");
    double sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        sum += json_number_value(json_object_get(counters, names[i]));
    return sum;
}

static Sample *sample_of(Rates *r, const char *id, int64_t now_ms, double rows)
{
    Sample *s = map_get(&r->sources, str_of(id));
    if (s) return s;
    s = mem_zalloc(sizeof *s);
    *s = (Sample){now_ms, rows, 0};
    map_put(&r->sources, str_of(id), s);
    return s;
}

uint64_t rates_update(Rates *r, json_t *status, int64_t now_ms)
{
    double total = 0;
    size_t i;
    json_t *source;
    json_array_foreach(json_object_get(status, "sources"), i, source)
    {
        const char *id = json_string_value(json_object_get(source, "id"));
        if (!id) continue;
        double rows = durable_rows(source);
        Sample *s = sample_of(r, id, now_ms, rows);
        int64_t passed_ms = now_ms - s->at_ms;
        if (passed_ms > 0) {
            /* counters fall when a source goes back to its floor: no negative rates */
            double now_per_s = rows > s->rows ? (rows - s->rows) * 1000 / (double)passed_ms : 0;
            double weight = passed_ms < SMOOTH_MS ? (double)passed_ms / SMOOTH_MS : 1;
            s->per_s += (now_per_s - s->per_s) * weight;
            s->at_ms = now_ms;
            s->rows = rows;
        }
        json_object_set_new(source, "rows_per_s", json_integer((json_int_t)(s->per_s + 0.5)));
        total += s->per_s;
    }
    return (uint64_t)(total + 0.5);
}

void rates_done(Rates *r)
{
    size_t iter = 0;
    Str key;
    void *sample;
    while (map_next(&r->sources, &iter, &key, &sample))
        free(sample);
    map_done(&r->sources);
}
