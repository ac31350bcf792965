/*
 * service: what every long-running program shares: settings, log, loop, rights, signals, health page, drain.
 * A main.c is a table of settings, a struct service_program and one call to service_main() (or stage_main(), which is built on it).
 *
 *   airlock-x [--config FILE] [--settings [--json]] [--settings-example] [--version] [--help]
 * Exit: 0 drained or asked something; 1 wrong use or settings; 2 broken while running.  --config defaults to $AIRLOCK_CONFIG.
 * Order at start: settings, secrets (key files), sockets that need rights, rights_drop(), connect, loop.
 * Health page on health.address:health.port: /livez (loop turned within 10 s), /readyz (503 with reasons, one a line, while anything is
 * not ready or draining), /metrics.
 */
#ifndef AIRLOCK_SERVICE_H
#define AIRLOCK_SERVICE_H

#include "base/conf.h"
#include "io/kafka.h"
#include "io/loop.h"
#include "stage/metrics.h"

struct service;
struct service_program {
	const char *name;                       /* airlock-infer */
	const char *summary;                    /* one line for --help */
	const char *arguments;                  /* "screen|inspect|review" or NULL */
	const struct conf_row *settings;        /* own rows; ended by name NULL; the shared rows are added */
	const struct conf_row *skeleton_settings; /* stage_main()'s own rows; NULL elsewhere */
	bool may_fork;                          /* rights */
	/* Before rights are dropped: read secrets, start helpers.  argument: what follows the options, or NULL. */
	enum rc (*prepare)(struct service *s, const char *argument, void **self, struct err *err);
	/* After rights are dropped: connect, start. */
	enum rc (*start)(struct service *s, void *self, struct err *err);
	/* SIGTERM: take nothing new, finish; call service_drained() when done (bounded by service.drain_ms). */
	void (*drain)(void *self);
	void (*close)(void *self);              /* free everything */
};
int service_main(int argc, char **argv, const struct service_program *p);

/* What was given to service_main(): a skeleton on top of this one embeds it as first member and finds itself again. */
const struct service_program *service_program(const struct service *s);
struct loop *service_loop(struct service *s);
const struct conf *service_conf(struct service *s);
struct metrics *service_metrics(struct service *s);
void service_kafka_conf(struct service *s, struct kafka_conf *out); /* from kafka.brokers and kafka.*; borrowed from s */
/* Readiness: a name is ready or not, with the reason that /readyz shows.  Unknown names count from their first call. */
void service_ready(struct service *s, const char *what, bool ready, const char *reason);
void service_drained(struct service *s);
/* We are broken: log, exit 2 after the loop's turn. */
void service_broken(struct service *s, const struct err *err);

/* Shared rows: kafka.brokers (env AIRLOCK_KAFKA), kafka.*, health.address (127.0.0.1), health.port (0: any; printed in the log line "ready"), health.file ("" or a
 * path where the port is written), log.level, service.user, service.drain_ms, service.files. */
extern const struct conf_row service_rows[];

#endif
