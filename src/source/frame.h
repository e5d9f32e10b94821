/* Where events stand: 64-bit running positions from headers that have 32 bits, or none. Pure. */
#ifndef SM_SOURCE_FRAME_H
#define SM_SOURCE_FRAME_H

#include "base/err.h"
#include "decode/event.h"

typedef struct Frame {
    StrBuf file;  /* the file events stand in; empty before the first ROTATE */
    uint64_t pos; /* behind the last event */
} Frame;

void frame_done(Frame *f);
/* Events come from (file, pos) now. */
void frame_move(Frame *f, Str file, uint64_t pos);
/* The 64-bit position at or after `running` whose low 32 bits are `low`; false when low lies before running
 * and no wrap at 4 GiB explains it. */
NODISCARD bool frame_extend(uint64_t running, uint32_t low, uint64_t *out);
/* Start and end of the next event, and moves on. Artificial events (flag 0x20, or FORMAT_DESCRIPTION sent for
 * a start in mid-file) stand nowhere: start = end = running position. A header position of 0 (MariaDB 11.4+
 * inside transactions) means "behind the last one"; otherwise the header's counts, because servers leave out
 * events (ANNOTATE_ROWS not asked for, transactions skipped by GTID). ERR_SOURCE_PROTOCOL when positions go
 * back. */
NODISCARD bool frame_place(Frame *f, const EventHeader *h, uint64_t *start, uint64_t *end, Err *err);
/* The server has read up to (file, pos) without sending: HEARTBEAT. False when it names another file. */
bool frame_heartbeat(Frame *f, const EventHeader *h, const RotateEvent *at, uint64_t *pos);

#endif
