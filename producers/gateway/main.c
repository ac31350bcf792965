/*
 * airlock-gateway: brings requests in, shows what came of them.
 *   airlock-gateway --config FILE                         serve
 *   airlock-gateway keys-create --tenant T [--name N] [--scopes submit,read,decide,admin] [--config FILE]     make an API key, print it once
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

#include "stage/settings.h"

#include "producers/gateway/gateway.h"
#include "producers/gateway/purge.h"

static const struct conf_row settings[] = {
	{ "gateway.address", CONF_TEXT, "127.0.0.1", 0, 0, "Address to listen on.", NULL },
	{ "gateway.port", CONF_INT, "8080", 0, 65535, "Port to listen on; 0 takes any free one.", NULL },
	{ "gateway.secret", CONF_PATH, "run/keys/gateway.secret", 0, 0,
	  "File of 32 random bytes that ids and hashes of API keys derive from; made if absent.  All gateways share it.", NULL },
	{ "gateway.connections", CONF_INT, "2048", 1, 65536, "Open client connections.", NULL },
	{ "gateway.connections_per_ip", CONF_INT, "1024", 1, 65536, "Of these, from one address.", NULL },
	{ "gateway.requests_per_minute", CONF_INT, "60000", 1, 100000000, "Submits of a tenant a minute on this node, where the tenant has no limit of its own.", NULL },
	{ "gateway.deadline_interactive", CONF_MS, "10m", 1000, 604800000, "Deadline of an interactive request that names none.", NULL },
	{ "gateway.deadline_batch", CONF_MS, "24h", 1000, 604800000, "Deadline of a batch request that names none.", NULL },
	{ "gateway.idempotency_keep", CONF_MS, "8d", 3600000, 7776000000, "How long an Idempotency-Key stands for its request; a request may live 7 days.", NULL },
	{ "gateway.input_tokens", CONF_INT, "100000", 1, 1000000000, "Input tokens that one attempt may cost.", NULL },
	{ "gateway.output_tokens", CONF_INT, "16384", 16, 1000000000, "Output tokens that one attempt may cost.", NULL },
	{ "gateway.cost_micro_usd", CONF_INT, "1000000", 1, 1000000000000, "Millionths of a dollar that one attempt may cost.", NULL },
	{ "stage.keys", CONF_PATH, "run/keys", 0, 0, "Folder with a key file a program (<program>.json), or one such file.", NULL },
	{ "database.url", CONF_SECRET, "", 0, 0, "PostgreSQL: a connection string or URI of libpq, for this program's role.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

enum { SECRET_BYTES = 32, IDLE_MS = 30000, HEADER_BYTES = 16 * 1024, BODY_BYTES = 1024 * 1024, CLOSE_MS = 5000, POLL_READY_MS = 500 };

/* ---- secrets ---- */

static enum rc read_secret(const char *path, struct gateway *g, struct err *err)
{
	unsigned char secret[SECRET_BYTES], key[SHA256_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd >= 0) {
		digest_random(secret, sizeof(secret));
		n = write(fd, secret, sizeof(secret));
		(void)close(fd); /* what did not arrive shows in the next read */
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, secret, sizeof(secret));
	if (fd >= 0)
		(void)close(fd);
	if (n != (ssize_t)sizeof(secret))
		return err_set(err, RC_NEVER, "secret", "gateway.secret = %s: 32 bytes expected (%s)", path, fd < 0 ? strerror(errno) : "shorter");
	digest_hkdf(slice_of(secret, sizeof(secret)), SLICE_EMPTY, SLICE_LITERAL("airlock response id"), key, sizeof(key));
	memcpy(g->id_key.bytes, key, sizeof(key));
	digest_hkdf(slice_of(secret, sizeof(secret)), SLICE_EMPTY, SLICE_LITERAL("airlock api key"), key, sizeof(key));
	memcpy(g->hash_key.bytes, key, sizeof(key));
	mem_wipe(secret, sizeof(secret));
	mem_wipe(key, sizeof(key));
	return RC_OK;
}

/* ---- life ---- */

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct gateway *g = mem_new(sizeof(*g));
	enum rc rc;

	(void)argument;
	*self = g;
	g->service = s;
	g->keys = key_cache_new();
	g->recent = recent_new();
	g->rates = rates_new();
	g->waiters = waiters_new();
	rc = read_secret(conf_text(service_conf(s), "gateway.secret"), g, err);
	if (rc == RC_OK)
		rc = keyring_open(conf_text(service_conf(s), "stage.keys"), PROGRAM_GATEWAY, &g->keyring, err);
	return rc;
}

static void db_is_ready(void *arg)
{
	struct gateway *g = arg;

	service_ready(g->service, "database", true, NULL);
}

static void db_is_lost(void *arg, const struct err *err)
{
	struct gateway *g = arg;

	recent_clear(g->recent); /* what it would have told of is not heard */
	service_ready(g->service, "database", false, err->text);
}

static void db_notifies(void *arg, const char *channel, struct slice payload)
{
	(void)channel;
	wait_notified(arg, payload);
}

static void look_at_kafka(struct gateway *g)
{
	bool ok = kafka_producer_connected(g->producer);

	service_ready(g->service, "kafka", ok, ok ? NULL : "no broker answers");
}

static void every_while(void *arg)
{
	struct gateway *g = arg;

	look_at_kafka(g);
	wait_recheck(g);
}

static enum rc start(struct service *s, void *self, struct err *err)
{
	static const struct db_events events = { db_is_ready, db_is_lost, db_notifies };
	static const struct db_events unheard = { .on_ready = NULL };
	static const enum topic warmed[] = { TOPIC_REQUESTS, TOPIC_RESULTS, TOPIC_CONTROL };
	struct gateway *g = self;
	const struct conf *c = service_conf(s);
	const struct serve_limits limits = { (int)conf_int(c, "gateway.connections"), (int)conf_int(c, "gateway.connections_per_ip"), HEADER_BYTES,
		                             BODY_BYTES, IDLE_MS };
	const char *topics[COUNT_OF(warmed) + 1];
	struct kafka_conf kafka;
	enum rc rc;

	g->accepted = metrics_counter(service_metrics(s), "airlock_gateway_accepted_total", "", "Requests accepted: durable in Kafka.");
	g->refused = metrics_counter(service_metrics(s), "airlock_gateway_errors_total", "", "Answers that said no.");
	g->polls = metrics_counter(service_metrics(s), "airlock_gateway_polls_total", "", "Polls of a response.");
	g->unstored = metrics_counter(service_metrics(s), "airlock_gateway_unstored_total", "", "Submits that Kafka did not acknowledge: not accepted.");
	service_ready(s, "database", false, "connecting");
	service_ready(s, "kafka", false, "connecting");
	service_kafka_conf(s, &kafka);
	for (size_t i = 0; i < COUNT_OF(warmed); i++)
		topics[i] = topic_name(warmed[i], LANE_INTERACTIVE);
	topics[COUNT_OF(warmed)] = topic_name(TOPIC_REQUESTS, LANE_BATCH);
	g->cancels = cancels_new(g);
	g->recheck = timer_new(service_loop(s), every_while, g);
	timer_set(g->recheck, POLL_READY_MS);
	rc = kafka_producer_open(service_loop(s), &kafka, &g->producer, err);
	if (rc == RC_OK) {
		kafka_producer_warm(g->producer, topics, COUNT_OF(topics));
		/* Left to itself PostgreSQL plans a poll anew each time, because of the partitions: 2.1 ms instead of 0.8. */
		rc = db_open(service_loop(s), conf_text(c, "database.url"), "airlock-gateway", "set plan_cache_mode = force_generic_plan", &events, g, &g->db,
		             err);
	}
	if (rc == RC_OK)
		rc = db_open(service_loop(s), conf_text(c, "database.url"), "airlock-gateway lists", NULL, &unheard, NULL, &g->lists, err);
	if (rc == RC_OK) {
		db_listen(g->db, "airlock_ended");
		g->purge = purge_new(service_loop(s), g->lists, conf_int(c, "gateway.idempotency_keep"),
		                     metrics_counter(service_metrics(s), "airlock_gateway_purged_total", "", "Idempotency keys whose time was over."));
		rc = serve_open(service_loop(s), conf_text(c, "gateway.address"), (int)conf_int(c, "gateway.port"), &limits, ask_begin, g, &g->serve, err);
	}
	return rc;
}

static void ask_again_elsewhere(void *ask)
{
	ask_later(ask, "This node is going down; ask again.");
}

static void look_whether_drained(void *arg)
{
	enum { LOOK_MS = 50 };
	struct gateway *g = arg;

	waiters_each(g->waiters, ask_again_elsewhere);
	if (serve_open_exchanges(g->serve) == 0 && kafka_producer_unacknowledged(g->producer) == 0)
		service_drained(g->service);
	else
		timer_set(g->recheck, LOOK_MS);
}

static void drain(void *self)
{
	struct gateway *g = self;

	serve_drain(g->serve);
	timer_free(g->recheck);
	g->recheck = timer_new(service_loop(g->service), look_whether_drained, g);
	timer_set(g->recheck, 0);
}

static void close_gateway(void *self)
{
	struct gateway *g = self;

	serve_close(g->serve);
	if (g->producer)
		kafka_producer_close(g->producer, CLOSE_MS);
	if (g->db)
		db_close(g->db);
	if (g->lists)
		db_close(g->lists);
	purge_free(g->purge);
	cancels_free(g->cancels); /* behind the producer: that calls back for what it had */
	timer_free(g->recheck);
	keyring_free(g->keyring);
	key_cache_free(g->keys);
	recent_free(g->recent);
	rates_free(g->rates);
	waiters_free(g->waiters);
	mem_wipe(g, sizeof(*g));
	mem_free(g);
}

/* ---- airlock-gateway keys-create ---- */

struct creating {
	struct loop *loop;
	int exit_code;
	char text[KEY_TEXT_BYTES];
};

static void created(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct creating *k = arg;

	(void)r;
	if (rc == RC_OK)
		printf("%s\n", k->text);
	else
		fprintf(stderr, "airlock-gateway: cannot store the key: %s\n", err->text);
	k->exit_code = rc == RC_OK && fflush(stdout) == 0 ? 0 : 2;
	loop_stop(k->loop);
}

static int create_key(const struct conf *c, const char *tenant, const char *name, const char *scopes)
{
	static const struct db_statement insert = { "create",
		                                    "with t as (insert into airlock.tenants (name) values ($2) on conflict do nothing) insert into airlock.keys "
		                                    "(id, tenant, hash, name, scopes) values ($1, $2, decode($3, 'hex'), $4, string_to_array($5, ','))" };
	static const struct db_events none = { 0 };
	struct creating k = { .loop = loop_new(), .exit_code = 2 };
	struct gateway g = { 0 };
	struct err err = { 0 };
	struct db *db = NULL;
	char id[KEY_ID_BYTES], hex[SHA256_HEX_BYTES];
	struct sha256 hash;
	enum { MS = 15000 };

	if (read_secret(conf_text(c, "gateway.secret"), &g, &err) != RC_OK ||
	    db_open(k.loop, conf_text(c, "database.url"), "airlock-gateway keys", NULL, &none, NULL, &db, &err) != RC_OK) {
		fprintf(stderr, "airlock-gateway: %s\n", err.text);
		loop_free(k.loop);
		return 2;
	}
	key_new(k.text, id);
	hash = key_hash(&g.hash_key, slice_text(k.text));
	digest_hex(&hash, hex);
	{
		const struct db_value v[] = { DB_TEXT(slice_text(id)), DB_TEXT(slice_text(tenant)), DB_TEXT(slice_text(hex)), DB_TEXT(slice_text(name)),
			                      DB_TEXT(slice_text(scopes)) };

		db_query(db, &insert, v, COUNT_OF(v), MS, created, &k);
	}
	loop_run(k.loop);
	db_close(db);
	loop_free(k.loop);
	mem_wipe(&g, sizeof(g));
	return k.exit_code;
}

static int keys_create(int argc, char **argv)
{
	static const struct conf_row *const tables[] = { settings, service_rows, NULL };
	const char *tenant = NULL, *name = "", *scopes = "submit,read", *config = getenv("AIRLOCK_CONFIG");
	struct conf *c = NULL;
	struct err err = { 0 };
	int known, exit_code;

	for (int i = 2; i < argc; i++) {
		const char **value = strcmp(argv[i], "--tenant") == 0 ? &tenant : strcmp(argv[i], "--name") == 0 ? &name : strcmp(argv[i], "--scopes") == 0 ? &scopes :
		                     strcmp(argv[i], "--config") == 0 ? &config : NULL;

		if (!value || i + 1 == argc) {
			fprintf(stderr, "Use: airlock-gateway keys-create --tenant T [--name N] [--scopes submit,read,decide,admin] [--config FILE]\n");
			return 1;
		}
		*value = argv[++i];
	}
	if (!tenant || !key_scopes_read(slice_text(scopes), &known)) {
		fprintf(stderr, "airlock-gateway keys-create: --tenant is needed; scopes are submit, read, decide and admin\n");
		return 1;
	}
	if (conf_open(tables, settings_known, config, &c, &err) != RC_OK || conf_check(c, &err) != RC_OK) {
		fprintf(stderr, "airlock-gateway: %s\n", err.text);
		conf_close(c);
		return 1;
	}
	exit_code = create_key(c, tenant, name, scopes);
	conf_close(c);
	return exit_code;
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "airlock-gateway",
		.summary = "takes requests over HTTP, answers when Kafka has them, shows results once they are recorded\n"
		           "(airlock-gateway keys-create --tenant T makes an API key)",
		.settings = settings,
		.prepare = prepare,
		.start = start,
		.drain = drain,
		.close = close_gateway,
	};

	if (argc > 1 && strcmp(argv[1], "keys-create") == 0)
		return keys_create(argc, argv);
	return service_main(argc, argv, &program);
}
