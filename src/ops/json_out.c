#include "ops/json_out.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

void json_out(const json_t *value, StrBuf *out)
{
    char *text = json_dumps(value, JSON_INDENT(2));
    CHECK(text, "an answer has a JSON form");
    sb_printf(out, "%s\n", text);
    free(text);
}
