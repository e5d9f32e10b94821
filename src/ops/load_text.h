/* The copy of existing rows for people: the member `load` of a status object. */
#ifndef SM_OPS_LOAD_TEXT_H
#define SM_OPS_LOAD_TEXT_H

#include <jansson.h>
#include "base/str.h"

/* Appends a line with rows, bytes, percent, rates and what is left, the tables that are being copied (a few;
 * the others are counted), and what the readers do. Nothing when load is null or there is nothing to copy;
 * one line when all is copied. Pure. */
void load_text(const json_t *load, bool color, StrBuf *out);

/* 1536 → "1.5 KiB" */
void text_bytes(StrBuf *out, uint64_t n);
/* "45 s", "12 min", "3 h 20 min", "2 d 4 h" */
void text_duration(StrBuf *out, uint64_t seconds);

#endif
