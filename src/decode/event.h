/* Binlog events: framing and bodies. Pure: bytes in, structures out; nothing is passed over silently. */
#ifndef SM_DECODE_EVENT_H
#define SM_DECODE_EVENT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/reader.h"
#include "model/gtid.h"
#include "model/table_map.h"

/* Event type codes of MySQL 5.7–9.x and MariaDB 10.3–12.x: X(NAME, code) in decode/event_types.def. */
typedef enum EventType {
#define X(name, code) EVENT_##name = code,
#include "decode/event_types.def"
#undef X
} EventType;
const char *event_type_name(unsigned type); /* "TABLE_MAP"; "UNKNOWN" for others */

/* The common header (19 bytes):
 *   offset length meaning
 *   0      4      timestamp, seconds
 *   4      1      type
 *   5      4      server_id
 *   9      4      event size, header and checksum included
 *   13     4      position of the next event (wraps after 4 GiB; 0 inside MariaDB 11.4+ transactions)
 *   17     2      flags */
typedef struct EventHeader {
    uint32_t timestamp;
    uint8_t type;
    uint32_t server_id;
    uint32_t size;
    uint32_t next_pos;
    uint16_t flags;
} EventHeader;
enum { EVENT_HEADER_LEN = 19, EVENT_FLAG_ARTIFICIAL = 0x20, EVENT_FLAG_IGNORABLE = 0x80 };

/* What FORMAT_DESCRIPTION says of the file that follows. */
typedef struct FormatDescription {
    uint16_t binlog_version;
    Str server_version; /* arena */
    bool checksum_crc32;
    uint8_t post_header_len[256]; /* by event type */
    bool is_mariadb;
} FormatDescription;

/* Splits event (header + body + checksum). With fmt->checksum_crc32 the CRC32 is verified and cut off (the
 * fake ROTATE before the first FORMAT_DESCRIPTION: pass checksum by what @…binlog_checksum was set to). *body
 * is a view. ERR_DECODE_CHECKSUM, ERR_DECODE_TRUNCATED. */
NODISCARD bool event_split(Str event, bool has_checksum, EventHeader *h, Str *body, Err *err);
NODISCARD bool event_format_description(Str event_with_header, Arena *arena, FormatDescription *out,
                                        Err *err);

typedef struct RotateEvent {
    uint64_t pos;
    Str file; /* view */
} RotateEvent;
NODISCARD bool event_rotate(Str body, RotateEvent *out, Err *err);

/* QUERY: statement text with the session it ran in. */
typedef struct QueryEvent {
    uint32_t thread_id, exec_seconds;
    uint16_t error_code;
    Str schema; /* default database; view */
    Str sql;    /* view */
    uint64_t sql_mode;
    bool has_sql_mode;
    uint16_t charset_client;       /* collation id of the statement's text; 0 unknown */
    uint16_t collation_connection; /* what its literals are converted to; 0 unknown */
    bool sql_is_utf8; /* sql was brought to UTF-8; charset_client still says what it was written in */
    Str time_zone;
    /* 0: not told */
    uint16_t collation_database, collation_utf8mb4; /* of the default database; what utf8mb4 alone means */
    bool implicit_timestamps; /* MySQL: explicit_defaults_for_timestamp is OFF; false when not told */
    uint32_t flags2;          /* MariaDB: QUERY_EXPLICIT_TIMESTAMPS */
    bool vars_cut;            /* an unknown status variable ended their parsing; the statement stands */
} QueryEvent;
/* MariaDB's bit of flags2 for explicit_defaults_for_timestamp; servers before 10.10, where the default is
 * OFF, never set it. */
enum { QUERY_EXPLICIT_TIMESTAMPS = 1 << 24 };
NODISCARD bool event_query(Str body, QueryEvent *out, Err *err);

/* MariaDB writes an ALTER as two groups with the same statement: START when it begins, then COMMIT, which is
 * the change, or ROLLBACK: nothing has changed. */
typedef enum AlterPhase { ALTER_WHOLE, ALTER_START, ALTER_COMMIT, ALTER_ROLLBACK } AlterPhase;

/* GTID (MySQL 33, 34, 42) and MariaDB GTID (162). */
typedef struct GtidEvent {
    bool anonymous; /* MySQL ANONYMOUS_GTID */
    Gtid gtid;
    bool standalone;                /* MariaDB FL_STANDALONE: the group is one statement, without COMMIT */
    bool is_ddl;                    /* MariaDB FL_DDL */
    bool prepared_xa, completed_xa; /* MariaDB flags */
    AlterPhase alter;               /* MariaDB's two-phase ALTER */
    uint64_t alter_start;           /* COMMIT, ROLLBACK: sequence number of the ALTER's START; 0 not said */
    uint64_t transaction_length;    /* MySQL 8.0.2+: bytes, this event included; 0 not said */
} GtidEvent;
NODISCARD bool event_gtid(const EventHeader *h, const FormatDescription *fmt, Str body, GtidEvent *out,
                          Err *err);

/* MariaDB GTID_LIST / MySQL PREVIOUS_GTIDS body as a set. */
NODISCARD bool event_gtid_list(Flavor flavor, Str body, GtidSet **out, Err *err);

/* TABLE_MAP into arena. Types that can be walked over but not read as values (geometry, vector, compressed
 * columns, old decimals) pass here, since the table may be filtered: decode_type_supported refuses them when
 * one is bound. Member texts of ENUM and SET are in their column's charset. ERR_DECODE_TYPE: a type nobody
 * knows; ERR_CORRUPT. */
NODISCARD bool event_table_map(const FormatDescription *fmt, Str body, Arena *arena, TableMap *out, Err *err);
/* Can values of this column be read? If not, *why (static text) says which type it is. */
bool decode_type_supported(const MapColumn *column, const char **why);
/* table id of a TABLE_MAP or ROWS body without the rest. */
uint64_t event_table_id(const FormatDescription *fmt, unsigned type, Str body);

typedef enum RowsKind { ROWS_WRITE, ROWS_UPDATE, ROWS_DELETE } RowsKind;
typedef struct RowsEvent {
    RowsKind kind;
    uint64_t table_id;
    uint16_t flags;
    bool statement_end; /* STMT_END_F: table ids are forgotten */
    uint32_t n_columns;
    Str present_before; /* bitmap bytes (WRITE: of the after image), views; UPDATE has both */
    Str present_after;
    Str rows;        /* the images; walk with row_image_split */
    bool compressed; /* rows must go through event_rows_inflate first */
    bool partial;    /* PARTIAL_UPDATE_ROWS: after images may hold JSON diffs (decode/event_rewrite.h) */
} RowsEvent;
/* Reads WRITE/UPDATE/DELETE_ROWS v0 (MySQL 5.1.0–15), v1, v2, MariaDB's compressed v1 and v2, and MySQL's
 * PARTIAL_UPDATE_ROWS. PARTIAL_ROW_DATA: ERR_DECODE_UNSUPPORTED. */
NODISCARD bool event_rows(const EventHeader *h, const FormatDescription *fmt, Str body, RowsEvent *out,
                          Err *err);
/* Compressed rows are inflated into buf (cleared before), and e->rows then is a view of it; does nothing for
 * others. ERR_CORRUPT, ERR_DECODE_UNSUPPORTED (another algorithm than zlib). */
NODISCARD bool event_rows_inflate(RowsEvent *e, StrBuf *buf, Err *err);

/* HEARTBEAT (27) and HEARTBEAT_V2 (41): log file and position the server has sent up to. */
NODISCARD bool event_heartbeat(const EventHeader *h, Str body, RotateEvent *out, Err *err);
NODISCARD bool event_xid(Str body, uint64_t *xid, Err *err);
/* XA_PREPARE (38), MariaDB XA_PREPARE: the xid in the server's printed form into *out. */
NODISCARD bool event_xa_prepare(Str body, bool *one_phase, StrBuf *xid, Err *err);

#endif
