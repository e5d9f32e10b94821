#include "base/err_json.h"
#include <stdlib.h>
#include "base/poison.h"

json_t *json_text(Str s)
{
    StrBuf text = {0};
    sb_utf8(&text, s);
    json_t *t = json_stringn(text.ptr ? text.ptr : "", text.len);
    sb_done(&text);
    return t;
}

json_t *err_to_json(const Err *err)
{
    if (!err_is_set(err)) return json_null();
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:i}", "code", json_sprintf("SM-%d", (int)err->code), "name",
                     err_code_name(err->code), "class", err_class_name(err_class(err)), "message",
                     json_text(str_of(err->message ? err->message : "")), "remedy", err_remedy(err), "exit",
                     err_exit_status(err));
}

void err_json_text(const Err *err, StrBuf *out)
{
    if (!err_is_set(err)) return;
    json_t *o = err_to_json(err);
    char *text = json_dumps(o, JSON_COMPACT);
    sb_c(out, text ? text : "");
    free(text);
    json_decref(o);
}
