/* The reference page of all keys, from the table they are checked against. */
#ifndef SM_CONFIG_REFERENCE_H
#define SM_CONFIG_REFERENCE_H

#include "base/str.h"

/* Appends docs/reference/configuration.md. Pure; any thread. */
void config_write_reference(StrBuf *out);

#endif
