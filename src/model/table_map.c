#include "model/table_map.h"
#include "base/poison.h"

TableMap *table_map_copy(const TableMap *m, Arena *arena)
{
    TableMap *c = arena_new(arena, TableMap);
    *c = *m;
    c->name = (TableName){arena_str(arena, m->name.schema), arena_str(arena, m->name.table)};
    c->body = arena_str(arena, m->body);
    c->columns = arena_array(arena, MapColumn, m->n_columns + 1);
    for (uint32_t i = 0; i < m->n_columns; i++) {
        MapColumn *to = &c->columns[i];
        *to = m->columns[i];
        to->name = arena_str(arena, to->name);
        if (!to->n_members) continue;
        Str *members = arena_array(arena, Str, to->n_members);
        for (uint32_t k = 0; k < to->n_members; k++)
            members[k] = arena_str(arena, m->columns[i].members[k]);
        to->members = members;
    }
    c->key_columns = arena_array(arena, uint32_t, m->n_key_columns + 1);
    for (uint32_t i = 0; i < m->n_key_columns; i++)
        c->key_columns[i] = m->key_columns[i];
    return c;
}
