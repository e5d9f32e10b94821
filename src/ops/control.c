#include "ops/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/check.h"
#include "base/err_json.h"
#include "base/clock.h"
#include "base/poison.h"

enum {
    CLIENTS_MAX = 32,          /* more wait in the listen queue */
    REQUEST_LIMIT = 64 * 1024, /* bytes of one request line */
    REPLY_LIMIT = 64 * 1024 * 1024,
};

/* Owner: the control thread, until it is joined. */
typedef struct Client {
    int fd; /* -1: free */
    StrBuf in, out;
    size_t sent;  /* of out */
    bool asked;   /* sent a whole request */
    bool closing; /* close once out is sent */
} Client;

struct Control {
    char *dir;
    int listen_fd, wake_fd;
    pthread_t thread;
    bool running; /* main thread's */
    ControlHandler handler;
    void *ctx;
    Client clients[CLIENTS_MAX];
};

/* ---- the socket's address
 * ------------------------------------------------------------------------------------ */

static void close_fd(const int *fd)
{
    if (*fd >= 0) close(*fd);
}

/* sun_path holds 107 bytes, state folders may be deeper: then the folder is reached through its descriptor.
 * *dir_fd stays open as long as the address is used; -1 when not needed. */
static bool socket_address(const char *dir, struct sockaddr_un *addr, int *dir_fd, Err *err)
{
    CLEANUP(sb_done) StrBuf path = {0};
    sb_printf(&path, "%s/control.sock", dir);
    if (path.len >= sizeof addr->sun_path) {
        *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*dir_fd < 0) return err_set(err, ERR_IO, "state folder %s: %s", dir, strerror(errno));
        sb_clear(&path);
        sb_printf(&path, "/proc/self/fd/%d/control.sock", *dir_fd);
    }
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path, path.ptr, path.len);
    return true;
}

/* ---- server
 * -------------------------------------------------------------------------------------------------- */

static json_t *refuse(const char *text)
{
    CLEANUP(err_clear) Err err = {0};
    err_set(&err, ERR_USAGE, "control socket: %s", text);
    return json_pack("{s:b, s:o}", "ok", 0, "error", err_to_json(&err));
}

static void answer(Control *c, Client *cl, Str line)
{
    json_t *request = json_loadb(line.ptr, line.len, 0, NULL);
    json_t *reply = json_is_object(request) ? c->handler(c->ctx, request)
                                            : refuse("a request is one JSON object on one line");
    char *text = json_dumps(reply, JSON_COMPACT);
    CHECK(text, "a reply that can be written as JSON");
    sb_c(&cl->out, text);
    sb_ch(&cl->out, '\n');
    free(text);
    json_decref(reply);
    json_decref(request);
    cl->asked = true;
}

static void client_end(Client *cl)
{
    close(cl->fd);
    sb_done(&cl->in);
    sb_done(&cl->out);
    *cl = (Client){.fd = -1};
}

static void client_send(Client *cl)
{
    while (cl->sent < cl->out.len) {
        ssize_t n = send(cl->fd, cl->out.ptr + cl->sent, cl->out.len - cl->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n < 0) {
            client_end(cl);
            return;
        }
        cl->sent += (size_t)n;
    }
    sb_clear(&cl->out);
    cl->sent = 0;
    if (cl->closing) client_end(cl);
}

static void client_lines(Control *c, Client *cl)
{
    size_t done = 0;
    for (;;) {
        Str rest = {cl->in.ptr + done, cl->in.len - done};
        const char *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        if (!end) break;
        answer(c, cl, (Str){rest.ptr, (size_t)(end - rest.ptr)});
        done += (size_t)(end - rest.ptr) + 1;
    }
    if (done) {
        memmove(cl->in.ptr, cl->in.ptr + done, cl->in.len - done);
        cl->in.len -= done;
    }
    if (cl->in.len > REQUEST_LIMIT) {
        json_t *reply = refuse("the request is too long");
        char *text = json_dumps(reply, JSON_COMPACT);
        sb_c(&cl->out, text ? text : "");
        sb_ch(&cl->out, '\n');
        free(text);
        json_decref(reply);
        cl->closing = true;
    }
}

static void client_read(Control *c, Client *cl)
{
    char buf[4096];
    ssize_t n = recv(cl->fd, buf, sizeof buf, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
        client_end(cl);
        return;
    }
    sb_add(&cl->in, buf, (size_t)n);
    client_lines(c, cl);
    client_send(cl);
}

static Client *free_client(Control *c)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd < 0) return &c->clients[i];
    return NULL;
}

static void accept_client(Control *c)
{
    Client *cl = free_client(c);
    int fd = cl ? accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (fd >= 0) *cl = (Client){.fd = fd};
}

static void *control_thread(void *arg)
{
    Control *c = arg;
    for (;;) {
        struct pollfd fds[CLIENTS_MAX + 2];
        fds[0] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = free_client(c) ? c->listen_fd : -1, .events = POLLIN};
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            Client *cl = &c->clients[i];
            short events = (short)(cl->out.len > cl->sent ? POLLOUT : POLLIN);
            fds[i + 2] = (struct pollfd){.fd = cl->fd, .events = events};
        }
        /* Wake-ups: wake_fd (control_stop), a client. */
        if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
            CHECK(errno == EINTR, "poll on the control socket");
            continue;
        }
        if (fds[0].revents) return NULL;
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            if (fds[i + 2].revents & POLLOUT)
                client_send(&c->clients[i]);
            else if (fds[i + 2].revents)
                client_read(c, &c->clients[i]);
        }
        if (fds[1].revents) accept_client(c);
    }
}

static bool bind_socket(Control *c, Err *err)
{
    struct sockaddr_un addr;
    CLEANUP(close_fd) int dir_fd = -1;
    if (!socket_address(c->dir, &addr, &dir_fd, err)) return false;
    unlink(addr.sun_path);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listen_fd < 0) return err_set(err, ERR_IO, "control socket: %s", strerror(errno));
    mode_t before = umask(0177);
    int rc = bind(c->listen_fd, (struct sockaddr *)&addr, sizeof addr);
    int bind_errno = errno;
    umask(before);
    if (rc != 0) return err_set(err, ERR_IO, "%s/control.sock: %s", c->dir, strerror(bind_errno));
    if (listen(c->listen_fd, CLIENTS_MAX) != 0)
        return err_set(err, ERR_IO, "%s/control.sock: %s", c->dir, strerror(errno));
    return true;
}

bool control_open(const char *dir, ControlHandler handler, void *ctx, Control **out, Err *err)
{
    Control *c = mem_zalloc(sizeof *c);
    c->dir = str_dup(str_of(dir));
    c->listen_fd = -1;
    c->handler = handler;
    c->ctx = ctx;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        c->clients[i].fd = -1;
    c->wake_fd = eventfd(0, EFD_CLOEXEC);
    bool ok = c->wake_fd >= 0 || err_set(err, ERR_IO, "control socket: eventfd: %s", strerror(errno));
    ok = ok && bind_socket(c, err);
    if (ok) {
        c->running = pthread_create(&c->thread, NULL, control_thread, c) == 0;
        if (!c->running) ok = err_set(err, ERR_IO, "control socket: no thread");
    }
    if (!ok) {
        control_stop(c);
        control_free(c);
        c = NULL;
    }
    *out = c;
    return ok;
}

void control_stop(Control *c)
{
    if (!c) return;
    if (c->running) {
        CHECK(eventfd_write(c->wake_fd, 1) == 0, "wake the control thread");
        pthread_join(c->thread, NULL);
        c->running = false;
    }
    if (c->listen_fd >= 0) {
        struct sockaddr_un addr;
        CLEANUP(close_fd) int dir_fd = -1;
        CLEANUP(err_clear) Err ignored = {0}; /* the folder is gone: nothing to remove */
        if (socket_address(c->dir, &addr, &dir_fd, &ignored)) unlink(addr.sun_path);
        close(c->listen_fd);
        c->listen_fd = -1;
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0 && !c->clients[i].asked) client_end(&c->clients[i]);
}

void control_free(Control *c)
{
    if (!c) return;
    CHECK(!c->running, "control_free before control_stop");
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0) client_end(&c->clients[i]);
    if (c->wake_fd >= 0) close(c->wake_fd);
    free(c->dir);
    free(c);
}

/* ---- client
 * -------------------------------------------------------------------------------------------------- */

static bool connect_socket(const char *dir, int *fd, Err *err)
{
    struct sockaddr_un addr;
    CLEANUP(close_fd) int dir_fd = -1;
    if (access(dir, F_OK) != 0)
        return err_set(err, ERR_OPS_NOT_RUNNING, "state folder %s: %s", dir, strerror(errno));
    if (!socket_address(dir, &addr, &dir_fd, err)) return false;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return err_set(err, ERR_IO, "control socket: %s", strerror(errno));
    if (connect(*fd, (struct sockaddr *)&addr, sizeof addr) == 0) return true;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, ERR_OPS_NOT_RUNNING, "nobody listens on %s/control.sock", dir);
    return err_set(err, ERR_IO, "%s/control.sock: %s", dir, strerror(errno));
}

static bool send_request(int fd, const json_t *request, Err *err)
{
    char *text = json_dumps(request, JSON_COMPACT);
    CHECK(text, "a request that can be written as JSON");
    CLEANUP(sb_done) StrBuf line = {0};
    sb_c(&line, text);
    sb_ch(&line, '\n');
    free(text);
    for (size_t sent = 0; sent < line.len;) {
        ssize_t n = send(fd, line.ptr + sent, line.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, ERR_OPS_NOT_RUNNING, "the process went away: %s", strerror(errno));
        sent += (size_t)n;
    }
    return true;
}

/* More bytes into buf until the deadline; *end when the other side has closed. */
static bool receive(int fd, int64_t deadline_ms, StrBuf *buf, bool *end, Err *err)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int rc = poll(&p, 1, left > 0 ? (int)MIN(left, (int64_t)INT32_MAX) : 0);
        if (rc < 0 && errno == EINTR) continue;
        if (rc == 0) return err_set(err, ERR_IO, "control socket: no answer in time");
        sb_reserve(buf, 65536);
        ssize_t n = recv(fd, buf->ptr + buf->len, 65536, 0);
        if (n < 0 && errno == EINTR) continue;
        *end = n <= 0;
        if (n > 0) sb_wrote(buf, (size_t)n);
        return true;
    }
}

static ErrCode known_code(Str text)
{
    uint64_t number = 0;
    Str prefix = str_split(&text, '-');
    if (!str_eqc(prefix, "SM") || !str_to_u64(text, &number)) return ERR_BUG;
    ErrCode code;
    ErrClass cls;
    int status;
    const char *name, *summary, *remedy;
    for (size_t i = 0; err_table_row(i, &code, &cls, &status, &name, &summary, &remedy); i++)
        if ((uint64_t)code == number) return code;
    return ERR_BUG;
}

static bool check_reply(const json_t *reply, Err *err)
{
    if (!json_is_object(reply)) return err_set(err, ERR_IO, "control socket: the answer is not JSON");
    if (json_is_true(json_object_get(reply, "ok"))) return true;
    const json_t *e = json_object_get(reply, "error");
    const char *code = json_string_value(json_object_get(e, "code"));
    const char *message = json_string_value(json_object_get(e, "message"));
    const char *remedy = json_string_value(json_object_get(e, "remedy"));
    return err_set_remedy(err, known_code(str_of(code)), remedy ? remedy : "", "%s",
                          message ? message : "refused");
}

bool control_call(const ControlCall *call, const json_t *request, json_t **reply, Err *err)
{
    CLEANUP(close_fd) int fd = -1;
    CLEANUP(sb_done) StrBuf in = {0};
    int64_t deadline = clock_mono_ms() + call->timeout_ms;
    bool end = false;
    if (reply) *reply = NULL;
    if (!connect_socket(call->dir, &fd, err) || !send_request(fd, request, err)) return false;
    const char *line_end = NULL;
    while (!line_end) {
        if (!receive(fd, deadline, &in, &end, err)) return false;
        if (end) return err_set(err, ERR_OPS_NOT_RUNNING, "the process ended before it answered");
        if (in.len > REPLY_LIMIT) return err_set(err, ERR_IO, "control socket: the answer is too long");
        line_end = in.len ? memchr(in.ptr, '\n', in.len) : NULL;
    }
    json_t *answer_json = json_loadb(in.ptr, (size_t)(line_end - in.ptr), 0, NULL);
    bool ok = check_reply(answer_json, err);
    while (ok && call->until_end && !end)
        ok = receive(fd, deadline, &in, &end, err);
    if (ok && reply)
        *reply = answer_json;
    else
        json_decref(answer_json);
    return ok;
}
