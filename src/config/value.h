/* The text of one value → what it means. Pure; any thread. */
#ifndef SM_CONFIG_VALUE_H
#define SM_CONFIG_VALUE_H

#include "base/str.h"

/* true/false, yes/no, on/off, y/n in the spellings of YAML 1.1. */
NODISCARD bool value_bool(Str s, bool *out);
/* Go's duration: a sequence of number and unit, "1h30m", "1.5s", "500ms", or "0"; to milliseconds, rounded
 * up. */
NODISCARD bool value_duration_ms(Str s, uint64_t *out);
/* A whole number of seconds, or a duration; to milliseconds. */
NODISCARD bool value_seconds_ms(Str s, uint64_t *out);
/* A whole number of bytes, or with a unit: K, KiB, M, MiB, G, GiB, T, TiB are powers of 1024 (either case),
 * KB, MB, GB, TB powers of 1000. */
NODISCARD bool value_bytes(Str s, uint64_t *out);
/* Standard base64; white space and line ends are passed over. */
NODISCARD bool value_base64(Str s, StrBuf *out);
/* Whether a password has the shape of dmctl's encryption: base64 of 16 bytes, '@', and more. A hint, never a
 * proof. */
bool value_looks_encrypted(Str password);
/* +hh:mm or -hh:mm up to 14:00, or a name such as Asia/Shanghai (not looked up). */
bool value_is_timezone(Str s);

#endif
