/* airlock submit: one request, and, unless --background, its result; airlock watch: the ends of requests that are under way. */
#include <unistd.h>

#include "base/digest.h"

#include "producers/cli/follow.h"
#include "producers/cli/result.h"
#include "producers/cli/submit.h"

enum { FILE_BYTES = 1024 * 1024, BODY_BYTES = 2 * 1024 * 1024 };

/* ---- the ends ---- */

struct ends {
	const struct cli *cli;
	const char *const *ids;
	size_t well, half, not_well;
	int worst;        /* what the last one that did not come out well stands for */
	bool whole;       /* the result too, not only a line */
};

static void told(void *arg, size_t index, const struct doc *response, const struct err *err, int exit_code)
{
	struct ends *e = arg;
	struct term about = term_of(stderr, !e->cli->plain);

	if (!response) {
		e->not_well++;
		e->worst = cli_fail(e->cli, exit_code, "%s: %s", e->ids[index], err->text);
		return;
	}
	exit_code = result_exit(response);
	if (exit_code == CLI_NONE)
		e->worst = CLI_NONE;
	*(exit_code == CLI_OK ? &e->well : exit_code == CLI_SOME ? &e->half : &e->not_well) += 1;
	if (e->cli->json) {
		(void)(e->whole ? cli_print_doc(e->cli, response, 0) : cli_print_line(e->cli, response, 0)); /* it gives the code back */
		return;
	}
	if (e->whole)
		result_print(&e->cli->out, response);
	(void)fflush(stdout); /* what was printed comes before what is said of it; a failure shows again at the end */
	result_summary(e->whole ? &about : &e->cli->out, response);
}

int cmd_watch(struct cli *c)
{
	struct ends e = { .cli = c, .ids = (const char *const *)c->args.rest };
	size_t count = (size_t)c->args.rest_count;
	int exit_code;

	for (size_t i = 0; i < count; i++) {
		if (!cli_is_id(e.ids[i]))
			return cli_fail(c, CLI_USE, "%s: no id of a request", e.ids[i]);
	}
	exit_code = follow(c, e.ids, count, told, &e);
	return exit_code != CLI_OK ? exit_code : cli_tally(e.well + e.half, e.not_well, e.worst);
}

/* ---- submit ---- */

struct texts { struct buf prompt, program, tests, stdin_text; };

static enum rc read_option(const struct cli *c, const char *name, struct buf *out, struct err *err)
{
	const char *path = args_text(&c->args, name);

	if (!path)
		return RC_OK;
	if (cli_read_file(path, out, err) != RC_OK)
		return RC_NEVER;
	return out->len > 0 || strcmp(name, "stdin") == 0 ? RC_OK : err_set(err, RC_NEVER, "usage", "--%s %s: it is empty", name, path);
}

static enum rc read_texts(const struct cli *c, struct texts *t, struct submit *s, struct err *err)
{
	bool has_operand = c->args.rest_count > 0 && strcmp(c->args.rest[0], "-") != 0, from_file = args_has(&c->args, "prompt");

	if (c->args.rest_count > 0 && from_file)
		return err_set(err, RC_NEVER, "usage", "the task as TEXT, or with --prompt: not both");
	if (args_has(&c->args, "wait") && args_has(&c->args, "background"))
		return err_set(err, RC_NEVER, "usage", "--wait or --background: not both");
	if (read_option(c, "prompt", &t->prompt, err) != RC_OK || read_option(c, "own-program", &t->program, err) != RC_OK ||
	    read_option(c, "tests", &t->tests, err) != RC_OK || read_option(c, "stdin", &t->stdin_text, err) != RC_OK)
		return RC_NEVER;
	if (!has_operand && !from_file && !args_has(&c->args, "own-program")) {
		if (c->progress && isatty(STDIN_FILENO) == 1)
			fprintf(stderr, "The task, ended by Ctrl-D:\n");
		if (cli_read_file("-", &t->prompt, err) != RC_OK)
			return RC_NEVER;
	}
	s->prompt = slice_trim(has_operand ? slice_text(c->args.rest[0]) : buf_slice(&t->prompt));
	s->program = buf_slice(&t->program);
	s->tests = buf_slice(&t->tests);
	s->stdin_text = buf_slice(&t->stdin_text);
	return RC_OK;
}

static enum rc write_body(const struct cli *c, struct buf *out, const char **path, struct err *err)
{
	struct texts t = { BUF_INIT(FILE_BYTES), BUF_INIT(FILE_BYTES), BUF_INIT(FILE_BYTES), BUF_INIT(FILE_BYTES) };
	const struct args *a = &c->args;
	const char *lane = args_text(a, "lane");
	struct submit s = {
		.language = args_text(a, "language"),
		.model = args_text(a, "model"),
		.instructions = args_text(a, "instructions"),
		.group = args_text(a, "group"),
		.custom_id = args_text(a, "custom-id"),
		.isolation = args_text(a, "isolation"),
		.rounds = args_int(a, "rounds", 0),
		.max_output_tokens = args_int(a, "max-output-tokens", 0),
		.deadline_ms = args_int(a, "deadline", 0),
		.interactive = lane ? strcmp(lane, "interactive") == 0 : !args_has(a, "background"),
	};
	enum rc rc = read_texts(c, &t, &s, err);

	if (rc == RC_OK)
		rc = submit_write(&s, out, err);
	if (rc == RC_OK)
		*path = submit_path(&s);
	buf_release(&t.prompt);
	buf_release(&t.program);
	buf_release(&t.tests);
	buf_release(&t.stdin_text);
	return rc;
}

static int wait_for(const struct cli *c, const char *id)
{
	struct ends e = { .cli = c, .ids = &id, .whole = true };
	int exit_code;

	if (c->progress)
		fprintf(stderr, "%s is accepted (Ctrl-C leaves it; `airlock watch %s` takes it up)\n", id, id);
	exit_code = follow(c, &id, 1, told, &e);
	if (exit_code != CLI_OK)
		return exit_code;
	return e.half > 0 ? CLI_SOME : cli_tally(e.well, e.not_well, e.worst);
}

int cmd_submit(struct cli *c)
{
	AUTO_BUF struct buf body = BUF_INIT(BODY_BYTES);
	AUTO_DOC struct doc *accepted = NULL;
	unsigned char random[16];
	char header[80] = "Idempotency-Key: ", id[128];
	struct err err = { 0 };
	const char *path = NULL;
	struct slice given;
	int exit_code;

	if (write_body(c, &body, &path, &err) != RC_OK)
		return cli_fail(c, CLI_USE, "%s", err.text);
	/* So that an answer that was lost on its way does not become a second request. */
	digest_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(header + strlen(header), 3, "%02x", random[i]); /* 17 + 32 bytes of 80 */
	exit_code = client_ask(c, "POST", path, buf_slice(&body), header, &accepted);
	if (exit_code != CLI_OK)
		return exit_code;
	given = doc_get_text(accepted, "id");
	(void)snprintf(id, sizeof(id), "%.*s", (int)given.len, given.ptr ? given.ptr : ""); /* a cut one is no id, which is checked */
	if (!cli_is_id(id))
		return cli_fail(c, CLI_NONE, "%s: it accepted the request without an id; is this an Airlock gateway?", c->url);
	if (!args_has(&c->args, "background"))
		return wait_for(c, id);
	if (c->json)
		return cli_print_doc(c, accepted, CLI_OK);
	printf("%s\n", id);
	return CLI_OK;
}
