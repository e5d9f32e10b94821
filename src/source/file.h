/* A binlog or relay log as a file, event after event, with checksums verified. No decoding beyond what
 * framing needs (FORMAT_DESCRIPTION). Positions are offsets in this file, so they have 64 bits whatever the
 * headers say. Blocks on reads; one thread at a time. Source of truth for the file's head: log_event.h of
 * both servers (BINLOG_MAGIC, LOG_EVENT_RELAY_LOG_F). */
#ifndef SM_SOURCE_FILE_H
#define SM_SOURCE_FILE_H

#include "source/stream.h"

typedef struct BinlogFile BinlogFile;

typedef enum FileResult {
    FILE_EVENT,   /* *out is complete */
    FILE_DAMAGED, /* *err says what is wrong with the event's bytes (whole, start_pos, end_pos are set, the
                     rest as far as it could be read); the next event can be read */
    FILE_END,     /* behind the last event */
    FILE_FAILED,  /* *err; nothing behind can be read: half-written event, encryption, nonsense, read error */
} FileResult;

/* Opens path, "-" for standard input, and looks at the magic bytes. ERR_IO; ERR_CORRUPT when it is no binlog;
 * ERR_DECODE_UNSUPPORTED for a file that MySQL has encrypted. */
NODISCARD bool file_open(const char *path, BinlogFile **out, Err *err);
void file_close(BinlogFile *f); /* NULL allowed */
/* Views in *out hold until the next call. Memory grows with bytes that are there, never with a length that an
 * event claims. *out.crc is what the event says. */
FileResult file_next(BinlogFile *f, RawEvent *out, Err *err);
const FormatDescription *file_format(const BinlogFile *f); /* zeros before the first event */
Str file_name(const BinlogFile *f);                        /* without its folders */
bool file_is_relay(const BinlogFile *f);                   /* events keep the position they had upstream */

#endif
