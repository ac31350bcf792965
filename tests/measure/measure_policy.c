/*
 * measure_policy: what a policy's local layers decide on labelled texts.
 *
 *   measure_policy POLICY GATE FILE.jsonl        lines with "text", "malicious", "source"; beside them "kind" or "language" may stand
 *
 * Prints a table in Markdown: per source how many rows, and the shares that are refused and held.  --hits: instead the rules that were found in
 * benign and malicious rows.  Texts are never printed.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#include "workers/moderate/cascade.h"

enum { SOURCES = 256, LINE_BYTES = 4 * 1024 * 1024 };

struct source {
	char name[128];
	bool malicious;
	int rows, refused, held;
};
struct hits {
	char rule[POLICY_NAME_BYTES + 1];
	int benign, malicious;
};
struct measure {
	struct policy policy;
	struct rules *rules;
	enum gate gate;
	struct source sources[SOURCES];
	size_t source_count;
	struct hits hits[POLICY_RULES];
	size_t hit_count;
	int64_t us;
	int rows;
};

static struct source *source_of(struct measure *m, struct slice name, bool malicious)
{
	for (size_t i = 0; i < m->source_count; i++) {
		if (slice_is(name, m->sources[i].name) && m->sources[i].malicious == malicious)
			return &m->sources[i];
	}
	if (m->source_count == SOURCES)
		abort();
	m->sources[m->source_count] = (struct source){ .malicious = malicious };
	(void)snprintf(m->sources[m->source_count].name, 128, "%.*s", (int)name.len, name.len ? name.ptr : ""); /* cut is fine */
	return &m->sources[m->source_count++];
}

static void note_hits(struct measure *m, const struct verdict *v, bool malicious)
{
	for (size_t i = 0; i < v->vote_count; i++) {
		struct slice rule = v->votes[i].detail;
		size_t k = 0;

		while (k < m->hit_count && !slice_is(rule, m->hits[k].rule))
			k++;
		if (k == m->hit_count) {
			if (k == POLICY_RULES)
				abort();
			(void)snprintf(m->hits[m->hit_count++].rule, POLICY_NAME_BYTES + 1, "%.*s", (int)rule.len, rule.ptr); /* fits */
		}
		m->hits[k].malicious += malicious;
		m->hits[k].benign += !malicious;
	}
}

static void judge_row(struct measure *m, const struct doc *d)
{
	struct verdict *v = mem_new(sizeof(*v));
	bool malicious = doc_get_bool(d, "malicious", false);
	struct source *s = source_of(m, doc_get_text(d, "source"), malicious);
	int64_t begun_us = clock_mono_us();
	struct cascade c;
	struct err err;

	cascade_begin(&c, &m->policy, m->gate, v);
	if (m->policy.gates[m->gate].use_rules && cascade_rules(&c, m->rules, doc_get_text(d, "text"), &err) != RC_OK)
		abort();
	cascade_decide(&c);
	m->us += clock_mono_us() - begun_us;
	m->rows++;
	s->rows++;
	s->refused += v->decision == DECISION_REFUSE;
	s->held += v->decision == DECISION_HOLD;
	note_hits(m, v, malicious);
	mem_free(v);
}

static void read_rows(struct measure *m, const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f) {
		(void)fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	while ((n = getline(&line, &room, f)) > 0) {
		AUTO_DOC struct doc *d = NULL;
		struct err err;

		if (doc_read(slice_of(line, (size_t)n), LINE_BYTES, &d, &err) != RC_OK) {
			(void)fprintf(stderr, "%s: %s\n", path, err.text);
			exit(1);
		}
		judge_row(m, d);
	}
	free(line);
	(void)fclose(f); /* only read */
}

static int by_name(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return x->malicious != y->malicious ? (x->malicious ? -1 : 1) : strcmp(x->name, y->name);
}

static void print_row(const struct source *s)
{
	printf("| %s | %s | %d | %.1f %% | %.1f %% |\n", s->malicious ? "malicious" : "benign", s->name, s->rows, 100.0 * s->refused / s->rows,
	       100.0 * s->held / s->rows);
}

static void print_table(struct measure *m)
{
	struct source all[2] = { { .name = "**all**", .malicious = true }, { .name = "**all**" } };

	qsort(m->sources, m->source_count, sizeof(m->sources[0]), by_name);
	printf("| label | source | rows | refused | held |\n| --- | --- | ---: | ---: | ---: |\n");
	for (size_t i = 0; i < m->source_count; i++) {
		struct source *sum = &all[m->sources[i].malicious ? 0 : 1];

		print_row(&m->sources[i]);
		sum->rows += m->sources[i].rows;
		sum->refused += m->sources[i].refused;
		sum->held += m->sources[i].held;
	}
	for (size_t i = 0; i < 2; i++) {
		if (all[i].rows > 0)
			print_row(&all[i]);
	}
	printf("\n%d rows, %.0f us each.\n", m->rows, (double)m->us / (m->rows > 0 ? m->rows : 1));
}

int main(int argc, char **argv)
{
	bool hits = argc > 1 && strcmp(argv[1], "--hits") == 0;
	struct measure *m = mem_new(sizeof(*m));
	struct err err = { .text = "" };

	argv += hits;
	argc -= hits;
	if (argc != 4 || !gate_read(slice_text(argv[2]), &m->gate)) {
		(void)fprintf(stderr, "measure_policy [--hits] POLICY screen|inspect|review FILE.jsonl\n");
		return 1;
	}
	if (policy_open(argv[1], &m->policy, &err) != RC_OK || rules_open(&m->policy, m->gate, &m->rules, &err) != RC_OK ||
	    cascade_prove(&m->policy, m->gate, m->rules, &err) != RC_OK) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	read_rows(m, argv[3]);
	for (size_t i = 0; hits && i < m->hit_count; i++)
		printf("%-40s benign %6d malicious %6d\n", m->hits[i].rule, m->hits[i].benign, m->hits[i].malicious);
	if (!hits)
		print_table(m);
	rules_close(m->rules);
	policy_release(&m->policy);
	mem_free(m);
	return 0;
}
