/*
 * log: one key=value line a call, one write(2) a line, to stderr.  Only lib/stage and main files call it.
 * Foreign text is quoted and escaped; a line is at most LOG_LINE_BYTES and cut with "cut=yes".
 *   ts=2026-01-02T03:04:05.678Z level=info program=airlock-infer msg="..." key=value ...
 */
#ifndef AIRLOCK_LOG_H
#define AIRLOCK_LOG_H

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum { LOG_LINE_BYTES = 4096 };

void log_open(const char *program, enum log_level least); /* once, before threads */
bool log_level_read(const char *text, enum log_level *out);
bool log_wanted(enum log_level level);

enum log_kind { LOG_END, LOG_TEXT, LOG_SLICE, LOG_INT, LOG_REAL };
struct log_pair {
	enum log_kind kind;
	const char *key;
	union {
		const char *text; /* NULL: the pair is left out */
		struct slice slice;
		int64_t number;
		double real;
	} u;
};
#define LOG_T(k, v) ((struct log_pair){ LOG_TEXT, (k), { .text = (v) } })
#define LOG_S(k, v) ((struct log_pair){ LOG_SLICE, (k), { .slice = (v) } })
#define LOG_I(k, v) ((struct log_pair){ LOG_INT, (k), { .number = (int64_t)(v) } })
#define LOG_R(k, v) ((struct log_pair){ LOG_REAL, (k), { .real = (v) } })

/* log_line(LOG_INFO, "ready", LOG_I("port", 80), LOG_T("why", err.text)); */
void log_pairs(enum log_level level, const char *msg, const struct log_pair *pairs);
#define log_line(level, msg, ...) \
	log_pairs((level), (msg), (const struct log_pair[]){ __VA_ARGS__ __VA_OPT__(,) { LOG_END, NULL, { .text = NULL } } })

#endif
