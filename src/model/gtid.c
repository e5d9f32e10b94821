#include "model/gtid.h"
#include <stdlib.h>
#include "base/check.h"
#include "base/poison.h"

enum { TAG_MAX = 32 };
static const uint64_t GNO_MAX = INT64_MAX - 1; /* MySQL's largest transaction number */

typedef struct Interval {
    uint64_t start, end; /* [start, end) */
} Interval;

/* MySQL: the intervals of one (uuid, tag), ascending, disjoint, never touching. */
typedef struct Sid {
    uint8_t uuid[16];
    char tag[TAG_MAX + 1];
    Interval *intervals;
    size_t n, cap;
} Sid;

struct GtidSet {
    Flavor flavor;
    Sid *sids;   /* MySQL: ascending by (uuid, tag) */
    Gtid *lasts; /* MariaDB: ascending by domain */
    size_t n, cap;
};

/* -- life -- */

GtidSet *gtidset_new(Flavor flavor)
{
    CHECK(flavor == FLAVOR_MYSQL || flavor == FLAVOR_MARIADB, "a GTID set needs a flavor");
    GtidSet *s = mem_zalloc(sizeof *s);
    s->flavor = flavor;
    return s;
}

void gtidset_free(GtidSet *s)
{
    if (!s) return;
    for (size_t i = 0; s->sids && i < s->n; i++)
        free(s->sids[i].intervals);
    free(s->sids);
    free(s->lasts);
    free(s);
}

GtidSet *gtidset_clone(const GtidSet *s)
{
    GtidSet *c = gtidset_new(s->flavor);
    c->n = c->cap = s->n;
    if (!s->n) return c;
    if (s->flavor == FLAVOR_MARIADB) {
        c->lasts = mem_alloc(sizeof *c->lasts * s->n);
        memcpy(c->lasts, s->lasts, sizeof *c->lasts * s->n);
        return c;
    }
    c->sids = mem_alloc(sizeof *c->sids * s->n);
    for (size_t i = 0; i < s->n; i++) {
        c->sids[i] = s->sids[i];
        c->sids[i].cap = s->sids[i].n;
        c->sids[i].intervals = mem_alloc(sizeof(Interval) * (s->sids[i].n + 1));
        if (s->sids[i].n) memcpy(c->sids[i].intervals, s->sids[i].intervals, sizeof(Interval) * s->sids[i].n);
    }
    return c;
}

Flavor gtidset_flavor(const GtidSet *s)
{
    return s->flavor;
}

bool gtidset_is_empty(const GtidSet *s)
{
    return s->n == 0;
}

/* -- MySQL: (uuid, tag) → intervals -- */

static int sid_cmp(const Sid *s, const uint8_t *uuid, const char *tag)
{
    int c = memcmp(s->uuid, uuid, 16);
    return c ? c : strcmp(s->tag, tag);
}

/* Place of (uuid, tag) or where it belongs. */
static size_t sid_place(const GtidSet *s, const uint8_t *uuid, const char *tag, bool *found)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = sid_cmp(&s->sids[mid], uuid, tag);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

static const Sid *sid_find(const GtidSet *s, const uint8_t *uuid, const char *tag)
{
    bool found;
    size_t at = sid_place(s, uuid, tag, &found);
    return found ? &s->sids[at] : NULL;
}

static Sid *sid_get(GtidSet *s, const uint8_t *uuid, const char *tag)
{
    bool found;
    size_t at = sid_place(s, uuid, tag, &found);
    if (found) return &s->sids[at];
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 4;
        s->sids = mem_realloc(s->sids, sizeof *s->sids * s->cap);
    }
    memmove(&s->sids[at + 1], &s->sids[at], sizeof *s->sids * (s->n - at));
    s->n++;
    Sid *d = &s->sids[at];
    *d = (Sid){0};
    memcpy(d->uuid, uuid, 16);
    memcpy(d->tag, tag, strlen(tag) + 1);
    return d;
}

static void sid_remove(GtidSet *s, size_t at)
{
    free(s->sids[at].intervals);
    memmove(&s->sids[at], &s->sids[at + 1], sizeof *s->sids * (s->n - at - 1));
    s->n--;
}

/* First interval whose end is >= gno: the one that holds gno or touches it from below, or where it belongs.
 */
static size_t interval_place(const Sid *d, uint64_t gno)
{
    size_t lo = 0, hi = d->n;
    if (hi && d->intervals[hi - 1].end >= gno && (hi == 1 || d->intervals[hi - 2].end < gno)) return hi - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (d->intervals[mid].end < gno)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void interval_add(Sid *d, uint64_t start, uint64_t end)
{
    size_t at = interval_place(d, start), to = at;
    Interval new = {start, end};
    while (to < d->n && d->intervals[to].start <= end) { /* touches or overlaps: swallow */
        new.start = MIN(new.start, d->intervals[to].start);
        new.end = MAX(new.end, d->intervals[to].end);
        to++;
    }
    if (to == at) {
        if (d->n == d->cap) {
            d->cap = d->cap ? d->cap * 2 : 4;
            d->intervals = mem_realloc(d->intervals, sizeof *d->intervals * d->cap);
        }
        memmove(&d->intervals[at + 1], &d->intervals[at], sizeof *d->intervals * (d->n - at));
        d->n++;
    } else {
        memmove(&d->intervals[at + 1], &d->intervals[to], sizeof *d->intervals * (d->n - to));
        d->n -= to - at - 1;
    }
    d->intervals[at] = new;
}

static bool interval_contains(const Sid *d, uint64_t start, uint64_t end)
{
    if (!d) return false;
    size_t at = interval_place(d, start + 1); /* touching from below is not containing */
    return at < d->n && d->intervals[at].start <= start && d->intervals[at].end >= end;
}

static void interval_cut(Sid *d, uint64_t start, uint64_t end)
{
    Sid kept = {0};
    for (size_t i = 0; i < d->n; i++) {
        Interval v = d->intervals[i];
        if (v.start < start) interval_add(&kept, v.start, MIN(v.end, start));
        if (v.end > end) interval_add(&kept, MAX(v.start, end), v.end);
    }
    free(d->intervals);
    d->intervals = kept.intervals;
    d->n = kept.n;
    d->cap = kept.cap;
}

/* -- MariaDB: domain → last -- */

static size_t domain_place(const GtidSet *s, uint32_t domain, bool *found)
{
    size_t at = 0; /* a handful of domains at most */
    while (at < s->n && s->lasts[at].domain < domain)
        at++;
    *found = at < s->n && s->lasts[at].domain == domain;
    return at;
}

static void domain_put(GtidSet *s, const Gtid *g)
{
    bool found;
    size_t at = domain_place(s, g->domain, &found);
    if (!found) {
        if (s->n == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 4;
            s->lasts = mem_realloc(s->lasts, sizeof *s->lasts * s->cap);
        }
        memmove(&s->lasts[at + 1], &s->lasts[at], sizeof *s->lasts * (s->n - at));
        s->n++;
    }
    s->lasts[at] =
        (Gtid){.flavor = FLAVOR_MARIADB, .domain = g->domain, .server_id = g->server_id, .seq = g->seq};
}

bool gtidset_domain_last(const GtidSet *s, uint32_t domain, Gtid *out)
{
    CHECK(s->flavor == FLAVOR_MARIADB, "domains are MariaDB's");
    bool found;
    size_t at = domain_place(s, domain, &found);
    if (found) *out = s->lasts[at];
    return found;
}

/* -- set operations -- */

static void check_same(Flavor a, Flavor b)
{
    CHECK(a == b, "GTIDs of different flavors do not compare");
}

void gtidset_add(GtidSet *s, const Gtid *g)
{
    check_same(s->flavor, g->flavor);
    if (s->flavor == FLAVOR_MARIADB)
        domain_put(s, g);
    else
        interval_add(sid_get(s, g->uuid, g->tag), g->gno, g->gno + 1);
}

bool gtidset_contains(const GtidSet *s, const Gtid *g)
{
    check_same(s->flavor, g->flavor);
    Gtid last;
    if (s->flavor == FLAVOR_MARIADB) return gtidset_domain_last(s, g->domain, &last) && g->seq <= last.seq;
    return interval_contains(sid_find(s, g->uuid, g->tag), g->gno, g->gno + 1);
}

bool gtidset_subset(const GtidSet *a, const GtidSet *b)
{
    check_same(a->flavor, b->flavor);
    for (size_t i = 0; i < a->n; i++) {
        if (a->flavor == FLAVOR_MARIADB) {
            if (!gtidset_contains(b, &a->lasts[i])) return false;
            continue;
        }
        const Sid *mine = &a->sids[i], *other = sid_find(b, mine->uuid, mine->tag);
        for (size_t j = 0; j < mine->n; j++)
            if (!interval_contains(other, mine->intervals[j].start, mine->intervals[j].end)) return false;
    }
    return true;
}

bool gtidset_equal(const GtidSet *a, const GtidSet *b)
{
    check_same(a->flavor, b->flavor);
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        if (a->flavor == FLAVOR_MARIADB) {
            if (!gtid_equal(&a->lasts[i], &b->lasts[i])) return false;
            continue;
        }
        const Sid *x = &a->sids[i], *y = &b->sids[i];
        if (sid_cmp(x, y->uuid, y->tag) != 0 || x->n != y->n) return false;
        if (x->n && memcmp(x->intervals, y->intervals, sizeof(Interval) * x->n) != 0) return false;
    }
    return true;
}

void gtidset_merge(GtidSet *s, const GtidSet *other)
{
    check_same(s->flavor, other->flavor);
    for (size_t i = 0; i < other->n; i++) {
        if (s->flavor == FLAVOR_MARIADB) {
            if (!gtidset_contains(s, &other->lasts[i])) domain_put(s, &other->lasts[i]);
            continue;
        }
        const Sid *from = &other->sids[i];
        Sid *to = sid_get(s, from->uuid, from->tag);
        for (size_t j = 0; j < from->n; j++)
            interval_add(to, from->intervals[j].start, from->intervals[j].end);
    }
}

void gtidset_subtract(GtidSet *s, const GtidSet *other)
{
    check_same(s->flavor, other->flavor);
    CHECK(s->flavor == FLAVOR_MYSQL, "a MariaDB position cannot be subtracted");
    for (size_t i = 0; i < other->n; i++) {
        bool found;
        size_t at = sid_place(s, other->sids[i].uuid, other->sids[i].tag, &found);
        if (!found) continue;
        for (size_t j = 0; j < other->sids[i].n; j++)
            interval_cut(&s->sids[at], other->sids[i].intervals[j].start, other->sids[i].intervals[j].end);
        if (!s->sids[at].n) sid_remove(s, at);
    }
}

bool gtid_equal(const Gtid *a, const Gtid *b)
{
    if (a->flavor != b->flavor) return false;
    if (a->flavor == FLAVOR_MARIADB)
        return a->domain == b->domain && a->server_id == b->server_id && a->seq == b->seq;
    return a->gno == b->gno && memcmp(a->uuid, b->uuid, 16) == 0 && strcmp(a->tag, b->tag) == 0;
}

/* -- the wire form of COM_BINLOG_DUMP_GTID --
 * Source of truth: Gtid_set::encode in MySQL's sql/rpl_gtid_set.cc, and PREVIOUS_GTIDS events, which have the
 * same form. untagged: u64 number of sids; per sid: uuid (16), u64 number of intervals, u64 start + u64 end
 * (exclusive) each tagged:   first u64 is 1 << 56 | number << 8 | 1; behind each uuid the tag: one byte
 * length << 1, then its bytes */

static void sb_le64(StrBuf *b, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        sb_ch(b, (char)(v >> (8 * i)));
}

void gtidset_encode(const GtidSet *s, StrBuf *out)
{
    CHECK(s->flavor == FLAVOR_MYSQL, "MariaDB positions travel as text");
    bool tagged = false;
    for (size_t i = 0; i < s->n; i++)
        tagged |= s->sids[i].tag[0] != 0;
    sb_le64(out, tagged ? UINT64_C(1) << 56 | (uint64_t)s->n << 8 | 1 : s->n);
    for (size_t i = 0; i < s->n; i++) {
        const Sid *d = &s->sids[i];
        sb_add(out, d->uuid, 16);
        if (tagged) {
            sb_ch(out, (char)(strlen(d->tag) << 1));
            sb_c(out, d->tag);
        }
        sb_le64(out, d->n);
        for (size_t j = 0; j < d->n; j++) {
            sb_le64(out, d->intervals[j].start);
            sb_le64(out, d->intervals[j].end);
        }
    }
}

/* -- text -- */

static void uuid_format(const uint8_t *uuid, StrBuf *out)
{
    static const size_t cuts[] = {4, 2, 2, 2, 6};
    for (size_t i = 0, at = 0; i < ARRAY_LEN(cuts); at += cuts[i++]) {
        if (i) sb_ch(out, '-');
        sb_hex(out, uuid + at, cuts[i]);
    }
}

void gtid_format(const Gtid *g, StrBuf *out)
{
    if (g->flavor == FLAVOR_MARIADB) {
        sb_printf(out, "%u-%u-%llu", g->domain, g->server_id, (unsigned long long)g->seq);
        return;
    }
    uuid_format(g->uuid, out);
    if (g->tag[0]) sb_printf(out, ":%s", g->tag);
    sb_ch(out, ':');
    sb_u64(out, g->gno);
}

void gtidset_format(const GtidSet *s, StrBuf *out)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->flavor == FLAVOR_MARIADB) {
            if (i) sb_ch(out, ',');
            gtid_format(&s->lasts[i], out);
            continue;
        }
        const Sid *d = &s->sids[i];
        bool same_uuid = i && memcmp(s->sids[i - 1].uuid, d->uuid, 16) == 0;
        if (!same_uuid) {
            if (i) sb_ch(out, ',');
            uuid_format(d->uuid, out);
        }
        if (d->tag[0]) sb_printf(out, ":%s", d->tag);
        for (size_t j = 0; j < d->n; j++) {
            sb_ch(out, ':');
            sb_u64(out, d->intervals[j].start);
            if (d->intervals[j].end - d->intervals[j].start == 1) continue;
            sb_ch(out, '-');
            sb_u64(out, d->intervals[j].end - 1);
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 32 hex digits, with dashes at the usual places or without any, optionally in braces. */
static bool uuid_parse(Str s, uint8_t *out)
{
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}') s = str_make(s.ptr + 1, s.len - 2);
    bool dashes = s.len == 36;
    if (!dashes && s.len != 32) return false;
    for (size_t i = 0, n = 0; i < s.len;) {
        if (dashes && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (s.ptr[i++] != '-') return false;
            continue;
        }
        int hi = hex_digit(s.ptr[i]), lo = hex_digit(s.ptr[i + 1]);
        if (hi < 0 || lo < 0) return false;
        out[n++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    return true;
}

/* A letter or underscore, then letters, digits, underscores; kept in lower case as the server does. */
static bool tag_parse(Str s, char *out)
{
    if (!s.len || s.len > TAG_MAX) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        bool digit = c >= '0' && c <= '9';
        if (!((c >= 'a' && c <= 'z') || c == '_' || (digit && i))) return false;
        out[i] = c;
    }
    out[s.len] = 0;
    return true;
}

static bool interval_parse(Str s, uint64_t *start, uint64_t *end)
{
    const char *dash = memchr(s.ptr, '-', s.len);
    Str first = dash ? str_make(s.ptr, (size_t)(dash - s.ptr)) : s;
    Str second = dash ? str_make(dash + 1, s.len - first.len - 1) : s;
    uint64_t last;
    if (!str_to_u64(str_trim(first), start) || !str_to_u64(str_trim(second), &last)) return false;
    *end = last + 1;
    return *start >= 1 && last >= *start && last <= GNO_MAX;
}

/* uuid[:tag]:interval[:interval…][:tag:interval…] */
static bool sid_parse(GtidSet *s, Str text)
{
    uint8_t uuid[16];
    char tag[TAG_MAX + 1] = "";
    bool any = false;
    if (!uuid_parse(str_trim(str_split(&text, ':')), uuid)) return false;
    while (text.len) {
        bool last = memchr(text.ptr, ':', text.len) == NULL;
        Str part = str_trim(str_split(&text, ':'));
        uint64_t start, end;
        if (!last && !text.len) return false; /* a colon with nothing behind it */
        if (part.len && part.ptr[0] >= '0' && part.ptr[0] <= '9') {
            if (!interval_parse(part, &start, &end)) return false;
            interval_add(sid_get(s, uuid, tag), start, end);
            any = true;
        } else if (last || !tag_parse(part, tag))
            return false;
    }
    return any;
}

static bool domain_gtid_parse(Str text, Gtid *out)
{
    uint64_t domain, server, seq;
    Str rest = text;
    Str a = str_split(&rest, '-'), b = str_split(&rest, '-');
    if (!str_to_u64(a, &domain) || !str_to_u64(b, &server) || !str_to_u64(rest, &seq)) return false;
    if (domain > UINT32_MAX || server > UINT32_MAX) return false;
    *out = (Gtid){
        .flavor = FLAVOR_MARIADB, .domain = (uint32_t)domain, .server_id = (uint32_t)server, .seq = seq};
    return true;
}

bool gtidset_parse(Flavor flavor, Str text, GtidSet **out, Err *err)
{
    GtidSet *s = gtidset_new(flavor);
    *out = NULL;
    for (Str rest = str_trim(text); rest.len;) {
        Str part = str_trim(str_split(&rest, ','));
        if (!part.len) continue; /* servers print and accept ",\n" */
        Gtid g, before;
        bool ok = flavor == FLAVOR_MYSQL ? sid_parse(s, part) : domain_gtid_parse(part, &g);
        if (ok && flavor == FLAVOR_MARIADB && gtidset_domain_last(s, g.domain, &before)) {
            gtidset_free(s);
            return err_set(err, ERR_GTID_SYNTAX,
                           "domain %u stands twice in the GTID position \"" STR_FMT "\"", g.domain,
                           STR_ARG(text));
        }
        if (!ok) {
            gtidset_free(s);
            return err_set(err, ERR_GTID_SYNTAX, "\"" STR_FMT "\" is not a %s GTID %s", STR_ARG(part),
                           flavor == FLAVOR_MYSQL ? "MySQL" : "MariaDB",
                           flavor == FLAVOR_MYSQL ? "set (uuid:1-5)" : "(domain-server-sequence)");
        }
        if (flavor == FLAVOR_MARIADB) domain_put(s, &g);
    }
    *out = s;
    return true;
}

bool gtid_parse(Flavor flavor, Str text, Gtid *out, Err *err)
{
    text = str_trim(text);
    if (flavor == FLAVOR_MARIADB && domain_gtid_parse(text, out)) return true;
    GtidSet *s = gtidset_new(flavor);
    bool ok = flavor == FLAVOR_MYSQL && sid_parse(s, text) && s->n == 1 && s->sids[0].n == 1 &&
              s->sids[0].intervals[0].end - s->sids[0].intervals[0].start == 1;
    if (ok) {
        *out = (Gtid){.flavor = FLAVOR_MYSQL, .gno = s->sids[0].intervals[0].start};
        memcpy(out->uuid, s->sids[0].uuid, 16);
        memcpy(out->tag, s->sids[0].tag, sizeof out->tag);
    }
    gtidset_free(s);
    if (ok) return true;
    return err_set(err, ERR_GTID_SYNTAX, "\"" STR_FMT "\" is not one %s GTID", STR_ARG(text),
                   flavor == FLAVOR_MYSQL ? "MySQL" : "MariaDB");
}
