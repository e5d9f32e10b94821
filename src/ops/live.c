#include "ops/live.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/log.h"
#include "ops/text_table.h"
#include "base/poison.h"

static const char hide_cursor[] = "\x1b[?25l", show_cursor[] = "\x1b[?25h", erase_below[] = "\x1b[J";

/* Any thread: mutex guards all below it. */
struct Live {
    int fd;
    pthread_mutex_t mutex;
    StrBuf page;
    size_t lines_shown; /* of the page, on the screen now */
};

bool live_possible(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

bool live_color_wanted(void)
{
    const char *no_color = getenv("NO_COLOR");
    return !no_color || !*no_color;
}

/* A terminal that cannot be written must not stop replication. */
static void put(int fd, Str s)
{
    while (s.len) {
        ssize_t n = write(fd, s.ptr, s.len);
        if (n <= 0) return;
        s.ptr += n;
        s.len -= (size_t)n;
    }
}

static void terminal_size(int fd, size_t *columns, size_t *rows)
{
    struct winsize w = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row;
    *columns = known ? w.ws_col : 80;
    *rows = known ? w.ws_row : 24;
}

/* Cursor to the page's first line, everything from there off the screen. */
static void erase_page(Live *l, StrBuf *out)
{
    if (l->lines_shown) sb_printf(out, "\x1b[%zuA", l->lines_shown);
    sb_ch(out, '\r');
    sb_c(out, erase_below);
    l->lines_shown = 0;
}

static void draw_page(Live *l, StrBuf *out)
{
    size_t columns, rows;
    terminal_size(l->fd, &columns, &rows);
    Str rest = sb_view(&l->page);
    while (rest.len && l->lines_shown + 2 < rows) {
        Str line = str_split(&rest, '\n');
        Str cut = text_cut(line, columns - 1);
        sb_str(out, cut);
        if (cut.len < line.len) sb_c(out, "\x1b[0m");
        sb_ch(out, '\n');
        l->lines_shown++;
    }
}

static void log_line(void *ctx, Str text)
{
    Live *l = ctx;
    CLEANUP(sb_done) StrBuf out = {0};
    pthread_mutex_lock(&l->mutex);
    erase_page(l, &out);
    sb_str(&out, text);
    sb_ch(&out, '\n');
    draw_page(l, &out);
    put(l->fd, sb_view(&out));
    pthread_mutex_unlock(&l->mutex);
}

Live *live_open(int fd)
{
    Live *l = mem_zalloc(sizeof *l);
    l->fd = fd;
    pthread_mutex_init(&l->mutex, NULL);
    put(fd, str_of(hide_cursor));
    log_divert(log_line, l);
    return l;
}

void live_show(Live *l, Str page)
{
    CLEANUP(sb_done) StrBuf out = {0};
    pthread_mutex_lock(&l->mutex);
    sb_clear(&l->page);
    sb_str(&l->page, page);
    erase_page(l, &out);
    draw_page(l, &out);
    put(l->fd, sb_view(&out));
    pthread_mutex_unlock(&l->mutex);
}

void live_close(Live *l)
{
    if (!l) return;
    log_divert(NULL, NULL); /* waits for a line under way */
    live_restore(l);
    sb_done(&l->page);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

void live_restore(const Live *l)
{
    if (l) put(l->fd, str_of(show_cursor));
}
