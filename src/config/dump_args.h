/* The command line that DM hands to its dump program (`extra-args` of mydumpers): what of it means something
 * for a copy that writes no files. Pure. */
#ifndef SM_CONFIG_DUMP_ARGS_H
#define SM_CONFIG_DUMP_ARGS_H

#include "config/problem.h"

/* What the arguments ask for. */
typedef struct DumpArgs {
    uint64_t threads; /* 0: not said */
    bool snapshot;    /* --consistency flush, lock or snapshot: all tables of a source as of one point */
} DumpArgs;

/* Reads a command line of dumpling (or of mydumper, which DM used before): words divided by blanks, quotes as
 * in a shell. Arguments that concern files, sizes and logs say nothing about rows and pass. Those that would
 * change what is copied are reported to ps at place, with what to use instead; so are unknown ones. False
 * when anything was reported. */
bool dump_args_read(Str text, ConfigPlace place, DumpArgs *out, Problems *ps);

#endif
