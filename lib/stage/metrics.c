/*
 * metrics: a list of families, each a list of series in order of registration; printed whole on each scrape.
 * Registration looks a name up by walking the list: it happens at start, never on a hot path.
 */
#include "stage/metrics.h"

#include <assert.h>

#include "base/mem.h"

const double METRICS_SECONDS[METRICS_SECONDS_COUNT] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
	                                                0.5,   1,      2.5,   5,    10,    30,   60,  300 };

enum type { COUNTER, GAUGE, HISTOGRAM };
enum { BOUNDS_MAX = 32 };

struct metric {
	struct metric *next;
	char *labels;
	double value; /* counter, gauge; histogram: sum */
	/* histogram */
	const double *bounds;
	size_t bound_count;
	uint64_t *buckets; /* bound_count + 1, not cumulative */
	uint64_t observed;
};

struct family {
	struct family *next;
	enum type type;
	char *name, *help;
	struct metric *first, **last;
};

struct metrics {
	struct family *first, **last;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = mem_new(sizeof(*m));

	m->last = &m->first;
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	while (m->first) {
		struct family *f = m->first;

		m->first = f->next;
		while (f->first) {
			struct metric *one = f->first;

			f->first = one->next;
			mem_free(one->labels);
			mem_free(one->buckets);
			mem_free(one);
		}
		mem_free(f->name);
		mem_free(f->help);
		mem_free(f);
	}
	mem_free(m);
}

static struct family *family_of(struct metrics *m, enum type type, const char *name, const char *help)
{
	struct family *f;

	assert(strncmp(name, "airlock_", 8) == 0);
	for (f = m->first; f; f = f->next) {
		if (strcmp(f->name, name) == 0) {
			assert(f->type == type);
			return f;
		}
	}
	f = mem_new(sizeof(*f));
	f->type = type;
	f->name = mem_text(name);
	f->help = mem_text(help);
	f->last = &f->first;
	*m->last = f;
	m->last = &f->next;
	return f;
}

static struct metric *metric_of(struct family *f, const char *labels)
{
	struct metric *one;

	for (one = f->first; one; one = one->next) {
		if (strcmp(one->labels, labels) == 0)
			return one;
	}
	one = mem_new(sizeof(*one));
	one->labels = mem_text(labels);
	*f->last = one;
	f->last = &one->next;
	return one;
}

struct metric *metrics_counter(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return metric_of(family_of(m, COUNTER, name, help), labels);
}

struct metric *metrics_gauge(struct metrics *m, const char *name, const char *labels, const char *help)
{
	return metric_of(family_of(m, GAUGE, name, help), labels);
}

struct metric *metrics_histogram(struct metrics *m, const char *name, const char *labels, const char *help,
                                 const double *bounds, size_t count)
{
	struct metric *one = metric_of(family_of(m, HISTOGRAM, name, help), labels);

	assert(count <= BOUNDS_MAX);
	if (!one->buckets) {
		one->bounds = bounds;
		one->bound_count = count;
		one->buckets = mem_new_array(count + 1, sizeof(*one->buckets));
	}
	return one;
}

void metric_add(struct metric *m, double v)
{
	m->value += v;
}

void metric_set(struct metric *m, double v)
{
	m->value = v;
}

void metric_observe(struct metric *m, double v)
{
	size_t i = 0;

	while (i < m->bound_count && v > m->bounds[i])
		i++;
	m->buckets[i]++;
	m->observed++;
	m->value += v;
}

double metric_value(const struct metric *m)
{
	return m->value;
}

/* ---- the page ---- */

static enum rc write_sample(struct buf *out, const char *name, const char *suffix, const char *labels, double value)
{
	if (labels[0])
		return buf_printf(out, "%s%s{%s} %.17g\n", name, suffix, labels, value);
	return buf_printf(out, "%s%s %.17g\n", name, suffix, value);
}

static enum rc write_histogram(struct buf *out, const struct family *f, const struct metric *m)
{
	const char *comma = m->labels[0] ? "," : "";
	uint64_t below = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < m->bound_count; i++) {
		below += m->buckets[i];
		rc = buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", f->name, m->labels, comma, m->bounds[i],
		                (unsigned long long)below);
	}
	if (rc == RC_OK)
		rc = buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", f->name, m->labels, comma,
		                (unsigned long long)m->observed);
	if (rc == RC_OK)
		rc = write_sample(out, f->name, "_sum", m->labels, m->value);
	if (rc == RC_OK)
		rc = write_sample(out, f->name, "_count", m->labels, (double)m->observed);
	return rc;
}

static enum rc write_family(struct buf *out, const struct family *f)
{
	static const char *const names[] = { "counter", "gauge", "histogram" };
	enum rc rc = buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, names[f->type]);

	for (const struct metric *m = f->first; rc == RC_OK && m; m = m->next) {
		if (f->type == HISTOGRAM)
			rc = write_histogram(out, f, m);
		else
			rc = write_sample(out, f->name, "", m->labels, m->value);
	}
	return rc;
}

enum rc metrics_write(const struct metrics *m, struct buf *out)
{
	enum rc rc = RC_OK;

	for (const struct family *f = m->first; rc == RC_OK && f; f = f->next)
		rc = write_family(out, f);
	return rc;
}
