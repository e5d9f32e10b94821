/* Shared by catalog.c (what is known at start, and the first rows of a table) and catalog_ddl.c (what changes
 * afterwards). */
#ifndef SM_PIPELINE_CATALOG_IMPL_H
#define SM_PIPELINE_CATALOG_IMPL_H

#include <pthread.h>
#include "base/map.h"
#include "pipeline/catalog.h"
#include "pipeline/ddl.h"
#include "track/bind.h"

typedef struct CatalogMember {
    Member m;
    uint64_t number;           /* durable identity in the store */
    const TableSchema *schema; /* as it was first known; changes since are the follower's */
    TableName goes_to;         /* the target */
    MemberKeys *keys;          /* what the key strategies make of it; resolved with the target */
    const TableMap *load_map;  /* of rows read by SELECT; made when first asked for */
    Binding *load_binding;
    struct CatalogMember *next;
} CatalogMember;

struct Catalog {
    CatalogOpts opts;
    pthread_mutex_t mutex;    /* guards all below */
    RoutePlan *plan;          /* for its routers; immutable */
    Flavor *flavors;          /* by source */
    bool *logs_cascades;      /* by source: BindOpts.source_logs_cascades */
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
    Map bindings; /* member, table map body → Binding */
    Arena arena;  /* members, copied table maps */
};

/* -- catalog.c; mutex held -- */
void catalog_member_key(uint32_t source, TableName name, StrBuf *out);
NODISCARD bool catalog_add_member(Catalog *c, uint32_t source, TableName name, TableName target,
                                  CatalogMember **out, Err *err);
NODISCARD bool catalog_resolve_keys(Catalog *c, CatalogMember *m, Err *err);
Target *catalog_find_target(Catalog *c, TableName name);
/* Keeps its definition in the state folder from the first time on. conn: of its source, or NULL: it must be
 * kept there. */
NODISCARD bool catalog_member_schema(Catalog *c, CatalogMember *m, Conn *conn, Err *err);

/* -- catalog_schema.c; mutex held, or nothing runs yet -- */
/* Keeps its definition in the state folder from the first time on. conn: of its source, or NULL: it must be
 * kept there. ERR_TRACK_NO_TABLE. */
NODISCARD bool catalog_member_schema(Catalog *c, CatalogMember *m, Conn *conn, Err *err);
/* Likewise for all members of the source. */
NODISCARD bool catalog_source_schemas(Catalog *c, uint32_t source, Conn *conn, Err *err);

/* -- catalog_ddl.c; mutex held -- */
/* A member whose target has a lock goes into it by the lock's record. */
void catalog_adopt(Catalog *c, CatalogMember *m);

#endif
