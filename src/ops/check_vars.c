#include <stdlib.h>
#include "ops/check_server.h"
#include "base/poison.h"

bool vars_read(Conn *c, ServerVars *out, Err *err)
{
    *out = (ServerVars){0};
    Rows rows;
    if (!conn_query(c, STR("SHOW GLOBAL VARIABLES"), &rows, err))
        return err_wrap(err, "reading the server's settings");
    Str *v = mem_zalloc(sizeof *v * (rows.n_columns + 1));
    while (rows.n_columns >= 2 && rows_next(&rows, v)) {
        Str *value = arena_new(&out->arena, Str);
        *value = arena_str(&out->arena, v[1]);
        map_put(&out->map, v[0], value);
    }
    free(v);
    rows_done(&rows);
    return true;
}

Str vars_get(const ServerVars *v, const char *name, bool *found)
{
    const Str *value = map_get(&v->map, str_of(name));
    if (found) *found = value != NULL;
    return value ? *value : (Str){0};
}

bool vars_is(const ServerVars *v, const char *name, const char *value)
{
    return str_ieq(vars_get(v, name, NULL), str_of(value));
}

uint64_t vars_number(const ServerVars *v, const char *name, uint64_t fallback)
{
    uint64_t n;
    Str text = vars_get(v, name, NULL);
    Str whole = str_split(&text, '.'); /* expire_logs_days is 7.000000 on new MariaDB */
    return str_to_u64(whole, &n) ? n : fallback;
}

void vars_done(ServerVars *v)
{
    map_done(&v->map);
    arena_done(&v->arena);
    *v = (ServerVars){0};
}

unsigned version_number(const char *version)
{
    unsigned major = 0, minor = 0;
    while (*version >= '0' && *version <= '9')
        major = major * 10 + (unsigned)(*version++ - '0');
    if (*version == '.') version++;
    while (*version >= '0' && *version <= '9')
        minor = minor * 10 + (unsigned)(*version++ - '0');
    return major * 100 + minor;
}
