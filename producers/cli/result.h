/* result: a Response of the gateway for people. */
#ifndef AIRLOCK_CLI_RESULT_H
#define AIRLOCK_CLI_RESULT_H

#include "producers/cli/cli.h"

/* How it came out: CLI_OK completed and, if a program ran, well; CLI_SOME completed, but the program or a test failed; CLI_NONE otherwise. */
int result_exit(const struct doc *response);
/* Answer, what the program printed, files; to t.  Says nothing of how it went. */
void result_print(const struct term *t, const struct doc *response);
/* "resp_.. released, run ok, 3 of 3 tests, 120 in and 31 out tokens, $0.000040, 1.25 s", or why not. */
void result_summary(const struct term *t, const struct doc *response);

#endif
