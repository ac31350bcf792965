/* jail_explain: what the sandbox allows, shows and limits on this machine, from the same tables that it acts by. */
#include "jail_inside.h"

#include <errno.h>
#include <sys/utsname.h>
#include <unistd.h>

static enum rc explain_machine(const struct jail_lane *l, struct buf *out)
{
	int landlock = jail_landlock_abi();
	struct utsname u;
	enum rc rc;

	rc = uname(&u) == 0 ? buf_printf(out, "\nmachine\n  kernel             %s\n", u.release) : RC_OK;
	if (rc == RC_OK)
		rc = landlock > 0 ? buf_printf(out, "  landlock           ABI %d\n", landlock) : buf_add_text(out, "  landlock           not in this kernel\n");
	if (rc == RC_OK)
		rc = buf_printf(out, "  time namespaces    %s\n", jail_has_time_namespaces() ? "there" : "not in this kernel");
	for (int i = 0; rc == RC_OK && i < l->cgroup.count; i++)
		rc = buf_printf(out, "  control group %s   %s\n", l->cgroup.v2 ? "v2" : "v1", l->cgroup.dirs[i]);
	return rc;
}

enum rc jail_explain(const struct jail_lane *l, struct buf *out)
{
	enum rc rc = explain_machine(l, out);

	if (rc == RC_OK)
		rc = buf_add_text(out, "\nidentity\n  uid and gid        1000 inside, one of its own for each lane outside; no capability, none to be had\n"
		                       "  processes          its own only; a helper of ours is number 1, the program one of the next\n"
		                       "  network            loopback of an empty network\n  host name          sandbox\n"
		                       "  clocks             monotonic and boot time begin with the job\n\n");
	if (rc == RC_OK)
		rc = jail_fs_explain(out);
	if (rc == RC_OK)
		rc = jail_syscalls_explain(out);
	return rc;
}
