/* airlock cancel, delete: each id by itself, and what came of all of them. */
#include "producers/cli/client.h"

static int each(const struct cli *c, const char *method, const char *after, const char *done)
{
	size_t well = 0, not_well = 0;
	int worst = CLI_NONE;

	for (int i = 0; i < c->args.rest_count; i++) {
		const char *id = c->args.rest[i];
		AUTO_DOC struct doc *answer = NULL;
		char path[256];
		int exit_code;

		if (!cli_is_id(id))
			return cli_fail(c, CLI_USE, "%s: no id of a request", id);
		(void)snprintf(path, sizeof(path), "/v1/responses/%s%s", id, after); /* ids are short */
		exit_code = client_ask(c, method, path, SLICE_EMPTY, NULL, &answer);
		if (exit_code == CLI_OK) {
			well++;
			if (c->json)
				(void)cli_print_line(c, answer, 0); /* it gives the code back */
			else
				printf("%s %s\n", id, done);
		} else {
			not_well++;
			worst = exit_code;
		}
		if (exit_code == CLI_AWAY && well == 0) /* it is no use asking for the rest */
			return CLI_AWAY;
	}
	return cli_tally(well, not_well, worst);
}

int cmd_cancel(struct cli *c)
{
	return each(c, "POST", "/cancel", "is to be cancelled");
}

int cmd_delete(struct cli *c)
{
	return each(c, "DELETE", "", "is to be deleted");
}
