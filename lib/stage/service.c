/*
 * service: from main() to the loop and out again, for every long-running program.
 *
 * Order at start, and why: signals are blocked first, because threads inherit the mask; settings and secrets are read
 * with the rights we came with; rights_drop() comes before the first connection, so that no foreign byte ever meets a
 * privilege; the health page opens after it.  The page runs on the same loop as the work: a stuck loop cannot answer, which
 * is what /livez is for.
 */
#include "stage/service.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rights.h"

#include "model/limits.h"

#include "io/serve.h"

#include "stage/settings.h"

enum {
	EXIT_DRAINED = 0,
	EXIT_USE = 1,
	EXIT_BROKEN = 2,
	READY_MAX = 32,
	LIVE_TURN_MS = 10000,
	PAGE_BYTES = 2 * 1024 * 1024,
	HEALTH_CONNECTIONS = 32,
};

const struct conf_row service_rows[] = {
	{ "kafka.brokers", CONF_TEXT, "127.0.0.1:9092", 0, 0, "Bootstrap brokers, host:port with commas between.", "AIRLOCK_KAFKA" },
	{ "kafka.*", CONF_ANY_BELOW, NULL, 0, 0, "Any librdkafka setting (SASL, TLS): kafka.security.protocol = SASL_SSL ...", NULL },
	{ "health.address", CONF_TEXT, "127.0.0.1", 0, 0, "Address of the health page (/livez /readyz /metrics).", NULL },
	{ "health.port", CONF_INT, "0", 0, 65535, "Port of the health page; 0 takes any free one.", NULL },
	{ "health.file", CONF_PATH, "", 0, 0, "Where the port of the health page is written; empty: nowhere.", NULL },
	{ "log.level", CONF_TEXT, "info", 0, 0, "Least level that is logged: debug, info, warn, error.", NULL },
	{ "service.user", CONF_TEXT, "airlock", 0, 0, "Account to become when started as root.", NULL },
	{ "service.drain_ms", CONF_MS, "30s", 0, 3600000, "Longest time to finish what has begun after SIGTERM.", NULL },
	{ "service.files", CONF_INT, "4096", 64, 1048576, "Open files this program may have.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

struct readiness {
	const char *what;
	bool ready;
	char reason[ERR_TEXT_BYTES];
};

struct service {
	const struct service_program *program;
	void *self;
	struct loop *loop;
	struct conf *conf;
	struct metrics *metrics;
	struct serve *health;
	struct timer *drain_timer;
	struct readiness readiness[READY_MAX];
	size_t readiness_count;
	bool was_ready, draining;
	int exit_code;
	/* librdkafka settings as pairs, borrowed from conf */
	struct kafka_setting kafka_more[128];
	size_t kafka_more_count;
	char client_id[64];
};

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
	const char *key, *value;

	s->kafka_more_count = 0;
	while (s->kafka_more_count < COUNT_OF(s->kafka_more) &&
	       conf_below(s->conf, "kafka.*", s->kafka_more_count, &key, &value))
		s->kafka_more[s->kafka_more_count++] = (struct kafka_setting){ key, value };
	*out = (struct kafka_conf){
		.brokers = conf_text(s->conf, "kafka.brokers"),
		.client_id = s->client_id,
		.more = s->kafka_more,
		.more_count = s->kafka_more_count,
		.max_message_bytes = LIMIT_DEAD_BYTES,
	};
}

/* ---- readiness ---- */

static bool all_ready(const struct service *s)
{
	if (s->draining)
		return false;
	for (size_t i = 0; i < s->readiness_count; i++) {
		if (!s->readiness[i].ready)
			return false;
	}
	return true;
}

static struct readiness *readiness_of(struct service *s, const char *what)
{
	for (size_t i = 0; i < s->readiness_count; i++) {
		if (strcmp(s->readiness[i].what, what) == 0)
			return &s->readiness[i];
	}
	assert(s->readiness_count < READY_MAX);
	s->readiness[s->readiness_count] = (struct readiness){ .what = what };
	return &s->readiness[s->readiness_count++];
}

void service_ready(struct service *s, const char *what, bool ready, const char *reason)
{
	struct readiness *r = readiness_of(s, what);
	bool now;

	r->ready = ready;
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason ? reason : ""); /* a cut reason still tells enough */
	now = all_ready(s);
	if (now == s->was_ready)
		return;
	s->was_ready = now;
	if (now)
		log_line(LOG_INFO, "ready", LOG_I("health_port", s->health ? serve_port(s->health) : 0));
	else
		log_line(LOG_WARN, "not ready", LOG_T("what", what), LOG_T("why", r->reason));
}

/* ---- health page ---- */

static enum rc write_process(struct buf *out)
{
	struct rusage use;
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	enum rc rc;

	if (f) {
		if (fscanf(f, "%*s %ld", &pages) != 1)
			pages = 0;
		(void)fclose(f); /* read only */
	}
	(void)getrusage(RUSAGE_SELF, &use); /* cannot fail with these arguments */
	rc = buf_printf(out,
	                "# HELP process_resident_memory_bytes Resident memory.\n"
	                "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %lld\n",
	                (long long)pages * sysconf(_SC_PAGESIZE));
	if (rc == RC_OK)
		rc = buf_printf(out,
		                "# HELP process_cpu_seconds_total User and system time.\n"
		                "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.6f\n",
		                (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		                        (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	return rc;
}

static void answer_metrics(struct service *s, struct exchange *x)
{
	AUTO_BUF struct buf page = BUF_INIT(PAGE_BYTES);
	enum rc rc = metrics_write(s->metrics, &page);

	if (rc == RC_OK)
		rc = write_process(&page);
	if (rc != RC_OK)
		exchange_answer(x, 500, "text/plain", SLICE_LITERAL("the page passed its ceiling\n"));
	else
		exchange_answer(x, 200, "text/plain; version=0.0.4", buf_slice(&page));
}

static void answer_ready(struct service *s, struct exchange *x)
{
	AUTO_BUF struct buf page = BUF_INIT(PAGE_BYTES);
	enum rc rc = RC_OK;

	if (s->draining)
		rc = buf_add_text(&page, "not ready: draining\n");
	for (size_t i = 0; rc == RC_OK && i < s->readiness_count; i++) {
		const struct readiness *r = &s->readiness[i];

		rc = buf_printf(&page, "%s: %s%s%s\n", r->what, r->ready ? "ok" : "not ready", r->reason[0] ? ": " : "",
		                r->reason);
	}
	if (rc == RC_OK && page.len == 0)
		rc = buf_add_text(&page, "ok\n");
	(void)rc; /* 32 reasons of 512 bytes stay far below the ceiling */
	exchange_answer(x, all_ready(s) ? 200 : 503, "text/plain; charset=utf-8", buf_slice(&page));
}

static void health_request(void *arg, struct exchange *x)
{
	struct service *s = arg;
	struct slice path = exchange_path(x);

	if (slice_is(path, "/livez")) {
		bool live = clock_mono_ms() - loop_turned_ms(s->loop) < LIVE_TURN_MS;

		exchange_answer(x, live ? 200 : 503, "text/plain", live ? SLICE_LITERAL("ok\n") : SLICE_LITERAL("stuck\n"));
	} else if (slice_is(path, "/readyz")) {
		answer_ready(s, x);
	} else if (slice_is(path, "/metrics")) {
		answer_metrics(s, x);
	} else {
		exchange_answer(x, 404, "text/plain", SLICE_LITERAL("try /livez, /readyz or /metrics\n"));
	}
}

static enum rc write_port_file(const char *path, int port, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", port);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return err_set(err, RC_BROKEN, "health_file", "health.file %s: %s", path, strerror(errno));
	if (write(fd, text, (size_t)n) != n) {
		(void)close(fd);
		return err_set(err, RC_BROKEN, "health_file", "health.file %s: cannot write", path);
	}
	(void)close(fd); /* five bytes: a loss shows as a missing port */
	return RC_OK;
}

static enum rc health_open(struct service *s, struct err *err)
{
	const struct serve_limits limits = {
		.connections = HEALTH_CONNECTIONS,
		.connections_per_ip = HEALTH_CONNECTIONS,
		.header_bytes = 8192,
		.body_bytes = 1024,
		.idle_ms = 10000,
	};
	const char *file = conf_text(s->conf, "health.file");
	enum rc rc = serve_open(s->loop, conf_text(s->conf, "health.address"), (int)conf_int(s->conf, "health.port"), &limits,
	                        health_request, s, &s->health, err);

	if (rc == RC_OK && file[0])
		rc = write_port_file(file, serve_port(s->health), err);
	return rc;
}

/* ---- end ---- */

void service_drained(struct service *s)
{
	loop_stop(s->loop);
}

void service_broken(struct service *s, const struct err *err)
{
	log_line(LOG_ERROR, "broken", LOG_T("code", err->code), LOG_T("why", err->text));
	s->exit_code = EXIT_BROKEN;
	loop_stop(s->loop);
}

static void drain_too_long(void *arg)
{
	struct service *s = arg;

	log_line(LOG_WARN, "drain took too long: what is unfinished is left to the next owner");
	loop_stop(s->loop);
}

static void on_signal(void *arg, int signal)
{
	struct service *s = arg;

	if (signal != SIGTERM && signal != SIGINT)
		return;
	if (s->draining) {
		log_line(LOG_WARN, "second signal: ending at once");
		loop_stop(s->loop);
		return;
	}
	log_line(LOG_INFO, "draining");
	s->draining = true;
	s->was_ready = false;
	timer_set(s->drain_timer, conf_int(s->conf, "service.drain_ms"));
	if (s->program->drain)
		s->program->drain(s->self);
	else
		service_drained(s);
}

/* ---- command line ---- */

struct options {
	const char *config;
	const char *argument;
	bool settings, json, example;
};

static void print_help(const struct service_program *p)
{
	printf("%s: %s\n\n"
	       "Use: %s [options]%s%s\n\n"
	       "  --config FILE        settings file (default: $AIRLOCK_CONFIG, else none)\n"
	       "  --settings [--json]  print every setting with its value and where that came from\n"
	       "  --settings-example   print a settings file with all defaults\n"
	       "  --version            print the version\n"
	       "  --help               print this\n\n"
	       "Every setting can be given by environment: kafka.brokers is AIRLOCK_KAFKA, log.level AIRLOCK_LOG_LEVEL.\n"
	       "Signals: SIGTERM finishes what has begun and ends; a second one ends at once.\n"
	       "Exit: 0 drained, 1 wrong use or settings, 2 broken while running.\n",
	       p->name, p->summary, p->name, p->arguments ? " " : "", p->arguments ? p->arguments : "");
}

/* -1: go on; else exit with that. */
static int read_options(int argc, char **argv, const struct service_program *p, struct options *o)
{
	o->config = getenv("AIRLOCK_CONFIG");
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
			print_help(p);
			return EXIT_DRAINED;
		}
		if (strcmp(a, "--version") == 0) {
			printf("%s %s (librdkafka %s)\n", p->name, AIRLOCK_VERSION, kafka_version());
			return EXIT_DRAINED;
		}
		if (strcmp(a, "--settings") == 0) {
			o->settings = true;
		} else if (strcmp(a, "--json") == 0) {
			o->json = true;
		} else if (strcmp(a, "--settings-example") == 0) {
			o->example = true;
		} else if (strcmp(a, "--config") == 0 && i + 1 < argc) {
			o->config = argv[++i];
		} else if (a[0] != '-' && p->arguments && !o->argument) {
			o->argument = a;
		} else {
			fprintf(stderr, "%s: %s is not understood; %s --help lists what is\n", p->name, a, p->name);
			return EXIT_USE;
		}
	}
	return -1;
}

static int complain(const struct service_program *p, const struct err *err, int exit_code)
{
	fprintf(stderr, "%s: %s\n", p->name, err->text);
	return exit_code;
}

static int print_buf(const struct service_program *p, enum rc rc, const struct buf *b)
{
	if (rc != RC_OK || fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout) != 0) {
		fprintf(stderr, "%s: cannot write\n", p->name);
		return EXIT_BROKEN;
	}
	return EXIT_DRAINED;
}

/* ---- from start to end ---- */

static enum rc begin(struct service *s, const struct options *o, struct err *err)
{
	const struct service_program *p = s->program;
	const struct rights rights = {
		.user = geteuid() == 0 ? conf_text(s->conf, "service.user") : "",
		.files = conf_int(s->conf, "service.files"),
		.may_fork = p->may_fork,
	};
	enum rc rc = loop_signals(s->loop, on_signal, s, err);

	if (rc == RC_OK && p->prepare)
		rc = p->prepare(s, o->argument, &s->self, err);
	if (rc == RC_OK)
		rc = rights_drop(&rights, err);
	if (rc == RC_OK)
		rc = health_open(s, err);
	if (rc == RC_OK && p->start)
		rc = p->start(s, s->self, err);
	return rc;
}

static void end(struct service *s)
{
	if (s->self && s->program->close)
		s->program->close(s->self);
	serve_close(s->health);
	timer_free(s->drain_timer);
	loop_free(s->loop);
	metrics_free(s->metrics);
	conf_close(s->conf);
	mem_free(s);
}

static int run(const struct service_program *p, const struct options *o, struct conf *conf)
{
	struct service *s = mem_new(sizeof(*s));
	struct err err = { 0 };
	int exit_code;
	enum rc rc;

	s->program = p;
	s->conf = conf;
	s->loop = loop_new();
	s->metrics = metrics_new();
	s->drain_timer = timer_new(s->loop, drain_too_long, s);
	(void)snprintf(s->client_id, sizeof(s->client_id), "%s", p->name); /* our own short name */
	metric_set(metrics_gauge(s->metrics, "airlock_build_info", "version=\"" AIRLOCK_VERSION "\"", "Always 1."), 1);
	rc = begin(s, o, &err);
	if (rc == RC_OK) {
		log_line(LOG_INFO, "started", LOG_T("version", AIRLOCK_VERSION), LOG_I("pid", getpid()),
		         LOG_I("health_port", serve_port(s->health)));
		loop_run(s->loop);
		exit_code = s->exit_code;
		log_line(LOG_INFO, "ended", LOG_I("exit", exit_code));
	} else {
		log_line(LOG_ERROR, "cannot start", LOG_T("code", err.code), LOG_T("why", err.text));
		exit_code = rc == RC_NEVER ? EXIT_USE : EXIT_BROKEN;
	}
	end(s);
	return exit_code;
}

int service_main(int argc, char **argv, const struct service_program *p)
{
	static const struct conf_row none[] = { { NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL } };
	const struct conf_row *tables[] = { p->settings ? p->settings : none, p->skeleton_settings ? p->skeleton_settings : none,
		                            service_rows, NULL };
	AUTO_BUF struct buf page = BUF_INIT(PAGE_BYTES);
	struct options o = { 0 };
	struct conf *conf = NULL;
	struct err err = { 0 };
	enum log_level least;
	int exit_code = read_options(argc, argv, p, &o);

	if (exit_code >= 0)
		return exit_code;
	if (o.example)
		return print_buf(p, conf_example(tables, &page), &page);
	if (conf_open(tables, settings_known, o.config, &conf, &err) != RC_OK)
		return complain(p, &err, EXIT_USE);
	if (o.settings) {
		exit_code = print_buf(p, conf_manual(conf, o.json, &page), &page);
		conf_close(conf);
		return exit_code;
	}
	if (conf_check(conf, &err) != RC_OK) {
		conf_close(conf);
		return complain(p, &err, EXIT_USE);
	}
	if (!log_level_read(conf_text(conf, "log.level"), &least)) {
		fprintf(stderr, "%s: log.level = %s: debug, info, warn or error expected\n", p->name, conf_text(conf, "log.level"));
		conf_close(conf);
		return EXIT_USE;
	}
	log_open(p->name, least);
	return run(p, &o, conf);
}
