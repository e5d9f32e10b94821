/* The SQL files of state/, compiled in by the Makefile (build/…/gen/migrations.c), in the order of their
 * numbers. */
#ifndef SM_STORE_MIGRATIONS_H
#define SM_STORE_MIGRATIONS_H

#include <stddef.h>

typedef struct Migration {
    unsigned number;  /* 0001-init.sql: 1; consecutive from 1 */
    const char *name; /* "0001-init" */
    const char *sql;
} Migration;

extern const Migration migrations[];
extern const size_t migration_count;

#endif
