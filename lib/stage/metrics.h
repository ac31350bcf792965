/* metrics: counters, gauges, histograms of one program, printed in Prometheus' text format 0.0.4.  Loop thread.
 * Labels are fixed at registration time: no unbounded label values, never tenant or id. */
#ifndef AIRLOCK_METRICS_H
#define AIRLOCK_METRICS_H

#include "base/buf.h"

struct metrics;
struct metric;
MUSTCHECK struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/* labels: "gate=\"screen\",decision=\"allow\"" or "".  The same name and labels give the same metric.  Name starts with airlock_. */
struct metric *metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help);
struct metric *metrics_histogram(struct metrics *m, const char *name, const char *labels, const char *help, const double *bounds, size_t count);
extern const double METRICS_SECONDS[]; /* 1 ms .. 300 s */
enum { METRICS_SECONDS_COUNT = 16 };
void metric_add(struct metric *m, double v);   /* counter, gauge */
void metric_set(struct metric *m, double v);   /* gauge */
void metric_observe(struct metric *m, double v); /* histogram */
double metric_value(const struct metric *m);
MUSTCHECK enum rc metrics_write(const struct metrics *m, struct buf *out);

#endif
