/* What a table definition says of its foreign keys. Pure. */
#ifndef SM_DB_FOREIGN_KEYS_H
#define SM_DB_FOREIGN_KEYS_H

#include "base/str.h"

/* Reads the text of SHOW CREATE TABLE (MySQL, MariaDB, TiDB). True when a foreign key of it changes rows of
 * this table (ON UPDATE or ON DELETE with CASCADE, SET NULL or SET DEFAULT), and also when no foreign key is
 * found in it or a quote does not end: who asks knows of a key, so what cannot be read counts as acting. */
bool foreign_keys_act(Str create_table);

#endif
