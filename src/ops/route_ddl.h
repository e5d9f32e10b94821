/* The targets' definitions that fit their key strategies, as a script or JSON. Pure. */
#ifndef SM_OPS_ROUTE_DDL_H
#define SM_OPS_ROUTE_DDL_H

#include "ops/route_report.h"

/* A script: CREATE TABLE of every target, advice as comments; for a target that is there and does not fit,
 * the ALTER as a comment in front. */
void route_ddl_human(const RouteReport *r, StrBuf *out);
/* {"task","targets":[{"schema","table","strategy","create"|null,"advice":[…],"exists","fits"|null,"misfit","alter"}]}
 */
void route_ddl_json(const RouteReport *r, StrBuf *out);

#endif
