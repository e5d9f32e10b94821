/* What a lock is told of a member's steps. Pure. */
#include "pipeline/ddl_impl.h"
#include "base/poison.h"

DdlNews ddl_news(const DdlProgress *p)
{
    if (p->written || !p->told) return DDL_NEWS_NONE;
    if (!p->covered) return DDL_NEWS_WAIT;
    if (p->all_written) return DDL_NEWS_WRITTEN;
    return p->passed ? DDL_NEWS_NONE : DDL_NEWS_PASSED;
}
