/* family: what this process's jail and its lanes hold on the host, in figures that must be the same after any number of jobs. */
#ifndef AIRLOCK_FAMILY_H
#define AIRLOCK_FAMILY_H

#include "base/base.h"

struct family {
	long processes;   /* all that descend from us */
	long strangers;   /* of these: under an id of a lane, and a program, not what waits to become one */
	long zombies;
	long descriptors; /* of those that are the jail's own */
	long namespaces;  /* different ones */
	long mounts;      /* in the jail's mount namespace */
	long cgroups;     /* folders of the jail's homes */
	long rss_kib;     /* of the jail's own; not compared exactly */
};
struct family family_look(void);
bool family_same(const struct family *a, const struct family *b); /* all but rss_kib */
void family_print(const char *title, const struct family *f);

#endif
