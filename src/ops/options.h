/* The command line: verbs and options, each from one table that also makes the help and the reference page.
 */
#ifndef SM_OPS_OPTIONS_H
#define SM_OPS_OPTIONS_H

#include "base/err.h"
#include "base/log.h"

typedef enum CliVerb {
#define V(id, name, args, supported, text) VERB_##id,
#include "ops/verbs.def"
#undef V
    VERB_COUNT
} CliVerb;

typedef struct CliOpts {
    CliVerb verb;
    const char *argument;   /* TASK.yaml, or the page of docs, or the verb of help; NULL when not given */
    const char **arguments; /* all of them, for verbs that take several; owned array of argv's strings */
    size_t n_arguments;
    const char **source_files; /* owned array of argv's strings */
    size_t n_source_files;
    const char *source_id;         /* NULL: all */
    const char *state_dir;         /* NULL: the task file's */
    const char *target, *decision; /* locks, conflicts; NULL: not given */
    const char *set_file;          /* schema; NULL: not given */
    uint64_t id;                   /* conflicts; 0: not given */
    const char **values;           /* conflicts; owned array of argv's strings */
    size_t n_values;
    const char **sql; /* locks; owned array of argv's strings */
    size_t n_sql;
    const char *tables;
    const char **table_patterns; /* events; owned array of argv's strings */
    size_t n_table_patterns;
    const char *from_point, *until_point; /* events; NULL: not given */
    bool rows_only, no_rows, follow;
    uint64_t limit;   /* 0: none */
    bool ddl, census; /* route */
    bool yes, force;  /* finish */
    bool show;        /* conflicts */
    bool json, all, plain, until_caught_up, wait_caught_up;
    int64_t timeout_ms;      /* -1: none */
    int64_t max_lag_ms;      /* -1: the task file's */
    int64_t rows_per_second; /* -1: the task file's */
    LogFormat log_format;
    LogLevel log_level;
} CliOpts;

/* Reads argv[1…]. ERR_USAGE names the word and the nearest known one. Pure. *out is to be given to
 * options_done. */
NODISCARD bool options_parse(int argc, char *const *argv, CliOpts *out, Err *err);
void options_done(CliOpts *o);

const char *options_verb_name(CliVerb v);
bool options_verb_supported(CliVerb v);
/* Appends the whole help, or that of one verb. */
void options_help(StrBuf *out);
void options_verb_help(CliVerb v, StrBuf *out);
/* False when there is no such verb. */
bool options_find_verb(Str name, CliVerb *out);
/* Appends the reference page of all verbs and options (Markdown). */
void options_reference(StrBuf *out);

#endif
