/* Input: byte 0 bit 0: MariaDB, else MySQL; bit 1: the rest is the body of GTID_LIST or PREVIOUS_GTIDS, else
 * it is two sets as text, one a line. What is read can be written and read again, and the algebra of sets
 * holds. */
#include <stdlib.h>
#include "decode/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) abort();
}

/* Text of a set and back; a set of n bytes of input has at most MOST_TEXT_A_BYTE of text a byte (an entry of
 * 24 bytes without intervals, a tag and a gap). */
static void check_text(const GtidSet *s, Flavor flavor, size_t n)
{
    enum { MOST_TEXT_A_BYTE = 80 };
    Err err = {0};
    StrBuf text = {0};
    GtidSet *again = NULL;
    gtidset_format(s, &text);
    check(text.len <= n * MOST_TEXT_A_BYTE + 80);
    check(gtidset_parse(flavor, sb_view(&text), &again, &err) && gtidset_equal(s, again));
    gtidset_free(again);
    sb_done(&text);
}

static void check_algebra(const GtidSet *a, const GtidSet *b, Flavor flavor)
{
    StrBuf bytes = {0};
    GtidSet *both = gtidset_clone(a);
    check(gtidset_equal(a, both) && gtidset_subset(a, a));
    gtidset_merge(both, b);
    if (flavor == FLAVOR_MYSQL) {
        check(gtidset_subset(a, both) && gtidset_subset(b, both));
        gtidset_subtract(both, a);
        check(gtidset_subset(both, b));
        gtidset_subtract(both, b);
        check(gtidset_is_empty(both));
        gtidset_encode(a, &bytes);
        check(bytes.len >= 8);
    }
    sb_done(&bytes);
    gtidset_free(both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    Flavor flavor = data[0] & 1 ? FLAVOR_MARIADB : FLAVOR_MYSQL;
    Str rest = str_make(data + 1, size - 1);
    GtidSet *a = NULL, *b = NULL;
    Err err = {0};
    if (data[0] & 2) {
        bool ok = event_gtid_list(flavor, rest, &a, &err);
        check(ok != err_is_set(&err));
        if (ok) check_text(a, flavor, size);
    } else {
        Str first = str_split(&rest, '\n');
        bool ok = gtidset_parse(flavor, first, &a, &err) && gtidset_parse(flavor, rest, &b, &err);
        check(ok != err_is_set(&err));
        if (ok) {
            check_text(a, flavor, size);
            check_algebra(a, b, flavor);
        }
    }
    err_clear(&err);
    gtidset_free(a);
    gtidset_free(b);
    return 0;
}
