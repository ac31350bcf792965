/* mock_cluster: librdkafka's in-process cluster with what our tests need of it. */
#ifndef AIRLOCK_MOCK_CLUSTER_H
#define AIRLOCK_MOCK_CLUSTER_H

#include "io/kafka.h"

struct mock;
struct mock *mock_open(int brokers);
void mock_close(struct mock *m);
/* Settings for clients of it; fetches wake quickly.  Borrowed from m. */
struct kafka_conf mock_conf(struct mock *m);
const char *mock_brokers(const struct mock *m);
void mock_topic(struct mock *m, const char *name, int partitions);
/* The next count requests of that kind fail with that error. */
enum mock_api { MOCK_PRODUCE, MOCK_OFFSET_COMMIT, MOCK_OFFSET_FETCH, MOCK_FETCH, MOCK_HEARTBEAT };
enum mock_error { MOCK_NOT_LEADER, MOCK_NOT_ENOUGH_REPLICAS, MOCK_TIMED_OUT, MOCK_OUT_OF_RANGE, MOCK_TOO_LARGE, MOCK_OUT_OF_SEQUENCE,
	          MOCK_UNKNOWN_MEMBER, MOCK_FENCED, MOCK_METADATA_TOO_LARGE, MOCK_UNKNOWN_PRODUCER, MOCK_DUPLICATE_SEQUENCE };
void mock_fail(struct mock *m, enum mock_api api, enum mock_error error, size_t count);
void mock_clear(struct mock *m, enum mock_api api); /* no more failures */
/* What arrives at the cluster from now on, counted. */
void mock_count_begin(struct mock *m);
size_t mock_count(struct mock *m, enum mock_api api);
/* What the group has committed; -1: nothing.  Blocks (the mock lists no groups, so kafka_group() cannot be asked). */
int64_t mock_committed(struct mock *m, const char *group, const char *topic, int32_t partition);
void mock_slow(struct mock *m, int broker, int round_trip_ms); /* until it is set to 0 */
void mock_broker_down(struct mock *m, int broker, bool down);

/* Turn the loop until *flag or until the time is over; false then. */
bool loop_until(struct loop *l, bool (*done)(void *arg), void *arg, int64_t timeout_ms);

#endif
