#include "track/json_text.h"
#include "base/poison.h"

json_t *json_of_text(Str s)
{
    bool has_nul = s.len && memchr(s.ptr, 0, s.len); /* a NUL in a string could not be read back */
    json_t *text = has_nul ? NULL : json_stringn(s.ptr ? s.ptr : "", s.len);
    if (text) return text;
    StrBuf hex = {0};
    sb_hex(&hex, s.ptr, s.len);
    json_t *o = json_object();
    json_object_set_new(o, "hex", json_stringn(hex.ptr, hex.len));
    sb_done(&hex);
    return o;
}

static uint8_t nibble(char c)
{
    return (uint8_t)(c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 255);
}

bool json_to_text(Arena *arena, const json_t *v, Str *out)
{
    *out = (Str){0};
    if (!v) return true;
    if (json_is_string(v)) {
        *out = arena_str(arena, str_make(json_string_value(v), json_string_length(v)));
        return true;
    }
    const json_t *h = json_object_get(v, "hex");
    size_t n = h ? json_string_length(h) : 1;
    if (!json_is_string(h) || n % 2) return false;
    const char *hex = json_string_value(h);
    char *bytes = arena_alloc(arena, n / 2 + 1);
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);
        if (hi > 15 || lo > 15) return false;
        bytes[i] = (char)(hi << 4 | lo);
    }
    bytes[n / 2] = 0;
    *out = str_make(bytes, n / 2);
    return true;
}
