/* redrive: stored requests go through the pipeline once more: after a lost log, or because somebody wants it.  Loop thread. */
#ifndef AIRLOCK_REDRIVE_H
#define AIRLOCK_REDRIVE_H

#include "record.h"

MUSTCHECK struct redrive *redrive_new(struct record *r); /* r borrowed */
void redrive_free(struct redrive *d);                    /* after the producer was closed: it reports what it still had */
/* Look whether there is something to do, unless it is being done.  Only the leader may call it. */
void redrive_tick(struct redrive *d);

#endif
