/*
 * What exists: the program's name and the least level, set once by log_open(); everything else lives on the stack of
 * the call, so any thread may log.
 * What never happens here: a line longer than LOG_LINE_BYTES, a byte outside printable ASCII, a second write(2) for
 * one line (two programs may share a pipe), an allocation.
 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { PROGRAM_BYTES = 64 };

static char log_program[PROGRAM_BYTES] = "airlock";
static enum log_level log_least = LOG_INFO;

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* Behind every line stand at most: a closing quote, " cut=yes", the newline. */
static const char cut_mark[] = " cut=yes";
enum { TAIL_BYTES = 1 + sizeof(cut_mark) - 1 + 1 };

struct line {
	char bytes[LOG_LINE_BYTES];
	size_t len;
	bool cut;
};

void log_open(const char *program, enum log_level least)
{
	(void)snprintf(log_program, sizeof(log_program), "%s", program); /* cutting a name of 64 bytes is fine */
	log_least = least;
}

bool log_level_read(const char *text, enum log_level *out)
{
	for (size_t i = 0; i < COUNT_OF(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_wanted(enum log_level level)
{
	return level >= log_least;
}

/* All of it or, marking the line as cut, nothing. */
static void put(struct line *l, const char *bytes, size_t n)
{
	if (l->cut || l->len + n > sizeof(l->bytes) - TAIL_BYTES) {
		l->cut = true;
		return;
	}
	memcpy(l->bytes + l->len, bytes, n);
	l->len += n;
}

static bool is_bare(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("._:/@+,-", c) != NULL);
}

static void put_escaped(struct line *l, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	if (c == '"' || c == '\\')
		put(l, (char[]){ '\\', (char)c }, 2);
	else if (c == '\n')
		put(l, "\\n", 2);
	else if (c == '\t')
		put(l, "\\t", 2);
	else if (c < 0x20 || c >= 0x7F)
		put(l, (char[]){ '\\', 'x', digits[c >> 4], digits[c & 15] }, 4);
	else
		put(l, (char[]){ (char)c }, 1);
}

static void put_value(struct line *l, struct slice value)
{
	bool bare = value.len > 0;

	for (size_t i = 0; bare && i < value.len; i++)
		bare = is_bare((unsigned char)value.ptr[i]);
	if (!bare)
		put(l, "\"", 1);
	if (l->cut)
		return;
	for (size_t i = 0; i < value.len && !l->cut; i++)
		put_escaped(l, (unsigned char)value.ptr[i]);
	if (!bare)
		l->bytes[l->len++] = '"'; /* also of a cut value: TAIL_BYTES keeps room for it */
}

static void put_pair(struct line *l, const char *key, struct slice value)
{
	size_t before = l->len;
	size_t start;

	if (l->cut)
		return;
	if (before > 0)
		put(l, " ", 1);
	put(l, key, strlen(key));
	put(l, "=", 1);
	start = l->len;
	put_value(l, value);
	if (l->cut && l->len == start)
		l->len = before; /* a key without a value tells nothing */
}

/* Half a number would be another number: all of it or nothing. */
static void put_number(struct line *l, const char *key, const char *number)
{
	size_t before = l->len;

	put_pair(l, key, slice_text(number));
	if (l->cut)
		l->len = before;
}

static void put_log_pair(struct line *l, const struct log_pair *p)
{
	char number[32];

	switch (p->kind) {
	case LOG_TEXT:
		if (p->u.text != NULL)
			put_pair(l, p->key, slice_text(p->u.text));
		break;
	case LOG_SLICE:
		put_pair(l, p->key, p->u.slice);
		break;
	case LOG_INT:
		(void)snprintf(number, sizeof(number), "%lld", (long long)p->u.number); /* 20 digits at most */
		put_number(l, p->key, number);
		break;
	case LOG_REAL:
		(void)snprintf(number, sizeof(number), "%.6g", p->u.real); /* 13 digits at most */
		put_number(l, p->key, number);
		break;
	case LOG_END:
		break;
	}
}

static void write_line(const struct line *l)
{
	ssize_t n;

	do
		n = write(STDERR_FILENO, l->bytes, l->len);
	while (n < 0 && errno == EINTR);
	(void)n; /* a log that cannot be written must not stop the work */
}

void log_pairs(enum log_level level, const char *msg, const struct log_pair *pairs)
{
	struct line l;
	char ts[CLOCK_TEXT_BYTES];

	if (!log_wanted(level))
		return;
	l.len = 0;
	l.cut = false;
	clock_text(clock_wall_ms(), ts);
	put_pair(&l, "ts", slice_text(ts));
	put_pair(&l, "level", slice_text(level_names[level]));
	put_pair(&l, "program", slice_text(log_program));
	put_pair(&l, "msg", slice_text(msg));
	for (; pairs->kind != LOG_END; pairs++)
		put_log_pair(&l, pairs);
	if (l.cut) {
		memcpy(l.bytes + l.len, cut_mark, sizeof(cut_mark) - 1);
		l.len += sizeof(cut_mark) - 1;
	}
	l.bytes[l.len++] = '\n';
	write_line(&l);
}
