/* Lines of the verb events, for people and as JSON: one event or one row each. Pure; one owner.
 *
 *   people  time file:pos-end gtid TYPE key=value …      rows: four blanks, + or -, column=value …
 *   JSON    {"time","file","pos","end","gtid","type",…}  rows: …,"row","change","before":{…},"after":{…}
 * Texts are quoted with escapes for whatever is not printable, names and numbers are bare. In JSON a value is
 * a string, null, or an object where a string would bend it: {"hex"} bytes, {"charset","hex"} text of another
 * charset, {"signed","unsigned"} an integer whose sign the binlog does not say. */
#ifndef SM_OPS_EVENTS_OUT_H
#define SM_OPS_EVENTS_OUT_H

#include "base/err.h"
#include "base/str.h"

typedef struct EventPlace {
    uint32_t timestamp; /* seconds; 0: artificial */
    Str file;
    uint64_t pos, end;
    Str gtid; /* empty: none */
} EventPlace;

typedef struct EventsOut {
    bool json;
    StrBuf text;      /* lines not handed on yet */
    bool first;       /* of a JSON object's keys, or of a row's columns */
    uint32_t time_of; /* time_text says it */
    StrBuf time_text;
} EventsOut;

void events_out_done(EventsOut *o);

/* One line: begin, fields, end. */
void events_out_begin(EventsOut *o, const EventPlace *at, const char *type);
void events_out_end(EventsOut *o);
void events_out_text(EventsOut *o, const char *key, Str value); /* quoted */
void events_out_word(EventsOut *o, const char *key, Str value); /* bare: names, GTIDs, types */
void events_out_count(EventsOut *o, const char *key, uint64_t value);
void events_out_flag(EventsOut *o, const char *key);
/* schema.table */
void events_out_table(EventsOut *o, Str schema, Str table);
/* Why the event could not be read, and its bytes (the first of them; how many there are is said). */
void events_out_error(EventsOut *o, const Err *err, Str raw);

/* A row: its line (or the two lines of an update), between them its columns. */
void events_out_row(EventsOut *o, const EventPlace *at, const char *type, Str schema, Str table);
void events_out_change(EventsOut *o, uint64_t row, const char *change);
void events_out_image(EventsOut *o, bool after); /* then columns, then _image_end */
void events_out_image_end(EventsOut *o);
void events_out_column(EventsOut *o, Str name); /* then its value: */
void events_out_null(EventsOut *o);
void events_out_plain(EventsOut *o, Str text); /* numbers, times: what needs no quotes */
/* Text in charset (empty: not known): as it is while it is well-formed UTF-8, or ASCII; else its bytes. */
typedef enum EventsOutText { EVENTS_OUT_UTF8, EVENTS_OUT_ASCII, EVENTS_OUT_OTHER } EventsOutText;
void events_out_string(EventsOut *o, Str text, Str charset, EventsOutText form);
void events_out_bytes(EventsOut *o, Str hex);
void events_out_signs(EventsOut *o, int64_t as_signed, uint64_t as_unsigned);
/* A value that cannot be read: its bytes and why. */
void events_out_unread(EventsOut *o, Str bytes, const char *why);

#endif
