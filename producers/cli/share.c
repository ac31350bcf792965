/* share: what every command does the same way: say why it failed, print JSON, read a file, add up. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/mem.h"

#include "producers/cli/cli.h"

enum { LINE_BYTES = 4096, DOC_BYTES = 64 * 1024 * 1024, PIECE_BYTES = 65536 };

int cli_fail(const struct cli *c, int exit_code, const char *fmt, ...)
{
	struct term to = term_of(stderr, !c->plain);
	char text[LINE_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut where it is longer */
	va_end(args);
	(void)fflush(stdout); /* in the order in which it was said; what fails here fails again at the end */
	fprintf(stderr, "airlock %s: ", c->command->name);
	term_put(&to, TERM_BAD, slice_text(text));
	fputc('\n', stderr);
	if (exit_code == CLI_USE)
		fprintf(stderr, "Use: airlock %s %s   (--help tells more)\n", c->command->name, c->command->operands);
	return exit_code;
}

/* JSON writes C0 controls as escapes; DEL, C1 and marks of direction stand as they are, and a terminal would obey them. */
static enum rc write_safe(const struct doc *d, bool pretty, struct buf *out)
{
	AUTO_BUF struct buf text = BUF_INIT(DOC_BYTES);
	enum rc rc = pretty ? doc_write_pretty(d, &text) : doc_write(d, &text);
	size_t kept = 0, at = 0;

	while (rc == RC_OK && at < text.len) {
		const unsigned char *p = (const unsigned char *)text.data + at;
		unsigned c1 = p[0] == 0xc2 && p[1] < 0xa0 ? p[1] : 0;
		unsigned direction = p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)) ?
		                             0x2000u + ((p[1] & 0x3fu) << 6) + (p[2] & 0x3fu) :
		                             0;

		if (p[0] != 0x7f && !c1 && !direction) {
			at++;
			continue;
		}
		rc = buf_add(out, text.data + kept, at - kept);
		if (rc == RC_OK)
			rc = buf_printf(out, "\\u%04X", p[0] == 0x7f ? 0x7f : c1 ? c1 : direction);
		at += p[0] == 0x7f ? 1 : c1 ? 2 : 3;
		kept = at;
	}
	return rc == RC_OK ? buf_add(out, text.data + kept, text.len - kept) : rc;
}

static int print(const struct cli *c, const struct doc *d, bool pretty, int exit_code)
{
	AUTO_BUF struct buf text = BUF_INIT(DOC_BYTES);

	if (write_safe(d, pretty, &text) != RC_OK)
		return cli_fail(c, CLI_NONE, "the answer is too large to print");
	(void)fwrite(text.data, 1, text.len, stdout); /* whether it arrived is seen when standard output is flushed at the end */
	(void)putchar('\n');
	return exit_code;
}

int cli_print_doc(const struct cli *c, const struct doc *d, int exit_code)
{
	return print(c, d, true, exit_code);
}

int cli_print_line(const struct cli *c, const struct doc *d, int exit_code)
{
	exit_code = print(c, d, false, exit_code);
	(void)fflush(stdout); /* a reader acts on each line as it comes; what fails here fails again at the end */
	return exit_code;
}

int cli_tally(size_t well, size_t not_well, int worst)
{
	if (not_well == 0)
		return CLI_OK;
	return well > 0 ? CLI_SOME : worst;
}

enum rc cli_read_file(const char *path, struct buf *out, struct err *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		char *room = buf_room(out, PIECE_BYTES);
		char rest[1];

		if (!room && out->len < out->max)
			room = buf_room(out, out->max - out->len);
		n = room ? read(fd, room, out->max - out->len < PIECE_BYTES ? out->max - out->len : PIECE_BYTES) : read(fd, rest, sizeof(rest));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0 && !room)
			n = -2;
		else if (n > 0)
			buf_grew(out, (size_t)n);
	}
	if (n == -2)
		(void)err_set(err, RC_NEVER, "file_too_large", "%s: more than %zu KiB", standard ? "standard input" : path, out->max / 1024);
	else if (n < 0)
		(void)err_set(err, RC_NEVER, "file", "%s: %s", standard ? "standard input" : path, strerror(errno));
	if (fd >= 0 && !standard)
		(void)close(fd); /* read only */
	return n < 0 ? RC_NEVER : RC_OK;
}

bool cli_is_id(const char *text)
{
	return text[0] && strlen(text) < 128 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(text);
}
