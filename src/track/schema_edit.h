/* A table's definition under change by one statement: shared by schema_apply.c and the edit_*.c files. All
 * texts live in the edit's arena or in the statement's; the end result is copied out. */
#ifndef SM_TRACK_SCHEMA_EDIT_H
#define SM_TRACK_SCHEMA_EDIT_H

#include "base/arena.h"
#include "track/column_build.h"
#include "track/schema_apply.h"

typedef struct EditColumn {
    ColumnDef def;
    uint32_t origin;      /* index in before; UINT32_MAX: added */
    const DdlColumn *ddl; /* as this statement writes it; NULL: it does not */
    struct EditColumn *next;
} EditColumn;

typedef struct EditPart {
    uint32_t origin; /* of a key that was there: the column's index in before */
    Str column;      /* of a new key */
    KeyPart part;
} EditPart;

typedef struct EditKey {
    KeyDef def;
    Str old_name; /* before the statement; empty: new */
    EditPart *parts;
    uint32_t n_parts;
    bool is_new;
    const DdlKey *ddl;
    struct EditKey *next;
} EditKey;

typedef struct EditCheck {
    CheckDef def;
    uint32_t origin; /* MariaDB's CHECK of a column that was there: its index in before */
    struct EditCheck *next;
} EditCheck;

typedef struct EditForeign {
    Str name;
    TableName parent;
    EditPart *columns; /* origin or column */
    Str *parent_columns;
    uint32_t n_columns;
    Str on_update, on_delete;
    struct EditForeign *next;
} EditForeign;

typedef struct Edit {
    const TableSchema *before; /* NULL: CREATE TABLE */
    const DdlStmt *stmt;
    const ApplyContext *ctx;
    Arena *arena;
    Err *err;
    TableSchema table; /* name, engine, collation, comment, flags; its lists are filled at the end */
    EditColumn *columns;
    EditKey *keys;
    EditCheck *checks;
    EditForeign *foreign;
    RowsChange rows;
} Edit;

bool edit_is_mariadb(const Edit *e);
NODISCARD bool edit_refuse(Edit *e, const char *what, Str name);
EditColumn *edit_column(const Edit *e, Str name);
EditColumn *edit_column_from(const Edit *e, uint32_t origin); /* NULL: dropped */
uint32_t edit_before_column(const Edit *e, Str name);
/* IF [NOT] EXISTS: the change does nothing. */
bool edit_skips(const Edit *e, const DdlChange *c);

/* edit_columns.c */
void edit_columns_load(Edit *e);
NODISCARD bool edit_columns_change(Edit *e);
NODISCARD bool edit_column_new(Edit *e, const DdlColumn *ddl, EditColumn **out);

/* edit_keys.c */
void edit_keys_load(Edit *e);
NODISCARD bool edit_keys_change(Edit *e);
/* PRIMARY KEY makes its columns NOT NULL. */
void edit_keys_finish(Edit *e);

/* edit_constraints.c: checks and foreign keys */
void edit_constraints_load(Edit *e);
NODISCARD bool edit_constraints_change(Edit *e);
void edit_check_add(Edit *e, Str name, Str expr, bool column_level, bool not_enforced);
void edit_constraints_finish(Edit *e);

/* edit_options.c */
void edit_options_charset(Edit *e);
NODISCARD bool edit_options_change(Edit *e);
void edit_option_set(Edit *e, Str name, Str value);

/* edit_partitions.c */
NODISCARD bool edit_partitions_change(Edit *e);

/* lineage.c */
SchemaStep *lineage_step(const Edit *e, const TableSchema *after);

#endif
