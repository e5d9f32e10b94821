/* Reference pages, made from the tables in the code: commands, configuration, errors, log events. */
#ifndef SM_OPS_DOCS_H
#define SM_OPS_DOCS_H

#include "base/err.h"

/* Appends the page of that name as Markdown. ERR_USAGE lists the names. Pure. */
NODISCARD bool docs_page(const char *name, StrBuf *out, Err *err);

#endif
