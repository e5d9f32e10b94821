#include "source/dump.h"
#include "unit.h"

/* As the servers word them. */
static const struct {
    const char *text;
    ErrCode code;
} refusals[] = {
    {"Could not find first log file name in binary log index file", ERR_SOURCE_PURGED},
    {"Cannot replicate because the source purged required binary logs. Replicate the missing transactions "
     "from elsewhere",
     ERR_SOURCE_PURGED},
    {"The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged "
     "binary logs containing GTIDs "
     "that the slave requires.",
     ERR_SOURCE_PURGED},
    {"Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old "
     "and required binlog files "
     "have been purged.",
     ERR_SOURCE_PURGED},
    {"Client requested source to start replication from position > file size", ERR_SOURCE_HISTORY},
    {"Client requested master to start replication from impossible position; the first event 'bin.000001' at "
     "9999",
     ERR_SOURCE_HISTORY},
    {"Error: connecting slave requested to start from GTID 0-1-100, which is not in the master's binlog",
     ERR_SOURCE_HISTORY},
    {"Error: connecting slave requested to start from GTID 0-1-100, which is not in the master's binlog. "
     "Since the master's binlog "
     "contains GTIDs with higher sequence numbers, it probably means that the slave has diverged due to "
     "executing extra erroneous "
     "transactions",
     ERR_SOURCE_HISTORY},
    {"Slave has more GTIDs than the master has, using the master's SERVER_UUID.", ERR_SOURCE_HISTORY},
    {"A slave with the same server_uuid/server_id as this slave has connected to the master; the first event",
     ERR_SOURCE_SERVER_ID},
    {"A replica with the same server_uuid/server_id as this replica has connected to the source",
     ERR_SOURCE_SERVER_ID},
    {"A slave with the same server_uuid/server_id is already connected", ERR_SOURCE_SERVER_ID},
    {"The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF "
     "instead of ON.",
     ERR_SOURCE_SETTING},
    {"log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source",
     ERR_SOURCE_SETTING},
    {"Binary log is not open", ERR_SOURCE_SETTING},
    {"bogus data in log event; the first event 'bin.000001' at 300", ERR_CORRUPT},
    {"binlog truncated in the middle of event; consider out of disk space on source", ERR_CORRUPT},
    {"could not find next log; the first event '.' at 4", ERR_DB_RETRY},
    {"something nobody has seen", ERR_SOURCE_PROTOCOL},
};

START_TEST(refusals_are_told_apart)
{
    ck_assert_msg(dump_classify(str_of(refusals[_i].text)) == refusals[_i].code, "%s: %s", refusals[_i].text,
                  err_code_name(dump_classify(str_of(refusals[_i].text))));
}
END_TEST

static void check_hex(const StrBuf *b, const char *want)
{
    StrBuf hex = {0};
    sb_hex(&hex, b->ptr, b->len);
    ck_assert_str_eq(hex.ptr, want);
    sb_done(&hex);
}

START_TEST(command_bodies)
{
    DumpRequest q = {
        .flavor = FLAVOR_MYSQL, .server_id = 0x01020304, .file = STR("bin.1"), .pos = 0xfffffff0};
    StrBuf b = {0};
    dump_encode_file(&q, &b);
    check_hex(&b, "f0ffffff"
                  "0000"
                  "04030201"
                  "62696e2e31");
    sb_clear(&b);
    q.non_block = true;
    dump_encode_file(&q, &b);
    check_hex(&b, "f0ffffff"
                  "0100"
                  "04030201"
                  "62696e2e31");
    sb_clear(&b);
    Err err = {0};
    GtidSet *set = NULL;
    ck_assert(gtidset_parse(FLAVOR_MYSQL, STR("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"), &set, &err));
    q.gtids = set;
    dump_encode_gtid(&q, &b);
    check_hex(&b, "0500"
                  "04030201"
                  "00000000"
                  "0400000000000000"
                  "30000000"
                  "0100000000000000"
                  "3e11fa4771ca11e19e33c80aa9429562"
                  "0100000000000000"
                  "0100000000000000"
                  "0600000000000000");
    gtidset_free(set);
    sb_done(&b);
}
END_TEST

START_TEST(beyond_4_gib_is_refused)
{
    DumpRequest q = {
        .flavor = FLAVOR_MYSQL, .server_id = 1, .file = STR("bin.000001"), .pos = UINT64_C(1) << 32};
    Err err = {0};
    ck_assert(!dump_start(NULL, &q, &err)); /* before anything is sent */
    ck_assert_int_eq(err.code, ERR_NOT_SUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "bin.000001:4294967296"));
    err_clear(&err);
}
END_TEST

static Suite *dump_suite(void)
{
    Suite *s = suite_create("dump");
    TCase *t = tcase_create("dump");
    tcase_add_loop_test(t, refusals_are_told_apart, 0, ARRAY_LEN(refusals));
    tcase_add_test(t, command_bodies);
    tcase_add_test(t, beyond_4_gib_is_refused);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(dump_suite)
