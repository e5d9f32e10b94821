/* Shared by catalog.c (what is known at start, and the first rows of a table) and catalog_ddl.c (what changes
 * afterwards). */
#ifndef SM_PIPELINE_CATALOG_IMPL_H
#define SM_PIPELINE_CATALOG_IMPL_H

#include <pthread.h>
#include "base/map.h"
#include "pipeline/catalog.h"
#include "pipeline/ddl.h"
#include "pipeline/scout.h"
#include "track/bind.h"

typedef struct CatalogMember {
    Member m;
    uint64_t number;           /* durable identity in the store */
    const TableSchema *schema; /* as it was first known; changes since are the follower's */
    TableName goes_to;         /* the target */
    TableName now;             /* what it is called; m.name is what it was first called */
    MemberKeys *keys;          /* what the key strategies make of it; resolved with the target */
    struct CatalogMember *next;
} CatalogMember;

/* Where a source begins, while that is not final, and what its binlog was looked through for. */
typedef struct CatalogStart {
    bool listed; /* its tables are known: else it could not be reached. Before it runs; whose
                    turn it is */
    bool known;  /* point, with the definitions of its tables */
    bool moves;  /* XA transactions are prepared there: it begins later */
    StreamPoint point;
    pthread_mutex_t mutex; /* guards scout while streams run; taken before the catalog's */
    Scout scout;
} CatalogStart;

struct Catalog {
    CatalogOpts opts;
    pthread_mutex_t mutex;    /* guards all below */
    RoutePlan *plan;          /* for its routers; immutable */
    Flavor *flavors;          /* by source */
    bool *logs_cascades;      /* by source: BindOpts.source_logs_cascades */
    CatalogStart *starts;     /* by source */
    Dialect dialect;          /* of the downstream */
    struct StoreLock *locked; /* targets whose schema changes have been followed; immutable */
    size_t n_locked;
    struct Ddl *ddl;      /* NULL: nobody follows schema changes */
    Target **old_targets; /* definitions that were; rows on their way may point to them */
    size_t n_old_targets;
    Map targets; /* schema.table → Target */
    Target **target_list;
    size_t n_targets;
    Map members; /* source index, schema.table → CatalogMember */
    CatalogMember *member_list;
    uint32_t n_members;
    bool renamed; /* some have another name than they had first */
    Map bindings; /* member, table map body → Binding */
    Map spaces;   /* source, shard table, target → KeySpace */
    Arena arena;  /* members, copied table maps */
};

/* -- catalog.c -- */
NODISCARD bool catalog_target_connect(Catalog *c, Conn **out, Dialect *dialect, Err *err);
/* cancel: NULL allowed. */
NODISCARD bool catalog_source_connect(Catalog *c, uint32_t source, ConnCancel *cancel, Conn **out, Err *err);
/* Does the server log what foreign keys change? */
NODISCARD bool catalog_detect_cascades(Conn *conn, bool *logged, Err *err);
/* Binds those that are not yet, whose definitions are known, to their targets. Blocks. */
NODISCARD bool catalog_bind_all(Catalog *c, CatalogMember **list, size_t n, Err *err);
/* mutex held: */
/* The target's members with their keys; *out is heap. */
struct PolicyMember;
size_t catalog_policy_members(Catalog *c, const Target *t, struct PolicyMember **out);
/* -- catalog_park.c -- */
/* Opens what stands beside a target that parks losers, by its members' rules. */
NODISCARD bool catalog_park(Catalog *c, Conn *conn, const Dialect *d, Target *t, Err *err);
/* Targets with locks whose sources do not answer, or whose shard tables are all gone: bound, and parked, by
 * what the state folder knows, before any job of theirs begins. Nothing runs yet. Blocks. */
NODISCARD bool catalog_bind_stored(Catalog *c, Err *err);
/* Does its rule park losers? Its keys are resolved. */
bool catalog_parks(const CatalogMember *m);
/* -- catalog_ddl.c -- */
/* t is the target from now on; old stays for rows that point to it. */
void catalog_put_target(Catalog *c, Target *old, Target *t);
/* -- catalog.c -- */
void catalog_member_key(uint32_t source, TableName name, StrBuf *out);
NODISCARD bool catalog_add_member(Catalog *c, uint32_t source, TableName name, TableName target,
                                  CatalogMember **out, Err *err);
/* Of two members of one source that had the same name first: what is copied of the later one is on record
 * under another. */
void catalog_tell_apart(Catalog *c, CatalogMember *m);
Target *catalog_find_target(Catalog *c, TableName name);

/* -- catalog_keys.c; mutex held, or nothing runs yet -- */
BindOpts catalog_bind_opts(const Catalog *c, uint32_t source, const Dialect *downstream);
NODISCARD bool catalog_resolve_keys(Catalog *c, CatalogMember *m, Err *err);
/* No two shard tables of a target may have the same share of its keys. */
NODISCARD bool catalog_shares_differ(Catalog *c, const Target *t, const CatalogMember *m, Err *err);

/* -- catalog_schema.c; mutex held, or nothing runs yet -- */
/* The definition that the state folder has, if any: *found, and m->schema is set. */
NODISCARD bool catalog_stored_schema(Catalog *c, CatalogMember *m, bool *found, Err *err);
/* The definition, NULL where there is none (ERR_TRACK_NO_TABLE), is kept from now on. Takes it over. */
NODISCARD bool catalog_keep_schema(Catalog *c, CatalogMember *m, TableSchema *schema, Str why, Err *err);
/* The target as it is on the server; else as it was when it was dropped with all its shard tables; *out NULL:
 * neither. The caller's. Blocks. */
NODISCARD bool catalog_last_target(Catalog *c, Conn *conn, TableName name, TableSchema **out, Err *err);

/* -- catalog_start.c -- */
/* The definitions of all members of the source, and where it begins if it never did. conn NULL: as far as
 * they are stored. Nothing runs yet. */
NODISCARD bool catalog_source_schemas(Catalog *c, uint32_t source, Conn *conn, Err *err);
/* What a table looked like at the point; *out NULL: it is not on the server. *why: heap. Blocks; the
 * catalog's mutex is not held. ERR_TRACK_START. */
NODISCARD bool catalog_late_schema(Catalog *c, CatalogMember *m, Conn *conn, const StreamPoint *at,
                                   TableSchema **out, char **why, Err *err);

/* -- catalog_ddl.c; mutex held -- */
/* A member whose target has a lock goes into it by the lock's record. */
NODISCARD bool catalog_adopt(Catalog *c, CatalogMember *m, Err *err);

#endif
