/* GTID sets of both flavors.
 *
 * MySQL:   uuid:1-5:7,uuid2:9  — a set of intervals per (uuid, tag); tags parse and print (uuid:tag:1-5).
 * MariaDB: 0-1-25,1-2-9        — the last GTID per domain; "contains" means: sequence not above the domain's
 * last. Source of truth: what the server prints in @@gtid_executed / @@gtid_binlog_pos. Not thread-safe. */
#ifndef SM_MODEL_GTID_H
#define SM_MODEL_GTID_H

#include "base/err.h"
#include "base/str.h"
#include "model/flavor.h"

typedef struct Gtid {
    Flavor flavor;
    /* MySQL */
    uint8_t uuid[16];
    char tag[33]; /* "" = none; at most 32 characters, by MySQL's definition */
    uint64_t gno;
    /* MariaDB */
    uint32_t domain, server_id;
    uint64_t seq;
} Gtid;

typedef struct GtidSet GtidSet;

GtidSet *gtidset_new(Flavor flavor);
void gtidset_free(GtidSet *s);
GtidSet *gtidset_clone(const GtidSet *s);
Flavor gtidset_flavor(const GtidSet *s);
/* Reads the server's text form (white space and line breaks allowed; empty text is the empty set). */
NODISCARD bool gtidset_parse(Flavor flavor, Str text, GtidSet **out, Err *err);
void gtidset_format(const GtidSet *s, StrBuf *out);
bool gtidset_is_empty(const GtidSet *s);
/* Adds one. MariaDB: replaces the domain's last; the caller has checked that it is not below. */
void gtidset_add(GtidSet *s, const Gtid *g);
bool gtidset_contains(const GtidSet *s, const Gtid *g);
/* Is every GTID of a in b? */
bool gtidset_subset(const GtidSet *a, const GtidSet *b);
bool gtidset_equal(const GtidSet *a, const GtidSet *b);
void gtidset_merge(GtidSet *s, const GtidSet *other);
/* MySQL only: takes the members of other out of s. */
void gtidset_subtract(GtidSet *s, const GtidSet *other);
/* MariaDB only: the last of a domain; false when the domain is not there. */
bool gtidset_domain_last(const GtidSet *s, uint32_t domain, Gtid *out);
/* MySQL only: the body of COM_BINLOG_DUMP_GTID's set: u64 n_sids, then per sid: 16 bytes uuid, u64
 * n_intervals, then u64 start, u64 end (exclusive) each, little-endian. Tagged sets use the tagged encoding
 * of MySQL 8.3+. */
void gtidset_encode(const GtidSet *s, StrBuf *out);

/* One GTID as the server prints it. */
void gtid_format(const Gtid *g, StrBuf *out);
NODISCARD bool gtid_parse(Flavor flavor, Str text, Gtid *out, Err *err);
bool gtid_equal(const Gtid *a, const Gtid *b);

#endif
