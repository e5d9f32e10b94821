/* The verb events: events in, lines out. Keeps what reading needs from event to event: table maps, the
 * running GTID, the window. Pure; one owner. */
#ifndef SM_OPS_EVENTS_PRINT_H
#define SM_OPS_EVENTS_PRINT_H

#include "ops/events_filter.h"
#include "ops/events_out.h"

typedef enum EventsRows {
    EVENTS_WITH_ROWS, /* events and their rows */
    EVENTS_ROWS_ONLY, /* rows, and the lines of what could not be read */
    EVENTS_NO_ROWS,   /* events only */
} EventsRows;

typedef struct EventsCounts {
    uint64_t read;     /* events, those inside of payloads too */
    uint64_t shown;    /* lines of events */
    uint64_t rows;     /* shown */
    uint64_t problems; /* events or values that could not be read */
} EventsCounts;

typedef struct EventsPrinter EventsPrinter;

EventsPrinter *events_printer_new(EventsFilter *filter, EventsRows rows, uint64_t limit, bool json);
void events_printer_free(EventsPrinter *p); /* NULL allowed */
/* One event, as framed. relay: of a relay log, its header has the position upstream. *end: nothing more is to
 * be shown (--until, --limit). False only when reading makes no sense (a position of --from inside an event).
 * What cannot be decoded is a line and a problem. */
NODISCARD bool events_print(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev, bool relay,
                            bool *end, Err *err);
/* An event whose bytes are damaged, or the place where a file breaks off (ev->whole may be empty). */
void events_print_damage(EventsPrinter *p, const RawEvent *ev, const Err *err);
/* Another file begins: table maps and the running transaction end. */
void events_print_file(EventsPrinter *p);
/* The last line: what was read, shown, and could not be read. */
void events_print_summary(EventsPrinter *p);

EventsOut *events_printer_out(EventsPrinter *p);
const EventsCounts *events_printer_counts(const EventsPrinter *p);
const Err *events_printer_problem(const EventsPrinter *p); /* the first one */

#endif
