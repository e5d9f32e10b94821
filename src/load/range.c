#include <stdlib.h>
#include "base/check.h"
#include "load/load_impl.h"
#include "load/unseen.h"
#include "base/poison.h"

static Str keep(Str s)
{
    return s.len ? (Str){str_dup(s), s.len} : (Str){0};
}

Range *range_new(Str lo, Str hi, RangeState state)
{
    Range *r = mem_zalloc(sizeof *r);
    r->lo = keep(lo);
    r->hi = keep(hi);
    r->state = state;
    return r;
}

void range_forget_rows(Range *r)
{
    if (!r->by_key) return;
    map_done(r->by_key);
    free(r->by_key);
    r->by_key = NULL;
}

void range_free(Range *r)
{
    if (!r) return;
    if (r->txn) txn_free(r->txn);
    range_forget_rows(r);
    point_done(&r->until);
    unit_close(r->unit);
    free((char *)r->lo.ptr);
    free((char *)r->hi.ptr);
    free(r->u_file);
    doubt_free(r->doubt);
    free(r);
}

/* How many ranges begin below the key. */
static size_t count_below(const LoadTable *t, Str key)
{
    size_t low = 0, high = t->n_ranges;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (chunk_key_cmp(t->ranges[mid]->lo, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

Range *range_find(const LoadTable *t, Str key)
{
    if (!key.len) return t->n_ranges ? t->ranges[0] : NULL;
    size_t n = count_below(t, key);
    if (!n) return NULL;
    Range *r = t->ranges[n - 1];
    return !r->hi.len || chunk_key_cmp(key, r->hi) <= 0 ? r : NULL;
}

void range_insert(LoadTable *t, Range *r)
{
    size_t at = r->lo.len ? count_below(t, r->lo) : 0;
    if (t->n_ranges == t->cap_ranges) {
        t->cap_ranges = t->cap_ranges ? t->cap_ranges * 2 : 16;
        t->ranges = mem_realloc(t->ranges, t->cap_ranges * sizeof *t->ranges);
    }
    memmove(t->ranges + at + 1, t->ranges + at, (t->n_ranges - at) * sizeof *t->ranges);
    t->ranges[at] = r;
    t->n_ranges++;
    if (at) {
        const Range *b = t->ranges[at - 1];
        CHECK(b->hi.len && chunk_key_cmp(b->hi, r->lo) <= 0, "ranges are disjoint");
    }
    if (at + 1 < t->n_ranges) {
        const Range *a = t->ranges[at + 1];
        CHECK(r->hi.len && chunk_key_cmp(r->hi, a->lo) <= 0, "ranges are disjoint");
    }
}

void range_remove(LoadTable *t, Range *r)
{
    size_t at = 0;
    while (at < t->n_ranges && t->ranges[at] != r)
        at++;
    CHECK(at < t->n_ranges, "the range is of this table");
    memmove(t->ranges + at, t->ranges + at + 1, (t->n_ranges - at - 1) * sizeof *t->ranges);
    t->n_ranges--;
}

void range_set_hi(Range *r, Str hi)
{
    Str old = r->hi;
    r->hi = keep(hi);
    free((char *)old.ptr);
}

bool ranges_cover_all(const LoadTable *t, bool (*is)(const Range *r))
{
    Str end = {0};
    for (size_t i = 0; i < t->n_ranges; i++) {
        const Range *r = t->ranges[i];
        if (!is(r) || (i == 0 ? r->lo.len != 0 : !str_eq(r->lo, end))) return false;
        if (!r->hi.len) return true;
        end = r->hi;
    }
    return false;
}

bool place_cmp(const char *file, uint64_t pos, Str file2, uint64_t pos2, int *out)
{
    if (!file || !file2.len || !binlog_file_cmp(str_of(file), file2, out)) return false;
    if (*out == 0) *out = pos < pos2 ? -1 : pos > pos2;
    return true;
}
