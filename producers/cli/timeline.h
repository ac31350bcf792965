/* timeline: the history of a request (GET /v1/airlock/requests/{id}) as lines for people: who did what when, and what it cost.  No content. */
#ifndef AIRLOCK_CLI_TIMELINE_H
#define AIRLOCK_CLI_TIMELINE_H

#include "producers/cli/cli.h"

void timeline_print(const struct term *t, const struct doc *history);

#endif
