/* The dump protocol: what is said to the server before events flow, and what its refusals mean.
 * Source of truth: sql/rpl_source.cc and sql/rpl_binlog_sender.cc (MySQL), sql/sql_repl.cc (MariaDB). */
#ifndef SM_SOURCE_DUMP_H
#define SM_SOURCE_DUMP_H

#include "db/conn.h"
#include "model/point.h"

enum { DUMP_NON_BLOCK = 1, DUMP_THROUGH_GTID = 4 };
enum { COMMAND_BINLOG_DUMP = 0x12, COMMAND_REGISTER_REPLICA = 0x15, COMMAND_BINLOG_DUMP_GTID = 0x1e };

typedef struct DumpRequest {
    Flavor flavor;
    uint32_t server_id;
    uint64_t heartbeat_ms; /* 0: none */
    bool non_block;        /* end at the current end with an EOF packet */
    const GtidSet *gtids;  /* by GTID: everything that is not in here; NULL: by file and pos */
    Str file;
    uint64_t pos;
} DumpRequest;

/* Session variables that announce what we understand: checksums, MariaDB's events, heartbeats, an own uuid.
 */
NODISCARD bool dump_prepare(Conn *c, const DumpRequest *q, Err *err);
/* COM_REGISTER_SLAVE: the server lists us among its replicas. */
NODISCARD bool dump_register(Conn *c, uint32_t server_id, Err *err);
/* Sends the dump command. ERR_NOT_SUPPORTED for a file position beyond 4 GiB, which the command cannot carry.
 */
NODISCARD bool dump_start(Conn *c, const DumpRequest *q, Err *err);

/* One packet of the dump: *event without its leading status byte. *end: the EOF packet (non_block, or the
 * server ends). A refusal (1236 and others) becomes its own code, see dump_classify. */
NODISCARD bool dump_read(Conn *c, Str *event, bool *end, Err *err);

/* The meaning of error 1236's text. Pure. */
ErrCode dump_classify(Str text);
/* Bodies of the commands. Pure. */
void dump_encode_file(const DumpRequest *q, StrBuf *out);
void dump_encode_gtid(const DumpRequest *q, StrBuf *out);

#endif
