/* The program behind main: reads the command line, runs the verb, prints its answer, gives the exit status.
 */
#ifndef SM_OPS_CLI_H
#define SM_OPS_CLI_H

/* Main thread, once. Answers on standard output; errors and log lines on standard error (with --json the
 * error is also an object on standard output). */
int cli_main(int argc, char **argv);

#endif
