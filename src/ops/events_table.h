/* A table map made ready to print rows by. Pure; one owner. */
#ifndef SM_OPS_EVENTS_TABLE_H
#define SM_OPS_EVENTS_TABLE_H

#include "decode/event.h"
#include "model/codec.h"
#include "ops/events_out.h"

typedef enum EventsColumnKind {
    EVENTS_PLAIN,  /* numbers, times, members without names */
    EVENTS_NUMBER, /* an integer whose sign the binlog does not say */
    EVENTS_TEXT,   /* text of a charset */
    EVENTS_BYTES,
    EVENTS_GUESS,  /* text or bytes: the binlog does not say */
    EVENTS_UNREAD, /* a type that is not decoded: why */
} EventsColumnKind;

typedef struct EventsColumn {
    EventsColumnKind kind;
    Str name; /* "@3" without FULL metadata */
    ColumnCodec codec;
    Str charset;
    bool is_utf8, has_ascii;
    const char *why;
} EventsColumn;

typedef struct EventsTable {
    Arena arena;
    TableMap map;
    EventsColumn *columns;
    Field *before, *after; /* scratch for one row */
    bool wanted;           /* passes the filters */
    uint64_t statement;    /* in which its map was last sent */
} EventsTable;

/* Of the body of a TABLE_MAP event. Errors as event_table_map. */
NODISCARD bool events_table_new(const FormatDescription *fmt, Str body, EventsTable **out, Err *err);
void events_table_free(EventsTable *t);
/* Appends the column's type as far as the binlog says it: DECIMAL(10,2), VARCHAR. */
void events_table_type(const MapColumn *c, StrBuf *out);
/* How its texts are printed. */
EventsOutText events_column_text(const EventsColumn *x);
/* Prints one value. False when it could not be read: then its bytes and the reason are printed. */
bool events_table_value(const EventsTable *t, uint32_t column, Field f, StrBuf *scratch, EventsOut *out);

#endif
