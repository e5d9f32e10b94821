#include "pipeline/holders.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/fault.h"
#include "pipeline/errand.h"
#include "base/poison.h"

enum { HOLDERS_SHOWN = 5, HOLDERS_MS = 10000, MEMBERS_MOST = 4096 };

/* The thread's, until the errand is over. */
struct Holders {
    Errand errand;
    Pipeline *p;
    CatalogPlace *members; /* that may hold it */
    size_t n_members;
    char *condition;
    StrBuf names;  /* that hold it */
    StrBuf silent; /* sources, or tables of them, that could not be asked */
    size_t found, n_silent;
    int64_t deadline_ms;
};

static bool has_time(const Holders *h, ConnCancel *cancel)
{
    return !conn_cancel_fired(cancel) && clock_mono_ms() < h->deadline_ms;
}

static bool ask_member(Conn *conn, TableName name, const char *condition, bool *holds, Err *err)
{
    StrBuf sql = {0};
    char *count = NULL;
    sb_c(&sql, "SELECT COUNT(*) FROM ");
    table_name_sql(name, &sql);
    sb_printf(&sql, " WHERE %s", condition);
    bool ok = conn_scalar(conn, sb_view(&sql), &count, err);
    *holds = ok && count && strcmp(count, "0") != 0;
    free(count);
    sb_done(&sql);
    return ok;
}

/* name NULL: the whole source */
static void add_silent(Holders *h, const StreamCtl *other, const TableName *name)
{
    if (h->n_silent++ >= HOLDERS_SHOWN) return;
    sb_printf(&h->silent, "%s%s", h->n_silent > 1 ? ", " : "", other->name);
    if (!name) return;
    sb_ch(&h->silent, ' ');
    table_name_plain(*name, &h->silent);
}

/* All members of one source. A table that cannot be asked (it has another name there by now) holds up none of
 * the others. */
static void ask_source(Holders *h, StreamCtl *other, ConnCancel *cancel)
{
    Err err = {0};
    Conn *conn = NULL;
    bool ok = !FAULT("eject.holders") && has_time(h, cancel) &&
              stream_connect_until(other, cancel, &conn, &err) &&
              conn_exec(conn, STR("SET NAMES utf8mb4, time_zone = '+00:00'"), NULL, &err);
    for (size_t i = 0; ok && i < h->n_members; i++) {
        TableName name = h->members[i].name;
        bool holds = false;
        if (h->members[i].source != other->index) continue;
        ok = has_time(h, cancel) && ask_member(conn, name, h->condition, &holds, &err);
        if (!ok && err_is_set(&err) && err_class(&err) != ERR_CLASS_RETRY) {
            add_silent(h, other, &name);
            err_clear(&err);
            ok = true;
        }
        if (!holds || h->found++ >= HOLDERS_SHOWN) continue;
        sb_printf(&h->names, "%s%s ", h->found > 1 ? ", " : "", other->name);
        table_name_plain(name, &h->names);
    }
    if (!ok) add_silent(h, other, NULL);
    conn_close(conn);
    err_clear(&err);
}

static void ask_all(void *ctx, ConnCancel *cancel)
{
    Holders *h = ctx;
    for (uint32_t s = 0; s < h->p->n_sources; s++) {
        bool any = false;
        for (size_t i = 0; i < h->n_members; i++)
            any |= h->members[i].source == s;
        if (any) ask_source(h, &h->p->streams[s], cancel);
    }
}

Holders *holders_ask(Pipeline *p, const StreamCtl *c, Err *err)
{
    if (!c->collision_binding || !c->collision_condition || !c->collision_condition[0]) return NULL;
    Holders *h = mem_zalloc(sizeof *h);
    h->p = p;
    h->members = mem_zalloc(MEMBERS_MOST * sizeof *h->members);
    h->n_members = catalog_members(p->catalog, c->collision_binding->target, c->collision_binding->member,
                                   h->members, MEMBERS_MOST);
    h->condition = str_dup(str_of(c->collision_condition));
    h->deadline_ms = clock_mono_ms() + HOLDERS_MS;
    if (errand_begin(&h->errand, ask_all, h, err)) return h;
    holders_free(h);
    return NULL;
}

bool holders_have_answered(Holders *h)
{
    return errand_is_over(&h->errand);
}

void holders_say(const Holders *h, StrBuf *text, bool *nobody)
{
    *nobody = h->found == 0;
    if (h->found)
        sb_printf(text, "the other side is %s", h->names.ptr);
    else if (h->n_silent)
        sb_c(text, "the other side is not known");
    else
        sb_c(text, "no other shard table has such a row now: it was deleted since, or somebody else wrote it "
                   "into the target");
    if (h->n_silent)
        sb_printf(text, " (could not be asked: %s%s)", h->silent.ptr,
                  h->n_silent > HOLDERS_SHOWN ? " …" : "");
}

void holders_free(Holders *h)
{
    if (!h) return;
    errand_end(&h->errand);
    sb_done(&h->names);
    sb_done(&h->silent);
    free(h->members);
    free(h->condition);
    free(h);
}
