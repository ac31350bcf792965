/* airlock topics: the flow table's topics, made in Kafka or listed. */
#include <getopt.h>

#include "model/flow.h"

#include "io/kafka.h"

#include "producers/cli/cli.h"

enum { TIMEOUT_MS = 30000, PARTITIONS_MAX = 1000, REPLICAS_MAX = 9 };

static int list(const struct cli *c)
{
	struct doc *all = doc_new_array();
	int exit_code = CLI_OK;

	for (int t = 0; t < TOPIC_COUNT; t++) {
		const struct topic_spec *s = topic_spec((enum topic)t);

		for (int l = 0; l < (topic_has_lanes((enum topic)t) ? LANE_COUNT : 1); l++) {
			struct doc *row = doc_new_object();

			doc_set_text(row, "name", slice_text(topic_name((enum topic)t, (enum lane)l)));
			doc_set_int(row, "partitions", s->partitions);
			doc_set_int(row, "max_bytes", s->max_bytes);
			doc_set_int(row, "retention_ms", s->retention_ms);
			doc_set_text(row, "holds", slice_text(s->holds));
			doc_add(all, row);
			if (!c->json)
				printf("%-26s %4d  %s\n", topic_name((enum topic)t, (enum lane)l), s->partitions, s->holds);
		}
	}
	if (c->json)
		exit_code = cli_print_doc(c, all, CLI_OK);
	doc_free(all);
	return exit_code;
}

static size_t fill(struct kafka_new_topic *out, int partitions, int replicas)
{
	size_t n = 0;

	for (int t = 0; t < TOPIC_COUNT; t++) {
		const struct topic_spec *s = topic_spec((enum topic)t);

		for (int l = 0; l < (topic_has_lanes((enum topic)t) ? LANE_COUNT : 1); l++) {
			out[n++] = (struct kafka_new_topic){
				.name = topic_name((enum topic)t, (enum lane)l),
				/* control keeps its one partition: it needs an order */
				.partitions = partitions > 0 && s->partitions > 1 ? partitions : s->partitions,
				.replicas = replicas,
				.max_bytes = s->max_bytes,
				.retention_ms = s->retention_ms,
			};
		}
	}
	return n;
}

static int create(const struct cli *c, int partitions, int replicas)
{
	struct kafka_new_topic topics[TOPIC_COUNT * LANE_COUNT];
	struct kafka_setting more[128];
	struct kafka_conf conf = { .brokers = conf_text(c->conf, "kafka.brokers"), .client_id = "airlock-topics", .more = more,
		                   .max_message_bytes = topic_spec(TOPIC_DEAD)->max_bytes };
	size_t count = fill(topics, partitions, replicas), created = 0;
	struct err err = { 0 };
	int brokers = 0;

	while (conf.more_count < COUNT_OF(more) &&
	       conf_below(c->conf, "kafka.*", conf.more_count, &more[conf.more_count].name, &more[conf.more_count].value))
		conf.more_count++;
	if (kafka_create_topics(&conf, topics, count, TIMEOUT_MS, &created, &brokers, &err) != RC_OK)
		return cli_fail(c, CLI_FAILED, "%s: %s", conf.brokers, err.text);
	if (c->json)
		printf("{\"topics\":%zu,\"created\":%zu,\"brokers\":%d}\n", count, created, brokers);
	else
		printf("%zu topics, %zu of them new, on %d broker%s\n", count, created, brokers, brokers == 1 ? "" : "s");
	if (brokers == 1 && !c->json)
		printf("One broker, so one copy: a power cut or a lost disk may cost what was accepted last.\n");
	return CLI_OK;
}

int cmd_topics(struct cli *c, int argc, char **argv)
{
	static const struct option options[] = { { "partitions", required_argument, NULL, 'p' },
		                                 { "replicas", required_argument, NULL, 'r' },
		                                 { NULL, 0, NULL, 0 } };
	int64_t partitions = 0, replicas = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'p' && slice_int(slice_text(optarg), 1, PARTITIONS_MAX, &partitions) != RC_OK)
			return cli_fail(c, CLI_USE, "--partitions: 1 to %d expected", PARTITIONS_MAX);
		if (option == 'r' && slice_int(slice_text(optarg), 1, REPLICAS_MAX, &replicas) != RC_OK)
			return cli_fail(c, CLI_USE, "--replicas: 1 to %d expected", REPLICAS_MAX);
		if (option == '?')
			return cli_fail(c, CLI_USE, "unknown option");
	}
	if (optind + 1 == argc && strcmp(argv[optind], "list") == 0)
		return list(c);
	if (optind + 1 == argc && strcmp(argv[optind], "create") == 0)
		return create(c, (int)partitions, (int)replicas);
	return cli_fail(c, CLI_USE, "create or list expected");
}
