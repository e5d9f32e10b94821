/* What of a binlog the verb events shows: tables by pattern, a window of positions, GTIDs or times. Pure; one
 * owner.
 *
 * A point is a position (FILE:POS, or POS alone for the first file), a GTID, or a time (2026-11-21
 * 14:03[:00], UTC, or @SECONDS). From a position or GTID on means: with that event or transaction. Until a
 * position: up to there; until a GTID: with that transaction. Times take whole transactions, by the time of
 * their GTID event (events outside transactions by their own): not before --from, before --until. */
#ifndef SM_OPS_EVENTS_FILTER_H
#define SM_OPS_EVENTS_FILTER_H

#include "ddl/scan.h"
#include "model/gtid.h"
#include "source/stream.h"

typedef enum EventsPointKind {
    EVENTS_NOWHERE,
    EVENTS_AT_POS,
    EVENTS_AT_GTID,
    EVENTS_AT_TIME
} EventsPointKind;

typedef struct EventsPoint {
    EventsPointKind kind;
    const char *text; /* as given */
    Str file;         /* empty: the first file */
    uint64_t pos;
    Gtid gtid;
    int64_t time; /* seconds since 1970, UTC */
} EventsPoint;

/* ERR_USAGE names what can be written. text must live as long as *out; NULL: nowhere. */
NODISCARD bool events_point_parse(const char *option, const char *text, EventsPoint *out, Err *err);

typedef struct EventsFilter EventsFilter;

typedef struct EventsFilterOpts {
    const char *const *tables; /* schema.table patterns in the form of routes; `table` alone: of any schema */
    size_t n_tables;
    EventsPoint from, until;
    bool ordered; /* one stream: ends with the first transaction at or behind a time of `until` */
} EventsFilterOpts;

/* ERR_ROUTE_PATTERN. */
NODISCARD bool events_filter_new(const EventsFilterOpts *opts, EventsFilter **out, Err *err);
void events_filter_free(EventsFilter *f); /* NULL allowed */

bool events_filter_by_table(const EventsFilter *f); /* are there patterns? */
bool events_filter_table(EventsFilter *f, TableName name);
/* Might the statement name a table that passes? Too many rather than too few. */
bool events_filter_statement(EventsFilter *f, Str sql, Str schema);

typedef enum EventsWindow { EVENTS_OUTSIDE, EVENTS_INSIDE, EVENTS_BEHIND } EventsWindow;
/* Where the event stands; each event once, in order. gtid: of a GTID event, else NULL. EVENTS_BEHIND: nothing
 * that follows is shown. *ok false with *err: a position at which no event begins. */
EventsWindow events_filter_window(EventsFilter *f, const RawEvent *ev, const Gtid *gtid, bool *ok, Err *err);
/* At the end: was the point of --from met? ERR_USAGE. */
NODISCARD bool events_filter_finish(const EventsFilter *f, Err *err);

#endif
