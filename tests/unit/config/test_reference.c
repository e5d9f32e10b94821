#include <stdio.h>
#include "unit.h"
#include "config/keys.h"
#include "config/reference.h"
#include "config/value.h"

/* The committed page is the generated one. */
START_TEST(page_is_current)
{
    StrBuf want = {0}, have = {0};
    config_write_reference(&want);
    FILE *f = fopen("docs/reference/configuration.md", "rb");
    ck_assert_msg(f != NULL, "run the tests from the top folder of the repository");
    for (size_t n = 1; n;) {
        sb_reserve(&have, 4096);
        n = fread(have.ptr + have.len, 1, 4096, f);
        sb_wrote(&have, n);
    }
    fclose(f);
    ck_assert_msg(str_eq(sb_view(&want), sb_view(&have)),
                  "docs/reference/configuration.md differs from src/config/keys.def: write it anew");
    sb_done(&want);
    sb_done(&have);
}
END_TEST

/* The table itself: no key twice, every key explained, every section reachable, defaults fit their types. */
START_TEST(table_is_sound)
{
    bool reached[SECTION_COUNT] = {[SECTION_TASK] = true, [SECTION_SOURCE] = true};
    const KeyRow *row;
    for (size_t i = 0; (row = key_row(i)); i++) {
        uint64_t v;
        bool b;
        Str def = str_of(row->def);
        ck_assert_msg(key_find(row->section, str_of(row->key)) == row, "%s twice", row->key);
        ck_assert_msg(strlen(row->help) > 3, "%s has no help", row->key);
        ck_assert((row->type == KEY_MAP || row->type == KEY_NAMED || row->type == KEY_LIST) ==
                  (row->sub != SECTION_NONE));
        reached[row->sub] = true;
        if (row->type == KEY_ENUM)
            ck_assert_msg(row->arg[0] && (!def.len || strstr(row->arg, row->def)), "%s", row->key);
        if (!def.len) continue;
        if (row->type == KEY_BOOL) ck_assert_msg(value_bool(def, &b), "%s", row->key);
        if (row->type == KEY_INT) ck_assert_msg(str_to_u64(def, &v), "%s", row->key);
        if (row->type == KEY_BYTES) ck_assert_msg(value_bytes(def, &v), "%s", row->key);
        if (row->type == KEY_DURATION) ck_assert_msg(value_duration_ms(def, &v), "%s", row->key);
        if (row->type == KEY_SECONDS) ck_assert_msg(value_seconds_ms(def, &v), "%s", row->key);
    }
    for (Section s = SECTION_NONE + 1; s < SECTION_COUNT; s++)
        ck_assert_msg(reached[s], "%s", section_title(s));
}
END_TEST

START_TEST(nearest)
{
    static const char *const names[] = {"name", "task-mode", "shard-mode", "routes"};
    ck_assert_str_eq(keys_nearest(STR("nmae"), names, 4), "name");
    ck_assert_str_eq(keys_nearest(STR("Name"), names, 4), "name");
    ck_assert_str_eq(keys_nearest(STR("task_mode"), names, 4), "task-mode");
    ck_assert_str_eq(keys_nearest(STR("route"), names, 4), "routes");
    ck_assert_ptr_null(keys_nearest(STR("zzz"), names, 4));
    ck_assert_ptr_null(keys_nearest(STR("target-database"), names, 4));
    ck_assert_ptr_null(keys_nearest(STR(""), names, 4));
}
END_TEST

static Suite *reference_suite(void)
{
    Suite *s = suite_create("config/reference");
    TCase *c = tcase_create("reference");
    tcase_add_test(c, page_is_current);
    tcase_add_test(c, table_is_sound);
    tcase_add_test(c, nearest);
    suite_add_tcase(s, c);
    return s;
}

UNIT_MAIN(reference_suite)
