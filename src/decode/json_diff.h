/* MySQL's JSON diffs: what PARTIAL_UPDATE_ROWS has of a document instead of its new value. Pure.
 * Source of truth: sql/json_diff.cc of MySQL; the tests compare with the server's own documents. */
#ifndef SM_DECODE_JSON_DIFF_H
#define SM_DECODE_JSON_DIFF_H

#include "base/err.h"
#include "base/str.h"

/* Appends document (binary JSON) after diffs, as binary JSON: the same value that the server has, not the
 * same bytes. diffs: one after the other 0   1     0 replace, 1 insert, 2 remove 1   1…9   bytes of the path,
 * length-encoded, and the path ($.a[2]."b c") …   1…9   bytes of the value, length-encoded, and the value
 * (binary JSON); not with remove An insert adds a member to an object, or an element in front of the one its
 * path names. ERR_CORRUPT: diffs or paths that make no sense; ERR_DECODE_VALUE: ones that the document does
 * not have, or a broken document. On an error out is as it was. */
NODISCARD bool json_diff_apply(Str document, Str diffs, StrBuf *out, Err *err);

#endif
