/* The fixtures' bytes through the fuzzers' entry functions, whole, cut and with flipped bits. */
#include "unit.h"
#include "fixture.h"

#define LLVMFuzzerTestOneInput fuzz_event
#include "../../fuzz/fuzz_event.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_row
#include "../../fuzz/fuzz_row.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_json
#include "../../fuzz/fuzz_json.c"
#undef LLVMFuzzerTestOneInput

typedef int (*Entry)(const uint8_t *data, size_t size);

/* In a block of its own size, so that the address sanitizer sees reads behind it. */
static void run(Entry entry, const char *p, size_t n)
{
    uint8_t *copy = mem_alloc(n);
    memcpy(copy, p, n);
    entry(copy, n);
    free(copy);
}

START_TEST(binlogs)
{
    json_t *root = fixture_manifest(), *fixture, *file;
    size_t i, k, files = 0;
    uint64_t state = 88172645463325252ull;
    enum { MAGIC = 4, ROUNDS = 20 };
    json_array_foreach(json_object_get(root, "fixtures"), i, fixture)
    {
        json_array_foreach(json_object_get(fixture, "files"), k, file)
        {
            StrBuf b = fixture_read(json_string_value(file), ".binlog");
            run(fuzz_event, b.ptr + MAGIC, b.len - MAGIC);
            for (unsigned round = 0; round < ROUNDS; round++) {
                state ^= state << 13, state ^= state >> 7, state ^= state << 17;
                size_t at = MAGIC + EVENT_HEADER_LEN + state % (b.len - MAGIC - EVENT_HEADER_LEN),
                       from = at > 3000 ? at - 3000 : MAGIC;
                char old = b.ptr[at];
                b.ptr[at] ^= (char)(1 << (state >> 32 & 7));
                run(fuzz_event, b.ptr + MAGIC, b.len - MAGIC);
                b.ptr[at] = old;
                run(fuzz_row, b.ptr + from, at - from);
                run(fuzz_json, b.ptr + from, at - from);
            }
            sb_done(&b);
            files++;
        }
    }
    ck_assert_uint_ge(files, 35);
    json_decref(root);
}
END_TEST

/* The JSON of the fixtures with every byte changed in turn. */
START_TEST(json_flips)
{
    static const char document[] =
        "\x00\x03\x00\x35\x00\x19\x00\x01\x00\x1a\x00\x01\x00\x1b\x00\x01\x00\x05\xff\xff\x02\x1c\x00\x0c\x30"
        "\x00"
        "abc\x02\x00\x14\x00\x0c\x0a\x00\x0f\x0d\x00\x02xy\xf6\x05\x05\x02\x80{-\x04text";
    size_t n = sizeof document - 1;
    char copy[sizeof document];
    for (size_t at = 0; at < n; at++) {
        for (unsigned v = 0; v < 256; v++) {
            memcpy(copy, document, n);
            copy[at] = (char)v;
            run(fuzz_json, copy, n);
        }
    }
}
END_TEST

static Suite *corpus_suite(void)
{
    Suite *s = suite_create("decode/corpus");
    TCase *t = tcase_create("replay");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, binlogs);
    tcase_add_test(t, json_flips);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(corpus_suite)
