/* The definitions of members: as the state folder keeps them, else as they are on the server now. */
#include <stdlib.h>
#include "db/schema_read.h"
#include "pipeline/catalog_impl.h"
#include "track/schema_json.h"
#include "base/poison.h"

/* *found false: nothing was kept. */
static bool stored_schema(Catalog *c, CatalogMember *m, bool *found, Err *err)
{
    char *json = NULL;
    TableSchema *schema = NULL;
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

/* The live definition, NULL where there is no such table, is kept from now on. Takes it over. */
static bool keep_live(Catalog *c, CatalogMember *m, TableSchema *schema, Err *err)
{
    if (!schema)
        return err_set(err, ERR_TRACK_NO_TABLE,
                       "source " STR_FMT ": table " STR_FMT "." STR_FMT
                       " occurs in the binlog, but is not on the server, and no definition of it was kept",
                       STR_ARG(c->opts.task->sources[m->m.source].id), STR_ARG(m->m.name.schema),
                       STR_ARG(m->m.name.table));
    StrBuf text = {0};
    schema_to_json(schema, &text);
    bool ok =
        store_schema_put(c->opts.store, m->number, STR("{}"), sb_view(&text), STR("live definition"), err);
    sb_done(&text);
    if (ok)
        m->schema = schema;
    else
        schema_free(schema);
    return ok;
}

bool catalog_member_schema(Catalog *c, CatalogMember *m, Conn *conn, Err *err)
{
    bool found = false;
    TableSchema *schema = NULL;
    if (m->schema) return true;
    if (!stored_schema(c, m, &found, err)) return false;
    if (found) return true;
    return (!conn || schema_read(conn, m->m.name, &schema, err)) && keep_live(c, m, schema, err);
}

/* Hundreds of tables cost a few queries together, not some each. */
bool catalog_source_schemas(Catalog *c, uint32_t source, Conn *conn, Err *err)
{
    CatalogMember **wanted = mem_alloc((c->n_members + 1) * sizeof *wanted);
    TableName *names = mem_alloc((c->n_members + 1) * sizeof *names);
    TableSchema **schemas = mem_zalloc((c->n_members + 1) * sizeof *schemas);
    size_t n = 0, kept = 0;
    bool ok = true, found = false;
    for (CatalogMember *m = c->member_list; ok && m; m = m->next) {
        if (m->m.source != source || m->schema) continue;
        ok = stored_schema(c, m, &found, err);
        if (!ok || found) continue;
        wanted[n] = m;
        names[n++] = m->m.name;
    }
    ok = ok && (!n || !conn || schema_read_many(conn, names, n, schemas, err));
    while (ok && kept < n) {
        ok = keep_live(c, wanted[kept], schemas[kept], err);
        kept++;
    }
    for (; kept < n; kept++)
        schema_free(schemas[kept]);
    free(wanted);
    free(names);
    free(schemas);
    return ok;
}
