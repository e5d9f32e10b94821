/* ROWS events: the part in front of the row images. */
#include "decode/event.h"
#include "decode/decode_internal.h"
#include "decode/event_inflate.h"
#include "base/poison.h"

enum { FLAG_STATEMENT_END = 1, OLD_POST_HEADER_LEN = 6 };

/* Table ids have 6 bytes; 4 in the first versions, whose post header is 6 bytes long. */
static unsigned table_id_len(const FormatDescription *fmt, unsigned type)
{
    return fmt->post_header_len[type & 0xff] == OLD_POST_HEADER_LEN ? 4 : 6;
}

uint64_t event_table_id(const FormatDescription *fmt, unsigned type, Str body)
{
    Reader r = reader_of(body);
    return reader_uint(&r, table_id_len(fmt, type));
}

static bool rows_unsupported(unsigned type, Err *err)
{
    const char *name = event_type_name(type);
    if (type == EVENT_PARTIAL_ROW_DATA)
        return err_set_remedy(err, ERR_DECODE_UNSUPPORTED,
                              "raise slave_max_allowed_packet on the source; bring the rows of this "
                              "transaction by hand and go on behind it, " ERR_PAST,
                              "%s event: split rows are not decoded yet", name);
    return err_set(err, ERR_DECODE_UNSUPPORTED, "%s event (%u) is not a rows event", name, type);
}

typedef struct RowsForm {
    uint8_t type;
    uint8_t kind; /* RowsKind */
    uint8_t version;
    bool compressed, partial;
} RowsForm;

static const RowsForm *rows_form(unsigned type)
{
    static const RowsForm forms[] = {
        {EVENT_WRITE_ROWS_V2, ROWS_WRITE, 2, false, false},
        {EVENT_UPDATE_ROWS_V2, ROWS_UPDATE, 2, false, false},
        {EVENT_DELETE_ROWS_V2, ROWS_DELETE, 2, false, false},
        {EVENT_WRITE_ROWS_V1, ROWS_WRITE, 1, false, false},
        {EVENT_UPDATE_ROWS_V1, ROWS_UPDATE, 1, false, false},
        {EVENT_DELETE_ROWS_V1, ROWS_DELETE, 1, false, false},
        {EVENT_WRITE_ROWS_V0, ROWS_WRITE, 0, false, false},
        {EVENT_UPDATE_ROWS_V0, ROWS_UPDATE, 0, false, false},
        {EVENT_DELETE_ROWS_V0, ROWS_DELETE, 0, false, false},
        {EVENT_PARTIAL_UPDATE_ROWS, ROWS_UPDATE, 2, false, true},
        {EVENT_WRITE_ROWS_COMPRESSED_V1, ROWS_WRITE, 1, true, false},
        {EVENT_UPDATE_ROWS_COMPRESSED_V1, ROWS_UPDATE, 1, true, false},
        {EVENT_DELETE_ROWS_COMPRESSED_V1, ROWS_DELETE, 1, true, false},
        {EVENT_WRITE_ROWS_COMPRESSED_V2, ROWS_WRITE, 2, true, false},
        {EVENT_UPDATE_ROWS_COMPRESSED_V2, ROWS_UPDATE, 2, true, false},
        {EVENT_DELETE_ROWS_COMPRESSED_V2, ROWS_DELETE, 2, true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (forms[i].type == type) return &forms[i];
    return NULL;
}

/* ROWS body:
 *   0    6|4  table id
 *   …    2    flags
 *   …    2+x  v2: length of the extra data, these two bytes included, and the extra data
 *   …    1…9  number of columns (n), length-encoded
 *   …    n/8  columns present, bit i = column i, LSB first
 *   …    n/8  the same for the after image, UPDATE v1 and v2
 *   …    …    row images; compressed forms: one record for event_inflate */
bool event_rows(const EventHeader *h, const FormatDescription *fmt, Str body, RowsEvent *out, Err *err)
{
    const RowsForm *form = rows_form(h->type);
    Reader r = reader_of(body);
    *out = (RowsEvent){0};
    if (!form) return rows_unsupported(h->type, err);
    out->kind = (RowsKind)form->kind;
    out->compressed = form->compressed;
    out->partial = form->partial;
    out->table_id = reader_uint(&r, table_id_len(fmt, h->type));
    out->flags = reader_u16(&r);
    out->statement_end = out->flags & FLAG_STATEMENT_END;
    if (form->version == 2) {
        uint16_t extra = reader_u16(&r);
        if (extra < 2)
            r.failed = true;
        else
            (void)reader_bytes(&r, extra - 2u);
    }
    uint64_t n = reader_lenenc(&r);
    if (!reader_ok(&r) || n > reader_left(&r) * 8) return decode_event_cut(err, h->type);
    out->n_columns = (uint32_t)n;
    out->present_before = reader_str(&r, (n + 7) / 8);
    bool second = out->kind == ROWS_UPDATE && form->version > 0;
    out->present_after = second ? reader_str(&r, (n + 7) / 8) : out->present_before;
    if (!reader_ok(&r)) return decode_event_cut(err, h->type);
    out->rows = reader_str(&r, reader_left(&r));
    return true;
}

bool event_rows_inflate(RowsEvent *e, StrBuf *buf, Err *err)
{
    if (!e->compressed) return true;
    sb_clear(buf);
    if (!event_inflate(e->rows, buf, err)) return false;
    e->rows = sb_view(buf);
    e->compressed = false;
    return true;
}
