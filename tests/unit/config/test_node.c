#include "unit.h"
#include "config/node.h"

typedef struct Read {
    Arena arena;
    Problems problems;
    StrBuf lines;
    Err err;
    Node *root;
} Read;

static Node *read_bytes(Read *r, Str text)
{
    *r = (Read){0};
    r->root = node_read_text(&r->arena, "f.yaml", text, &r->problems);
    bool fine = problems_report(&r->problems, &r->lines, &r->err);
    ck_assert(fine == (r->root != NULL));
    return r->root;
}

static void read_done(Read *r)
{
    arena_done(&r->arena);
    problems_done(&r->problems);
    sb_done(&r->lines);
    err_clear(&r->err);
}

static void check_syntax(Str text, const char *where, const char *what)
{
    Read r;
    ck_assert_ptr_null(read_bytes(&r, text));
    ck_assert_int_eq(r.err.code, ERR_CONFIG_SYNTAX);
    ck_assert_msg(str_starts(sb_view(&r.lines), str_of(where)), "%s", r.lines.ptr);
    ck_assert_msg(strstr(r.lines.ptr, what) != NULL, "%s", r.lines.ptr);
    read_done(&r);
}

START_TEST(places)
{
    Read r;
    Node *root = read_bytes(&r, STR("a: 1\nb:\n  - x\n  - {c: \"d\"}\n"));
    Node *b = node_get(root, "b");
    ck_assert_uint_eq(root->n, 2);
    ck_assert_int_eq(b->kind, NODE_LIST);
    ck_assert_uint_eq(b->n, 2);
    Node *d = node_get(b->last->value, "c");
    ck_assert_uint_eq(d->place.line, 4);
    ck_assert_uint_eq(d->place.column, 9);
    ck_assert_str_eq(d->place.file, "f.yaml");
    ck_assert(str_eqc(d->text, "d") && !d->plain);
    ck_assert(node_get(root, "a")->plain);
    ck_assert_ptr_null(node_get(root, "z"));
    read_done(&r);
}
END_TEST

/* The same text with Windows line ends, with a byte order mark, and as UTF-16. */
START_TEST(encodings)
{
    Read r;
    Node *root = read_bytes(&r, STR("a: 1\r\nb: two words\r\n"));
    ck_assert(str_eqc(node_get(root, "a")->text, "1"));
    ck_assert(str_eqc(node_get(root, "b")->text, "two words"));
    ck_assert_uint_eq(node_get(root, "b")->place.line, 2);
    read_done(&r);
    root = read_bytes(&r, STR("\xef\xbb\xbf"
                              "a: 1\n"));
    ck_assert(str_eqc(node_get(root, "a")->text, "1"));
    read_done(&r);
    root = read_bytes(&r, STR("\xff\xfe"
                              "a\0:\0 \0\xe4\0\n\0"));
    ck_assert(str_eqc(node_get(root, "a")->text, "\xc3\xa4"));
    read_done(&r);
}
END_TEST

START_TEST(nulls)
{
    Read r;
    Node *root = read_bytes(&r, STR("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\n"));
    ck_assert_ptr_null(node_get(root, "a"));
    ck_assert_ptr_null(node_get(root, "b"));
    ck_assert_ptr_null(node_get(root, "c"));
    ck_assert_ptr_nonnull(node_get(root, "d"));
    ck_assert_ptr_nonnull(node_get(root, "e"));
    read_done(&r);
    root = read_bytes(&r, (Str){0});
    ck_assert_int_eq(root->kind, NODE_MAP);
    ck_assert_uint_eq(root->n, 0);
    read_done(&r);
}
END_TEST

START_TEST(aliases_and_merges)
{
    Read r;
    Node *root =
        read_bytes(&r, STR("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\n"
                           "one: {<<: *b, y: 9}\nmany:\n  <<: [*b, *m]\nsame: *b\nquoted: {\"<<\": 5}\n"));
    Node *one = node_get(root, "one"), *many = node_get(root, "many");
    ck_assert(str_eqc(node_get(one, "x")->text, "1"));
    ck_assert(str_eqc(node_get(one, "y")->text, "9"));
    ck_assert_uint_eq(one->n, 2);
    ck_assert(str_eqc(node_get(many, "y")->text, "2"));
    ck_assert(str_eqc(node_get(many, "z")->text, "4"));
    ck_assert_uint_eq(many->n, 3);
    ck_assert_ptr_eq(node_get(root, "same"), node_get(root, "base"));
    ck_assert(str_eqc(node_get(node_get(root, "quoted"), "<<")->text, "5"));
    read_done(&r);
    check_syntax(STR("a: {<<: 5}\n"), "f.yaml:1:9:", "needs a map");
    check_syntax(STR("a: &a {<<: *a}\n"), "f.yaml:1:12:", "stands in");
    check_syntax(STR("b: &b {x: 1}\na:\n  <<: *b\n  <<: *b\n"), "f.yaml:4:3:", "stands twice");
}
END_TEST

START_TEST(broken)
{
    check_syntax(STR("a: [1, 2\n"), "f.yaml:2:1:", "flow sequence");
    check_syntax(STR("a:\n\tb: 1\n"), "f.yaml:2:1:", "spaces");
    check_syntax(STR("\xc3\xa4\xc3\xb6: 1\na: \x01\n"), "f.yaml:2:4:", "not readable");
    check_syntax(STR("a: 1\n---\nb: 2\n"), "f.yaml:2:1:", "second document");
    check_syntax(STR("[a, b]: 1\n"), "f.yaml:1:1:", "single value");
    check_syntax(STR("? {a: b}\n: 1\n"), "f.yaml:1:3:", "single value");
    check_syntax(STR("just text\n"), "f.yaml:1:1:", "map of keys");
    check_syntax(STR("%YAML 9.9\n---\na: 1\n"), "f.yaml:1:1:", "incompatible");
    check_syntax(STR("a: !!python/object x\n"), "f.yaml:1:4:", "tag");
}
END_TEST

/* Repeats piece n times behind start. */
static Str repeated(StrBuf *b, const char *start, const char *piece, size_t n)
{
    sb_c(b, start);
    for (size_t i = 0; i < n; i++)
        sb_c(b, piece);
    return sb_view(b);
}

START_TEST(large)
{
    static const struct {
        const char *start, *piece;
        size_t n;
    } deep[] = {{"a: ", "[", 100000}, {"a: ", "{b: ", 100000}, {"", "- ", 5000}, {"", "? ", 5000}};
    for (size_t i = 0; i < ARRAY_LEN(deep); i++) {
        StrBuf b = {0};
        check_syntax(repeated(&b, deep[i].start, deep[i].piece, deep[i].n), "f.yaml:1:", "levels deep");
        sb_done(&b);
    }
    /* A large scalar is a value like any other; many keys are found one by one. */
    Read r;
    StrBuf b = {0};
    Node *root = read_bytes(&r, repeated(&b, "a: ", "0123456789", 300000));
    ck_assert_uint_eq(node_get(root, "a")->text.len, 3000000);
    read_done(&r);
    sb_clear(&b);
    for (unsigned i = 0; i < 20000; i++)
        sb_printf(&b, "k%u: %u\n", i, i);
    root = read_bytes(&r, sb_view(&b));
    ck_assert_uint_eq(root->n, 20000);
    read_done(&r);
    sb_done(&b);
}
END_TEST

/* Every prefix of a file is either readable or a syntax error with a place; nothing crashes. */
START_TEST(every_prefix)
{
    static const char text[] =
        "a: &x [1, \"two\", 'three']\nb:\n  <<: {c: d}\n  e: |\n    block\n  f: *x\n...\n";
    for (size_t n = 0; n < sizeof text; n++) {
        Read r;
        read_bytes(&r, (Str){text, n});
        if (!r.root) ck_assert_int_eq(r.err.code, ERR_CONFIG_SYNTAX);
        read_done(&r);
    }
}
END_TEST

static Suite *node_suite(void)
{
    Suite *s = suite_create("config/node");
    TCase *c = tcase_create("node");
    tcase_set_timeout(c, 30);
    tcase_add_test(c, places);
    tcase_add_test(c, encodings);
    tcase_add_test(c, nulls);
    tcase_add_test(c, aliases_and_merges);
    tcase_add_test(c, broken);
    tcase_add_test(c, large);
    tcase_add_test(c, every_prefix);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(node_suite)
