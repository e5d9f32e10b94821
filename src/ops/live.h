/* The live page of `run` on a terminal: redrawn in place, log lines scroll above it. */
#ifndef SM_OPS_LIVE_H
#define SM_OPS_LIVE_H

#include "base/str.h"

typedef struct Live Live;

/* Is fd a terminal that can show it? (TERM not dumb) */
bool live_possible(int fd);
/* Takes the terminal and the log's lines. */
Live *live_open(int fd);
/* Draws the page anew: lines are cut to the terminal's width, the page to its height. Any thread. */
void live_show(Live *l, Str page);
/* Leaves the last page standing, gives the terminal and the log back. NULL allowed. */
void live_close(Live *l);
/* The terminal's state back, at once, without locks: before an immediate exit. NULL allowed. */
void live_restore(const Live *l);
/* NO_COLOR (https://no-color.org) is not set. */
bool live_color_wanted(void);

#endif
