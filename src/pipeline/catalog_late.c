/* Sources that could not be reached when the task started: their tables are listed when they can be. A copy
 * that knew only of tables whose rows change would leave the others out; a lock would not know whom to wait
 * for. */
#include <stdlib.h>
#include "db/schema_read.h"
#include "db/server.h"
#include "pipeline/catalog_impl.h"
#include "base/poison.h"

/* Those that are routed are members; *list is heap. The mutex is held. */
static bool add_members(Catalog *c, uint32_t source, const TableName *names, size_t n, CatalogMember ***list,
                        size_t *n_list, Err *err)
{
    bool ok = true;
    *list = mem_zalloc((n + 1) * sizeof **list);
    *n_list = 0;
    for (size_t i = 0; ok && i < n; i++) {
        Arena scratch = {0};
        RouteAnswer answer;
        router_table(c->plan->routers[source], names[i], &scratch, &answer);
        if (answer.outcome == ROUTE_AMBIGUOUS || answer.outcome == ROUTE_FAILED)
            ok =
                err_set(err, ERR_ROUTE_AMBIGUOUS,
                        "table " STR_FMT "." STR_FMT " matches several rules, or one that cannot be followed",
                        STR_ARG(names[i].schema), STR_ARG(names[i].table));
        else if (answer.outcome != ROUTE_FILTERED)
            ok = catalog_add_member(c, source, names[i], answer.target, &(*list)[(*n_list)++], err);
        arena_done(&scratch);
    }
    return ok;
}

bool catalog_is_listed(Catalog *c, uint32_t source)
{
    return c->starts[source].listed;
}

bool catalog_list_late(Catalog *c, uint32_t source, ConnCancel *cancel, Err *err)
{
    CatalogStart *start = &c->starts[source];
    Arena arena = {0};
    Conn *conn = NULL;
    TableName *names = NULL;
    CatalogMember **list = NULL;
    size_t n = 0, n_list = 0, known = 0;
    bool cascades = false;
    Flavor flavor;
    if (start->listed) return true;
    bool ok = catalog_source_connect(c, source, cancel, &conn, err) &&
              server_detect_flavor(conn, &flavor, err) && catalog_detect_cascades(conn, &cascades, err) &&
              schema_list_tables(conn, &arena, &names, &n, err);
    pthread_mutex_lock(&c->mutex);
    if (ok) c->flavors[source] = flavor;
    if (ok) c->logs_cascades[source] = cascades;
    ok = ok && add_members(c, source, names, n, &list, &n_list, err);
    pthread_mutex_unlock(&c->mutex);
    ok = ok && catalog_source_schemas(c, source, conn, err);
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; ok && i < n_list; i++)
        if (list[i]->schema) list[known++] = list[i]; /* else it comes with its first statement or row */
    pthread_mutex_unlock(&c->mutex);
    ok = ok && (!known || catalog_bind_all(c, list, known, err));
    start->listed = ok;
    conn_close(conn);
    free(list);
    arena_done(&arena);
    return ok || err_wrap(err, "source " STR_FMT, STR_ARG(c->opts.task->sources[source].id));
}
