/* airlock-monitor: watches how far each step is behind and how requests end: metrics, and signed alerts that RECORD stores. */
#include "base/base.h"
#include "base/log.h"

#include "stage/service.h"

#include "lag.h"

static const struct conf_row settings[] = {
	{ "stage.keys", CONF_PATH, "run/keys", 0, 0, "Folder with a key file a program (<program>.json), or one such file.", NULL },
	{ "monitor.lag_max", CONF_INT, "10000", 1, 1000000000, "Messages a step may be behind before an alert.", NULL },
	{ "monitor.every_ms", CONF_MS, "5s", 100, 600000, "How often lag is measured.", NULL },
	{ "monitor.age_max_ms", CONF_MS, "10m", 1000, 604800000, "How long a message may wait for a step before an alert.", NULL },
	{ "monitor.stuck_ms", CONF_MS, "3m", 1000, 86400000, "How long a step may have work and finish nothing before an alert.", NULL },
	{ "monitor.window_ms", CONF_MS, "5m", 1000, 86400000, "Time over which refusals and expired requests are counted.", NULL },
	{ "monitor.judged_min", CONF_INT, "50", 1, 1000000, "Fewer verdicts of a gate about a tenant in that time make no rate.", NULL },
	{ "monitor.refused_percent", CONF_INT, "50", 1, 100, "Refused or held share that raises an alert, if it is also twice the usual one.", NULL },
	{ "monitor.expired_max", CONF_INT, "20", 0, 1000000000, "Requests that may expire in that time before an alert.", NULL },
	{ "monitor.quiet_ms", CONF_MS, "5m", 1000, 86400000, "An alert of a kind about a subject is not repeated within this time, but counted.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

void monitor_log(const char *msg, const char *code, const char *text)
{
	log_line(LOG_WARN, msg, LOG_T("code", code), LOG_T("text", text));
}

int main(int argc, char **argv)
{
	const struct service_program program = {
		.name = "airlock-monitor", .summary = "Watches backlogs, dead letters and results, and raises alerts.", .settings = settings,
		.prepare = lag_prepare, .start = lag_start, .drain = lag_drain, .close = lag_close,
	};

	return service_main(argc, argv, &program);
}
