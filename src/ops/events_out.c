#include "ops/events_out.h"
#include "base/clock.h"
#include "base/err_json.h"
#include "base/poison.h"

enum { RAW_MOST = 4096 };

void events_out_done(EventsOut *o)
{
    sb_done(&o->text);
    sb_done(&o->time_text);
    *o = (EventsOut){0};
}

/* -- texts -- */

/* Bytes of the well-formed UTF-8 character at p, 0 when there is none. */
static size_t utf8_char(const uint8_t *p, size_t n)
{
    if (p[0] < 0x80) return 1;
    size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : (p[0] & 0xf0) == 0xe0        ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (!len || n < len) return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    uint32_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint32_t high = p[0] == 0xed   ? 0x9f
                    : p[0] == 0xf4 ? 0x8f
                                   : 0xbf; /* no surrogates, nothing above U+10FFFF */
    return p[1] >= low && p[1] <= high ? len : 0;
}

static bool is_utf8(Str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char(p + i, s.len - i);
        if (!n) return false;
        i += n;
    }
    return true;
}

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.ptr[i] >= 0x80) return false;
    return true;
}

static void put_json_string(StrBuf *b, Str s)
{
    size_t from = 0;
    sb_ch(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (LIKELY(c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)) continue;
        sb_add(b, s.ptr + from, i - from);
        if (c == '"' || c == '\\')
            sb_ch(b, '\\'), sb_ch(b, (char)c);
        else if (c == '\n')
            sb_c(b, "\\n");
        else
            sb_printf(b, "\\u%04x", c);
        from = i + 1;
    }
    sb_add(b, s.ptr + from, s.len - from);
    sb_ch(b, '"');
}

/* 'text'; \xNN for bytes that are no UTF-8 and for control characters. */
static void quoted(StrBuf *b, Str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    sb_ch(b, '\'');
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char(p + i, s.len - i);
        if (n > 1)
            sb_add(b, p + i, n);
        else if (p[i] == '\'' || p[i] == '\\')
            sb_ch(b, '\\'), sb_ch(b, (char)p[i]);
        else if (p[i] == '\n')
            sb_c(b, "\\n");
        else if (p[i] == '\r')
            sb_c(b, "\\r");
        else if (p[i] == '\t')
            sb_c(b, "\\t");
        else if (!n || p[i] < 0x20 || p[i] == 0x7f)
            sb_printf(b, "\\x%02x", p[i]);
        else
            sb_ch(b, (char)p[i]);
        i += n ? n : 1;
    }
    sb_ch(b, '\'');
}

static void put_json_hex(StrBuf *b, Str bytes, Str charset)
{
    sb_ch(b, '{');
    if (charset.len) {
        sb_c(b, "\"charset\":");
        put_json_string(b, charset);
        sb_ch(b, ',');
    }
    sb_c(b, "\"hex\":\"");
    sb_hex(b, bytes.ptr, bytes.len);
    sb_c(b, "\"}");
}

static void any_text(EventsOut *o, Str s)
{
    if (!o->json)
        quoted(&o->text, s);
    else if (is_utf8(s))
        put_json_string(&o->text, s);
    else
        put_json_hex(&o->text, s, (Str){0});
}

/* -- a line's fields -- */

static void key(EventsOut *o, const char *name)
{
    if (o->json) {
        if (!o->first) sb_ch(&o->text, ',');
        o->first = false;
        put_json_string(&o->text, str_of(name));
        sb_ch(&o->text, ':');
    } else
        sb_printf(&o->text, " %s=", name);
}

static Str time_text(EventsOut *o, uint32_t timestamp)
{
    if (o->time_text.len && o->time_of == timestamp) return sb_view(&o->time_text);
    enum { FRACTION = 5 }; /* ".000Z" */
    sb_clear(&o->time_text);
    clock_format_utc(&o->time_text, (int64_t)timestamp * 1000);
    o->time_text.len -= FRACTION;
    sb_ch(&o->time_text, 'Z');
    o->time_of = timestamp;
    return sb_view(&o->time_text);
}

void events_out_begin(EventsOut *o, const EventPlace *at, const char *type)
{
    StrBuf *b = &o->text;
    if (!o->json) {
        if (at->timestamp)
            sb_str(b, time_text(o, at->timestamp));
        else
            sb_c(b, "-                   ");
        sb_ch(b, ' ');
        sb_str(b, at->file);
        sb_ch(b, ':');
        sb_u64(b, at->pos);
        sb_ch(b, '-');
        sb_u64(b, at->end);
        sb_ch(b, ' ');
        sb_str(b, at->gtid.len ? at->gtid : STR("-"));
        sb_ch(b, ' ');
        sb_c(b, type);
        return;
    }
    sb_ch(b, '{');
    o->first = true;
    key(o, "time");
    if (at->timestamp)
        put_json_string(b, time_text(o, at->timestamp));
    else
        sb_c(b, "null");
    events_out_word(o, "file", at->file);
    events_out_count(o, "pos", at->pos);
    events_out_count(o, "end", at->end);
    key(o, "gtid");
    if (at->gtid.len)
        put_json_string(b, at->gtid);
    else
        sb_c(b, "null");
    events_out_word(o, "type", str_of(type));
}

void events_out_end(EventsOut *o)
{
    if (o->json) sb_ch(&o->text, '}');
    sb_ch(&o->text, '\n');
}

void events_out_text(EventsOut *o, const char *name, Str value)
{
    key(o, name);
    any_text(o, value);
}

void events_out_word(EventsOut *o, const char *name, Str value)
{
    key(o, name);
    if (o->json || !value.len || !is_utf8(value))
        any_text(o, value);
    else
        sb_str(&o->text, value);
}

void events_out_count(EventsOut *o, const char *name, uint64_t value)
{
    key(o, name);
    sb_u64(&o->text, value);
}

void events_out_flag(EventsOut *o, const char *name)
{
    if (o->json) {
        key(o, name);
        sb_c(&o->text, "true");
    } else
        sb_printf(&o->text, " %s", name);
}

void events_out_table(EventsOut *o, Str schema, Str table)
{
    if (o->json) {
        events_out_text(o, "schema", schema);
        events_out_text(o, "table", table);
        return;
    }
    sb_ch(&o->text, ' ');
    sb_str(&o->text, schema);
    sb_ch(&o->text, '.');
    sb_str(&o->text, table);
}

void events_out_error(EventsOut *o, const Err *err, Str raw)
{
    Str head = str_make(raw.ptr, raw.len > RAW_MOST ? RAW_MOST : raw.len);
    if (o->json) {
        key(o, "error");
        err_json_text(err, &o->text);
    } else
        sb_printf(&o->text, " NOT READ [SM-%d %s] %s; %s", (int)err->code, err_code_name(err->code),
                  err->message ? err->message : "", err_remedy(err));
    events_out_count(o, "raw_bytes", raw.len);
    key(o, "raw");
    if (o->json) sb_ch(&o->text, '"');
    sb_hex(&o->text, head.ptr, head.len);
    if (o->json) sb_ch(&o->text, '"');
}

/* -- rows -- */

void events_out_row(EventsOut *o, const EventPlace *at, const char *type, Str schema, Str table)
{
    if (!o->json) return; /* the event's line stands above */
    events_out_begin(o, at, type);
    events_out_table(o, schema, table);
}

void events_out_change(EventsOut *o, uint64_t row, const char *change)
{
    if (!o->json) return;
    events_out_count(o, "row", row);
    events_out_word(o, "change", str_of(change));
}

void events_out_image(EventsOut *o, bool after)
{
    if (o->json) {
        key(o, after ? "after" : "before");
        sb_ch(&o->text, '{');
        o->first = true;
    } else
        sb_c(&o->text, after ? "    +" : "    -");
}

void events_out_image_end(EventsOut *o)
{
    sb_ch(&o->text, o->json ? '}' : '\n');
    o->first = false;
}

void events_out_column(EventsOut *o, Str name)
{
    StrBuf *b = &o->text;
    if (o->json) {
        if (!o->first) sb_ch(b, ',');
        o->first = false;
        put_json_string(b, name);
        sb_ch(b, ':');
        return;
    }
    sb_ch(b, ' ');
    sb_str(b, name);
    sb_ch(b, '=');
}

void events_out_null(EventsOut *o)
{
    sb_c(&o->text, o->json ? "null" : "NULL");
}

void events_out_plain(EventsOut *o, Str text)
{
    if (o->json) sb_ch(&o->text, '"');
    sb_str(&o->text, text);
    if (o->json) sb_ch(&o->text, '"');
}

void events_out_string(EventsOut *o, Str text, Str charset, EventsOutText form)
{
    bool plain =
        !text.len || (form == EVENTS_OUT_UTF8 ? is_utf8(text) : form == EVENTS_OUT_ASCII && is_ascii(text));
    if (plain) {
        any_text(o, text);
    } else if (o->json) {
        put_json_hex(&o->text, text, charset);
    } else if (charset.len) {
        sb_ch(&o->text, '_');
        sb_str(&o->text, charset);
        sb_c(&o->text, " x'");
        sb_hex(&o->text, text.ptr, text.len);
        sb_ch(&o->text, '\'');
    } else {
        sb_c(&o->text, "0x");
        sb_hex(&o->text, text.ptr, text.len);
    }
}

void events_out_bytes(EventsOut *o, Str hex)
{
    sb_c(&o->text, o->json ? "{\"hex\":\"" : "0x");
    sb_str(&o->text, hex);
    if (o->json) sb_c(&o->text, "\"}");
}

void events_out_signs(EventsOut *o, int64_t as_signed, uint64_t as_unsigned)
{
    sb_printf(&o->text, o->json ? "{\"signed\":\"%lld\",\"unsigned\":\"%llu\"}" : "%lld(%llu)",
              (long long)as_signed, (unsigned long long)as_unsigned);
}

void events_out_unread(EventsOut *o, Str bytes, const char *why)
{
    if (o->json) {
        sb_c(&o->text, "{\"hex\":\"");
        sb_hex(&o->text, bytes.ptr, bytes.len);
        sb_c(&o->text, "\",\"not_read\":");
        put_json_string(&o->text, str_of(why));
        sb_ch(&o->text, '}');
        return;
    }
    sb_c(&o->text, "0x");
    sb_hex(&o->text, bytes.ptr, bytes.len);
    sb_printf(&o->text, "(NOT READ: %s)", why);
}
