#include "model/point.h"
#include <jansson.h>
#include <stdlib.h>
#include "base/poison.h"

void point_done(StreamPoint *p)
{
    gtidset_free(p->gtids);
    free(p->file);
    free(p->server);
    *p = (StreamPoint){0};
}

void point_copy(StreamPoint *dst, const StreamPoint *src)
{
    *dst = *src;
    if (src->gtids) dst->gtids = gtidset_clone(src->gtids);
    if (src->file) dst->file = str_dup(str_of(src->file));
    if (src->server) dst->server = str_dup(str_of(src->server));
}

bool binlog_file_cmp(Str a, Str b, int *out)
{
    Str ea = a, eb = b;
    while (ea.len && ea.ptr[ea.len - 1] >= '0' && ea.ptr[ea.len - 1] <= '9')
        ea.len--;
    while (eb.len && eb.ptr[eb.len - 1] >= '0' && eb.ptr[eb.len - 1] <= '9')
        eb.len--;
    uint64_t na = 0, nb = 0;
    if (!str_eq(ea, eb) || !str_to_u64((Str){a.ptr + ea.len, a.len - ea.len}, &na) ||
        !str_to_u64((Str){b.ptr + eb.len, b.len - eb.len}, &nb))
        return false;
    *out = na < nb ? -1 : na > nb;
    return true;
}

void point_set_file(StreamPoint *p, Str file, uint64_t pos)
{
    if (!p->file || !str_eqc(file, p->file)) {
        char *copy = str_dup(file); /* file may be a view of p->file */
        free(p->file);
        p->file = copy;
    }
    p->pos = pos;
}

static void json_text(StrBuf *json, const char *key, Str text)
{
    sb_printf(json, ",\"%s\":\"", key);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            sb_printf(json, "\\%c", c);
        else if (c < 0x20)
            sb_printf(json, "\\u%04x", c);
        else
            sb_ch(json, (char)c);
    }
    sb_ch(json, '"');
}

void point_format(const StreamPoint *p, StrBuf *json)
{
    sb_printf(json, "{\"flavor\":\"%s\"", flavor_name(p->flavor));
    if (p->gtids) {
        StrBuf text = {0};
        gtidset_format(p->gtids, &text);
        json_text(json, "gtid", sb_view(&text));
        sb_done(&text);
    }
    if (p->file) {
        json_text(json, "file", str_of(p->file));
        sb_printf(json, ",\"pos\":%llu", (unsigned long long)p->pos);
    }
    if (p->server) json_text(json, "server", str_of(p->server));
    if (p->evidence.set)
        sb_printf(json, ",\"evidence\":{\"pos\":%llu,\"size\":%u,\"timestamp\":%u,\"crc\":%u}",
                  (unsigned long long)p->evidence.event_pos, p->evidence.event_size, p->evidence.timestamp,
                  p->evidence.crc);
    sb_ch(json, '}');
}

/* A member of the wanted type, or NULL when absent; *bad when it has another type. */
static json_t *member(json_t *o, const char *key, json_type type, bool *bad)
{
    json_t *v = json_object_get(o, key);
    if (!v || json_typeof(v) == type) return v;
    *bad = true;
    return NULL;
}

static char *member_text(json_t *o, const char *key, bool *bad)
{
    json_t *v = member(o, key, JSON_STRING, bad);
    return v ? str_dup(str_make(json_string_value(v), json_string_length(v))) : NULL;
}

static uint64_t member_uint(json_t *o, const char *key, uint64_t max, bool *bad)
{
    json_t *v = member(o, key, JSON_INTEGER, bad);
    if (!v || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max) {
        *bad = true;
        return 0;
    }
    return (uint64_t)json_integer_value(v);
}

static bool parse_object(json_t *o, StreamPoint *p, Err *err)
{
    bool bad = false;
    char *flavor = member_text(o, "flavor", &bad);
    if (flavor)
        p->flavor = strcmp(flavor, "mysql") == 0     ? FLAVOR_MYSQL
                    : strcmp(flavor, "mariadb") == 0 ? FLAVOR_MARIADB
                                                     : FLAVOR_UNKNOWN;
    if (!flavor || (p->flavor == FLAVOR_UNKNOWN && strcmp(flavor, "unknown") != 0)) bad = true;
    free(flavor);
    p->file = member_text(o, "file", &bad);
    p->server = member_text(o, "server", &bad);
    if (p->file) p->pos = member_uint(o, "pos", INT64_MAX, &bad);
    json_t *e = member(o, "evidence", JSON_OBJECT, &bad);
    if (e)
        p->evidence = (PointEvidence){.set = true,
                                      .event_pos = member_uint(e, "pos", INT64_MAX, &bad),
                                      .event_size = (uint32_t)member_uint(e, "size", UINT32_MAX, &bad),
                                      .timestamp = (uint32_t)member_uint(e, "timestamp", UINT32_MAX, &bad),
                                      .crc = (uint32_t)member_uint(e, "crc", UINT32_MAX, &bad)};
    char *gtid = member_text(o, "gtid", &bad);
    if (gtid && p->flavor == FLAVOR_UNKNOWN) bad = true;
    bool ok = !bad;
    if (bad)
        err_set(err, ERR_CORRUPT, "a stored stream point has a member that is missing or of the wrong type");
    else if (gtid)
        ok = gtidset_parse(p->flavor, str_of(gtid), &p->gtids, err);
    free(gtid);
    return ok;
}

bool point_parse(Str json, StreamPoint *out, Err *err)
{
    *out = (StreamPoint){0};
    json_error_t where;
    json_t *o = json_loadb(json.ptr ? json.ptr : "", json.len, 0, &where);
    if (!o || !json_is_object(o)) {
        json_decref(o);
        return err_set(err, ERR_CORRUPT, "a stored stream point is not JSON: %s",
                       o ? "not an object" : where.text);
    }
    bool ok = parse_object(o, out, err);
    json_decref(o);
    if (!ok) point_done(out);
    return ok;
}

void point_format_human(const StreamPoint *p, StrBuf *out)
{
    bool gtids = p->gtids && !gtidset_is_empty(p->gtids);
    if (gtids) gtidset_format(p->gtids, out);
    if (p->file) {
        if (gtids) sb_c(out, " (");
        sb_printf(out, "%s:%llu", p->file, (unsigned long long)p->pos);
        if (gtids) sb_ch(out, ')');
    }
    if (!gtids && !p->file) sb_c(out, p->gtids ? "the beginning" : "no position yet");
}
