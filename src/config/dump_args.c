#include "config/dump_args.h"
#include "base/arena.h"
#include "config/value.h"
#include "base/poison.h"

typedef enum ArgKind {
    ARG_FINE, /* of files, sizes, logs, order: no row depends on it */
    ARG_THREADS,
    ARG_CONSISTENCY,
    ARG_REFUSED, /* the remedy says what to use instead */
} ArgKind;

typedef struct ArgRow {
    const char *name;
    char letter;
    bool has_value;
    ArgKind kind;
    const char *remedy;
} ArgRow;

#define BY_LIST "remove it; block-allow-list says which schemas and tables are read"
#define BY_FROM "remove it; the server is what `from` of the source says"
#define NO_CODE "remove it; only tables and their rows are copied, so create these objects by hand"
#define NO_FILES "remove it; no files are written, rows go straight to the downstream"

static const ArgRow rows[] = {
    {"threads", 't', true, ARG_THREADS, NULL},
    {"consistency", 0, true, ARG_CONSISTENCY, NULL},
    {"where", 0, true, ARG_REFUSED,
     "remove it; rows are not filtered yet, so route the table elsewhere or delete the rows downstream"},
    {"database", 'B', true, ARG_REFUSED, BY_LIST},
    {"tables-list", 'T', true, ARG_REFUSED, BY_LIST},
    {"filter", 'f', true, ARG_REFUSED, BY_LIST},
    {"regex", 'x', true, ARG_REFUSED, BY_LIST},
    {"omit-from-file", 'O', true, ARG_REFUSED, BY_LIST},
    {"ignore-engines", 'i', true, ARG_REFUSED, BY_LIST},
    {"no-data", 'd', false, ARG_REFUSED,
     "remove it, and use task-mode: incremental to leave existing rows out"},
    {"no-schemas", 'm', false, ARG_REFUSED,
     "remove it; create-tables: false keeps the program from creating tables"},
    {"sql", 'S', true, ARG_REFUSED, "remove it; whole tables are copied"},
    {"snapshot", 0, true, ARG_REFUSED, "remove it; a copy is always of the present rows"},
    {"params", 0, true, ARG_REFUSED, "remove it; the sessions of the copy set what they need themselves"},
    {"insert-ignore", 'N', false, ARG_REFUSED,
     "remove it; colliding keys are never passed over, see on-collision"},
    {"triggers", 'G', false, ARG_REFUSED, NO_CODE},
    {"events", 'E', false, ARG_REFUSED, NO_CODE},
    {"routines", 'R', false, ARG_REFUSED, NO_CODE},
    {"host", 'h', true, ARG_REFUSED, BY_FROM},
    {"port", 'P', true, ARG_REFUSED, BY_FROM},
    {"user", 'u', true, ARG_REFUSED, BY_FROM},
    {"password", 'p', true, ARG_REFUSED, BY_FROM},
    {"ca", 0, true, ARG_REFUSED, BY_FROM},
    {"cert", 0, true, ARG_REFUSED, BY_FROM},
    {"key", 0, true, ARG_REFUSED, BY_FROM},
    {"output", 'o', true, ARG_REFUSED, NO_FILES},
    {"filetype", 0, true, ARG_REFUSED, NO_FILES},
    {"no-locks", 'k', false, ARG_FINE, NULL},
    {"less-locking", 0, false, ARG_FINE, NULL},
    {"trx-consistency-only", 0, false, ARG_FINE, NULL},
    {"transactional-consistency", 0, false, ARG_FINE, NULL},
    {"use-savepoints", 0, false, ARG_FINE, NULL},
    {"no-backup-locks", 0, false, ARG_FINE, NULL},
    {"long-query-guard", 'l', true, ARG_FINE, NULL},
    {"kill-long-queries", 'K', false, ARG_FINE, NULL},
    {"rows", 'r', true, ARG_FINE, NULL},
    {"filesize", 'F', true, ARG_FINE, NULL},
    {"chunk-filesize", 0, true, ARG_FINE, NULL},
    {"statement-size", 's', true, ARG_FINE, NULL},
    {"skip-tz-utc", 0, false, ARG_FINE, NULL},
    {"tz-utc", 0, false, ARG_FINE, NULL},
    {"no-views", 'W', false, ARG_FINE, NULL},
    {"no-sequences", 0, false, ARG_FINE, NULL},
    {"no-header", 0, false, ARG_FINE, NULL},
    {"dump-empty-database", 0, false, ARG_FINE, NULL},
    {"build-empty-files", 'e', false, ARG_FINE, NULL},
    {"complete-insert", 0, false, ARG_FINE, NULL},
    {"escape-backslash", 0, false, ARG_FINE, NULL},
    {"order-by-primary-key", 0, false, ARG_FINE, NULL},
    {"output-filename-template", 0, true, ARG_FINE, NULL},
    {"compress", 'c', true, ARG_FINE, NULL},
    {"case-sensitive", 0, false, ARG_REFUSED,
     "remove it; case-sensitive: true in the task file says the same"},
    {"csv-delimiter", 0, true, ARG_FINE, NULL},
    {"csv-separator", 0, true, ARG_FINE, NULL},
    {"csv-null-value", 0, true, ARG_FINE, NULL},
    {"loglevel", 0, true, ARG_FINE, NULL},
    {"logfile", 'L', true, ARG_FINE, NULL},
    {"logfmt", 0, true, ARG_FINE, NULL},
    {"verbose", 'v', true, ARG_FINE, NULL},
    {"status-addr", 0, true, ARG_FINE, NULL},
    {"read-timeout", 0, true, ARG_FINE, NULL},
    {"tidb-mem-quota-query", 0, true, ARG_FINE, NULL},
    {"allow-cleartext-passwords", 0, false, ARG_FINE, NULL},
};

/* The words still to come. */
typedef struct Words {
    Str rest;
    Arena *arena;
    bool open_quote;
} Words;

/* The next word without its quotes; false at the end. */
static bool word_next(Words *w, Str *out)
{
    w->rest = str_trim(w->rest);
    if (!w->rest.len) return false;
    StrBuf b = {0};
    size_t i = 0;
    char quote = 0;
    for (; i < w->rest.len; i++) {
        char c = w->rest.ptr[i];
        if (quote && c == quote) {
            quote = 0;
        } else if (!quote && (c == '\'' || c == '"')) {
            quote = c;
        } else if (!quote && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            break;
        } else {
            sb_ch(&b, c);
        }
    }
    w->open_quote = w->open_quote || quote;
    w->rest = (Str){w->rest.ptr + i, w->rest.len - i};
    *out = arena_str(w->arena, sb_view(&b));
    sb_done(&b);
    return true;
}

/* "--name=value", "-n value", "-nvalue", "-n=value": the row, and the value written into the same word. */
static const ArgRow *row_of(Str word, Str *value, bool *has_value)
{
    Str name = word;
    *has_value = false;
    if (str_starts(word, STR("--"))) {
        Str rest = {word.ptr + 2, word.len - 2};
        name = str_split(&rest, '=');
        *has_value = name.len + 2 < word.len;
        *value = rest;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            if (str_eqc(name, rows[i].name)) return &rows[i];
        return NULL;
    }
    if (word.len < 2 || word.ptr[0] != '-') return NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].letter != word.ptr[1]) continue;
        *value = (Str){word.ptr + 2, word.len - 2};
        *has_value = value->len > 0;
        if (*has_value && value->ptr[0] == '=') *value = (Str){value->ptr + 1, value->len - 1};
        return rows[i].has_value || !*has_value ? &rows[i] : NULL;
    }
    return NULL;
}

/* dumpling's words. Whatever it is, the copy is exact, nothing is locked, and it ends at one position of the
 * source: the words are only checked. */
static bool consistency_check(Str value)
{
    static const char *const words[] = {"auto", "none", "flush", "lock", "snapshot"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_ieq(value, str_of(words[i]))) return true;
    return false;
}

static bool arg_take(const ArgRow *row, Str value, ConfigPlace place, uint64_t *threads, Problems *ps)
{
    bool off;
    switch (row->kind) {
    case ARG_FINE: return true;
    case ARG_THREADS:
        if (str_to_u64(value, threads) && *threads <= 1024) return true;
        return problem_add(ps, ERR_CONFIG_VALUE, place, "write --threads 1 to 1024",
                           "extra-args: --threads is not such a number");
    case ARG_CONSISTENCY:
        if (consistency_check(value)) return true;
        return problem_add(ps, ERR_CONFIG_VALUE, place, "it may be auto, none, flush, lock or snapshot",
                           "extra-args: --consistency has no such value");
    case ARG_REFUSED: break;
    }
    if (!row->has_value && value.len && value_bool(value, &off) && !off) return true;
    return problem_add(ps, ERR_CONFIG_REFUSED_KEY, place, row->remedy, "extra-args: --%s cannot be honoured",
                       row->name);
}

static bool arg_unknown(Str word, ConfigPlace place, Problems *ps)
{
    Str name = str_split(&word, '=');
    name.len = MIN(name.len, (size_t)40);
    return problem_add(ps, ERR_CONFIG_VALUE, place, "remove it",
                       "extra-args: '" STR_FMT "' is no argument of dumpling or mydumper that is known here",
                       STR_ARG(name));
}

bool dump_args_read(Str text, ConfigPlace place, uint64_t *threads, Problems *ps)
{
    Arena arena = {0};
    Words w = {.rest = text, .arena = &arena};
    bool ok = true;
    for (Str word; ok && word_next(&w, &word);) {
        Str value = {0};
        bool has_value;
        const ArgRow *row = row_of(word, &value, &has_value);
        if (!row)
            ok = arg_unknown(word, place, ps);
        else if (row->has_value && !has_value && !word_next(&w, &value))
            ok = problem_add(ps, ERR_CONFIG_VALUE, place, "write its value, or remove it",
                             "extra-args: --%s has no value", row->name);
        else
            ok = arg_take(row, value, place, threads, ps);
    }
    if (ok && w.open_quote)
        ok = problem_add(ps, ERR_CONFIG_VALUE, place, "close the quote", "extra-args: a quote is not closed");
    arena_done(&arena);
    return ok;
}
