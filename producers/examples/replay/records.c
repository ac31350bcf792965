/* records: see the header. */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILE_BYTES = 64 * 1024 * 1024, LINE_BYTES = 4 * 1024 * 1024, RECORDS_MAX = 100000 };
static const char REPAIR_MARK[] = "----- BEGIN ERROR "; /* how the prompt of a repair shows what failed */

static const char *const fault_names[FAULT_COUNT] = {
	"none", "429", "429-mute", "500", "hang", "drip", "stall", "gone", "cut", "type", "error", "no-usage", "huge", "401", "404", "down",
};

const char *fault_name(enum fault f)
{
	return fault_names[f];
}

bool fault_read(struct slice name, enum fault *out)
{
	for (enum fault f = 0; f < FAULT_COUNT; f++)
		if (slice_is(name, fault_names[f])) {
			*out = f;
			return true;
		}
	return false;
}

static enum rc read_record(const struct doc *d, struct record *out, struct err *err)
{
	static const struct doc_rule RULES[] = {
		{ "when", DOC_TEXT, true, 1, LINE_BYTES, false },
		{ "text", DOC_TEXT, false, 0, LINE_BYTES, false },
		{ "repair", DOC_BOOL, false, 0, 0, false },
		{ "finish", DOC_TEXT, false, 1, 64, false },
		{ "delay_ms", DOC_INT, false, 0, 3600000, false },
		{ "fault", DOC_TEXT, false, 1, 64, false },
		{ "times", DOC_INT, false, 0, 1000000, false },
		{ "scores", DOC_OBJECT, false, 0, 64, false },
	};
	struct record r = { .fault = FAULT_NONE };
	enum rc rc = doc_check(d, "record", RULES, COUNT_OF(RULES), err);

	if (rc != RC_OK)
		return rc;
	if (!doc_get(d, "text") == !doc_get(d, "scores"))
		return err_set(err, RC_NEVER, "record", "text or scores expected");
	if (doc_get(d, "fault") && !fault_read(doc_get_text(d, "fault"), &r.fault))
		return err_set(err, RC_NEVER, "record", "fault: unknown name");
	r.when = doc_get_text(d, "when");
	r.text = doc_get_text(d, "text");
	r.finish = doc_get(d, "finish") ? doc_get_text(d, "finish") : slice_text("stop");
	r.scores = doc_get(d, "scores");
	r.repair = doc_get_bool(d, "repair", false);
	r.delay_ms = doc_get_int(d, "delay_ms", 0);
	r.times = doc_get_int(d, "times", 0);
	*out = r;
	return RC_OK;
}

enum rc records_read(struct slice lines, struct records *out, struct err *err)
{
	struct records r = { .count = 0 };
	struct slice line;
	size_t number = 0, cap = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && slice_cut(&lines, '\n', &line)) {
		number++;
		if (slice_trim(line).len == 0)
			continue;
		if (r.count == cap) {
			cap = cap ? 2 * cap : 64;
			r.docs = mem_resize(r.docs, cap * sizeof(*r.docs));
			r.all = mem_resize(r.all, cap * sizeof(*r.all));
		}
		r.docs[r.count] = NULL;
		rc = r.count < RECORDS_MAX ? doc_read(line, LINE_BYTES, &r.docs[r.count], err)
		                           : err_set(err, RC_NEVER, "record", "more than %d records", RECORDS_MAX);
		if (rc == RC_OK) {
			rc = read_record(r.docs[r.count], &r.all[r.count], err);
			r.count++;
		}
		if (rc != RC_OK)
			err_prefix(err, "line %zu: ", number);
	}
	if (rc == RC_OK)
		*out = r;
	else
		records_release(&r);
	return rc;
}

enum rc records_open(const char *path, struct records *out, struct err *err)
{
	AUTO_BUF struct buf lines = BUF_INIT(FILE_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	char *room;
	enum rc rc;

	while (fd >= 0 && (room = buf_room(&lines, 65536)) != NULL && (n = read(fd, room, 65536)) > 0)
		buf_grew(&lines, (size_t)n);
	if (fd >= 0)
		(void)close(fd); /* only read */
	if (fd < 0 || n < 0)
		return err_set(err, RC_NEVER, "record", "%s: %s", path, strerror(errno));
	rc = records_read(buf_slice(&lines), out, err);
	if (rc != RC_OK)
		err_prefix(err, "%s: ", path);
	return rc;
}

void records_release(struct records *r)
{
	for (size_t i = 0; i < r->count; i++)
		doc_free(r->docs[i]);
	mem_free(r->docs);
	mem_free(r->all);
	*r = (struct records){ .count = 0 };
}

static bool occurs(struct slice needle, struct slice in)
{
	return in.len >= needle.len && memmem(in.ptr, in.len, needle.ptr, needle.len) != NULL;
}

struct record *records_find(struct records *r, struct slice prompt, bool scores)
{
	bool repair = occurs(slice_text(REPAIR_MARK), prompt);
	struct record *best = NULL;

	for (size_t i = 0; i < r->count; i++) {
		struct record *one = &r->all[i];

		if ((one->scores != NULL) != scores || (one->repair && !repair) || !occurs(one->when, prompt))
			continue;
		if (!best || (one->repair && !best->repair) || (one->repair == best->repair && one->when.len > best->when.len))
			best = one;
	}
	return best;
}

enum fault record_fault(struct record *r)
{
	r->calls++;
	return r->times == 0 || r->calls <= r->times ? r->fault : FAULT_NONE;
}
