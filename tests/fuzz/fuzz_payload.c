/* Input: byte 0 picks the parser, the rest is its input: 0 body of TRANSACTION_PAYLOAD, 1 a compressed record
 * of MariaDB, 2 body of QUERY_COMPRESSED, 3 value of a COMPRESSED column, 4 a JSON document and diffs (2
 * bytes length of the document in front). What comes out is bounded by what deflate and zstd can make of the
 * input. */
#include <stdlib.h>
#include "decode/event_inflate.h"
#include "decode/event_payload.h"
#include "decode/json_binary.h"
#include "decode/json_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok) abort();
}

static void payload(Str body)
{
    PayloadReader *p = payload_new();
    Err err = {0};
    EventHeader h;
    Str event;
    bool last = false;
    bool ok = payload_begin(p, body, &err);
    check(ok != err_is_set(&err));
    while (ok && !last) {
        ok = payload_next(p, &h, &event, &last, &err);
        check(ok != err_is_set(&err));
        if (ok) check(h.size >= EVENT_HEADER_LEN && event.len == h.size - EVENT_HEADER_LEN);
    }
    err_clear(&err);
    payload_free(p);
}

static void diff(Str input)
{
    Reader r = reader_of(input);
    StrBuf out = {0}, text = {0};
    Err err = {0};
    Str document = reader_str(&r, reader_u16(&r)), diffs = reader_str(&r, reader_left(&r));
    if (reader_ok(&r)) {
        bool ok = json_diff_apply(document, diffs, &out, &err);
        check(ok != err_is_set(&err) && (ok || out.len == 0));
        /* what was made of a good document can be read */
        Err unread = {0};
        if (ok && json_binary_text(document, &text, &unread)) {
            sb_clear(&text);
            if (!json_binary_text(sb_view(&out), &text, &unread)) err_clear(&unread);
        }
        err_clear(&unread);
    }
    err_clear(&err);
    sb_done(&out);
    sb_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST_OUT_A_BYTE = 1100 }; /* deflate: 1032 */
    if (size < 1) return 0;
    Str in = str_make(data + 1, size - 1);
    StrBuf out = {0};
    Err err = {0};
    bool ok = true;
    switch (data[0] % 5) {
    case 0: payload(in); break;
    case 1: ok = event_inflate(in, &out, &err); break;
    case 2: ok = event_query_inflate(in, &out, &err); break;
    case 3: ok = column_inflate(in, &out, &err); break;
    default: diff(in); break;
    }
    check(ok != err_is_set(&err));
    check(out.len <= size * MOST_OUT_A_BYTE + 64);
    err_clear(&err);
    sb_done(&out);
    return 0;
}
