#include "source/frame.h"
#include "unit.h"

#define GIB (UINT64_C(1) << 30)

typedef struct Step {
    unsigned type;
    uint32_t size, next_pos;
    uint16_t flags;
    uint64_t start, end;
} Step;

static void walk(const char *file, uint64_t from, const Step *steps, size_t n)
{
    Frame f = {0};
    frame_move(&f, str_of(file), from);
    for (size_t i = 0; i < n; i++) {
        Err err = {0};
        uint64_t start, end;
        EventHeader h = {.type = (uint8_t)steps[i].type,
                         .size = steps[i].size,
                         .next_pos = steps[i].next_pos,
                         .flags = steps[i].flags};
        if (!frame_place(&f, &h, &start, &end, &err)) ck_abort_msg("step %zu: %s", i, err.message);
        ck_assert_msg(start == steps[i].start && end == steps[i].end, "step %zu: %llu-%llu", i,
                      (unsigned long long)start, (unsigned long long)end);
    }
    frame_done(&f);
}

START_TEST(plain_file)
{
    static const Step steps[] = {{EVENT_FORMAT_DESCRIPTION, 252, 256, 0, 4, 256},
                                 {EVENT_GTID_LIST, 29, 285, 0, 256, 285},
                                 {EVENT_MARIADB_GTID, 42, 327, 8, 285, 327},
                                 {EVENT_XID, 31, 358, 0, 327, 358}};
    walk("b.000001", 4, steps, ARRAY_LEN(steps));
}
END_TEST

/* FORMAT_DESCRIPTION of a start in mid-file does not stand where the stream begins, whatever it says. */
START_TEST(start_in_mid_file)
{
    static const Step steps[] = {{EVENT_FORMAT_DESCRIPTION, 252, 0, 0, 602, 602},
                                 {EVENT_FORMAT_DESCRIPTION, 252, 256, 0, 602, 602},
                                 {EVENT_GTID_LIST, 29, 0, EVENT_FLAG_ARTIFICIAL, 602, 602},
                                 {EVENT_MARIADB_GTID, 42, 644, 8, 602, 644}};
    walk("b.000001", 602, steps, ARRAY_LEN(steps));
}
END_TEST

/* MariaDB 11.4+: 0 inside transactions; only GTID and XID tell. */
START_TEST(zero_positions)
{
    static const Step steps[] = {{EVENT_MARIADB_GTID, 42, 542, 0, 500, 542},
                                 {EVENT_TABLE_MAP, 44, 0, 0, 542, 586},
                                 {EVENT_WRITE_ROWS_V1, 47, 0, 0, 586, 633},
                                 {EVENT_XID, 31, 664, 0, 633, 664}};
    walk("b.000001", 500, steps, ARRAY_LEN(steps));
}
END_TEST

/* ANNOTATE_ROWS left out by the server: the header jumps; with zero positions the XID sets it right. */
START_TEST(events_left_out)
{
    static const Step steps[] = {{EVENT_MARIADB_GTID, 42, 542, 0, 500, 542},
                                 {EVENT_TABLE_MAP, 44, 646, 0, 602, 646},
                                 {EVENT_WRITE_ROWS_V1, 47, 0, 0, 646, 693},
                                 {EVENT_XID, 31, 784, 0, 753, 784}};
    walk("b.000001", 500, steps, ARRAY_LEN(steps));
}
END_TEST

START_TEST(wraps_at_4_gib)
{
    static const uint64_t at = 4 * GIB - 100;
    static const Step steps[] = {{EVENT_WRITE_ROWS_V2, 60, UINT32_MAX - 39, 0, 4 * GIB - 100, 4 * GIB - 40},
                                 {EVENT_WRITE_ROWS_V2, 8192, 8152, 0, 4 * GIB - 40, 4 * GIB + 8152},
                                 {EVENT_WRITE_ROWS_V2, 100, 8252, 0, 4 * GIB + 8152, 4 * GIB + 8252}};
    walk("b.000001", at, steps, ARRAY_LEN(steps));
    static const Step exact[] = {{EVENT_WRITE_ROWS_V2, 100, 0, 0, 4 * GIB - 100, 4 * GIB},
                                 {EVENT_XID, 31, 31, 0, 4 * GIB, 4 * GIB + 31}};
    walk("b.000001", at, exact, ARRAY_LEN(exact));
    static const Step twice[] = {{EVENT_WRITE_ROWS_V2, 200, 100, 0, 8 * GIB - 100, 8 * GIB + 100}};
    walk("b.000001", 8 * GIB - 100, twice, ARRAY_LEN(twice));
}
END_TEST

START_TEST(going_back_is_refused)
{
    static const struct {
        uint64_t from;
        uint32_t size, next_pos;
    } cases[] = {{1000, 50, 900}, {1000, 50, 1040}, {3 * GIB - 1, 50, 5}, {5 * GIB, 50, 1 << 29}};
    static const bool refused[] = {true, true, false, true};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Frame f = {0};
        Err err = {0};
        uint64_t start, end;
        EventHeader h = {.type = EVENT_XID, .size = cases[i].size, .next_pos = cases[i].next_pos};
        frame_move(&f, STR("b.000007"), cases[i].from);
        ck_assert_msg(frame_place(&f, &h, &start, &end, &err) != refused[i], "case %zu", i);
        if (refused[i]) {
            ck_assert_int_eq(err.code, ERR_SOURCE_PROTOCOL);
            ck_assert_ptr_nonnull(strstr(err.message, "b.000007"));
            ck_assert_uint_eq(f.pos, cases[i].from);
        }
        err_clear(&err);
        frame_done(&f);
    }
}
END_TEST

START_TEST(heartbeats)
{
    Frame f = {0};
    uint64_t pos;
    EventHeader v1 = {.type = EVENT_HEARTBEAT, .next_pos = 700}, v2 = {.type = EVENT_HEARTBEAT_V2};
    frame_move(&f, STR("b.000001"), 500);
    ck_assert(!frame_heartbeat(&f, &v1, &(RotateEvent){.pos = 700, .file = STR("b.000002")}, &pos));
    ck_assert_uint_eq(f.pos, 500);
    ck_assert(frame_heartbeat(&f, &v1, &(RotateEvent){.pos = 700, .file = STR("b.000001")}, &pos));
    ck_assert_uint_eq(pos, 700); /* transactions skipped by GTID */
    ck_assert_uint_eq(f.pos, 700);
    v1.next_pos = 600; /* never back */
    ck_assert(frame_heartbeat(&f, &v1, &(RotateEvent){.pos = 600, .file = STR("b.000001")}, &pos));
    ck_assert_uint_eq(pos, 700);
    ck_assert(frame_heartbeat(&f, &v2, &(RotateEvent){.pos = 5 * GIB, .file = STR("b.000001")}, &pos));
    ck_assert_uint_eq(f.pos, 5 * GIB);
    v1.next_pos = (uint32_t)(GIB + 10); /* of 5 GiB, 32 bits are left */
    ck_assert(frame_heartbeat(&f, &v1, &(RotateEvent){.pos = GIB + 10, .file = STR("b.000001")}, &pos));
    ck_assert_uint_eq(f.pos, 5 * GIB + 10);
    frame_done(&f);
}
END_TEST

static Suite *frame_suite(void)
{
    Suite *s = suite_create("frame");
    TCase *t = tcase_create("frame");
    tcase_add_test(t, plain_file);
    tcase_add_test(t, start_in_mid_file);
    tcase_add_test(t, zero_positions);
    tcase_add_test(t, events_left_out);
    tcase_add_test(t, wraps_at_4_gib);
    tcase_add_test(t, going_back_is_refused);
    tcase_add_test(t, heartbeats);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(frame_suite)
