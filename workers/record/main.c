/* airlock-record: the one that writes what decides a request. */
#include "base/base.h"
#include "base/log.h"

#include "stage/service.h"

#include "record.h"
#include "record_main.h"

static const struct conf_row settings[] = {
	{ "database.url", CONF_SECRET, NULL, 0, 0, "PostgreSQL: a connection string or URI of libpq, for this program's role.", NULL },
	{ "stage.keys", CONF_PATH, "run/keys", 0, 0, "Folder with a key file a program (<program>.json), or one such file.", NULL },
	{ "record.group", CONF_TEXT, "airlock-record", 0, 0, "Consumer group.", NULL },
	{ "record.grace_ms", CONF_MS, "60s", 1000, 3600000, "How long after its deadline an undecided request ends as expired.", NULL },
	{ "record.hold_ms", CONF_MS, "7d", 60000, 2592000000, "How long a held request waits for a person.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

void record_log(struct record *r, const char *what, const struct err *err)
{
	(void)r;
	log_line(LOG_WARN, what, LOG_T("code", err->code), LOG_T("why", err->text));
}

int main(int argc, char **argv)
{
	const struct service_program program = {
		.name = "airlock-record", .summary = "Records requests, verdicts and results in PostgreSQL.", .settings = settings,
		.prepare = record_prepare, .start = record_start, .drain = record_drain, .close = record_close,
	};

	return service_main(argc, argv, &program);
}
