/* A connection's library handle, for the files of this folder only. */
#ifndef SM_DB_CONN_INTERNAL_H
#define SM_DB_CONN_INTERNAL_H

#include <mysql.h>
#include "db/conn.h"

MYSQL *conn_handle(Conn *c);
/* "source shard1", for messages. */
const char *conn_role(const Conn *c);
/* Sets what a statement of the connection says went wrong, as conn_exec would; returns false. */
bool conn_stmt_error(const Conn *c, MYSQL_STMT *stmt, Err *err);

#endif
