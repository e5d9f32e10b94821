#include "ops/load_text.h"
#include "ops/status.h"
#include "ops/text_table.h"
#include "base/poison.h"

enum { TABLES_SHOWN = 12 }; /* a task may have thousands */

typedef enum Phase {
    PHASE_WAITING,
    PHASE_COPYING,
    PHASE_UNIT,
    PHASE_FOLLOWING,
    PHASE_HELD,
    PHASE_COUNT
} Phase;
static const char *const phases[PHASE_COUNT] = {"waiting", "copying", "unit", "following", "held"};

static Str text_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : (Str){0};
}

/* PHASE_COUNT for a word that is not known. */
static Phase phase_of(const json_t *table)
{
    Str name = text_of(table, "phase");
    unsigned p = 0;
    while (p < PHASE_COUNT && !str_eqc(name, phases[p]))
        p++;
    return (Phase)p;
}

void text_bytes(StrBuf *out, uint64_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 1024 && u + 1 < ARRAY_LEN(units)) {
        v /= 1024;
        u++;
    }
    sb_printf(out, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

void text_duration(StrBuf *out, uint64_t seconds)
{
    enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
    unsigned long long s = seconds;
    if (s < 2 * MINUTE)
        sb_printf(out, "%llu s", s);
    else if (s < 2 * HOUR)
        sb_printf(out, "%llu min", s / MINUTE);
    else if (s < 2 * DAY)
        sb_printf(out, "%llu h %llu min", s / HOUR, s % HOUR / MINUTE);
    else
        sb_printf(out, "%llu d %llu h", s / DAY, s % DAY / HOUR);
}

/* "12.3 %", or "-" where nothing is known */
static void percent(StrBuf *out, const json_t *object)
{
    const json_t *v = json_object_get(object, "percent");
    if (json_is_number(v))
        sb_printf(out, "%.1f %%", json_number_value(v));
    else
        sb_ch(out, '-');
}

static void amount(StrBuf *out, const json_t *load)
{
    uint64_t rows = status_count(load, "rows_estimated"), bytes = status_count(load, "bytes_estimated");
    text_count(out, status_count(load, "rows"));
    if (rows) {
        sb_c(out, " of about ");
        text_count(out, rows);
    }
    sb_c(out, " rows, ");
    text_bytes(out, status_count(load, "bytes"));
    if (bytes) {
        sb_c(out, " of about ");
        text_bytes(out, bytes);
    }
}

static void head(const json_t *load, Str state, bool color, StrBuf *out)
{
    const json_t *eta = json_object_get(load, "eta_s");
    text_tone(out, STR("COPY"), TONE_DIM, color);
    sb_c(out, "  ");
    if (str_eqc(state, "done")) {
        text_tone(out, STR("done"), TONE_GOOD, color);
        sb_c(out, "  ");
        text_count(out, status_count(load, "rows"));
        sb_c(out, " rows, ");
        text_bytes(out, status_count(load, "bytes"));
        sb_ch(out, '\n');
        return;
    }
    CLEANUP(sb_done) StrBuf done = {0};
    percent(&done, load);
    if (str_eqc(state, "stopped")) text_tone(out, STR("stopped at "), TONE_WARN, color);
    text_tone(out, sb_view(&done), TONE_GOOD, color);
    sb_c(out, "  ");
    amount(out, load);
    if (str_eqc(state, "stopped")) {
        sb_c(out, "; ");
        text_count(out, status_count(load, "n_tables_done"));
        sb_c(out, " of ");
        text_count(out, status_count(load, "n_tables"));
        sb_c(out, " tables are copied\n");
        return;
    }
    sb_c(out, "  ");
    text_count(out, status_count(load, "rows_per_s"));
    sb_c(out, " rows/s, ");
    text_bytes(out, status_count(load, "bytes_per_s"));
    sb_c(out, "/s");
    if (json_is_integer(eta)) {
        sb_c(out, "  about ");
        text_duration(out, status_count(load, "eta_s"));
        sb_c(out, " left");
    }
    sb_ch(out, '\n');
}

/* "s1:shop.orders_07" */
static void name_cell(TextTable *t, const json_t *table)
{
    CLEANUP(sb_done) StrBuf b = {0};
    sb_printf(&b, STR_FMT ":" STR_FMT "." STR_FMT, STR_ARG(text_of(table, "source")),
              STR_ARG(text_of(table, "schema")), STR_ARG(text_of(table, "table")));
    table_text(t, sb_view(&b));
}

static void table_row(TextTable *t, const json_t *table)
{
    CLEANUP(sb_done) StrBuf into = {0}, done = {0}, bytes = {0};
    sb_printf(&into, STR_FMT "." STR_FMT, STR_ARG(text_of(table, "target_schema")),
              STR_ARG(text_of(table, "target_table")));
    percent(&done, table);
    text_bytes(&bytes, status_count(table, "bytes"));
    name_cell(t, table);
    table_text(t, sb_view(&into));
    table_text(t, text_of(table, "phase"));
    table_count(t, status_count(table, "rows"));
    table_count(t, status_count(table, "rows_estimated"));
    table_right(t, sb_view(&bytes));
    table_right(t, sb_view(&done));
}

/* "1,000 tables: 48 copied and followed, 12 being copied, 940 waiting" */
static void summary(const size_t *n, size_t all, StrBuf *out)
{
    static const Phase order[] = {PHASE_FOLLOWING, PHASE_COPYING, PHASE_UNIT, PHASE_HELD, PHASE_WAITING};
    static const char *const words[] = {"copied and followed", "being copied", "being copied as one unit",
                                        "held by a schema change", "waiting"};
    const char *sep = ": ";
    text_count(out, all);
    sb_c(out, all == 1 ? " table" : " tables");
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (!n[order[i]]) continue;
        sb_c(out, sep);
        text_count(out, n[order[i]]);
        sb_printf(out, " %s", words[i]);
        sep = ", ";
    }
    sb_ch(out, '\n');
}

static void tables_text(const json_t *tables, bool color, StrBuf *out)
{
    static const char *const titles[] = {"TABLE", "INTO", "PHASE", "ROWS", "OF ABOUT", "BYTES", "DONE"};
    CLEANUP(table_done) TextTable t = {.columns = ARRAY_LEN(titles)};
    size_t n[PHASE_COUNT + 1] = {0}, i, shown = 0;
    const json_t *table;
    for (size_t k = 0; k < ARRAY_LEN(titles); k++)
        table_cell(&t, str_of(titles[k]), k >= 3, TONE_DIM);
    json_array_foreach(tables, i, table)
    {
        Phase p = phase_of(table);
        n[p]++;
        if ((p != PHASE_COPYING && p != PHASE_UNIT && p != PHASE_HELD) || shown == TABLES_SHOWN) continue;
        table_row(&t, table);
        shown++;
    }
    if (!json_array_size(tables)) return;
    summary(n, json_array_size(tables), out);
    if (shown) table_print(&t, color, out);
    size_t under_way = n[PHASE_COPYING] + n[PHASE_UNIT] + n[PHASE_HELD];
    if (under_way > shown) sb_printf(out, "… and %zu more\n", under_way - shown);
}

/* Readers of one source that do the same. */
typedef struct Doing {
    Str source, state;
    size_t n;
} Doing;

/* Behind the others of its source. */
static void doing_insert(Doing *doing, size_t n, Doing d)
{
    size_t at = n;
    for (size_t k = 0; k < n; k++)
        if (str_eq(doing[k].source, d.source)) at = k + 1;
    memmove(doing + at + 1, doing + at, (n - at) * sizeof *doing);
    doing[at] = d;
}

/* "readers  s1: 3 reading, 1 waiting for room; s2: 4 idle" */
static void readers_text(const json_t *readers, bool color, StrBuf *out)
{
    enum { KINDS = 32 };
    Doing doing[KINDS];
    size_t n = 0, i;
    const json_t *r;
    json_array_foreach(readers, i, r)
    {
        Doing d = {text_of(r, "source"), text_of(r, "state"), 1};
        size_t k = 0;
        while (k < n && !(str_eq(doing[k].source, d.source) && str_eq(doing[k].state, d.state)))
            k++;
        if (k < n)
            doing[k].n++;
        else if (n < KINDS)
            doing_insert(doing, n++, d);
    }
    if (!n) return;
    text_tone(out, STR("READERS"), TONE_DIM, color);
    for (size_t k = 0; k < n; k++) {
        bool first = k == 0 || !str_eq(doing[k].source, doing[k - 1].source);
        if (first)
            sb_printf(out, "%s" STR_FMT ": ", k ? "; " : "  ", STR_ARG(doing[k].source));
        else
            sb_c(out, ", ");
        sb_printf(out, "%zu " STR_FMT, doing[k].n, STR_ARG(doing[k].state));
    }
    sb_ch(out, '\n');
}

void load_text(const json_t *load, bool color, StrBuf *out)
{
    Str state = text_of(load, "state");
    if (!state.len || str_eqc(state, "none")) return;
    sb_ch(out, '\n');
    head(load, state, color, out);
    if (str_eqc(state, "done")) return;
    tables_text(json_object_get(load, "tables"), color, out);
    readers_text(json_object_get(load, "readers"), color, out);
}
