#include "source/assemble_impl.h"
#include "base/check.h"
#include "base/poison.h"

/* ---- statements ---- */

typedef enum XaVerb { XA_OTHER, XA_START, XA_END, XA_COMMIT, XA_ROLLBACK } XaVerb;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static Str take_word(Str *s)
{
    while (s->len && is_space(*s->ptr))
        s->ptr++, s->len--;
    Str word = {s->ptr, 0};
    while (word.len < s->len && ((s->ptr[word.len] | 32) >= 'a' && (s->ptr[word.len] | 32) <= 'z'))
        word.len++;
    s->ptr += word.len;
    s->len -= word.len;
    return word;
}

/* X'…' as the servers write the parts of an xid, in lower case, with its quotes. */
static bool take_hex(Str *s, StrBuf *out)
{
    Str prefix = take_word(s);
    if (!str_ieq(prefix, STR("X")) || !s->len || *s->ptr != '\'') return false;
    size_t n = 1;
    for (; n < s->len && s->ptr[n] != '\''; n++) {
        char c = (char)(s->ptr[n] | 32);
        if (!((c >= 'a' && c <= 'f') || (s->ptr[n] >= '0' && s->ptr[n] <= '9'))) return false;
    }
    if (n == s->len) return false;
    sb_c(out, "X'");
    for (size_t i = 1; i < n; i++)
        sb_ch(out, s->ptr[i] >= 'A' && s->ptr[i] <= 'F' ? (char)(s->ptr[i] | 32) : s->ptr[i]);
    sb_ch(out, '\'');
    s->ptr += n + 1;
    s->len -= n + 1;
    return true;
}

static bool take_comma(Str *s, StrBuf *out)
{
    if (!s->len || *s->ptr != ',') return false;
    sb_ch(out, ',');
    s->ptr++;
    s->len--;
    return true;
}

/* "XA COMMIT X'6162',X'',1" → the verb, and the xid as event_xa_prepare prints it. */
static XaVerb parse_statement(Str sql, StrBuf *xid)
{
    static const struct {
        const char *word;
        XaVerb verb;
    } verbs[] = {{"START", XA_START},
                 {"BEGIN", XA_START},
                 {"END", XA_END},
                 {"COMMIT", XA_COMMIT},
                 {"ROLLBACK", XA_ROLLBACK}};
    if (!str_ieq(take_word(&sql), STR("XA"))) return XA_OTHER;
    Str word = take_word(&sql);
    XaVerb verb = XA_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_ieq(word, str_of(verbs[i].word))) verb = verbs[i].verb;
    int64_t format;
    bool ok = verb != XA_OTHER && take_hex(&sql, xid) && take_comma(&sql, xid) && take_hex(&sql, xid) &&
              take_comma(&sql, xid);
    Str number = {sql.ptr, 0};
    while (number.len < sql.len && !is_space(sql.ptr[number.len]))
        number.len++;
    if (!ok || !str_to_i64(number, &format)) return XA_OTHER;
    sb_i64(xid, format);
    return verb;
}

/* ---- the store ---- */

static bool ready(Assembler *a, Err *err)
{
    if (a->xa) return true;
    if (!a->opts.spill_dir)
        return err_set(err, ERR_SOURCE_SPILL, "no folder to keep prepared XA transactions in");
    if (!xa_open(a->opts.spill_dir, a->opts.source_id, &a->point, &a->xa, err)) return false;
    StrBuf n = {0};
    sb_u64(&n, xa_n_prepared(a->xa));
    if (xa_n_prepared(a->xa)) assemble_note(a, "prepared XA transactions wait for their end", sb_view(&n));
    sb_done(&n);
    return true;
}

void xa_look(Assembler *a)
{
    Err err = {0};
    if (!a->opts.spill_dir || a->xa) return;
    if (!ready(a, &err)) assemble_note(a, "prepared XA transactions cannot be read yet", str_of(err.message));
    err_clear(&err);
}

static bool end_is_covered(void *ctx, const TxnId *end)
{
    Assembler *a = ctx;
    const AssembleHooks *h = &a->opts.hooks;
    TxnId id = *end;
    id.has_gtid = id.has_gtid && a->opts.use_gtid;
    return h->covered && h->covered(h->ctx, a->opts.source, &id);
}

static TxnId group_id(const Assembler *a, const RawEvent *ev)
{
    return (TxnId){.has_gtid = a->group.has_gtid,
                   .gtid = a->group.gtid,
                   .file = ev->file,
                   .end_pos = ev->end_pos,
                   .server = a->server_interned};
}

/* The transaction that is delivered next says what it does to xid. */
static void note_step(Assembler *a, XaStep step, Str xid)
{
    a->group.xa_step = step;
    sb_clear(&a->xid);
    sb_str(&a->xid, xid);
}

/* ---- one group ---- */

bool xa_start(Assembler *a, Err *err)
{
    if (a->opts.only_statements) return true;
    if (!ready(a, err)) return false;
    a->group.xa = true;
    return xa_begin(a->xa, err);
}

bool xa_keep(Assembler *a, unsigned type, Str body, Err *err)
{
    return xa_add(a->xa, type, body, err);
}

typedef struct Replay {
    Assembler *a;
    const RawEvent *ev; /* that the group ends with */
} Replay;

static bool replay_event(void *ctx, const FormatDescription *fmt, unsigned type, Str body, Err *err)
{
    Replay *r = ctx;
    RawEvent ev = *r->ev;
    ev.header.type = (uint8_t)type;
    ev.body = body;
    return assemble_switch(r->a, fmt, &ev, err);
}

/* The open group's own events, which were only kept until now. */
static bool commit_own(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    Replay r = {a, ev};
    a->group.xa = false;
    bool ok = xa_replay(a->xa, (Str){0}, fmt, replay_event, &r, err);
    xa_drop(a->xa);
    return ok && group_commit(a, ev, err);
}

bool assemble_xa_prepare(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    StrBuf xid CLEANUP(sb_done) = {0};
    bool one_phase;
    if (!event_xa_prepare(ev->body, &one_phase, &xid, err)) return false;
    if (a->opts.only_statements) return group_commit(a, ev, err);
    if (!a->group.xa)
        return err_set(err, ERR_SOURCE_PROTOCOL, "XA PREPARE of %s, of which no XA START was read", xid.ptr);
    if (one_phase) return commit_own(a, fmt, ev, err);
    if (a->payload_rest)
        return err_set(err, ERR_CORRUPT, "events stand behind the end of the transaction in its payload");
    TxnId id = group_id(a, ev);
    a->group.xa = false;
    if (!xa_prepared(a->xa, sb_view(&xid), &id, fmt, err)) return err_wrap(err, "XA transaction %s", xid.ptr);
    xa_collect(a->xa, end_is_covered, a);
    note_step(a, XA_STEP_PREPARE, sb_view(&xid));
    return group_commit(a, ev, err);
}

static bool is_applied(const Assembler *a, const RawEvent *ev)
{
    TxnId id = group_id(a, ev);
    id.has_gtid = id.has_gtid && a->opts.use_gtid;
    const AppliedTxn *t = a->opts.applied ? applied_set_find(a->opts.applied, &id, a->server) : NULL;
    return t && t->whole;
}

/* COMMIT of a transaction that was prepared in an earlier group. */
static bool commit_prepared(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Str xid, Err *err)
{
    Replay r = {a, ev};
    if (!xa_is_prepared(a->xa, xid)) {
        if (is_applied(a, ev)) return group_commit(a, ev, err);
        return err_set(err, ERR_SOURCE_XA,
                       "XA COMMIT of " STR_FMT ", whose PREPARE lies before the start of this stream",
                       STR_ARG(xid));
    }
    TxnId end = group_id(a, ev);
    if (a->group.mode != ROWS_COUNT && !xa_replay(a->xa, xid, fmt, replay_event, &r, err))
        return err_wrap(err, "XA transaction " STR_FMT, STR_ARG(xid));
    note_step(a, XA_STEP_COMMIT, xid);
    return group_commit(a, ev, err) && xa_ended(a->xa, xid, &end, err);
}

static bool rollback_prepared(Assembler *a, const RawEvent *ev, Str xid, Err *err)
{
    TxnId end = group_id(a, ev);
    bool known = xa_is_prepared(a->xa, xid);
    if (!known)
        assemble_note(a, "XA ROLLBACK of a transaction that was prepared before the start of this stream",
                      xid);
    return group_commit(a, ev, err) && (!known || xa_ended(a->xa, xid, &end, err));
}

bool assemble_xa_statement(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Str sql, Err *err)
{
    StrBuf xid CLEANUP(sb_done) = {0};
    XaVerb verb = parse_statement(sql, &xid);
    if (verb == XA_OTHER)
        return err_set(err, ERR_SOURCE_XA, "a statement that cannot be read: " STR_FMT, STR_ARG(sql));
    if (a->opts.only_statements) {
        group_begin(a, GROUP_OPEN);
        return verb == XA_START || verb == XA_END || group_commit(a, ev, err);
    }
    if (!ready(a, err)) return false;
    switch (verb) {
    case XA_START:
        if (a->group.state == GROUP_OPEN)
            return err_set(err, ERR_SOURCE_PROTOCOL, "XA START of %s inside a transaction", xid.ptr);
        group_begin(a, GROUP_OPEN);
        return xa_start(a, err);
    case XA_END:
        return a->group.xa ||
               err_set(err, ERR_SOURCE_PROTOCOL, "XA END of %s, which was not started", xid.ptr);
    case XA_COMMIT:
    case XA_ROLLBACK: break;
    case XA_OTHER: return false;
    }
    xa_collect(a->xa, end_is_covered, a);
    if (a->group.xa && verb == XA_COMMIT) return commit_own(a, fmt, ev, err);
    if (a->group.xa) { /* never prepared: nothing stays but its identity */
        a->group.xa = false;
        xa_drop(a->xa);
        return group_commit(a, ev, err);
    }
    if (a->group.state == GROUP_OPEN && a->group.row_no)
        return err_set(err, ERR_SOURCE_PROTOCOL, "the end of XA transaction %s inside another one", xid.ptr);
    group_begin(a, GROUP_OPEN);
    return verb == XA_COMMIT ? commit_prepared(a, fmt, ev, sb_view(&xid), err)
                             : rollback_prepared(a, ev, sb_view(&xid), err);
}
