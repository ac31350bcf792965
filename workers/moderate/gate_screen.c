/* SCREEN: every byte that INFER will send, or the program that was brought along; of a repair the error text, too. */
#include "gate.h"

static enum rc screen_parts(const struct job *j, struct parts *out, struct err *err)
{
	const struct repair *repair = j->lineage.seen.repair;

	return parts_of_request(&j->request, repair ? repair->text : SLICE_EMPTY, out, err);
}

const struct gate_way gate_screen = { .parts = screen_parts };
