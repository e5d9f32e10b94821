#include "source/assemble_impl.h"
#include "base/poison.h"

/* What a server may have put into a transaction's payload. */
static bool may_be_inside(const EventHeader *h)
{
    switch ((EventType)h->type) {
    case EVENT_QUERY:
    case EVENT_XID:
    case EVENT_XA_PREPARE:
    case EVENT_TABLE_MAP:
    case EVENT_WRITE_ROWS_V0:
    case EVENT_UPDATE_ROWS_V0:
    case EVENT_DELETE_ROWS_V0:
    case EVENT_WRITE_ROWS_V1:
    case EVENT_UPDATE_ROWS_V1:
    case EVENT_DELETE_ROWS_V1:
    case EVENT_WRITE_ROWS_V2:
    case EVENT_UPDATE_ROWS_V2:
    case EVENT_DELETE_ROWS_V2:
    case EVENT_PARTIAL_UPDATE_ROWS:
    case EVENT_ROWS_QUERY:
    case EVENT_IGNORABLE:
    case EVENT_INTVAR:
    case EVENT_RAND:
    case EVENT_USER_VAR:
    case EVENT_BEGIN_LOAD_QUERY:
    case EVENT_APPEND_BLOCK:
    case EVENT_DELETE_FILE:
    case EVENT_EXECUTE_LOAD_QUERY: return true;
    default: return h->flags & EVENT_FLAG_IGNORABLE;
    }
}

/* The events inside stand where the payload stands: position, size, CRC and time are the payload's, so that a
 * transaction that ends inside ends where the payload ends, and its evidence can be read again. */
bool assemble_payload(Assembler *a, const FormatDescription *fmt, const RawEvent *ev, Err *err)
{
    if (a->group.state == GROUP_OPEN)
        return err_set(err, ERR_SOURCE_PROTOCOL, "TRANSACTION_PAYLOAD event inside a transaction");
    if (!a->payload) a->payload = payload_new();
    if (!payload_begin(a->payload, ev->body, err)) return false;
    bool last = false, ok = true;
    while (ok && !last) {
        EventHeader h;
        RawEvent inner = *ev;
        ok = payload_next(a->payload, &h, &inner.body, &last, err);
        if (!ok) break;
        if (!may_be_inside(&h)) {
            ok = err_set(err, ERR_CORRUPT, "%s event (type %u) inside a TRANSACTION_PAYLOAD event",
                         event_type_name(h.type), h.type);
            break;
        }
        inner.header.type = h.type;
        inner.header.server_id = h.server_id;
        inner.header.flags = h.flags;
        a->payload_rest = !last;
        ok = assemble_switch(a, fmt, &inner, err);
    }
    a->payload_rest = false;
    if (ok && a->group.state != GROUP_NONE)
        return err_set(err, ERR_CORRUPT, "TRANSACTION_PAYLOAD event: it ends inside its transaction");
    return ok;
}
