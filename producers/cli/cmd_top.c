/*
 * airlock top: the overview, drawn anew every other second.  Only on a terminal: elsewhere it prints once and ends.  The terminal's second
 * screen is used, so that what stood there before stands there again afterwards; it is left on every way out.
 */
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "producers/cli/client.h"
#include "producers/cli/overview.h"

enum { SECONDS = 2, CALL_MS = 10000 };
static const char PATH[] = "/v1/airlock/overview";

struct top {
	struct cli *cli;
	struct client *client;
	struct timer *timer;
	struct watch *keys;
	struct termios before;
	bool raw;             /* before is to be restored */
	int64_t every_ms;
	int exit_code;        /* of the last look */
	struct err err;
};

/* ---- the screen ---- */

static void enter(struct top *t)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->before) == 0) {
		raw = t->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	}
	fputs("\033[?1049h\033[?25l", stdout);
}

static void leave(struct top *t)
{
	fputs("\033[?25h\033[?1049l", stdout);
	(void)fflush(stdout); /* a failure shows again at the end */
	if (t->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before); /* the terminal is gone, if this fails */
}

static void draw(const struct top *t, const struct doc *overview)
{
	struct term now = term_of(stdout, !t->cli->plain); /* its width may have changed */

	fputs("\033[H\033[2J", stdout);
	overview_print(&now, overview, t->cli->url);
	(void)fflush(stdout); /* a failure shows again at the end */
}

/* ---- looks ---- */

static void looked(void *arg, struct reply *r, const struct err *err)
{
	struct top *t = arg;

	t->exit_code = CLI_OK;
	if (r->status == 200 && r->doc) {
		draw(t, r->doc);
	} else {
		t->exit_code = client_explain(t->cli->url, r, err, &t->err);
		if (t->exit_code != CLI_AWAY) {
			loop_stop(client_loop(t->client));
			return;
		}
		fputs("\033[H\033[2J", stdout);
		term_put(&t->cli->out, TERM_BAD, slice_text(t->err.text));
		(void)fflush(stdout);
	}
	timer_set(t->timer, t->every_ms);
}

static void look(void *arg)
{
	struct top *t = arg;

	client_call(t->client, "GET", PATH, SLICE_EMPTY, NULL, CALL_MS, looked, t);
}

static void on_key(void *arg, int events)
{
	struct top *t = arg;
	char key = 'q'; /* a terminal that is gone ends it too */

	(void)events;
	if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q')
		loop_stop(client_loop(t->client));
}

static void on_signal(void *arg, int signal)
{
	struct top *t = arg;

	(void)signal;
	loop_stop(client_loop(t->client));
}

static int once(const struct cli *c)
{
	AUTO_DOC struct doc *overview = NULL;
	int exit_code = client_ask(c, "GET", PATH, SLICE_EMPTY, NULL, &overview);

	if (exit_code != CLI_OK)
		return exit_code;
	if (c->json)
		return cli_print_doc(c, overview, CLI_OK);
	overview_print(&c->out, overview, c->url);
	return CLI_OK;
}

int cmd_top(struct cli *c)
{
	struct top t = { .cli = c, .every_ms = args_int(&c->args, "seconds", SECONDS) * 1000 };

	if (args_has(&c->args, "once") || c->json || !c->out.terminal)
		return once(c);
	if (client_open(c, 1, &t.client, &t.err) != RC_OK ||
	    loop_signals(client_loop(t.client), on_signal, &t, &t.err) != RC_OK) {
		client_close(t.client);
		return cli_fail(c, CLI_USE, "%s", t.err.text);
	}
	t.timer = timer_new(client_loop(t.client), look, &t);
	enter(&t);
	if (t.raw)
		t.keys = loop_watch(client_loop(t.client), STDIN_FILENO, LOOP_READ, on_key, &t);
	timer_set(t.timer, 0);
	loop_run(client_loop(t.client));
	leave(&t);
	watch_free(t.keys);
	timer_free(t.timer);
	client_close(t.client);
	return t.exit_code == CLI_OK ? CLI_OK : cli_fail(c, t.exit_code, "%s", t.err.text);
}
