/* The definitions of members in the state folder. */
#include <stdlib.h>
#include "db/schema_read.h"
#include "pipeline/catalog_impl.h"
#include "store/store_ddl.h"
#include "track/schema_json.h"
#include "base/poison.h"

bool catalog_stored_schema(Catalog *c, CatalogMember *m, bool *found, Err *err)
{
    char *json = NULL;
    TableSchema *schema = NULL;
    *found = m->schema != NULL;
    if (*found) return true;
    if (!store_schema_get(c->opts.store, m->number, &json, found, err)) return false;
    if (!*found) return true;
    bool ok = schema_from_json(str_of(json), &schema, err);
    free(json);
    if (!ok)
        return err_wrap(err, "kept definition of " STR_FMT "." STR_FMT, STR_ARG(m->m.name.schema),
                        STR_ARG(m->m.name.table));
    m->schema = schema;
    return true;
}

static bool no_table(Str source, TableName name, Err *err)
{
    CLEANUP(sb_done) StrBuf remedy = {0};
    sb_printf(&remedy,
              "stop the task; give the definition that it had: shardmerge schema TASK.yaml --source " STR_FMT
              " --table " STR_FMT "." STR_FMT
              " --set FILE --force --yes; start again. Or go on without the table, " ERR_PAST,
              STR_ARG(source), STR_ARG(name.schema), STR_ARG(name.table));
    return err_set_remedy(err, ERR_TRACK_NO_TABLE, remedy.ptr,
                          "source " STR_FMT ": table " STR_FMT "." STR_FMT
                          " occurs in the binlog, but is not on the server, and no definition of it was kept",
                          STR_ARG(source), STR_ARG(name.schema), STR_ARG(name.table));
}

bool catalog_keep_schema(Catalog *c, CatalogMember *m, TableSchema *schema, Str why, Err *err)
{
    if (!schema) return no_table(c->opts.task->sources[m->m.source].id, m->m.name, err);
    StrBuf text = {0};
    schema_to_json(schema, &text);
    bool ok = store_schema_put(c->opts.store, m->number, STR("{}"), sb_view(&text), why, err);
    sb_done(&text);
    if (ok)
        m->schema = schema;
    else
        schema_free(schema);
    return ok;
}

bool catalog_last_target(Catalog *c, Conn *conn, TableName name, TableSchema **out, Err *err)
{
    Arena arena = {0};
    Str json = {0};
    if (!schema_read(conn, name, out, err)) return false;
    bool ok = *out || store_dropped_get(c->opts.store, name, &arena, &json, err);
    if (ok && json.len && !schema_from_json(json, out, err))
        ok = err_wrap(err, "kept definition of the target " STR_FMT "." STR_FMT, STR_ARG(name.schema),
                      STR_ARG(name.table));
    arena_done(&arena);
    return ok;
}
