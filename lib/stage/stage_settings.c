/* stage_settings: the skeleton's own settings and what they become. */
#include "stage/stage_internal.h"

enum { REVOKE_MORE_MS = 5000, TOKENS_START = 10 };

const struct conf_row stage_rows[] = {
	{ "stage.group", CONF_TEXT, "", 0, 0, "Consumer group; empty: airlock-<step>.  The batch lane adds .batch.", NULL },
	{ "stage.keys", CONF_PATH, "run/keys", 0, 0, "Folder with a key file a program (<program>.json), or one such file.", NULL },
	{ "stage.poison_dir", CONF_PATH, "run/poison", 0, 0, "Folder where workers on a host note what they have in hand.", NULL },
	{ "stage.lanes", CONF_TEXT, "interactive,batch", 0, 0, "Lanes that this worker serves.", NULL },
	{ "stage.tries", CONF_INT, "6", 1, 100, "Tries of one job before it ends as failed.", NULL },
	{ "stage.backoff_ms", CONF_MS, "500ms", 1, 60000, "First backoff; doubles at each try, with full jitter.", NULL },
	{ "stage.retry_budget_percent", CONF_INT, "10", 1, 1000, "Retries that a worker may make per hundred first tries.", NULL },
	{ "stage.in_flight_bytes", CONF_BYTES, "256MiB", 16777216, 0x7fffffffff, "Messages in hand, together.", NULL },
	{ "stage.revoke_grace_ms", CONF_MS, "0ms", 0, 500000, "Time to finish what has begun of a partition that is taken away; 0: the longest job + 5 s.", NULL },
	{ "stage.commit_ms", CONF_MS, "1s", 10, 60000, "How often offsets are committed.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

static enum rc read_lanes(struct stage *s, const struct conf *conf, struct err *err)
{
	struct slice rest = slice_text(conf_text(conf, "stage.lanes")), word;
	enum lane lane;
	bool any = false;

	while (slice_cut(&rest, ',', &word)) {
		if (!lane_read(slice_trim(word), &lane))
			return err_set(err, RC_NEVER, "settings", "stage.lanes: interactive, batch or both expected");
		s->has_lane[lane] = any = true;
	}
	return any ? RC_OK : err_set(err, RC_NEVER, "settings", "stage.lanes names no lane");
}

static void name_lanes(struct stage *s, const struct conf *conf)
{
	const char *group = conf_text(conf, "stage.group");

	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane_state *l = &s->lanes[i];

		l->stage = s;
		l->lane = (enum lane)i;
		l->topic = topic_name(s->step->reads, l->lane);
		l->waiting.last = &l->waiting.first;
		l->ready_last = &l->ready_first;
		/* A lane is a topic and has a group of its own: a join in one moves nothing in the other. */
		(void)snprintf(l->group, sizeof(l->group), "%.40s%s%s", group[0] ? group : "airlock-", group[0] ? "" : program_name(s->self),
		               i == LANE_BATCH ? ".batch" : ""); /* fits: checked by its length in the format */
	}
}

static void read_numbers(struct stage *s, const struct conf *conf)
{
	int64_t grace = conf_int(conf, "stage.revoke_grace_ms");

	s->tries_max = (int)conf_int(conf, "stage.tries");
	s->backoff_ms = conf_int(conf, "stage.backoff_ms");
	s->retry_percent = (int)conf_int(conf, "stage.retry_budget_percent");
	s->bytes_max = conf_int(conf, "stage.in_flight_bytes");
	s->commit_ms = conf_int(conf, "stage.commit_ms");
	s->grace_ms = grace > 0 ? grace : s->program->longest_job_ms + REVOKE_MORE_MS;
	s->retry_tokens = TOKENS_START;
}

enum rc stage_settings(struct stage *s, struct err *err)
{
	const struct conf *conf = service_conf(s->service);
	enum rc rc = read_lanes(s, conf, err);

	if (rc != RC_OK)
		return rc;
	name_lanes(s, conf);
	read_numbers(s, conf);
	return RC_OK;
}
