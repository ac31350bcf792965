/* SCREEN: every byte that INFER will send, or the program that was brought along; of a repair the error text, too. */
#include "gate.h"

#include "base/clock.h"
#include "base/mem.h"

enum rc gate_screen(const struct judge *g, struct job *j)
{
	const struct repair *repair = j->lineage.seen.repair;
	struct verdict *v = mem_new(sizeof(*v));
	int64_t begun_us = clock_mono_us();
	struct parts parts;
	struct cascade c;
	enum rc rc = parts_of_request(&j->request, repair ? repair->text : SLICE_EMPTY, &parts, &j->err);

	if (rc == RC_OK) {
		rc = gate_judge(g, j, &parts, v, &c);
		if (rc == RC_OK)
			rc = gate_write(j, v, begun_us);
		parts_release(&parts);
	}
	mem_free(v);
	return rc;
}
