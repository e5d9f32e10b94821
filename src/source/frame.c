#include "source/frame.h"
#include "base/poison.h"

enum { FILE_HEAD_LEN = 4 }; /* magic bytes in front of the first event */

void frame_done(Frame *f)
{
    sb_done(&f->file);
}

void frame_move(Frame *f, Str file, uint64_t pos)
{
    if (!str_eq(file, sb_view(&f->file))) {
        sb_clear(&f->file);
        sb_str(&f->file, file);
    }
    f->pos = pos;
}

bool frame_extend(uint64_t running, uint32_t low, uint64_t *out)
{
    const uint64_t wrap = UINT64_C(1) << 32, half = wrap / 2;
    uint64_t at = (running & ~(wrap - 1)) | low;
    if (at < running) {
        if ((running & (wrap - 1)) < half || low >= half) return false;
        at += wrap;
    }
    *out = at;
    return true;
}

bool frame_place(Frame *f, const EventHeader *h, uint64_t *start, uint64_t *end, Err *err)
{
    *start = *end = f->pos;
    if (h->flags & EVENT_FLAG_ARTIFICIAL) return true;
    if (h->type == EVENT_FORMAT_DESCRIPTION && f->pos > FILE_HEAD_LEN) return true;
    if (h->next_pos == 0)
        *end = f->pos + h->size;
    else if (!frame_extend(f->pos, h->next_pos, end))
        *end = 0;
    if (*end < f->pos + h->size)
        return err_set(err, ERR_SOURCE_PROTOCOL,
                       "%s event of %u bytes says it ends at %u, behind " STR_FMT ":%llu",
                       event_type_name(h->type), h->size, h->next_pos, STR_ARG(sb_view(&f->file)),
                       (unsigned long long)f->pos);
    *start = *end - h->size;
    f->pos = *end;
    return true;
}

bool frame_heartbeat(Frame *f, const EventHeader *h, const RotateEvent *at, uint64_t *pos)
{
    *pos = at->pos;
    if (!str_eq(at->file, sb_view(&f->file))) return false;
    bool narrow = h->type == EVENT_HEARTBEAT && h->next_pos != 0;
    if (narrow && !frame_extend(f->pos, h->next_pos, pos)) *pos = f->pos;
    if (*pos > f->pos)
        f->pos = *pos;
    else
        *pos = f->pos;
    return true;
}
