#include "ops/options.h"
#include <stdlib.h>
#include "config/value.h"
#include "ops/text_table.h"
#include "base/poison.h"

#define VERB_BIT(id) (1u << VERB_##id)

typedef enum OptId {
#define O(id, name, arg, verbs, text) OPT_##id,
#include "ops/options.def"
#undef O
    OPT_COUNT
} OptId;

typedef struct VerbRow {
    const char *name, *args;
    bool supported;
    const char *text;
} VerbRow;

typedef struct OptRow {
    const char *name, *arg;
    unsigned verbs;
    const char *text;
} OptRow;

static const VerbRow verb_rows[] = {
#define V(id, name, args, supported, text) {name, args, supported, text},
#include "ops/verbs.def"
#undef V
};

static const OptRow opt_rows[] = {
#define O(id, name, arg, verbs, text) {name, arg, verbs, text},
#include "ops/options.def"
#undef O
};

enum { TEXT_COLUMN = 30, WRAP_COLUMN = 100 };

const char *options_verb_name(CliVerb v)
{
    return verb_rows[v].name;
}
bool options_verb_supported(CliVerb v)
{
    return verb_rows[v].supported;
}

bool options_find_verb(Str name, CliVerb *out)
{
    for (unsigned i = 0; i < VERB_COUNT; i++)
        if (str_eqc(name, verb_rows[i].name)) return *out = (CliVerb)i, true;
    return false;
}

static bool parse_verb(const char *word, CliVerb *out, Err *err)
{
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) return *out = VERB_HELP, true;
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) return *out = VERB_VERSION, true;
    if (options_find_verb(str_of(word), out)) return true;
    unsigned best = 0;
    for (unsigned i = 1; i < VERB_COUNT; i++)
        if (str_distance(str_of(word), str_of(verb_rows[i].name)) <
            str_distance(str_of(word), str_of(verb_rows[best].name)))
            best = i;
    return err_set(err, ERR_USAGE, "no verb '%s'; the nearest is '%s'", word, verb_rows[best].name);
}

static void list_verbs(unsigned verbs, StrBuf *out)
{
    const char *sep = "";
    for (unsigned i = 0; i < VERB_COUNT; i++) {
        if (!(verbs & (1u << i))) continue;
        sb_printf(out, "%s%s", sep, verb_rows[i].name);
        sep = ", ";
    }
}

static bool find_option(Str name, CliVerb verb, OptId *out, Err *err)
{
    unsigned best = 0;
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (str_eqc(name, opt_rows[i].name)) {
            *out = (OptId)i;
            if (opt_rows[i].verbs & (1u << verb)) return true;
            CLEANUP(sb_done) StrBuf takers = {0};
            list_verbs(opt_rows[i].verbs, &takers);
            return err_set(err, ERR_USAGE, "%s does not go with %s, only with %s", opt_rows[i].name,
                           verb_rows[verb].name, takers.ptr);
        }
        if (str_distance(name, str_of(opt_rows[i].name)) < str_distance(name, str_of(opt_rows[best].name)))
            best = i;
    }
    return err_set(err, ERR_USAGE, "no option '" STR_FMT "'; the nearest is '%s'", STR_ARG(name),
                   opt_rows[best].name);
}

static bool pick(const char *option, const char *value, const char *const *names, size_t n, int *out,
                 Err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(value, names[i])) return *out = (int)i, true;
    CLEANUP(sb_done) StrBuf list = {0};
    for (size_t i = 0; i < n; i++)
        sb_printf(&list, "%s%s", i ? ", " : "", names[i]);
    return err_set(err, ERR_USAGE, "%s: '%s' is not one of: %s", option, value, list.ptr);
}

static void add_word(const char ***list, size_t *n, const char *word)
{
    *list = mem_realloc(*list, (*n + 1) * sizeof **list);
    (*list)[(*n)++] = word;
}

static void add_source_file(CliOpts *o, const char *file)
{
    add_word(&o->source_files, &o->n_source_files, file);
}

static bool takes_several(CliVerb v)
{
    return strstr(verb_rows[v].args, "…") != NULL;
}

static bool set_source(CliOpts *o, const char *value, Err *err)
{
    if (o->verb != VERB_PAUSE && o->verb != VERB_RESUME && o->verb != VERB_STOP && o->verb != VERB_EVENTS &&
        o->verb != VERB_LOCKS && o->verb != VERB_SCHEMA) {
        add_source_file(o, value);
        return true;
    }
    if (o->source_id) return err_set(err, ERR_USAGE, "%s takes --source once", verb_rows[o->verb].name);
    o->source_id = value;
    return true;
}

static bool set_throttle(CliOpts *o, OptId id, const char *value, Err *err)
{
    const uint64_t longest_ms = 3600000000; /* as the task file's key */
    uint64_t n;
    if (id == OPT_MAX_LAG) {
        if (!value_seconds_ms(str_of(value), &n) || n > longest_ms)
            return err_set(err, ERR_USAGE, "--max-lag: '%s' is not seconds or a duration such as 30s or 5m",
                           value);
        o->max_lag_ms = (int64_t)n;
        return true;
    }
    if (!str_to_u64(str_of(value), &n) || n > INT64_MAX)
        return err_set(err, ERR_USAGE, "--rows-per-second: '%s' is not a whole number", value);
    o->rows_per_second = (int64_t)n;
    return true;
}

static bool set_option(CliOpts *o, OptId id, const char *value, Err *err)
{
    static const char *const formats[] = {"human", "json"};
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const char *const goals[] = {"caught-up"};
    const char *name = opt_rows[id].name;
    int choice = 0;
    uint64_t seconds;
    switch (id) {
    case OPT_SOURCE: return set_source(o, value, err);
    case OPT_SOURCE_FILE: add_source_file(o, value); return true;
    case OPT_STATE_DIR: o->state_dir = value; return true;
    case OPT_JSON: return o->json = true;
    case OPT_PLAIN: return o->plain = true;
    case OPT_ALL: return o->all = true;
    case OPT_TABLE_DDL: return o->ddl = true;
    case OPT_CENSUS: return o->census = true;
    case OPT_SHOW: return o->show = true;
    case OPT_YES: return o->yes = true;
    case OPT_FORCE: return o->force = true;
    case OPT_TARGET: o->target = value; return true;
    case OPT_DECIDE: o->decision = value; return true;
    case OPT_SET: o->set_file = value; return true;
    case OPT_VALUE: add_word(&o->values, &o->n_values, value); return true;
    case OPT_SQL: add_word(&o->sql, &o->n_sql, value); return true;
    case OPT_ID:
        if (!str_to_u64(str_of(value), &o->id) || o->id == 0)
            return err_set(err, ERR_USAGE, "--id: '%s' is not a number above 0", value);
        return true;
    case OPT_TABLES: o->tables = value; return true;
    case OPT_UNTIL:
        if (o->verb == VERB_EVENTS) {
            o->until_point = value;
            return true;
        }
        return o->until_caught_up = pick(name, value, goals, ARRAY_LEN(goals), &choice, err);
    case OPT_FROM: o->from_point = value; return true;
    case OPT_TABLE: add_word(&o->table_patterns, &o->n_table_patterns, value); return true;
    case OPT_ROWS: return o->rows_only = true;
    case OPT_NO_ROWS: return o->no_rows = true;
    case OPT_FOLLOW: return o->follow = true;
    case OPT_LIMIT:
        if (!str_to_u64(str_of(value), &o->limit) || o->limit == 0)
            return err_set(err, ERR_USAGE, "--limit: '%s' is not a number above 0", value);
        return true;
    case OPT_WAIT: return o->wait_caught_up = pick(name, value, goals, ARRAY_LEN(goals), &choice, err);
    case OPT_LOG_FORMAT:
        if (!pick(name, value, formats, ARRAY_LEN(formats), &choice, err)) return false;
        o->log_format = (LogFormat)choice;
        return true;
    case OPT_LOG_LEVEL:
        if (!pick(name, value, levels, ARRAY_LEN(levels), &choice, err)) return false;
        o->log_level = (LogLevel)choice;
        return true;
    case OPT_TIMEOUT:
        if (!str_to_u64(str_of(value), &seconds) || seconds > INT32_MAX)
            return err_set(err, ERR_USAGE, "--timeout: '%s' is not a number of seconds", value);
        o->timeout_ms = (int64_t)seconds * 1000;
        return true;
    case OPT_MAX_LAG:
    case OPT_ROWS_PER_SECOND: return set_throttle(o, id, value, err);
    case OPT_COUNT: break;
    }
    return err_set(err, ERR_BUG, "option %s is not handled", name);
}

static bool parse_option(CliOpts *o, int argc, char *const *argv, int *at, Err *err)
{
    Str rest = str_of(argv[*at]);
    const char *equals = strchr(argv[*at], '=');
    Str name = str_split(&rest, '=');
    OptId id = OPT_COUNT;
    if (!find_option(name, o->verb, &id, err)) return false;
    const char *value = equals ? equals + 1 : NULL;
    if (!opt_rows[id].arg && value) return err_set(err, ERR_USAGE, "%s takes no value", opt_rows[id].name);
    if (opt_rows[id].arg && !value) {
        if (*at + 1 >= argc)
            return err_set(err, ERR_USAGE, "%s needs a value: %s", opt_rows[id].name, opt_rows[id].arg);
        value = argv[++*at];
    }
    return set_option(o, id, value, err);
}

/* What a verb needs and what excludes each other. */
static bool check_whole(const CliOpts *o, Err *err)
{
    const VerbRow *v = &verb_rows[o->verb];
    if (!v->supported) return err_set(err, ERR_NOT_SUPPORTED, "%s: not supported yet", v->name);
    bool needs = v->args[0] && v->args[0] != '[' && !o->state_dir;
    if (needs && !o->argument) return err_set(err, ERR_USAGE, "%s needs %s", v->name, v->args);
    if (o->argument && !v->args[0]) return err_set(err, ERR_USAGE, "%s takes no argument", v->name);
    if (o->timeout_ms >= 0 && !o->wait_caught_up)
        return err_set(err, ERR_USAGE, "--timeout says how long --wait waits: give --wait caught-up too");
    if (o->rows_only && o->no_rows) return err_set(err, ERR_USAGE, "--rows and --no-rows exclude each other");
    if (o->verb == VERB_EVENTS && o->source_id && o->n_arguments > 1)
        return err_set(err, ERR_USAGE, "events --source %s reads a live source: give one task file",
                       o->source_id);
    if (o->verb == VERB_EVENTS && o->follow && (!o->source_id || o->until_point))
        return err_set(err, ERR_USAGE, "--follow goes with --source, and not with --until");
    return true;
}

bool options_parse(int argc, char *const *argv, CliOpts *out, Err *err)
{
    *out = (CliOpts){.timeout_ms = -1, .max_lag_ms = -1, .rows_per_second = -1, .log_level = LOG_INFO};
    if (argc < 2) return err_set(err, ERR_USAGE, "no verb given");
    if (!parse_verb(argv[1], &out->verb, err)) return false;
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            out->argument = verb_rows[out->verb].name;
            out->verb = VERB_HELP;
            return true;
        }
        if (word[0] == '-' && word[1]) {
            if (!verb_rows[out->verb].supported) continue;
            if (!parse_option(out, argc, argv, &i, err)) return false;
        } else if (!out->argument || takes_several(out->verb)) {
            if (!out->argument) out->argument = word;
            add_word(&out->arguments, &out->n_arguments, word);
        } else if (verb_rows[out->verb].supported) {
            return err_set(err, ERR_USAGE, "%s takes one argument (%s); '%s' is too much",
                           verb_rows[out->verb].name, verb_rows[out->verb].args, word);
        }
    }
    return check_whole(out, err);
}

void options_done(CliOpts *o)
{
    free(o->source_files);
    free(o->arguments);
    free(o->table_patterns);
    free(o->values);
    free(o->sql);
    *o = (CliOpts){0};
}

/* ---- help and reference, from the same tables
 * ---------------------------------------------------------------- */

/* Text in a column, wrapped at blanks. */
static void wrap(StrBuf *out, size_t column, const char *text)
{
    size_t at = column;
    Str rest = str_of(text);
    bool first = true;
    while (rest.len) {
        Str word = str_split(&rest, ' ');
        if (!first && at + 1 + word.len > WRAP_COLUMN) {
            sb_printf(out, "\n%*s", (int)column, "");
            at = column;
        } else if (!first) {
            sb_ch(out, ' ');
            at++;
        }
        sb_str(out, word);
        at += word.len;
        first = false;
    }
    sb_ch(out, '\n');
}

static void two_columns(StrBuf *out, const char *left, const char *text)
{
    size_t width = 2 + text_width(str_of(left));
    sb_printf(out, "  %s", left);
    if (width >= TEXT_COLUMN)
        sb_printf(out, "\n%*s", TEXT_COLUMN, "");
    else
        sb_printf(out, "%*s", (int)(TEXT_COLUMN - width), "");
    wrap(out, TEXT_COLUMN, text);
}

static void option_synopsis(StrBuf *out, const OptRow *o)
{
    sb_c(out, o->name);
    if (o->arg) sb_printf(out, " %s", o->arg);
}

static void help_options(StrBuf *out, unsigned verbs)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (!(opt_rows[i].verbs & verbs)) continue;
        CLEANUP(sb_done) StrBuf left = {0};
        option_synopsis(&left, &opt_rows[i]);
        two_columns(out, left.ptr, opt_rows[i].text);
    }
}

static void help_verbs(StrBuf *out, bool supported)
{
    for (unsigned i = 0; i < VERB_COUNT; i++) {
        if (verb_rows[i].supported != supported) continue;
        CLEANUP(sb_done) StrBuf left = {0};
        sb_printf(&left, "%s%s%s", verb_rows[i].name, verb_rows[i].args[0] ? " " : "", verb_rows[i].args);
        two_columns(out, left.ptr, verb_rows[i].text);
    }
}

void options_help(StrBuf *out)
{
    sb_c(out,
         "usage: shardmerge VERB TASK.yaml [options]\n\n"
         "Merges the rows and binlog streams of many MySQL and MariaDB shards into one table per target, "
         "exactly once.\n\nverbs:\n");
    help_verbs(out, true);
    sb_c(out, "\nverbs that are not supported yet:\n");
    help_verbs(out, false);
    sb_c(out, "\noptions (shardmerge help VERB shows those of one verb):\n");
    help_options(out, UINT32_MAX);
    sb_c(out, "\nexit status: 0 good, 1 problems found, 2 usage or configuration, others: shardmerge docs "
              "errors\n");
}

void options_verb_help(CliVerb v, StrBuf *out)
{
    const VerbRow *row = &verb_rows[v];
    sb_printf(out, "usage: shardmerge %s%s%s [options]\n\n", row->name, row->args[0] ? " " : "", row->args);
    wrap(out, 0, row->text);
    if (!row->supported) sb_c(out, "Not supported yet.\n");
    sb_c(out, "\noptions:\n");
    size_t before = out->len;
    help_options(out, 1u << v);
    if (out->len == before) sb_c(out, "  none\n");
}

static void reference_options(StrBuf *out, unsigned verbs)
{
    for (unsigned i = 0; i < OPT_COUNT; i++) {
        if (!(opt_rows[i].verbs & verbs)) continue;
        CLEANUP(sb_done) StrBuf left = {0};
        option_synopsis(&left, &opt_rows[i]);
        sb_printf(out, "- `%s`: %s\n", left.ptr, opt_rows[i].text);
    }
}

void options_reference(StrBuf *out)
{
    sb_c(out, "# Commands\n\nMade by `shardmerge docs commands` from the tables in `src/ops/verbs.def` and "
              "`src/ops/options.def`.\n\n`shardmerge VERB TASK.yaml [options]`. An option's value follows as "
              "the next word "
              "or after `=`. Exit status: 0 good, 1 problems found, 2 usage or configuration, others from "
              "[errors.md](errors.md); 130 and 143 after a second SIGINT or SIGTERM.\n");
    for (unsigned i = 0; i < VERB_COUNT; i++) {
        const VerbRow *v = &verb_rows[i];
        sb_printf(out, "\n## %s\n\n`shardmerge %s%s%s`: %s.%s\n", v->name, v->name, v->args[0] ? " " : "",
                  v->args, v->text, v->supported ? "" : " **Not supported yet** (exit status 2).");
        size_t before = out->len;
        if (v->supported) sb_ch(out, '\n');
        reference_options(out, v->supported ? 1u << i : 0);
        if (out->len == before + 1) out->len = before, out->ptr[before] = 0;
    }
}
