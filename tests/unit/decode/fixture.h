/* Files of fixtures/binlog for the tests of this folder: the program runs from the top of the repository. A
 * file that is missing fails the test. */
#ifndef SM_TESTS_DECODE_FIXTURE_H
#define SM_TESTS_DECODE_FIXTURE_H

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <zlib.h>
#include "base/arena.h"
#include "base/str.h"

#define FIXTURE_DIR "fixtures/binlog/"

/* The file's bytes; name.gz is taken when name is not there. Fails the test when neither is. */
static inline StrBuf fixture_read(const char *name, const char *suffix)
{
    StrBuf path = {0}, out = {0};
    sb_printf(&path, FIXTURE_DIR "%s%s", name, suffix);
    gzFile f = gzopen(path.ptr, "rb"); /* reads plain files as well */
    if (!f) {
        sb_c(&path, ".gz");
        f = gzopen(path.ptr, "rb");
    }
    ck_assert_msg(f != NULL, "%s is missing (run from the repository's top; tools/make_fixtures.py makes it)",
                  path.ptr);
    for (;;) {
        enum { CHUNK = 65536 };
        sb_reserve(&out, CHUNK);
        int n = gzread(f, out.ptr + out.len, CHUNK);
        ck_assert_msg(n >= 0, "%s cannot be read", path.ptr);
        if (n == 0) break;
        sb_wrote(&out, (size_t)n);
    }
    gzclose(f);
    ck_assert_msg(out.len > 0, "%s is empty", path.ptr);
    sb_done(&path);
    return out;
}

static inline json_t *fixture_manifest(void)
{
    json_error_t e;
    json_t *root = json_load_file(FIXTURE_DIR "MANIFEST.json", 0, &e);
    ck_assert_msg(root != NULL, FIXTURE_DIR "MANIFEST.json: %s", e.text);
    ck_assert_uint_ge(json_array_size(json_object_get(root, "fixtures")), 30);
    return root;
}

/* A TSV cell without its escapes, in arena; ptr == NULL: \N. */
static inline Str fixture_cell(Arena *arena, Str raw)
{
    if (str_eqc(raw, "\\N")) return (Str){0};
    char *o = arena_alloc(arena, raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '\\' && i + 1 < raw.len) {
            c = raw.ptr[++i];
            c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == '0' ? '\0' : c;
        }
        o[n++] = c;
    }
    o[n] = 0;
    return (Str){o, n};
}

#endif
