/* frames: raw, hostile frames on the jail's socket; see frames.c. */
#ifndef AIRLOCK_FRAMES_H
#define AIRLOCK_FRAMES_H

#include "base/base.h"

/* host_is_clean: no process of a lane, no mount of ours. */
void frames_check(const char *program, bool (*host_is_clean)(void), int *passed, int *failed);

#endif
