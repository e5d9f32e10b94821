#include "model/point.h"
#include "unit.h"

static StreamPoint parsed(const char *json)
{
    Err err = {0};
    StreamPoint p;
    if (!point_parse(str_of(json), &p, &err)) ck_abort_msg("%s: %s", json, err.message);
    return p;
}

static void check_json(const StreamPoint *p, const char *want)
{
    StrBuf b = {0};
    point_format(p, &b);
    ck_assert_str_eq(b.ptr, want);
    sb_done(&b);
}

static const char *const canonical[] = {
    "{\"flavor\":\"unknown\"}",
    "{\"flavor\":\"mariadb\",\"gtid\":\"\"}",
    "{\"flavor\":\"mariadb\",\"gtid\":\"0-1-25,1-2-9\"}",
    "{\"flavor\":\"mysql\",\"gtid\":\"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1\"}",
    "{\"flavor\":\"unknown\",\"file\":\"mysql-bin.000001\",\"pos\":4}",
    "{\"flavor\":\"mysql\",\"file\":\"b.000009\",\"pos\":9223372036854775807,\"server\":\"3e11fa47-71ca-11e1-"
    "9e33-c80aa9429562\"}",
    "{\"flavor\":\"mariadb\",\"gtid\":\"0-1-25\",\"file\":\"odd "
    "\\\"name\\\\\\u0001.000003\",\"pos\":1234,\"server\":\"server_id:1\","
    "\"evidence\":{\"pos\":1203,\"size\":31,\"timestamp\":4294967295,\"crc\":4294967295}}",
};

START_TEST(json_round_trip)
{
    StreamPoint p = parsed(canonical[_i]), copy;
    check_json(&p, canonical[_i]);
    point_copy(&copy, &p);
    point_done(&p);
    check_json(&copy, canonical[_i]); /* owns its parts */
    point_done(&copy);
    ck_assert_ptr_null(copy.file);
    ck_assert_ptr_null(copy.gtids);
}
END_TEST

START_TEST(members_are_read)
{
    StreamPoint p = parsed(canonical[6]);
    ck_assert_int_eq(p.flavor, FLAVOR_MARIADB);
    ck_assert_str_eq(p.file, "odd \"name\\\001.000003");
    ck_assert_uint_eq(p.pos, 1234);
    ck_assert_str_eq(p.server, "server_id:1");
    ck_assert(p.evidence.set);
    ck_assert_uint_eq(p.evidence.event_pos, 1203);
    ck_assert_uint_eq(p.evidence.event_size, 31);
    ck_assert_uint_eq(p.evidence.timestamp, UINT32_MAX);
    ck_assert_uint_eq(p.evidence.crc, UINT32_MAX);
    Gtid last;
    ck_assert(gtidset_domain_last(p.gtids, 0, &last));
    ck_assert_uint_eq(last.seq, 25);
    point_done(&p);
}
END_TEST

static const struct {
    const char *json;
    ErrCode code;
} malformed[] = {
    {"", ERR_CORRUPT},
    {"[]", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\"", ERR_CORRUPT},
    {"{}", ERR_CORRUPT},
    {"{\"flavor\":\"oracle\"}", ERR_CORRUPT},
    {"{\"flavor\":3}", ERR_CORRUPT},
    {"{\"flavor\":\"unknown\",\"gtid\":\"0-1-2\"}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"gtid\":\"0-1-2\"}", ERR_GTID_SYNTAX},
    {"{\"flavor\":\"mysql\",\"gtid\":7}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"file\":\"b.1\"}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"file\":\"b.1\",\"pos\":-4}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"file\":\"b.1\",\"pos\":\"4\"}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"file\":\"b.1\",\"pos\":4.5}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"file\":\"b.1\",\"pos\":9223372036854775808}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"evidence\":[]}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"evidence\":{\"pos\":1,\"size\":1,\"timestamp\":1}}", ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"evidence\":{\"pos\":1,\"size\":4294967296,\"timestamp\":1,\"crc\":1}}",
     ERR_CORRUPT},
    {"{\"flavor\":\"mysql\",\"server\":null}", ERR_CORRUPT},
};

START_TEST(refuses_malformed)
{
    Err err = {0};
    StreamPoint p;
    ck_assert_msg(!point_parse(str_of(malformed[_i].json), &p, &err), "%s was taken", malformed[_i].json);
    ck_assert_int_eq(err.code, malformed[_i].code);
    ck_assert_ptr_null(p.file);
    ck_assert_ptr_null(p.gtids);
    ck_assert_ptr_null(p.server);
    err_clear(&err);
}
END_TEST

START_TEST(set_file_takes_views_of_itself)
{
    StreamPoint p = {0};
    point_set_file(&p, STR("bin.000001"), 4);
    point_set_file(&p, str_make(p.file, 8), 99);
    ck_assert_str_eq(p.file, "bin.0000");
    ck_assert_uint_eq(p.pos, 99);
    const char *kept = p.file;
    point_set_file(&p, STR("bin.0000"), 120);
    ck_assert_ptr_eq(p.file, kept); /* the same name costs nothing */
    ck_assert_uint_eq(p.pos, 120);
    point_done(&p);
}
END_TEST

START_TEST(text_for_people)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"flavor\":\"mariadb\",\"gtid\":\"0-1-25\",\"file\":\"m.000003\",\"pos\":1234}",
         "0-1-25 (m.000003:1234)"},
        {"{\"flavor\":\"mariadb\",\"gtid\":\"0-1-25\"}", "0-1-25"},
        {"{\"flavor\":\"mysql\",\"file\":\"m.000003\",\"pos\":1234}", "m.000003:1234"},
        {"{\"flavor\":\"mysql\",\"gtid\":\"\"}", "the beginning"},
        {"{\"flavor\":\"unknown\"}", "no position yet"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StreamPoint p = parsed(cases[i].json);
        StrBuf b = {0};
        point_format_human(&p, &b);
        ck_assert_str_eq(b.ptr, cases[i].text);
        sb_done(&b);
        point_done(&p);
    }
}
END_TEST

static Suite *point_suite(void)
{
    Suite *s = suite_create("point");
    TCase *t = tcase_create("point");
    tcase_add_loop_test(t, json_round_trip, 0, ARRAY_LEN(canonical));
    tcase_add_test(t, members_are_read);
    tcase_add_loop_test(t, refuses_malformed, 0, ARRAY_LEN(malformed));
    tcase_add_test(t, set_file_takes_views_of_itself);
    tcase_add_test(t, text_for_people);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(point_suite)
