#include "db/conn.h"
#include "unit.h"

static const struct {
    unsigned number;
    const char *text;
    ErrCode code;
} classes[] = {
    {1062, "Duplicate entry", ERR_DB_DUPLICATE_KEY},
    {1586, "", ERR_DB_DUPLICATE_KEY},
    {1205, "", ERR_DB_RETRY},
    {1213, "", ERR_DB_RETRY},
    {1020, "", ERR_DB_RETRY},
    {9007, "Write conflict", ERR_DB_RETRY},
    {8028, "", ERR_DB_RETRY},
    {2006, "", ERR_DB_LOST},
    {2013, "", ERR_DB_LOST},
    {2055, "", ERR_DB_LOST},
    {9002, "", ERR_DB_LOST},
    {9005, "", ERR_DB_LOST},
    {1927, "", ERR_DB_LOST},
    {2003, "", ERR_DB_CONNECT},
    {1040, "", ERR_DB_CONNECT},
    {2026, "", ERR_DB_TLS},
    {1044, "", ERR_DB_ACCESS_DENIED},
    {1045, "", ERR_DB_ACCESS_DENIED},
    {1142, "", ERR_DB_ACCESS_DENIED},
    {1227, "", ERR_DB_ACCESS_DENIED},
    {1401, "", ERR_DB_ACCESS_DENIED}, /* MySQL's XA RECOVER without its privilege */
    {1146, "", ERR_DB_SCHEMA},
    {1054, "", ERR_DB_SCHEMA},
    {1048, "", ERR_DB_VALUE},
    {1264, "", ERR_DB_VALUE},
    {1292, "", ERR_DB_VALUE},
    {1366, "", ERR_DB_VALUE},
    {1406, "", ERR_DB_VALUE},
    {1153, "", ERR_DB_TXN_TOO_LARGE},
    {8004, "", ERR_DB_TXN_TOO_LARGE},
    {8025, "", ERR_DB_TXN_TOO_LARGE},
    {8138, "", ERR_DB_SERVER}, /* corruption guard: never retried */
    {1064, "", ERR_DB_SERVER},
    /* one number, told apart by text */
    {1105, "Information schema is changed during the execution", ERR_DB_RETRY},
    {1105, "[domain:8027]Information schema is out of date: …", ERR_DB_RETRY},
    {1105, "pessimistic lock retry limit reached", ERR_DB_RETRY},
    {1105, "Out Of Memory Quota![conn=1]", ERR_DB_TXN_TOO_LARGE},
    {1105, "statement count 5001 exceeds the transaction limitation, autocommit = false",
     ERR_DB_TXN_TOO_LARGE},
    {1105, "something else", ERR_DB_SERVER},
    {1047, "WSREP has not yet prepared node for application use", ERR_DB_RETRY},
    {1047, "Unknown command", ERR_DB_SERVER},
    /* unknown numbers stop */
    {0, "", ERR_DB_SERVER},
    {60000, "", ERR_DB_SERVER},
};

START_TEST(classifies_by_number_and_text)
{
    ck_assert_msg(conn_classify(classes[_i].number, str_of(classes[_i].text)) == classes[_i].code, "%u %s",
                  classes[_i].number, classes[_i].text);
}
END_TEST

START_TEST(table_has_no_twins)
{
    unsigned number, other;
    const char *text, *other_text, *family, *note;
    ErrCode code;
    size_t rows = 0;
    for (size_t i = 0; conn_error_row(i, &number, &text, &code, &family, &note); i++, rows++) {
        ck_assert_msg(note[0] != 0 && family[0] != 0, "%u says nothing", number);
        ck_assert_str_ne(err_code_name(code), "");
        for (size_t j = 0; j < i && conn_error_row(j, &other, &other_text, &code, &family, &note); j++)
            ck_assert_msg(number != other || strcmp(text, other_text) != 0, "%u stands twice", number);
    }
    ck_assert_uint_gt(rows, 100);
}
END_TEST

static const struct {
    unsigned number;
    const char *text, *shown;
} redactions[] = {
    {1062, "Duplicate entry 'secret' for key 't.PRIMARY'", "Duplicate entry '...' for key 't.PRIMARY'"},
    {1062, "Duplicate entry 'a' for key 'b' for key 'PRIMARY'", "Duplicate entry '...' for key 'PRIMARY'"},
    {1062, "Duplicate entry 'it's' for key 'uk'", "Duplicate entry '...' for key 'uk'"},
    {1366, "Incorrect integer value: 'abc' for column 'n' at row 1",
     "Incorrect integer value: '...' for column 'n' at row 1"},
    {1366, "Incorrect integer value: 'abc' for column `d`.`t`.`n` at row 1",
     "Incorrect integer value: '...' for column `d`.`t`.`n` at row 1"},
    {1292, "Truncated incorrect DOUBLE value: 'x'y'", "Truncated incorrect DOUBLE value: '...'"},
    {1064,
     "You have an error in your SQL syntax; check the manual for the right syntax to use near 'VALUES "
     "(1,'pw')' at line 1",
     "You have an error in your SQL syntax; check the manual for the right syntax to use near '...'"},
    {60000, "unknown trouble near 'secret'", "unknown trouble near '...'"},
    {1146, "Table 'd.t' doesn't exist", "Table 'd.t' doesn't exist"},
    {1062, "Duplicate", "Duplicate"},
    {1062, "broken '", "broken '..."},
    {2013, "", ""},
};

START_TEST(hides_row_values)
{
    StrBuf b = {0};
    conn_redact(redactions[_i].number, str_of(redactions[_i].text), &b);
    ck_assert_str_eq(b.ptr ? b.ptr : "", redactions[_i].shown);
    sb_done(&b);
}
END_TEST

START_TEST(cancelled_connection_fails_at_once)
{
    conn_library_init();
    ConnCancel *x = conn_cancel_new();
    conn_cancel_fire(x);
    ck_assert(conn_cancel_fired(x));
    Err err = {0};
    Conn *c = NULL;
    /* an address that answers nothing: without the cancel this takes the whole time-out */
    ConnOpts o = {
        .role = "test", .host = "192.0.2.1", .port = 3306, .user = "u", .connect_timeout_s = 60, .cancel = x};
    ck_assert(!conn_open(&o, &c, &err));
    ck_assert_ptr_null(c);
    ck_assert_int_eq(err.code, ERR_CANCELLED);
    err_clear(&err);
    conn_cancel_reset(x);
    ck_assert(!conn_cancel_fired(x));
    conn_cancel_free(x);
    conn_library_end();
}
END_TEST

START_TEST(refused_connection_is_told_apart)
{
    conn_library_init();
    Err err = {0};
    Conn *c = NULL;
    ConnOpts o = {.role = "source s1",
                  .host = "127.0.0.1",
                  .port = 1,
                  .user = "u",
                  .password = "hush",
                  .connect_timeout_s = 5};
    ck_assert(!conn_open(&o, &c, &err));
    ck_assert_int_eq(err.code, ERR_DB_CONNECT);
    ck_assert_int_eq(err_class(&err), ERR_CLASS_RETRY);
    ck_assert_uint_ne(err.server_errno, 0);
    ck_assert_ptr_nonnull(strstr(err.message, "source s1"));
    ck_assert_ptr_nonnull(strstr(err.message, "127.0.0.1:1"));
    ck_assert_ptr_null(strstr(err.message, "hush"));
    err_clear(&err);
    conn_library_end();
}
END_TEST

static Suite *server_error_suite(void)
{
    Suite *s = suite_create("server_error");
    TCase *t = tcase_create("server_error");
    tcase_add_loop_test(t, classifies_by_number_and_text, 0, ARRAY_LEN(classes));
    tcase_add_test(t, table_has_no_twins);
    tcase_add_loop_test(t, hides_row_values, 0, ARRAY_LEN(redactions));
    tcase_add_test(t, cancelled_connection_fails_at_once);
    tcase_add_test(t, refused_connection_is_told_apart);
    suite_add_tcase(s, t);
    return s;
}
UNIT_MAIN(server_error_suite)
