/* The dry run's answer as text for people and as JSON. Pure. */
#ifndef SM_OPS_ROUTE_REPORT_H
#define SM_OPS_ROUTE_REPORT_H

#include "ops/route_compare.h"
#include "route/plan.h"

/* All parts are the caller's and must outlive the report. */
typedef struct RouteReport {
    Str task;
    const Str *source_ids;
    size_t n_sources;
    const RoutePlan *plan;
    const RouteComparison
        *comparisons;               /* one per target of the plan; NULL: names only, no server was asked */
    const RouteKeys *keys;          /* with comparisons */
    const RouteProblem *downstream; /* why the downstream was not looked at, or NULL */
} RouteReport;

/* True when anything but notes was found. */
bool route_report_has_problems(const RouteReport *r);
/* Every table with target and rule; filtered ones by reason and number, or one by one with all; targets with
 * members and state; differences; problems. */
void route_report_human(const RouteReport *r, bool all, StrBuf *out);
/* {"task","live","ok","sources":[…],"tables":[…],"targets":[…],"problems":[…]}, one line; every table is
 * listed. */
void route_report_json(const RouteReport *r, StrBuf *out);

#endif
