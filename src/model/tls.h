/* TLS settings of one endpoint, as both the configuration and the connection know them. */
#ifndef SM_MODEL_TLS_H
#define SM_MODEL_TLS_H

#include <stdbool.h>

typedef struct TlsOpts {
    const char *ca, *cert, *key; /* file paths; NULL = not used */
    bool verify;                 /* check the server's certificate and name (when ca is set) */
    bool required;               /* refuse a connection without TLS */
} TlsOpts;

#endif
