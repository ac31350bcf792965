#include "tests/fake/mock_cluster.h"

#include <assert.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-qualifiers"
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#pragma GCC diagnostic pop

#include "base/clock.h"
#include "base/mem.h"

enum { SESSION_MS = 3000, HEARTBEAT_MS = 100 };

struct mock {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	rd_kafka_t *asker; /* of mock_committed(), for one group */
};

static const int16_t api_keys[] = { 0, 8, 9, 1, 68 };
static const rd_kafka_resp_err_t errors[] = {
	RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,        RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
	RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,       RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
	RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,        RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH,
	RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
	RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER,
};

struct mock *mock_open(int brokers)
{
	struct mock *m = mem_new(sizeof(*m));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];

	rd_kafka_conf_set_log_cb(conf, NULL);
	m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	assert(m->rk);
	m->cluster = rd_kafka_mock_cluster_new(m->rk, brokers);
	assert(m->cluster);
	rd_kafka_mock_set_controller_id(m->cluster, 1); /* who answers questions about topics */
	rd_kafka_mock_set_group_consumer_session_timeout_ms(m->cluster, SESSION_MS);
	rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(m->cluster, HEARTBEAT_MS);
	return m;
}

void mock_close(struct mock *m)
{
	if (m->asker)
		rd_kafka_destroy(m->asker);
	rd_kafka_mock_cluster_destroy(m->cluster);
	rd_kafka_destroy(m->rk);
	mem_free(m);
}

const char *mock_brokers(const struct mock *m)
{
	return rd_kafka_mock_cluster_bootstraps(m->cluster);
}

struct kafka_conf mock_conf(struct mock *m)
{
	static const struct kafka_setting quick[] = { { "fetch.wait.max.ms", "5" } };

	return (struct kafka_conf){
		.brokers = mock_brokers(m),
		.client_id = "test",
		.more = quick,
		.more_count = COUNT_OF(quick),
		.max_message_bytes = 4 * 1024 * 1024 + 65536,
	};
}

void mock_topic(struct mock *m, const char *name, int partitions)
{
	rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(m->cluster, name, partitions, 1);

	assert(!err);
	(void)err; /* NDEBUG */
}

void mock_fail(struct mock *m, enum mock_api api, enum mock_error error, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rd_kafka_mock_push_request_errors(m->cluster, api_keys[api], 1, errors[error]);
}

void mock_clear(struct mock *m, enum mock_api api)
{
	rd_kafka_mock_clear_request_errors(m->cluster, api_keys[api]);
}

void mock_count_begin(struct mock *m)
{
	rd_kafka_mock_start_request_tracking(m->cluster);
	rd_kafka_mock_clear_requests(m->cluster);
}

size_t mock_count(struct mock *m, enum mock_api api)
{
	size_t n = 0, found = 0;
	rd_kafka_mock_request_t **list = rd_kafka_mock_get_requests(m->cluster, &n);

	for (size_t i = 0; i < n; i++)
		found += rd_kafka_mock_request_api_key(list[i]) == api_keys[api];
	rd_kafka_mock_request_destroy_array(list, n);
	return found;
}

int64_t mock_committed(struct mock *m, const char *group, const char *topic, int32_t partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t offset;

	if (!m->asker) {
		rd_kafka_conf_t *conf = rd_kafka_conf_new();
		char text[256];

		rd_kafka_conf_set_log_cb(conf, NULL);
		(void)rd_kafka_conf_set(conf, "bootstrap.servers", mock_brokers(m), text, sizeof(text));
		(void)rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
		m->asker = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
		assert(m->asker);
	}
	rd_kafka_topic_partition_list_add(list, topic, partition);
	if (rd_kafka_committed(m->asker, list, 10000))
		offset = -1;
	else
		offset = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
	rd_kafka_topic_partition_list_destroy(list);
	return offset;
}

void mock_slow(struct mock *m, int broker, int round_trip_ms)
{
	(void)rd_kafka_mock_broker_set_rtt(m->cluster, broker, round_trip_ms); /* of a broker that exists: cannot fail */
}

void mock_broker_down(struct mock *m, int broker, bool down)
{
	if (down)
		(void)rd_kafka_mock_broker_set_down(m->cluster, broker); /* of a broker that exists: cannot fail */
	else
		(void)rd_kafka_mock_broker_set_up(m->cluster, broker);
}

bool loop_until(struct loop *l, bool (*done)(void *arg), void *arg, int64_t timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;

	while (!done(arg)) {
		if (clock_mono_ms() > until)
			return false;
		loop_turn(l, 20);
	}
	return true;
}
