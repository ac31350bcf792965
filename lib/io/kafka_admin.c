/*
 * kafka_admin: looking at the log and at groups, on the producer's client; creating topics on a client of its own.
 *
 * Every question is one struct question, which travels as librdkafka's opaque and is freed when its answer came (there is
 * always one: librdkafka times a question out itself).
 */
#include "io/kafka_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

enum { NAME_MAX_TOPICS = 256, CREATE_WAIT_MS = 100 };

enum what { ASK_TOPICS, ASK_RANGES, ASK_GROUP, ASK_PROBE };

struct question {
	enum what what;
	struct kafka_producer *producer;
	kafka_described *described;
	kafka_ranges *ranges;
	kafka_group_offsets *group;
	void *arg;
	int64_t timeout_ms;
	/* ranges: first the topics, then the starts, then the ends */
	struct kafka_range *list;
	size_t list_count;
	bool has_begin;
	char **names; /* what list and answers point to */
	size_t name_count;
};

static void question_free(struct question *q)
{
	for (size_t i = 0; i < q->name_count; i++)
		mem_free(q->names[i]);
	mem_free(q->names);
	mem_free(q->list);
	mem_free(q);
}

static struct question *question_new(struct kafka_producer *p, enum what what, int64_t timeout_ms, void *arg)
{
	struct question *q = mem_new(sizeof(*q));

	q->producer = p;
	q->what = what;
	q->timeout_ms = timeout_ms;
	q->arg = arg;
	return q;
}

static rd_kafka_AdminOptions_t *options_for(rd_kafka_t *rk, const struct question *q, rd_kafka_admin_op_t op)
{
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(rk, op);
	char text[128];

	/* A value outside librdkafka's range leaves its default: a timeout too. */
	(void)rd_kafka_AdminOptions_set_request_timeout(o, (int)q->timeout_ms, text, sizeof(text));
	rd_kafka_AdminOptions_set_opaque(o, (void *)q);
	return o;
}

/* ---- asking ---- */

static bool ask_topics(struct question *q, const char *const *topics, size_t count)
{
	rd_kafka_queue_t *queue = NULL;
	rd_kafka_t *rk = kafka_producer_client(q->producer, &queue);
	const char *names[NAME_MAX_TOPICS];
	rd_kafka_TopicCollection_t *collection;
	rd_kafka_AdminOptions_t *o;

	if (!rk)
		return false;
	assert(count > 0 && count <= NAME_MAX_TOPICS);
	for (size_t i = 0; i < count; i++)
		names[i] = topics[i];
	collection = rd_kafka_TopicCollection_of_topic_names(names, count);
	o = options_for(rk, q, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
	rd_kafka_DescribeTopics(rk, collection, o, queue);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_TopicCollection_destroy(collection);
	return true;
}

static bool ask_offsets(struct question *q, int64_t spec)
{
	rd_kafka_queue_t *queue = NULL;
	rd_kafka_t *rk = kafka_producer_client(q->producer, &queue);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_AdminOptions_t *o;

	if (!rk)
		return false;
	list = rd_kafka_topic_partition_list_new((int)q->list_count);
	for (size_t i = 0; i < q->list_count; i++)
		rd_kafka_topic_partition_list_add(list, q->list[i].topic, q->list[i].partition)->offset = spec;
	o = options_for(rk, q, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
	rd_kafka_ListOffsets(rk, list, o, queue);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_topic_partition_list_destroy(list);
	return true;
}

static void no_client(struct err *err)
{
	(void)err_set(err, RC_LATER, "no_producer", "no client at the moment"); /* its value is what the caller says anyway */
}

void kafka_describe(struct kafka_producer *p, const char *const *topics, size_t count, int64_t timeout_ms, kafka_described *done, void *arg)
{
	struct question *q = question_new(p, ASK_TOPICS, timeout_ms, arg);
	struct err err;

	q->described = done;
	if (!crash_fails(CRASH_KAFKA_ASK) && ask_topics(q, topics, count))
		return;
	question_free(q);
	no_client(&err);
	done(arg, RC_LATER, NULL, 0, &err);
}

void kafka_log_ranges(struct kafka_producer *p, const char *const *topics, size_t count, int64_t timeout_ms, kafka_ranges *done, void *arg)
{
	struct question *q = question_new(p, ASK_RANGES, timeout_ms, arg);
	struct err err;

	q->ranges = done;
	if (!crash_fails(CRASH_KAFKA_ASK) && ask_topics(q, topics, count))
		return;
	question_free(q);
	no_client(&err);
	done(arg, RC_LATER, NULL, 0, &err);
}

void kafka_group(struct kafka_producer *p, const char *group, int64_t timeout_ms, kafka_group_offsets *done, void *arg)
{
	struct question *q = question_new(p, ASK_GROUP, timeout_ms, arg);
	rd_kafka_queue_t *queue = NULL;
	rd_kafka_t *rk = kafka_producer_groups(p, &queue);
	rd_kafka_ListConsumerGroupOffsets_t *ask;
	rd_kafka_AdminOptions_t *o;
	struct err err;

	q->group = done;
	if (!rk || crash_fails(CRASH_KAFKA_ASK)) {
		question_free(q);
		no_client(&err);
		done(arg, RC_LATER, NULL, 0, &err);
		return;
	}
	ask = rd_kafka_ListConsumerGroupOffsets_new(group, NULL);
	o = options_for(rk, q, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	rd_kafka_ListConsumerGroupOffsets(rk, &ask, 1, o, queue);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_ListConsumerGroupOffsets_destroy(ask);
}

/* Not DescribeCluster: a broker that is fenced, as an overloaded one is, names no brokers, and librdkafka (2.15.1) then ends the process by an
 * assertion.  An answer about a topic of Kafka's own, there or not, is as good. */
void kafka_admin_probe(struct kafka_producer *p, int64_t timeout_ms)
{
	static const char *const any = "__consumer_offsets";

	if (!ask_topics(question_new(p, ASK_PROBE, timeout_ms, NULL), &any, 1))
		assert(!"only asked while there is a client");
}

/* ---- answers ---- */

static void copy_id(unsigned char out[KAFKA_TOPIC_ID_BYTES], const rd_kafka_Uuid_t *id)
{
	uint64_t high = (uint64_t)rd_kafka_Uuid_most_significant_bits(id);
	uint64_t low = (uint64_t)rd_kafka_Uuid_least_significant_bits(id);

	for (int i = 0; i < 8; i++) {
		out[i] = (unsigned char)(high >> (56 - 8 * i));
		out[8 + i] = (unsigned char)(low >> (56 - 8 * i));
	}
}

/* Topics that are there or certainly are not; an error on one that may be either fails the whole answer. */
static enum rc read_topics(rd_kafka_event_t *e, struct kafka_topic_info *out, size_t max, size_t *count, struct err *err)
{
	size_t n = 0, partitions = 0;
	const rd_kafka_TopicDescription_t **topics =
	        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(e), &n);

	assert(n <= max);
	for (size_t i = 0; i < n; i++) {
		const rd_kafka_error_t *failed = rd_kafka_TopicDescription_error(topics[i]);
		rd_kafka_resp_err_t code = failed ? rd_kafka_error_code(failed) : RD_KAFKA_RESP_ERR_NO_ERROR;

		out[i] = (struct kafka_topic_info){ .name = rd_kafka_TopicDescription_name(topics[i]) };
		if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			continue;
		if (code)
			return kafka_err(err, RC_LATER, code, out[i].name);
		(void)rd_kafka_TopicDescription_partitions(topics[i], &partitions); /* only the count matters */
		out[i].partitions = (int32_t)partitions;
		out[i].exists = true;
		copy_id(out[i].id, rd_kafka_TopicDescription_topic_id(topics[i]));
	}
	*count = n;
	return RC_OK;
}

static void ranges_done(struct question *q, enum rc rc, const struct err *err)
{
	q->ranges(q->arg, rc, rc == RC_OK ? q->list : NULL, rc == RC_OK ? q->list_count : 0, rc == RC_OK ? NULL : err);
	question_free(q);
}

static void ranges_topics(struct question *q, const struct kafka_topic_info *topics, size_t count)
{
	struct err err;
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += (size_t)topics[i].partitions;
	q->names = mem_new_array(count + 1, sizeof(*q->names));
	q->list = mem_new_array(total + 1, sizeof(*q->list));
	for (size_t i = 0; i < count; i++) {
		char *name = mem_text(topics[i].name);

		q->names[q->name_count++] = name;
		for (int32_t k = 0; k < topics[i].partitions; k++)
			q->list[q->list_count++] = (struct kafka_range){ name, k, -1, -1 };
	}
	if (total == 0) {
		ranges_done(q, RC_OK, NULL);
	} else if (!ask_offsets(q, RD_KAFKA_OFFSET_SPEC_EARLIEST)) {
		no_client(&err);
		ranges_done(q, RC_LATER, &err);
	}
}

static void topics_answer(struct question *q, rd_kafka_event_t *e)
{
	struct kafka_topic_info topics[NAME_MAX_TOPICS];
	size_t count = 0;
	struct err err;
	rd_kafka_resp_err_t code = rd_kafka_event_error(e);
	enum rc rc = code ? kafka_err(&err, RC_LATER, code, "describe topics") :
	                    read_topics(e, topics, NAME_MAX_TOPICS, &count, &err);

	if (rc == RC_OK)
		kafka_producer_answered(q->producer);
	if (q->what == ASK_TOPICS) {
		q->described(q->arg, rc, rc == RC_OK ? topics : NULL, count, rc == RC_OK ? NULL : &err);
		question_free(q);
	} else if (rc != RC_OK) {
		ranges_done(q, rc, &err);
	} else {
		ranges_topics(q, topics, count);
	}
}

static enum rc take_offsets(struct question *q, rd_kafka_event_t *e, struct err *err)
{
	size_t n = 0;
	const rd_kafka_ListOffsetsResultInfo_t **infos =
	        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(e), &n);

	for (size_t i = 0; i < n; i++) {
		const rd_kafka_topic_partition_t *p = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);

		if (p->err)
			return kafka_err(err, RC_LATER, p->err, p->topic);
		for (size_t k = 0; k < q->list_count; k++) {
			struct kafka_range *r = &q->list[k];

			if (r->partition == p->partition && strcmp(r->topic, p->topic) == 0)
				*(q->has_begin ? &r->end : &r->begin) = p->offset;
		}
	}
	return RC_OK;
}

static void offsets_answer(struct question *q, rd_kafka_event_t *e)
{
	struct err err;
	rd_kafka_resp_err_t code = rd_kafka_event_error(e);
	enum rc rc = code ? kafka_err(&err, RC_LATER, code, "list offsets") : take_offsets(q, e, &err);

	if (rc == RC_OK)
		kafka_producer_answered(q->producer);
	if (rc == RC_OK && !q->has_begin) {
		q->has_begin = true;
		if (ask_offsets(q, RD_KAFKA_OFFSET_SPEC_LATEST))
			return;
		no_client(&err);
		rc = RC_LATER;
	}
	ranges_done(q, rc, &err);
}

static enum rc read_group(rd_kafka_event_t *e, const rd_kafka_topic_partition_list_t **out, struct err *err)
{
	size_t n = 0;
	const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
	        rd_kafka_event_ListConsumerGroupOffsets_result(e), &n);
	const rd_kafka_error_t *failed;

	if (n != 1)
		return err_set(err, RC_LATER, "no_group", "no answer about the group");
	failed = rd_kafka_group_result_error(groups[0]);
	if (failed)
		return kafka_err(err, RC_LATER, rd_kafka_error_code(failed), rd_kafka_group_result_name(groups[0]));
	*out = rd_kafka_group_result_partitions(groups[0]);
	return RC_OK;
}

static void group_answer(struct question *q, rd_kafka_event_t *e)
{
	const rd_kafka_topic_partition_list_t *parts = NULL;
	struct kafka_group_offset *list = NULL;
	size_t count = 0;
	struct err err;
	rd_kafka_resp_err_t code = rd_kafka_event_error(e);
	enum rc rc = code ? kafka_err(&err, RC_LATER, code, "group offsets") : read_group(e, &parts, &err);

	if (rc == RC_OK) {
		kafka_producer_answered(q->producer);
		list = mem_new_array((size_t)(parts ? parts->cnt : 0) + 1, sizeof(*list));
		for (int i = 0; parts && i < parts->cnt; i++) {
			const rd_kafka_topic_partition_t *p = &parts->elems[i];

			list[count++] = (struct kafka_group_offset){ p->topic, p->partition, p->offset >= 0 ? p->offset : -1 };
		}
	}
	q->group(q->arg, rc, list, count, rc == RC_OK ? NULL : &err);
	mem_free(list);
	question_free(q);
}

static void probe_answer(struct question *q, rd_kafka_event_t *e)
{
	if (!rd_kafka_event_error(e))
		kafka_producer_answered(q->producer);
	question_free(q);
}

bool kafka_admin_event(struct kafka_producer *p, rd_kafka_event_t *e)
{
	struct question *q = rd_kafka_event_opaque(e);

	if (!q)
		return false;
	assert(q->producer == p);
	switch (rd_kafka_event_type(e)) {
	case RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT:
		if (q->what == ASK_PROBE)
			probe_answer(q, e);
		else
			topics_answer(q, e);
		return true;
	case RD_KAFKA_EVENT_LISTOFFSETS_RESULT:
		offsets_answer(q, e);
		return true;
	case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
		group_answer(q, e);
		return true;
	default:
		return false;
	}
}

/* ---- creating topics ---- */

static rd_kafka_event_t *wait_for(rd_kafka_queue_t *queue, rd_kafka_event_type_t type, int64_t until_ms)
{
	while (clock_mono_ms() < until_ms) {
		rd_kafka_event_t *e = rd_kafka_queue_poll(queue, CREATE_WAIT_MS);

		if (e && rd_kafka_event_type(e) == type)
			return e;
		if (e)
			rd_kafka_event_destroy(e);
	}
	return NULL;
}

static enum rc count_brokers(rd_kafka_t *rk, int64_t timeout_ms, int *brokers, struct err *err)
{
	const struct rd_kafka_metadata *m = NULL;
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, NULL, &m, (int)timeout_ms);

	if (code)
		return kafka_err(err, RC_LATER, code, "no broker answered");
	*brokers = m->broker_cnt;
	rd_kafka_metadata_destroy(m);
	return *brokers > 0 ? RC_OK : err_set(err, RC_LATER, "no_broker", "the cluster names no broker");
}

static enum rc set_config(rd_kafka_NewTopic_t *t, const char *name, int64_t value, struct err *err)
{
	char text[24];
	rd_kafka_resp_err_t code;

	(void)snprintf(text, sizeof(text), "%lld", (long long)value); /* always fits */
	code = rd_kafka_NewTopic_set_config(t, name, text);
	return code ? kafka_err(err, RC_NEVER, code, name) : RC_OK;
}

static enum rc new_topic(const struct kafka_new_topic *n, int brokers, rd_kafka_NewTopic_t **out, struct err *err)
{
	int replicas = n->replicas > 0 ? n->replicas : (brokers < 3 ? brokers : 3);
	int in_sync = n->min_insync > 0 ? n->min_insync : (replicas > 2 ? replicas - 1 : 1);
	char text[256];
	rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(n->name, n->partitions, replicas, text, sizeof(text));
	enum rc rc;

	if (!t)
		return err_set(err, RC_NEVER, "topic", "%s: %s", n->name, text);
	rc = set_config(t, "max.message.bytes", n->max_bytes, err);
	if (rc == RC_OK)
		rc = set_config(t, "retention.ms", n->retention_ms, err);
	if (rc == RC_OK)
		rc = set_config(t, "min.insync.replicas", in_sync, err);
	if (rc != RC_OK) {
		rd_kafka_NewTopic_destroy(t);
		return rc;
	}
	*out = t;
	return RC_OK;
}

static enum rc read_created(rd_kafka_event_t *e, size_t *created, struct err *err)
{
	size_t n = 0;
	const rd_kafka_topic_result_t **results;

	if (rd_kafka_event_error(e))
		return err_set(err, RC_LATER, "topics", "create topics: %s", rd_kafka_event_error_string(e));
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(e), &n);
	for (size_t i = 0; i < n; i++) {
		rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

		if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			continue;
		if (code)
			return err_set(err, RC_NEVER, "topics", "%s: %s", rd_kafka_topic_result_name(results[i]),
			               rd_kafka_topic_result_error_string(results[i]));
		(*created)++;
	}
	return RC_OK;
}

static enum rc create_on(rd_kafka_t *rk, rd_kafka_queue_t *queue, const struct kafka_new_topic *topics, size_t count,
                         int64_t timeout_ms, size_t *created, int *brokers, struct err *err)
{
	rd_kafka_NewTopic_t *list[NAME_MAX_TOPICS];
	rd_kafka_event_t *e;
	size_t made = 0;
	enum rc rc = count_brokers(rk, timeout_ms, brokers, err);

	assert(count <= NAME_MAX_TOPICS);
	while (rc == RC_OK && made < count) {
		rc = new_topic(&topics[made], *brokers, &list[made], err);
		if (rc == RC_OK)
			made++;
	}
	if (rc == RC_OK && count > 0) {
		rd_kafka_CreateTopics(rk, list, count, NULL, queue);
		e = wait_for(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT, clock_mono_ms() + timeout_ms);
		rc = e ? read_created(e, created, err) : err_set(err, RC_LATER, "topics", "create topics: no answer");
		if (e)
			rd_kafka_event_destroy(e);
	}
	rd_kafka_NewTopic_destroy_array(list, made);
	return rc;
}

enum rc kafka_create_topics(const struct kafka_conf *c, const struct kafka_new_topic *topics, size_t count, int64_t timeout_ms,
                            size_t *created, int *brokers, struct err *err)
{
	rd_kafka_t *rk = NULL;
	rd_kafka_queue_t *queue;
	size_t made = 0;
	int found = 0;
	enum rc rc = kafka_client_new(c, KAFKA_SIDE_PRODUCER, NULL, &rk, err);

	if (rc != RC_OK)
		return rc;
	queue = rd_kafka_queue_new(rk);
	rc = create_on(rk, queue, topics, count, timeout_ms, &made, &found, err);
	rd_kafka_queue_destroy(queue);
	kafka_client_destroy(rk, true, timeout_ms);
	if (rc == RC_OK) {
		*created = made;
		*brokers = found;
	}
	return rc;
}
