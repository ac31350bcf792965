/* airlock-monitor: measures how far each step is behind, and says so: metrics, and signed alerts that RECORD stores. */
#include "base/base.h"
#include "base/log.h"

#include "stage/service.h"

#include "lag.h"

static const struct conf_row settings[] = {
	{ "stage.keys", CONF_PATH, "run/keys", 0, 0, "Folder with a key file a program (<program>.json), or one such file.", NULL },
	{ "monitor.lag_max", CONF_INT, "10000", 1, 1000000000, "Messages a step may be behind before an alert.", NULL },
	{ "monitor.every_ms", CONF_MS, "5s", 100, 600000, "How often lag is measured.", NULL },
	{ "monitor.quiet_ms", CONF_MS, "5m", 1000, 86400000, "An alert about a topic is not repeated within this time.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

void monitor_log(const char *msg, const char *code, const char *text)
{
	log_line(LOG_WARN, msg, LOG_T("code", code), LOG_T("text", text));
}

int main(int argc, char **argv)
{
	const struct service_program program = {
		.name = "airlock-monitor", .summary = "Watches lag and raises alerts.", .settings = settings,
		.prepare = lag_prepare, .start = lag_start, .drain = lag_drain, .close = lag_close,
	};

	return service_main(argc, argv, &program);
}
