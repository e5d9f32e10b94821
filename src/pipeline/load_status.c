/* The status object's `load`: what of the existing rows is copied. */
#include <stdlib.h>
#include "base/clock.h"
#include "pipeline/pipeline_impl.h"
#include "base/poison.h"

enum { RATE_SPAN_MS = 10000 };

static json_t *json_u64(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static double percent(uint64_t part, uint64_t whole, bool done)
{
    if (done) return 100.0;
    if (!whole) return 0.0;
    double p = 100.0 * (double)part / (double)whole;
    return p > 99.9 ? 99.9 : p; /* the whole is an estimate: only the end is the end */
}

static json_t *table_json(const StreamCtl *c, const LoadTableProgress *t)
{
    const Member *m = t->member;
    return json_pack("{s:s, s:s%, s:s%, s:s%, s:s%, s:s, s:o, s:o, s:o, s:f}", "source", c->id, "schema",
                     m->name.schema.ptr, m->name.schema.len, "table", m->name.table.ptr, m->name.table.len,
                     "target_schema", m->target->name.schema.ptr, m->target->name.schema.len, "target_table",
                     m->target->name.table.ptr, m->target->name.table.len, "phase", load_phase_name(t->phase),
                     "rows", json_u64(t->rows), "bytes", json_u64(t->bytes), "rows_estimated",
                     json_u64(t->rows_estimated), "percent",
                     percent(t->rows, t->rows_estimated, t->phase == LOAD_FOLLOWING));
}

static json_t *reader_json(const StreamCtl *c, const LoadReaderProgress *r)
{
    StrBuf name = {0};
    if (r->member) table_name_plain(r->member->name, &name);
    json_t *o =
        json_pack("{s:s, s:s, s:o, s:o}", "source", c->id, "state", r->doing, "table",
                  r->member ? json_stringn(name.ptr, name.len) : json_null(), "chunks", json_u64(r->chunks));
    sb_done(&name);
    return o;
}

/* Rows and bytes a second over the last seconds, from two samples. */
static void rates(Pipeline *p, uint64_t rows, uint64_t bytes, double *rows_s, double *bytes_s)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&p->mutex);
    LoadSample *a = &p->load_samples[0], *b = &p->load_samples[1];
    if (!a->at_ms) *a = *b = (LoadSample){now, rows, bytes};
    if (now - b->at_ms >= RATE_SPAN_MS) {
        *a = *b;
        *b = (LoadSample){now, rows, bytes};
    }
    double s = (double)(now - a->at_ms) / 1000.0;
    *rows_s = s > 0 && rows > a->rows ? (double)(rows - a->rows) / s : 0;
    *bytes_s = s > 0 && bytes > a->bytes ? (double)(bytes - a->bytes) / s : 0;
    pthread_mutex_unlock(&p->mutex);
}

json_t *load_status_json(Pipeline *p)
{
    json_t *tables = json_array(), *readers = json_array();
    uint64_t rows = 0, bytes = 0, rows_all = 0, bytes_all = 0;
    bool any = false, complete = true;
    for (uint32_t i = 0; i < p->n_streams; i++) {
        StreamCtl *c = &p->streams[i];
        LoadProgress g;
        if (!c->load) continue;
        load_progress(c->load, &g);
        any = true;
        complete &= g.complete;
        for (size_t k = 0; k < g.n_tables; k++)
            json_array_append_new(tables, table_json(c, &g.tables[k]));
        for (size_t k = 0; g.begun && !g.complete && k < g.n_readers; k++)
            json_array_append_new(readers, reader_json(c, &g.readers[k]));
        rows += g.rows;
        bytes += g.bytes;
        rows_all += g.rows_estimated;
        bytes_all += g.bytes_estimated;
        load_progress_done(&g);
    }
    double rows_s = 0, bytes_s = 0;
    if (any) rates(p, rows, bytes, &rows_s, &bytes_s);
    json_t *eta = complete ? json_integer(0)
                  : rows_s > 0 && rows_all > rows
                      ? json_integer((json_int_t)((double)(rows_all - rows) / rows_s) + 1)
                      : json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:f, s:f, s:f, s:o, s:o, s:o}", "state",
                     !any       ? "none"
                     : complete ? "done"
                                : "loading",
                     "rows", json_u64(rows), "bytes", json_u64(bytes), "rows_estimated", json_u64(rows_all),
                     "bytes_estimated", json_u64(bytes_all), "percent",
                     percent(rows, rows_all, any && complete), "rows_per_s", rows_s, "bytes_per_s", bytes_s,
                     "eta_s", eta, "tables", tables, "readers", readers);
}
