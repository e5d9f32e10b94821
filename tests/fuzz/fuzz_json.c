/* Input: a binary JSON value. Its text never grows beyond what the input can hold. */
#include <stdlib.h>
#include "decode/json_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST_TEXT_A_BYTE = 64 }; /* a DECIMAL(81) of few bytes, an escaped control character */
    StrBuf out = {0};
    Err err = {0};
    bool ok = json_binary_text(str_make(data, size), &out, &err);
    if (ok == err_is_set(&err)) abort();
    if (out.len > size * MOST_TEXT_A_BYTE + 64) abort();
    if (!ok && out.len) abort();
    err_clear(&err);
    sb_done(&out);
    return 0;
}
