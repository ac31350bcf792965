/* airlock topics: the flow table's topics, made in Kafka or listed. */
#include "model/flow.h"

#include "io/kafka.h"

#include "producers/cli/cli.h"
#include "producers/cli/table.h"

enum { TIMEOUT_MS = 30000 };

static int list(const struct cli *c)
{
	AUTO_TABLE struct table table = { 0 };
	AUTO_DRAFT struct draft *all = draft_new_array();
	AUTO_DOC struct doc *printed = NULL;
	struct err err;

	table_column(&table, "TOPIC", false);
	table_column(&table, "PARTITIONS", true);
	table_column(&table, "HOLDS", false);
	for (int t = 0; t < TOPIC_COUNT; t++) {
		const struct topic_spec *s = topic_spec((enum topic)t);

		for (int l = 0; l < (topic_has_lanes((enum topic)t) ? LANE_COUNT : 1); l++) {
			struct draft *row = draft_new_object();

			draft_set_text(row, "name", slice_text(topic_name((enum topic)t, (enum lane)l)));
			draft_set_int(row, "partitions", s->partitions);
			draft_set_int(row, "max_bytes", s->max_bytes);
			draft_set_int(row, "retention_ms", s->retention_ms);
			draft_set_text(row, "holds", slice_text(s->holds));
			draft_add(all, row);
			table_add(&table, TERM_PLAIN, slice_text(topic_name((enum topic)t, (enum lane)l)));
			table_addf(&table, "%d", s->partitions);
			table_add(&table, TERM_PLAIN, slice_text(s->holds));
		}
	}
	if (c->json)
		return draft_seal(all, &printed, &err) == RC_OK ? cli_print_doc(c, printed, CLI_OK) : cli_fail(c, CLI_NONE, "%s", err.text);
	table_print(&table, &c->out);
	return CLI_OK;
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
		return cli_fail(c, CLI_AWAY, "%s: %s", conf.brokers, err.text);
	if (c->json)
		printf("{\"topics\":%zu,\"created\":%zu,\"brokers\":%d}\n", count, created, brokers);
	else
		printf("%zu topics, %zu of them new, on %d broker%s\n", count, created, brokers, brokers == 1 ? "" : "s");
	if (brokers == 1 && !c->json)
		printf("One broker, so one copy: a power cut or a lost disk may cost what was accepted last.\n");
	return CLI_OK;
}

int cmd_topics(struct cli *c)
{
	if (strcmp(c->args.rest[0], "list") == 0)
		return list(c);
	return create(c, (int)args_int(&c->args, "partitions", 0), (int)args_int(&c->args, "replicas", 0));
}
