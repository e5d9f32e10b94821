#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/poison.h"

void check_failed(const char *cond, const char *file, int line, const char *why)
{
    fprintf(stderr, "shardmerge: CHECK failed at %s:%d: %s (%s)\n", file, line, cond, why);
    abort();
}
