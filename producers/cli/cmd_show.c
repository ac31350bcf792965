/* airlock show: the history of one request. */
#include "producers/cli/client.h"
#include "producers/cli/timeline.h"

int cmd_show(struct cli *c)
{
	AUTO_DOC struct doc *history = NULL;
	const char *id = c->args.rest[0];
	char path[256];
	int exit_code;

	if (!cli_is_id(id))
		return cli_fail(c, CLI_USE, "%s: no id of a request", id);
	(void)snprintf(path, sizeof(path), "/v1/airlock/requests/%s", id); /* ids are short */
	exit_code = client_ask(c, "GET", path, SLICE_EMPTY, NULL, &history);
	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, history, CLI_OK);
	timeline_print(&c->out, history);
	return CLI_OK;
}
