/* follow: wait until requests have ended, many at a time, through restarts of the gateway.  A line of progress on a terminal. */
#ifndef AIRLOCK_CLI_FOLLOW_H
#define AIRLOCK_CLI_FOLLOW_H

#include "producers/cli/client.h"

/* One request has ended: response is the gateway's Response, or NULL with what went wrong and the exit code that it stands for. */
typedef void follow_ended(void *arg, size_t index, const struct doc *response, const struct err *err, int exit_code);

/* Returns after the last one ended.  ids: checked by cli_is_id().  Not CLI_OK: nothing was begun, and why is printed. */
int follow(const struct cli *c, const char *const *ids, size_t count, follow_ended *ended, void *arg);

#endif
