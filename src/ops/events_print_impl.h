/* Shared by events_print*.c only. */
#ifndef SM_OPS_EVENTS_PRINT_IMPL_H
#define SM_OPS_EVENTS_PRINT_IMPL_H

#include "base/map.h"
#include "decode/event_payload.h"
#include "ops/events_print.h"
#include "ops/events_table.h"

struct EventsPrinter {
    EventsFilter *filter;
    EventsRows rows;
    uint64_t limit; /* 0: none */
    EventsOut out;
    EventsCounts counts;
    Err problem; /* the first */
    Map tables;  /* table id → EventsTable */
    uint64_t statement;
    StrBuf gtid; /* of the running transaction */
    bool relay;
    uint64_t inner; /* number of the event inside a payload; 0: in none */
    PayloadReader *payload;
    StrBuf scratch, body, inflated, rewritten;
};

EventPlace events_place(const EventsPrinter *p, const RawEvent *ev);
void events_problem(EventsPrinter *p, const Err *err);
void events_line_begin(EventsPrinter *p, const RawEvent *ev);
void events_line_end(EventsPrinter *p, const RawEvent *ev, Err *err);
void events_print_one(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev);

/* events_print_rows.c */
void events_tables_clear(EventsPrinter *p);
void events_print_table_map(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev);
void events_print_rows(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev);
/* An event outside the window: only what later ones need of it. */
void events_pass(EventsPrinter *p, const FormatDescription *fmt, const RawEvent *ev);

#endif
