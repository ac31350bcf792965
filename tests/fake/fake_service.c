#include "tests/fake/fake_service.h"

#include <assert.h>
#include <unistd.h>

#include "base/mem.h"

enum { READY_MAX = 32 };

struct service {
	struct loop *loop;
	const struct service_program *program;
	struct kafka_conf kafka;
	struct conf *conf;
	struct metrics *metrics;
	bool drained;
	char broken[ERR_CODE_BYTES];
	struct ready {
		char what[64];
		bool ready;
		char reason[ERR_TEXT_BYTES];
	} ready[READY_MAX];
	size_t ready_count;
};

static const struct conf_row own_rows[] = {
	{ "service.user", CONF_TEXT, "", 0, 0, "Unused.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

struct service *fake_service_open(struct loop *l, const struct service_program *program, const struct kafka_conf *kafka,
                                  const struct conf_row *rows, const char *settings)
{
	const struct conf_row *tables[] = { rows, own_rows, NULL };
	struct service *s = mem_new(sizeof(*s));
	char path[] = "/tmp/airlock-test-XXXXXX";
	int fd = mkstemp(path);
	struct err err;

	assert(fd >= 0);
	if (write(fd, settings, strlen(settings)) != (ssize_t)strlen(settings))
		abort();
	(void)close(fd); /* a file of a test */
	s->loop = l;
	s->program = program;
	s->kafka = *kafka;
	s->metrics = metrics_new();
	if (conf_open(tables, NULL, path, &s->conf, &err) != RC_OK || conf_check(s->conf, &err) != RC_OK) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	(void)unlink(path); /* a file of a test */
	return s;
}

void fake_service_close(struct service *s)
{
	conf_close(s->conf);
	metrics_free(s->metrics);
	mem_free(s);
}

bool fake_service_drained(const struct service *s)
{
	return s->drained;
}

const char *fake_service_broken(const struct service *s)
{
	return s->broken;
}

static struct ready *find(const struct service *s, const char *what)
{
	for (size_t i = 0; i < s->ready_count; i++) {
		if (strcmp(s->ready[i].what, what) == 0)
			return (struct ready *)&s->ready[i];
	}
	return NULL;
}

bool fake_service_is_ready(const struct service *s, const char *what)
{
	const struct ready *r = find(s, what);

	return r && r->ready;
}

const char *fake_service_reason(const struct service *s, const char *what)
{
	const struct ready *r = find(s, what);

	return r ? r->reason : "";
}

/* ---- service.h ---- */

const struct service_program *service_program(const struct service *s)
{
	return s->program;
}
struct loop *service_loop(struct service *s)
{
	return s->loop;
}
const struct conf *service_conf(struct service *s)
{
	return s->conf;
}
struct metrics *service_metrics(struct service *s)
{
	return s->metrics;
}
void service_kafka_conf(struct service *s, struct kafka_conf *out)
{
	*out = s->kafka;
}
void service_ready(struct service *s, const char *what, bool ready, const char *reason)
{
	struct ready *r = find(s, what);

	if (!r) {
		assert(s->ready_count < READY_MAX);
		r = &s->ready[s->ready_count++];
		snprintf(r->what, sizeof(r->what), "%s", what);
	}
	r->ready = ready;
	snprintf(r->reason, sizeof(r->reason), "%s", reason ? reason : "");
}
void service_drained(struct service *s)
{
	s->drained = true;
}
void service_broken(struct service *s, const struct err *err)
{
	snprintf(s->broken, sizeof(s->broken), "%s", err->code);
	fprintf(stderr, "broken: %s: %s\n", err->code, err->text);
}
