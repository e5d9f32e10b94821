/* The command line that DM hands to its dump program (`extra-args` of mydumpers): what of it means something
 * for a copy that writes no files. Pure. */
#ifndef SM_CONFIG_DUMP_ARGS_H
#define SM_CONFIG_DUMP_ARGS_H

#include "config/problem.h"

/* Reads a command line of dumpling (or of mydumper, which DM used before): words divided by blanks, quotes as
 * in a shell. Arguments that concern files, sizes and logs say nothing about rows and pass. Those that would
 * change what is copied are reported to ps at place, with what to use instead; so are unknown ones. False
 * when anything was reported. *threads: those asked for; left alone when they are not named. */
bool dump_args_read(Str text, ConfigPlace place, uint64_t *threads, Problems *ps);

#endif
