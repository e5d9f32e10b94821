#include "source/dump.h"
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/check.h"
#include "base/poison.h"

/* -- what refusals mean -- */

typedef struct Refusal {
    const char *text; /* part of the server's message */
    ErrCode code;
} Refusal;

/* Servers put everything into error 1236 and tell it apart by text; the older and newer words of both
 * families. */
static const Refusal refusals[] = {
    {"could not find next log",
     ERR_DB_RETRY}, /* RESET under a running dump: the checks at reconnect decide */
    {"Could not find first log file name", ERR_SOURCE_PURGED},
    {"purged", ERR_SOURCE_PURGED},
    {"with the same server_uuid/server_id", ERR_SOURCE_SERVER_ID},
    {"with the same server_uuid", ERR_SOURCE_SERVER_ID},
    {"with the same server_id", ERR_SOURCE_SERVER_ID},
    {"from position > file size", ERR_SOURCE_HISTORY},
    {"from impossible position", ERR_SOURCE_HISTORY},
    {"which is not in the master's binlog", ERR_SOURCE_HISTORY},
    {"has diverged", ERR_SOURCE_HISTORY},
    {"has more GTIDs than", ERR_SOURCE_HISTORY},
    {"GTID strict mode is enabled", ERR_SOURCE_HISTORY},
    {"errant", ERR_SOURCE_HISTORY},
    {"GTID_MODE", ERR_SOURCE_SETTING},
    {"gtid_mode", ERR_SOURCE_SETTING},
    {"max_allowed_packet", ERR_SOURCE_SETTING},
    {"Binary log is not open", ERR_SOURCE_SETTING},
    {"server_id was not set", ERR_SOURCE_SETTING},
    {"Misconfigured", ERR_SOURCE_SETTING},
    {"bogus data", ERR_CORRUPT},
    {"corrupted", ERR_CORRUPT},
    {"truncated in the middle of event", ERR_CORRUPT},
    {"Could not open log file", ERR_CORRUPT},
    {"Wrong offset or I/O error", ERR_CORRUPT},
    {"I/O error", ERR_CORRUPT},
    {"error reading log e", ERR_CORRUPT},
};

ErrCode dump_classify(Str text)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (str_find(text, str_of(refusals[i].text)) != SIZE_MAX) return refusals[i].code;
    return ERR_SOURCE_PROTOCOL;
}

/* 1236 carries nearly all of them; MariaDB sends some under numbers of their own (4052, 1945, 1955). */
static bool refused(Err *err)
{
    if (err->code == ERR_DB_SERVER) err->code = dump_classify(str_of(err->message));
    return false;
}

/* -- the session -- */

enum { WRITE_TIMEOUT_S = 86400 };

/* A random uuid, version 4. */
static void random_uuid(StrBuf *out)
{
    uint8_t u[16];
    CHECK(getrandom(u, sizeof u, 0) == (ssize_t)sizeof u, "no randomness");
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    static const size_t cuts[] = {4, 2, 2, 2, 6};
    for (size_t i = 0, at = 0; i < ARRAY_LEN(cuts); at += cuts[i++]) {
        if (i) sb_ch(out, '-');
        sb_hex(out, u + at, cuts[i]);
    }
}

bool dump_prepare(Conn *c, const DumpRequest *q, Err *err)
{
    StrBuf sql = {0}, uuid = {0};
    random_uuid(&uuid);
    /* both spellings: MySQL 8.0.26+ reads @source_…, all others @master_… */
    sb_printf(&sql,
              "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', @slave_uuid = '%s', "
              "@replica_uuid = '%s'",
              uuid.ptr, uuid.ptr);
    unsigned long long ns = (unsigned long long)q->heartbeat_ms * 1000000;
    if (ns) sb_printf(&sql, ", @master_heartbeat_period = %llu, @source_heartbeat_period = %llu", ns, ns);
    if (q->flavor == FLAVOR_MARIADB) {
        sb_c(&sql, ", @mariadb_slave_capability = 4");
        if (q->gtids) {
            StrBuf set = {0};
            gtidset_format(q->gtids, &set);
            sb_printf(&sql,
                      ", @slave_connect_state = '%s', @slave_gtid_strict_mode = 1, "
                      "@slave_gtid_ignore_duplicates = 0",
                      set.ptr ? set.ptr : "");
            sb_done(&set);
        }
    }
    bool ok = conn_exec(c, sb_view(&sql), NULL, err);
    sb_done(&sql);
    sb_done(&uuid);
    if (!ok) return err_wrap(err, "announcing the replica");
    /* The stream may rest for long behind a copy or a full queue: the server shall not take that for a dead
     * client (it would after a minute). */
    return conn_execf(c, err, "SET SESSION net_write_timeout = %d", WRITE_TIMEOUT_S) ||
           err_wrap(err, "asking for patience");
}

static void sb_le(StrBuf *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        sb_ch(b, (char)(v >> (8 * i)));
}

/* server_id (4), length + host, length + user, length + password, port (2), rank (4), source id (4) */
bool dump_register(Conn *c, uint32_t server_id, Err *err)
{
    enum { HOST_MAX = 60 };
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    Str name = str_of(host);
    name.len = MIN(name.len, (size_t)HOST_MAX);
    StrBuf body = {0};
    sb_le(&body, server_id, 4);
    sb_le(&body, name.len, 1);
    sb_str(&body, name);
    sb_le(&body, 0, 1);
    sb_le(&body, 0, 1);
    sb_le(&body, 0, 2);
    sb_le(&body, 0, 4);
    sb_le(&body, 0, 4);
    Str answer;
    bool ok = conn_send_command(c, COMMAND_REGISTER_REPLICA, sb_view(&body), err) &&
              conn_read_packet(c, &answer, err);
    sb_done(&body);
    if (!ok) return err_wrap(err, "registering as a replica");
    return true;
}

/* position (4), flags (2), server_id (4), file name to the end */
void dump_encode_file(const DumpRequest *q, StrBuf *out)
{
    sb_le(out, q->pos, 4);
    sb_le(out, q->non_block ? DUMP_NON_BLOCK : 0, 2);
    sb_le(out, q->server_id, 4);
    sb_str(out, q->file);
}

/* flags (2), server_id (4), length (4) + file name, position (8), length (4) + encoded set */
void dump_encode_gtid(const DumpRequest *q, StrBuf *out)
{
    StrBuf set = {0};
    gtidset_encode(q->gtids, &set);
    sb_le(out, DUMP_THROUGH_GTID | (q->non_block ? DUMP_NON_BLOCK : 0), 2);
    sb_le(out, q->server_id, 4);
    sb_le(out, 0, 4);
    sb_le(out, 4, 8);
    sb_le(out, set.len, 4);
    sb_str(out, sb_view(&set));
    sb_done(&set);
}

bool dump_start(Conn *c, const DumpRequest *q, Err *err)
{
    StrBuf body = {0};
    DumpRequest own = *q;
    unsigned char command = COMMAND_BINLOG_DUMP;
    if (q->gtids && q->flavor == FLAVOR_MYSQL) {
        command = COMMAND_BINLOG_DUMP_GTID;
        dump_encode_gtid(&own, &body);
    } else {
        if (q->gtids) { /* MariaDB: @slave_connect_state says where */
            own.file = (Str){0};
            own.pos = 4;
        }
        if (own.pos > UINT32_MAX)
            return err_set_remedy(err, ERR_NOT_SUPPORTED, "start by GTID, or behind this file",
                                  STR_FMT ":%llu lies beyond 4 GiB: the protocol cannot ask for it",
                                  STR_ARG(own.file), (unsigned long long)own.pos);
        dump_encode_file(&own, &body);
    }
    bool ok = conn_send_command(c, command, sb_view(&body), err);
    sb_done(&body);
    return ok;
}

bool dump_read(Conn *c, Str *event, bool *end, Err *err)
{
    enum { OK_BYTE = 0x00, EOF_BYTE = 0xfe, EOF_MAX = 9 };
    Str packet;
    *end = false;
    *event = (Str){0};
    if (!conn_read_packet(c, &packet, err)) return refused(err);
    uint8_t first = packet.len ? (uint8_t)packet.ptr[0] : 0xff;
    if (first == EOF_BYTE && packet.len < EOF_MAX) {
        *end = true;
        return true;
    }
    if (first != OK_BYTE)
        return err_set(err, ERR_SOURCE_PROTOCOL,
                       "a packet of %zu bytes that is neither event nor end (first byte %u)", packet.len,
                       first);
    *event = str_make(packet.ptr + 1, packet.len - 1);
    return true;
}
