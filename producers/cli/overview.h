/* overview: what is going on (GET /v1/airlock/overview), as a page for people. */
#ifndef AIRLOCK_CLI_OVERVIEW_H
#define AIRLOCK_CLI_OVERVIEW_H

#include "producers/cli/cli.h"

void overview_print(const struct term *t, const struct doc *overview, const char *url);

#endif
