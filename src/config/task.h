/* The task: TiDB DM's task file and source files, read into one immutable, validated structure.
 *
 * Every key of DM is known (one table in config/keys.def): used, or refused with file, line, column and what
 * to do. Unknown keys are errors with the nearest known name. All strings live in the Task's arena. */
#ifndef SM_CONFIG_TASK_H
#define SM_CONFIG_TASK_H

#include "base/arena.h"
#include "base/err.h"
#include "model/flavor.h"
#include "model/rule.h"
#include "model/tls.h"

typedef enum TaskMode { TASK_MODE_FULL, TASK_MODE_ALL, TASK_MODE_INCREMENTAL } TaskMode;
typedef enum ShardMode { SHARD_MODE_NONE, SHARD_MODE_PESSIMISTIC, SHARD_MODE_OPTIMISTIC } ShardMode;
typedef enum MissPolicy { MISS_STOP, MISS_RECORD } MissPolicy;
typedef enum LoadConsistency {
    LOAD_CONSISTENCY_CHUNK,    /* each chunk is reconciled with the stream; no lock that lasts */
    LOAD_CONSISTENCY_SNAPSHOT, /* all tables of a source from one snapshot; the stream waits for the load */
} LoadConsistency;

/* The copy of existing rows, modes full and all. */
typedef struct LoadOptions {
    unsigned readers;         /* connections per source; default 4 (mydumpers.threads) */
    uint64_t chunk_rows;      /* most rows of one chunk; default 20000 */
    uint64_t chunk_bytes;     /* most bytes of one chunk in memory; default 4 MiB */
    unsigned chunk_ms;        /* a chunk's SELECT shall not take longer; its rows are adapted; default 1000 */
    uint64_t rows_per_second; /* per source; 0: no bound */
    unsigned max_lag_ms;      /* no new chunk while the stream is further behind; 0: no bound */
    LoadConsistency consistency;
} LoadOptions;

/* One session variable of `session:` maps; value as written. */
typedef struct SessionVar {
    Str name, value;
} SessionVar;

/* from: of a source, or target-database: */
typedef struct Endpoint {
    Str host, user, password;      /* password resolved: literal, password-env or password-file */
    bool password_looks_encrypted; /* has the shape of dmctl's encryption: worth a hint when access is denied
                                    */
    Str socket;                    /* own key: unix socket instead of host:port */
    unsigned port;                 /* default 3306 for a source, 4000 for the target; 0 with a socket */
    TlsOpts tls; /* from security: ssl-ca, ssl-cert, ssl-key (and -bytes/-base64 forms written to private
                    files) */
    SessionVar *session; /* of the target only */
    size_t n_session;
    ConfigPlace place;
} Endpoint;

/* mysql-instances[].meta */
typedef struct StartPoint {
    bool set;            /* false: the server's present end */
    Str binlog_name;     /* may be empty when binlog_gtid is given */
    uint64_t binlog_pos; /* 4 when not named or 0 */
    Str binlog_gtid; /* GTID set already done; counts when the source's enable_gtid is true. Syntax checked */
    ConfigPlace place;
} StartPoint;

typedef struct SourceConfig {
    Str id; /* source-id, at most 32 bytes */
    Endpoint from;
    bool enable_gtid;   /* of the source file or the syncer; also true when the start is given as binlog-gtid
                           only */
    Flavor flavor;      /* FLAVOR_UNKNOWN: detected from the server */
    uint32_t server_id; /* 0: chosen */
    int case_sensitive; /* -1: detected from lower_case_table_names */
    StartPoint start;
    const AllowList *allow_list; /* NULL: everything */
    RouteRule **routes;          /* in route-rules order; they live in Task.routes */
    size_t n_routes;
    MappingRule **mappings; /* in column-mapping-rules order; they live in Task.mappings */
    size_t n_mappings;
    ConfigPlace place;
} SourceConfig;

typedef struct Task {
    Arena arena;
    Str name;
    const char *path; /* of the task file */
    TaskMode mode;
    ShardMode shard_mode;
    bool strict_optimistic;
    Str meta_schema; /* default dm_meta */
    bool case_sensitive;
    Str timezone;
    Endpoint target;
    SourceConfig *sources;
    size_t n_sources;
    RouteRule *routes; /* all rules of the file */
    size_t n_routes;
    MappingRule *mappings; /* DM's column mappings */
    size_t n_mappings;
    AllowList *allow_lists;
    size_t n_allow_lists;
    /* syncers: the largest value over all instances where they differ */
    unsigned worker_count;           /* appliers; default 4 */
    unsigned batch_rows;             /* rows a downstream transaction gathers at most; default 5000 */
    unsigned queue_size;             /* transactions a queue between stages holds; default 1024 */
    unsigned checkpoint_interval_ms; /* floor writes; default 1000 */
    /* own keys */
    Str state_dir;                   /* default ./state/<task name>, beside the task file */
    uint64_t memory_limit;           /* bytes for transactions in flight; default 128 MiB; min 8 MiB */
    uint64_t split_transaction_rows; /* default 50000 */
    uint64_t spill_bytes; /* a transaction larger than this goes to a file until it is committed; default 8
                           * MiB, at most a quarter of memory_limit */
    MissPolicy on_missing_row;   /* default stop */
    ConflictPolicy on_collision; /* of rules that say nothing; default stop */
    unsigned collision_grace_ms; /* default 5000 */
    bool allow_keyless_tables;   /* default false */
    bool create_tables;          /* default true: a missing target is created when all shards agree */
    uint64_t heartbeat_ms;       /* binlog heartbeat period; default 1000 */
    LoadOptions load;
    unsigned retry_max_seconds; /* the same retryable error for longer: failed; default 300 */
    char *private_dir; /* folder (0700) with the TLS texts given inline, or NULL; task_free removes it */
} Task;

typedef struct TaskOpts {
    const char *const *source_files; /* --source FILE, any number */
    size_t n_source_files;
    bool offline; /* no connection will be made: passwords and TLS files are neither read nor asked for */
} TaskOpts;

/* Reads and validates. Sources come from `sources:` in the task file and from the --source files; where there
 * are neither, from the *.yaml and *.yml files of a sources/ folder beside the task file, of which only those
 * that the task refers to are looked at closely. opts may be NULL. Relative paths start at the file that
 * names them. All problems found are reported, not only the first: *err holds the first, and problems (may be
 * NULL) gets one line each: "task.yaml:12:5: [SM-1203 CONFIG_UNKNOWN_KEY] …; remedy". Reads files and
 * environment; main thread. */
NODISCARD bool task_load(const char *path, const TaskOpts *opts, Task **out, StrBuf *problems, Err *err);
void task_free(Task *t);

/* What a resume compares: canonical text of everything that changes the meaning of stored state (name,
 * sources' ids, routes, their keys, and their order where it matters, allow-lists, meta-schema, task-mode,
 * case-sensitive), one "key: value" a line, sorted. shard-mode: pipeline/unfollow.h. */
void task_fingerprint(const Task *t, StrBuf *out);

#endif
