/* stage_main: the one call that a worker's main() is. */
#include "stage/stage_internal.h"

int stage_main(int argc, char **argv, const struct stage_program *p)
{
	struct stage_entry entry = { .service = p->service, .program = p };

	entry.service.skeleton_settings = stage_rows;
	entry.service.prepare = stage_prepare;
	entry.service.start = stage_start;
	entry.service.drain = stage_drain;
	entry.service.close = stage_close;
	return service_main(argc, argv, &entry.service);
}
