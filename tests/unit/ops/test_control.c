#include "../unit.h"
#include "../temp_dir.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err_json.h"
#include "ops/control.h"

/* Answers with the request itself; "fail" as an error. ctx counts the calls. */
static json_t *echo(void *ctx, const json_t *request)
{
    __atomic_fetch_add((int *)ctx, 1, __ATOMIC_RELEASE);
    const char *verb = json_string_value(json_object_get(request, "verb"));
    if (verb && !strcmp(verb, "fail")) {
        Err err = {0};
        err_set_remedy(&err, ERR_OPS_NO_SUCH_SOURCE, "do this", "no source 'x'");
        json_t *reply = json_pack("{s:b, s:o}", "ok", 0, "error", err_to_json(&err));
        err_clear(&err);
        return reply;
    }
    return json_pack("{s:b, s:O}", "ok", 1, "request", request);
}

static Control *open_ok(int *calls)
{
    Control *c;
    Err err = {0};
    ck_assert_msg(control_open(temp_dir, echo, calls, &c, &err), "%s", err.message);
    return c;
}

static bool call(const char *verb, int64_t timeout_ms, json_t **reply, Err *err)
{
    json_t *request = json_pack("{s:s}", "verb", verb);
    ControlCall how = {.dir = temp_dir, .timeout_ms = timeout_ms};
    bool ok = control_call(&how, request, reply, err);
    json_decref(request);
    return ok;
}

static void echo_works(void)
{
    json_t *reply;
    Err err = {0};
    ck_assert_msg(call("hello", 5000, &reply, &err), "%s", err.message);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(reply, "request"), "verb")), "hello");
    json_decref(reply);
}

static void nobody_there(void)
{
    Err err = {0};
    ck_assert(!call("hello", 5000, NULL, &err));
    ck_assert_int_eq(err.code, ERR_OPS_NOT_RUNNING);
    err_clear(&err);
}

START_TEST(requests_are_answered)
{
    int calls = 0;
    nobody_there();
    Control *c = open_ok(&calls);
    for (int i = 0; i < 50; i++)
        echo_works();
    ck_assert_int_eq(calls, 50);
    control_stop(c);
    nobody_there();
    control_free(c);
}
END_TEST

START_TEST(the_socket_is_private_and_goes_away)
{
    int calls = 0;
    StrBuf path = {0};
    struct stat st;
    sb_printf(&path, "%s/control.sock", temp_dir);
    Control *c = open_ok(&calls);
    ck_assert_int_eq(stat(path.ptr, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    control_stop(c);
    ck_assert_int_ne(access(path.ptr, F_OK), 0);
    control_free(c);
    sb_done(&path);
}
END_TEST

START_TEST(a_socket_left_by_a_killed_process_is_replaced)
{
    StrBuf path = {0};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    sb_printf(&path, "%s/control.sock", temp_dir);
    memcpy(addr.sun_path, path.ptr, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    close(fd);
    nobody_there();
    int calls = 0;
    Control *c = open_ok(&calls);
    echo_works();
    control_stop(c);
    control_free(c);
    sb_done(&path);
}
END_TEST

START_TEST(deep_state_folders_work)
{
    StrBuf deep = {0}, command = {0};
    sb_c(&deep, temp_dir);
    for (int i = 0; i < 30; i++)
        sb_c(&deep, "/folder");
    sb_printf(&command, "mkdir -p '%s'", deep.ptr);
    ck_assert_int_eq(system(command.ptr), 0);
    char *top = temp_dir;
    temp_dir = deep.ptr;
    int calls = 0;
    nobody_there();
    Control *c = open_ok(&calls);
    echo_works();
    control_stop(c);
    nobody_there();
    control_free(c);
    temp_dir = top;
    sb_done(&deep);
    sb_done(&command);
}
END_TEST

START_TEST(errors_cross_the_socket)
{
    int calls = 0;
    Err err = {0};
    Control *c = open_ok(&calls);
    ck_assert(!call("fail", 5000, NULL, &err));
    ck_assert_int_eq(err.code, ERR_OPS_NO_SUCH_SOURCE);
    ck_assert_str_eq(err.message, "no source 'x'");
    ck_assert_str_eq(err_remedy(&err), "do this");
    err_clear(&err);
    control_stop(c);
    control_free(c);
}
END_TEST

static int raw_connect(void)
{
    StrBuf path = {0};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    sb_printf(&path, "%s/control.sock", temp_dir);
    memcpy(addr.sun_path, path.ptr, path.len);
    sb_done(&path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

/* Reads until as many lines are there, or the end. */
static char *raw_lines(int fd, int lines)
{
    StrBuf in = {0};
    char ch;
    while (lines && read(fd, &ch, 1) == 1) {
        sb_ch(&in, ch);
        lines -= ch == '\n';
    }
    return sb_take(&in);
}

START_TEST(pieces_and_several_requests_of_one_connection)
{
    int calls = 0;
    Control *c = open_ok(&calls);
    int fd = raw_connect();
    const char *pieces[] = {"{\"ver", "b\":\"a\"}\n{\"verb\":", "\"b\"}\n"};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        ck_assert_int_eq(send(fd, pieces[i], strlen(pieces[i]), 0), (ssize_t)strlen(pieces[i]));
        usleep(20000);
    }
    char *got = raw_lines(fd, 2);
    ck_assert_str_eq(
        got, "{\"ok\":true,\"request\":{\"verb\":\"a\"}}\n{\"ok\":true,\"request\":{\"verb\":\"b\"}}\n");
    free(got);
    close(fd);
    control_stop(c);
    control_free(c);
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    int calls = 0;
    Control *c = open_ok(&calls);
    const char *bad[] = {"nonsense\n", "[1]\n", "\n", "{\"verb\":\"a\"} x\n"};
    int fd = raw_connect();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(send(fd, bad[i], strlen(bad[i]), 0), (ssize_t)strlen(bad[i]));
        char *got = raw_lines(fd, 1);
        ck_assert_ptr_nonnull(strstr(got, "\"code\":\"SM-1001\""));
        free(got);
    }
    close(fd);
    fd = raw_connect();
    StrBuf endless = {0};
    while (endless.len < 200000)
        sb_c(&endless, "{\"verb\": ");
    for (size_t sent = 0; sent < endless.len;) {
        ssize_t n = send(fd, endless.ptr + sent, endless.len - sent, MSG_NOSIGNAL);
        if (n <= 0) break; /* it has hung up already */
        sent += (size_t)n;
    }
    char *got = raw_lines(fd, 2);
    ck_assert_int_eq(calls, 0);
    free(got);
    close(fd);
    echo_works();
    sb_done(&endless);
    control_stop(c);
    control_free(c);
}
END_TEST

START_TEST(idle_clients_do_not_block_others_and_more_than_fit_wait)
{
    int calls = 0;
    int idle[40];
    Control *c = open_ok(&calls);
    for (size_t i = 0; i < 20; i++)
        idle[i] = raw_connect();
    echo_works();
    for (size_t i = 20; i < ARRAY_LEN(idle); i++)
        idle[i] = raw_connect();
    Err err = {0};
    ck_assert(!call("hello", 200, NULL, &err)); /* no room: waits in the listen queue */
    ck_assert_int_eq(err.code, ERR_IO);
    err_clear(&err);
    for (size_t i = 0; i < ARRAY_LEN(idle); i++)
        close(idle[i]);
    echo_works();
    control_stop(c);
    control_free(c);
}
END_TEST

typedef struct Waiter {
    bool ok;
    int64_t ended_ms;
} Waiter;

static void *wait_for_end(void *arg)
{
    Waiter *w = arg;
    Err err = {0};
    json_t *request = json_pack("{s:s}", "verb", "stop");
    ControlCall how = {.dir = temp_dir, .timeout_ms = 10000, .until_end = true};
    w->ok = control_call(&how, request, NULL, &err);
    w->ended_ms = clock_mono_ms();
    json_decref(request);
    err_clear(&err);
    return NULL;
}

START_TEST(who_waits_for_the_end_is_held_until_all_is_let_go)
{
    int calls = 0;
    Waiter w = {0};
    pthread_t thread;
    Control *c = open_ok(&calls);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, &w), 0);
    while (!__atomic_load_n(&calls, __ATOMIC_ACQUIRE))
        usleep(1000);
    usleep(50000);
    control_stop(c);
    usleep(50000);
    int64_t before_free_ms = clock_mono_ms();
    control_free(c);
    pthread_join(thread, NULL);
    ck_assert(w.ok);
    ck_assert_int_ge(w.ended_ms, before_free_ms);
}
END_TEST

static Suite *control_suite(void)
{
    Suite *s = suite_create("control");
    TCase *t = tcase_create("control");
    tcase_add_checked_fixture(t, temp_dir_setup, temp_dir_teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, requests_are_answered);
    tcase_add_test(t, the_socket_is_private_and_goes_away);
    tcase_add_test(t, a_socket_left_by_a_killed_process_is_replaced);
    tcase_add_test(t, deep_state_folders_work);
    tcase_add_test(t, errors_cross_the_socket);
    tcase_add_test(t, pieces_and_several_requests_of_one_connection);
    tcase_add_test(t, what_is_no_request_is_refused);
    tcase_add_test(t, idle_clients_do_not_block_others_and_more_than_fit_wait);
    tcase_add_test(t, who_waits_for_the_end_is_held_until_all_is_let_go);
    suite_add_tcase(s, t);
    return s;
}

UNIT_MAIN(control_suite)
