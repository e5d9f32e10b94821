/* A stream's point: the set of transactions before it. Membership, never order: another server may send
 * another order, so two points of one stream are compared through their sets; file:position only on the same
 * server. */
#ifndef SM_MODEL_POINT_H
#define SM_MODEL_POINT_H

#include "base/err.h"
#include "base/str.h"
#include "model/gtid.h"

/* What is remembered of the last transaction's last event, to be read again on every connect: a server whose
 * history differs (RESET, restored, another replica) is found out by it. */
typedef struct PointEvidence {
    bool set;
    uint64_t event_pos; /* where the event starts in file */
    uint32_t event_size;
    uint32_t timestamp;
    uint32_t crc; /* CRC32 of the event's bytes without its own checksum */
} PointEvidence;

typedef struct StreamPoint {
    Flavor flavor;
    GtidSet *gtids;         /* owned; NULL when the stream runs by file:position */
    char *file;             /* owned; NULL when not known */
    uint64_t pos;           /* running 64-bit position behind the last transaction */
    PointEvidence evidence; /* of the transaction that ends at file:pos */
    char *server;           /* owned; MySQL: server_uuid; MariaDB: "server_id:N"; binds file:pos */
} StreamPoint;

/* A copy of text that lives as long as the process, the same pointer for the same text. Any thread. For the
 * few identities of servers that transactions point to. */
const char *server_intern(const char *text);

void point_done(StreamPoint *p);
void point_copy(StreamPoint *dst, const StreamPoint *src);
/* Binlog files of one server are numbered upwards: name.000123. *out is -1, 0 or 1. False when the names
 * differ in more than the number: then nobody can say. */
bool binlog_file_cmp(Str a, Str b, int *out);
void point_set_file(StreamPoint *p, Str file, uint64_t pos);
/* {"flavor","gtid","file","pos","server","evidence":{"pos","size","timestamp","crc"}}; keys absent when not
 * known. */
void point_format(const StreamPoint *p, StrBuf *json);
NODISCARD bool point_parse(Str json, StreamPoint *out, Err *err);
/* For people: "0-1-25 (mysql-bin.000003:1234)". */
void point_format_human(const StreamPoint *p, StrBuf *out);

#endif
