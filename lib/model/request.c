/*
 * request: reading and writing line 1.
 *
 * Types and members are checked by tables (line_check), values by request_check(), which reader and writer share: what
 * request_write() writes, request_read() accepts.  All slices of a request that was read belong to its document.
 */
#include "model/request.h"

#include <math.h>

#include "base/base.h"

#include "model/line.h"

static const char *const compare_names[] = {
	[COMPARE_EXACT] = "exact",
	[COMPARE_WHITESPACE] = "whitespace",
	[COMPARE_FLOAT] = "float",
};

enum { METADATA_PAIRS = 16, METADATA_KEY_BYTES = 64, METADATA_VALUE_BYTES = 512, WORD_BYTES = 64 };

static const struct doc_rule rules[] = {
	LINE_RULES,
	{ "id", DOC_TEXT, true, LIMIT_KEY_BYTES, LIMIT_KEY_BYTES, false },
	{ "tenant", DOC_TEXT, true, 1, LIMIT_TENANT_BYTES, false },
	{ "key", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "lane", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "api", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "created_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "deadline_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "execute", DOC_BOOL, true, 0, 0, false },
	{ "model", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "instructions", DOC_TEXT, false, 1, LIMIT_REQUEST_BYTES, false },
	{ "input", DOC_TEXT, false, 1, LIMIT_REQUEST_BYTES, false },
	{ "language", DOC_TEXT, false, 1, WORD_BYTES, false },
	{ "max_output_tokens", DOC_INT, false, 1, INT32_MAX, false },
	{ "temperature", DOC_REAL, false, 0, 2, false },
	{ "program", DOC_TEXT, false, 1, LIMIT_REQUEST_BYTES, false },
	{ "stdin", DOC_TEXT, false, 1, LIMIT_REQUEST_BYTES, false },
	{ "tests", DOC_ARRAY, false, 1, LIMIT_TESTS, false },
	{ "stop_at_first_failure", DOC_BOOL, false, 0, 0, false },
	{ "isolation", DOC_TEXT, false, 1, WORD_BYTES, false },
	{ "inputs", DOC_ARRAY, false, 1, LIMIT_FILES, false },
	{ "outputs", DOC_ARRAY, false, 1, LIMIT_FILES, false },
	{ "limits", DOC_OBJECT, false, 0, 0, false },
	{ "rounds", DOC_INT, true, 1, LIMIT_ROUNDS, false },
	{ "budget", DOC_OBJECT, false, 0, 0, false },
	{ "custom_id", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "group", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "sample", DOC_INT, false, 0, INT32_MAX, false },
	{ "end_user", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "traceparent", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "metadata", DOC_OBJECT, false, 0, METADATA_PAIRS, false },
};
static const struct doc_rule test_rules[] = {
	{ "name", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "type", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "code", DOC_TEXT, false, 1, LIMIT_REQUEST_BYTES, false },
	{ "input", DOC_TEXT, false, 0, LIMIT_REQUEST_BYTES, false },
	{ "expected", DOC_TEXT, false, 0, LIMIT_REQUEST_BYTES, false },
	{ "compare", DOC_TEXT, false, 1, WORD_BYTES, false },
	{ "wall_ms", DOC_INT, false, 1, LIMIT_DEADLINE_MS_MAX, false },
};
static const struct doc_rule input_rules[] = {
	{ "name", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "base64", DOC_TEXT, true, 0, LIMIT_REQUEST_BYTES, false },
};
static const struct doc_rule limit_rules[] = {
	{ "wall_ms", DOC_INT, false, 1, INT64_MAX, false },      { "cpu_ms", DOC_INT, false, 1, INT64_MAX, false },
	{ "memory_bytes", DOC_INT, false, 1, INT64_MAX, false }, { "pids", DOC_INT, false, 1, INT64_MAX, false },
	{ "disk_bytes", DOC_INT, false, 1, INT64_MAX, false },   { "output_bytes", DOC_INT, false, 1, INT64_MAX, false },
	{ "file_bytes", DOC_INT, false, 1, INT64_MAX, false },
};
static const struct doc_rule budget_rules[] = {
	{ "input_tokens", DOC_INT, false, 1, INT64_MAX, false },
	{ "output_tokens", DOC_INT, false, 1, INT64_MAX, false },
	{ "cost_micro_usd", DOC_INT, false, 1, INT64_MAX, false },
};

/* ---- values -------------------------------------------------------------------------------------------------------- */

static enum rc refuse(struct err *err, const char *what)
{
	return line_refuse(err, KIND_REQUEST, "%s", what);
}

static enum rc check_who(const struct request *r, struct err *err)
{
	struct uuid id;

	if (!uuid_read(r->id_text, &id) || uuid_compare(&id, &r->id) != 0)
		return refuse(err, "id: not a UUIDv7, or id and id_text differ");
	if (!name_fits(r->tenant, 1, LIMIT_TENANT_BYTES))
		return refuse(err, "tenant: 1 to 64 letters, digits, '_', '-', '.' expected");
	if (!word_fits(r->key, 1, WORD_BYTES) || !word_fits(r->api, 1, WORD_BYTES))
		return refuse(err, "key, api: a word of at most 64 bytes expected");
	if ((unsigned)r->lane >= LANE_COUNT)
		return refuse(err, "lane: interactive or batch expected");
	if (r->created_ms < 0 || r->deadline_ms <= r->created_ms || r->deadline_ms - r->created_ms > LIMIT_DEADLINE_MS_MAX)
		return refuse(err, "deadline_ms: after created_ms by at most 7 days expected");
	if (!text_fits(r->custom_id, 0, LIMIT_NAME_BYTES) || !text_fits(r->group, 0, LIMIT_NAME_BYTES) ||
	    !text_fits(r->end_user, 0, LIMIT_NAME_BYTES) || !word_fits(r->traceparent, 0, LIMIT_NAME_BYTES))
		return refuse(err, "custom_id, group, end_user, traceparent: at most 128 bytes expected");
	if (r->sample < -1 || r->sample > INT32_MAX)
		return refuse(err, "sample: a number from 0 expected");
	return RC_OK;
}

static enum rc check_what(const struct request *r, struct err *err)
{
	if (!word_fits(r->model, 0, LIMIT_NAME_BYTES))
		return refuse(err, "model: a word of at most 128 bytes expected");
	if (!text_fits(r->instructions, 0, LIMIT_REQUEST_BYTES) || !text_fits(r->input, 0, LIMIT_REQUEST_BYTES) ||
	    !text_fits(r->program, 0, LIMIT_REQUEST_BYTES) || !text_fits(r->stdin_text, 0, LIMIT_REQUEST_BYTES))
		return refuse(err, "instructions, input, program, stdin: UTF-8 without NUL expected");
	if (r->own_program ? r->program.len == 0 : r->program.len > 0 || r->input.len == 0)
		return refuse(err, "input or program: exactly one of them expected");
	if (r->own_program && (r->input.len > 0 || r->instructions.len > 0))
		return refuse(err, "program: there is neither input nor instructions beside it");
	if (!word_fits(r->language, r->execute ? 1 : 0, WORD_BYTES))
		return refuse(err, "language: a word expected where execute is true");
	if (!r->execute && (r->test_count > 0 || r->input_count > 0 || r->output_count > 0 || r->stdin_text.len > 0))
		return refuse(err, "execute: false, but there are tests, inputs, outputs or stdin");
	if (r->max_output_tokens < 0 || r->max_output_tokens > INT32_MAX)
		return refuse(err, "max_output_tokens: a positive number expected");
	if (!isfinite(r->temperature) || r->temperature > 2)
		return refuse(err, "temperature: 0 to 2 expected");
	if (r->rounds < 1 || r->rounds > LIMIT_ROUNDS || (r->own_program && r->rounds != 1))
		return refuse(err, "rounds: 1 to 4 expected, and 1 for an own program");
	if (r->budget.input_tokens < 0 || r->budget.output_tokens < 0 || r->budget.cost_micro_usd < 0)
		return refuse(err, "budget: positive numbers expected");
	if (r->limits.wall_ms < 0 || r->limits.cpu_ms < 0 || r->limits.memory_bytes < 0 || r->limits.pids < 0 ||
	    r->limits.disk_bytes < 0 || r->limits.output_bytes < 0 || r->limits.file_bytes < 0)
		return refuse(err, "limits: positive numbers expected");
	return RC_OK;
}

static enum rc check_tests(const struct request *r, struct err *err)
{
	if (r->test_count > LIMIT_TESTS)
		return refuse(err, "tests: at most 100 expected");
	for (size_t i = 0; i < r->test_count; i++) {
		const struct test *t = &r->tests[i];

		if (!text_fits(t->name, 0, LIMIT_NAME_BYTES) || t->wall_ms < 0 || t->wall_ms > LIMIT_DEADLINE_MS_MAX ||
		    !text_fits(t->code, 0, LIMIT_REQUEST_BYTES) || !text_fits(t->input, 0, LIMIT_REQUEST_BYTES) ||
		    !text_fits(t->expected, 0, LIMIT_REQUEST_BYTES))
			return line_refuse(err, KIND_REQUEST, "tests[%zu]: name, code, input, expected or wall_ms out of range", i);
		if (t->kind == TEST_CODE ? t->code.len == 0 || t->input.len > 0 || t->expected.len > 0 || t->compare != COMPARE_EXACT
		                         : t->kind != TEST_IO || t->code.len > 0 || (unsigned)t->compare > COMPARE_FLOAT)
			return line_refuse(err, KIND_REQUEST, "tests[%zu]: either code, or input and expected, expected", i);
	}
	return RC_OK;
}

static bool seen_before(const struct slice name, const struct named_bytes *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(files[i].name, name))
			return true;
	}
	return false;
}

static enum rc check_files(const struct request *r, struct err *err)
{
	AUTO_BUF struct buf scratch = BUF_INIT(LIMIT_REQUEST_BYTES);

	if (r->input_count > LIMIT_FILES || r->output_count > LIMIT_FILES)
		return refuse(err, "inputs, outputs: at most 32 expected");
	for (size_t i = 0; i < r->input_count; i++) {
		if (!path_fits(r->inputs[i].name) || seen_before(r->inputs[i].name, r->inputs, i))
			return line_refuse(err, KIND_REQUEST, "inputs[%zu].name: a relative path without \"..\", once, expected", i);
		buf_cut(&scratch, 0);
		if (buf_add_unbase64(&scratch, r->inputs[i].base64) != RC_OK)
			return line_refuse(err, KIND_REQUEST, "inputs[%zu].base64: padded base64 expected", i);
	}
	for (size_t i = 0; i < r->output_count; i++) {
		if (!path_fits(r->outputs[i]))
			return line_refuse(err, KIND_REQUEST, "outputs[%zu]: a relative path without \"..\" expected", i);
		for (size_t j = 0; j < i; j++) {
			if (slice_equal(r->outputs[i], r->outputs[j]))
				return line_refuse(err, KIND_REQUEST, "outputs[%zu]: named twice", i);
		}
	}
	return RC_OK;
}

static enum rc check_metadata(const struct request *r, struct err *err)
{
	const struct doc *value;
	const char *key;

	if (r->metadata == NULL)
		return RC_OK;
	if (doc_type(r->metadata) != DOC_OBJECT || doc_count(r->metadata) > METADATA_PAIRS)
		return refuse(err, "metadata: an object of at most 16 texts expected");
	DOC_EACH(r->metadata, &key, &value) {
		if (!text_fits(slice_text(key), 0, METADATA_KEY_BYTES) || doc_type(value) != DOC_TEXT ||
		    doc_text(value).len > METADATA_VALUE_BYTES)
			return refuse(err, "metadata: keys of at most 64 bytes, texts of at most 512 expected");
	}
	return RC_OK;
}

static enum rc request_check(const struct request *r, struct err *err)
{
	enum rc rc = check_who(r, err);

	if (rc == RC_OK)
		rc = check_what(r, err);
	if (rc == RC_OK)
		rc = check_tests(r, err);
	if (rc == RC_OK)
		rc = check_files(r, err);
	if (rc == RC_OK)
		rc = check_metadata(r, err);
	return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static enum rc read_test(const struct doc *d, size_t i, struct test *t, struct err *err)
{
	struct slice type, compare;
	enum rc rc;

	rc = line_check(d, KIND_REQUEST, "tests", test_rules, COUNT_OF(test_rules), err);
	if (rc != RC_OK)
		return rc;
	type = doc_get_text(d, "type");
	compare = doc_get_text(d, "compare");
	if (!slice_is(type, "code") && !slice_is(type, "io"))
		return line_refuse(err, KIND_REQUEST, "tests[%zu].type: code or io expected", i);
	*t = (struct test){
		.name = doc_get_text(d, "name"),
		.kind = slice_is(type, "code") ? TEST_CODE : TEST_IO,
		.code = doc_get_text(d, "code"),
		.input = doc_get_text(d, "input"),
		.expected = doc_get_text(d, "expected"),
		.wall_ms = doc_get_int(d, "wall_ms", 0),
	};
	if (t->kind == TEST_IO && doc_get(d, "expected") == NULL)
		return line_refuse(err, KIND_REQUEST, "tests[%zu].expected: missing", i);
	if (t->kind == TEST_CODE && (doc_get(d, "expected") != NULL || doc_get(d, "input") != NULL || compare.len > 0))
		return line_refuse(err, KIND_REQUEST, "tests[%zu]: a test by code has nothing to compare", i);
	if (compare.len == 0)
		return RC_OK;
	for (size_t c = 0; c < COUNT_OF(compare_names); c++) {
		if (slice_is(compare, compare_names[c])) {
			t->compare = (enum test_compare)c;
			return RC_OK;
		}
	}
	return line_refuse(err, KIND_REQUEST, "tests[%zu].compare: exact, whitespace or float expected", i);
}

static enum rc read_lists(const struct doc *doc, struct request *r, struct err *err)
{
	const struct doc *tests = doc_get(doc, "tests"), *inputs = doc_get(doc, "inputs"), *outputs = doc_get(doc, "outputs");
	enum rc rc;

	r->test_count = doc_count(tests);
	for (size_t i = 0; i < r->test_count; i++) {
		rc = read_test(doc_at(tests, i), i, &r->tests[i], err);
		if (rc != RC_OK)
			return rc;
	}
	r->input_count = doc_count(inputs);
	for (size_t i = 0; i < r->input_count; i++) {
		const struct doc *d = doc_at(inputs, i);

		rc = line_check(d, KIND_REQUEST, "inputs", input_rules, COUNT_OF(input_rules), err);
		if (rc != RC_OK)
			return rc;
		r->inputs[i] = (struct named_bytes){ doc_get_text(d, "name"), doc_get_text(d, "base64") };
	}
	r->output_count = doc_count(outputs);
	for (size_t i = 0; i < r->output_count; i++) {
		if (doc_type(doc_at(outputs, i)) != DOC_TEXT)
			return line_refuse(err, KIND_REQUEST, "outputs[%zu]: text expected", i);
		r->outputs[i] = doc_text(doc_at(outputs, i));
	}
	return RC_OK;
}

static enum rc read_numbers(const struct doc *doc, struct request *r, struct err *err)
{
	const struct doc *limits = doc_get(doc, "limits"), *budget = doc_get(doc, "budget");
	enum rc rc = RC_OK;

	if (limits != NULL)
		rc = line_check(limits, KIND_REQUEST, "limits", limit_rules, COUNT_OF(limit_rules), err);
	if (rc == RC_OK && budget != NULL)
		rc = line_check(budget, KIND_REQUEST, "budget", budget_rules, COUNT_OF(budget_rules), err);
	r->limits = (struct run_limits){
		.wall_ms = doc_get_int(limits, "wall_ms", 0),
		.cpu_ms = doc_get_int(limits, "cpu_ms", 0),
		.memory_bytes = doc_get_int(limits, "memory_bytes", 0),
		.pids = doc_get_int(limits, "pids", 0),
		.disk_bytes = doc_get_int(limits, "disk_bytes", 0),
		.output_bytes = doc_get_int(limits, "output_bytes", 0),
		.file_bytes = doc_get_int(limits, "file_bytes", 0),
	};
	r->budget = (struct budget){
		.input_tokens = doc_get_int(budget, "input_tokens", 0),
		.output_tokens = doc_get_int(budget, "output_tokens", 0),
		.cost_micro_usd = doc_get_int(budget, "cost_micro_usd", 0),
	};
	return rc;
}

bool isolation_read(struct slice name, enum isolation *out)
{
	*out = slice_is(name, "exec") ? ISOLATION_EXEC : ISOLATION_WARM;
	return *out == ISOLATION_EXEC || slice_is(name, "warm");
}

static enum rc read_members(const struct doc *doc, struct request *r, struct err *err)
{
	enum rc rc;

	r->id_text = doc_get_text(doc, "id");
	r->tenant = doc_get_text(doc, "tenant");
	r->key = doc_get_text(doc, "key");
	r->api = doc_get_text(doc, "api");
	r->custom_id = doc_get_text(doc, "custom_id");
	r->group = doc_get_text(doc, "group");
	r->end_user = doc_get_text(doc, "end_user");
	r->traceparent = doc_get_text(doc, "traceparent");
	r->created_ms = doc_get_int(doc, "created_ms", 0);
	r->deadline_ms = doc_get_int(doc, "deadline_ms", 0);
	r->sample = doc_get_int(doc, "sample", -1);
	r->execute = doc_get_bool(doc, "execute", false);
	r->own_program = doc_get(doc, "program") != NULL;
	r->model = doc_get_text(doc, "model");
	r->instructions = doc_get_text(doc, "instructions");
	r->input = doc_get_text(doc, "input");
	r->language = doc_get_text(doc, "language");
	r->program = doc_get_text(doc, "program");
	r->max_output_tokens = doc_get_int(doc, "max_output_tokens", 0);
	r->temperature = doc_get_real(doc, "temperature", -1);
	r->stdin_text = doc_get_text(doc, "stdin");
	r->stop_at_first_failure = doc_get_bool(doc, "stop_at_first_failure", false);
	r->rounds = doc_get_int(doc, "rounds", 1);
	r->metadata = doc_get(doc, "metadata");
	if (!uuid_read(r->id_text, &r->id))
		return refuse(err, "id: not a UUIDv7");
	if (!lane_read(doc_get_text(doc, "lane"), &r->lane))
		return refuse(err, "lane: interactive or batch expected");
	/* Absent: whatever RUN's own settings allow. */
	if (doc_get(doc, "isolation") && !isolation_read(doc_get_text(doc, "isolation"), &r->isolation))
		return refuse(err, "isolation: warm or exec expected");
	rc = read_lists(doc, r, err);
	if (rc == RC_OK)
		rc = read_numbers(doc, r, err);
	if (rc == RC_OK)
		rc = request_check(r, err);
	return rc;
}

/* All but the lists, which are as good as not there while their counts are 0: most lines use little of much room. */
static void empty(struct request *r)
{
	memset(r, 0, offsetof(struct request, tests));
	r->sample = -1;
	r->temperature = -1;
	r->rounds = 1;
}

enum rc request_read(struct slice line, struct request *out, struct err *err)
{
	enum rc rc;

	empty(out);
	rc = line_read(line, KIND_REQUEST, LIMIT_REQUEST_BYTES, rules, COUNT_OF(rules), &out->doc, err);
	if (rc == RC_OK)
		rc = read_members(out->doc, out, err);
	if (rc != RC_OK)
		request_release(out);
	return rc;
}

void request_release(struct request *r)
{
	doc_free(r->doc);
	empty(r);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static void write_tests(const struct request *r, struct line *l)
{
	line_open(l, "tests", '[');
	for (size_t i = 0; i < r->test_count; i++) {
		const struct test *t = &r->tests[i];

		line_open(l, NULL, '{');
		line_text_some(l, "name", t->name);
		line_text(l, "type", slice_text(t->kind == TEST_CODE ? "code" : "io"));
		if (t->kind == TEST_CODE) {
			line_text(l, "code", t->code);
		} else {
			line_text_some(l, "input", t->input);
			line_text(l, "expected", t->expected);
			line_text(l, "compare", slice_text(compare_names[t->compare]));
		}
		line_int_some(l, "wall_ms", t->wall_ms);
		line_close(l, '}');
	}
	line_close(l, ']');
}

static void write_files(const struct request *r, struct line *l)
{
	if (r->input_count > 0) {
		line_open(l, "inputs", '[');
		for (size_t i = 0; i < r->input_count; i++) {
			line_open(l, NULL, '{');
			line_text(l, "name", r->inputs[i].name);
			line_text(l, "base64", r->inputs[i].base64);
			line_close(l, '}');
		}
		line_close(l, ']');
	}
	if (r->output_count > 0) {
		line_open(l, "outputs", '[');
		for (size_t i = 0; i < r->output_count; i++)
			line_text(l, NULL, r->outputs[i]);
		line_close(l, ']');
	}
}

static void write_numbers(const struct request *r, struct line *l)
{
	const struct run_limits *m = &r->limits;

	line_open(l, "limits", '{');
	line_int_some(l, "wall_ms", m->wall_ms);
	line_int_some(l, "cpu_ms", m->cpu_ms);
	line_int_some(l, "memory_bytes", m->memory_bytes);
	line_int_some(l, "pids", m->pids);
	line_int_some(l, "disk_bytes", m->disk_bytes);
	line_int_some(l, "output_bytes", m->output_bytes);
	line_int_some(l, "file_bytes", m->file_bytes);
	line_close(l, '}');
	line_int(l, "rounds", r->rounds);
	line_open(l, "budget", '{');
	line_int_some(l, "input_tokens", r->budget.input_tokens);
	line_int_some(l, "output_tokens", r->budget.output_tokens);
	line_int_some(l, "cost_micro_usd", r->budget.cost_micro_usd);
	line_close(l, '}');
}

static void write_metadata(const struct request *r, struct line *l)
{
	const struct doc *value;
	const char *key;

	if (r->metadata == NULL)
		return;
	line_open(l, "metadata", '{');
	DOC_EACH(r->metadata, &key, &value) {
		if (l->comma && l->rc == RC_OK)
			l->rc = buf_add_text(l->out, ",");
		if (l->rc == RC_OK)
			l->rc = buf_add_json(l->out, slice_text(key)); /* a client's word: needs escaping, line_text()'s keys do not */
		if (l->rc == RC_OK)
			l->rc = buf_add_text(l->out, ":");
		l->comma = false;
		line_text(l, NULL, doc_text(value));
	}
	line_close(l, '}');
}

enum rc request_write(const struct request *r, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = request_check(r, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_REQUEST);
	line_text(&l, "id", r->id_text);
	line_text(&l, "tenant", r->tenant);
	line_text(&l, "key", r->key);
	line_text(&l, "lane", slice_text(lane_name(r->lane)));
	line_text(&l, "api", r->api);
	line_int(&l, "created_ms", r->created_ms);
	line_int(&l, "deadline_ms", r->deadline_ms);
	line_bool(&l, "execute", r->execute);
	line_text_some(&l, "model", r->model);
	line_text_some(&l, "instructions", r->instructions);
	line_text_some(&l, "input", r->input);
	line_text_some(&l, "language", r->language);
	line_int_some(&l, "max_output_tokens", r->max_output_tokens);
	if (r->temperature >= 0)
		line_real(&l, "temperature", r->temperature);
	line_text_some(&l, "program", r->program);
	line_text_some(&l, "stdin", r->stdin_text);
	if (r->test_count > 0)
		write_tests(r, &l);
	if (r->stop_at_first_failure)
		line_bool(&l, "stop_at_first_failure", true);
	if (r->isolation == ISOLATION_EXEC)
		line_text(&l, "isolation", SLICE_LITERAL("exec"));
	write_files(r, &l);
	write_numbers(r, &l);
	line_text_some(&l, "custom_id", r->custom_id);
	line_text_some(&l, "group", r->group);
	if (r->sample >= 0)
		line_int(&l, "sample", r->sample);
	line_text_some(&l, "end_user", r->end_user);
	line_text_some(&l, "traceparent", r->traceparent);
	write_metadata(r, &l);
	return line_end(&l, LIMIT_REQUEST_BYTES, err);
}

/* ---- headers ------------------------------------------------------------------------------------------------------- */

static bool is_number(struct slice value, int64_t right)
{
	int64_t got = 0;

	return slice_int(value, 0, INT64_MAX, &got) == RC_OK && got == right;
}

enum rc request_check_header(const struct request *r, int64_t deadline_ms, struct slice name, struct slice value, unsigned *seen,
                             struct err *err)
{
	enum { VERSION = 1, TENANT = 2, DEADLINE = 4 };
	bool same = true;

	if (name.len == 0)
		return *seen == (VERSION | TENANT | DEADLINE) ? RC_OK : err_set(err, RC_NEVER, "header_missing",
			"airlock-version, airlock-tenant and airlock-deadline must be there");
	if (slice_is(name, "airlock-version")) {
		*seen |= VERSION;
		same = is_number(value, MESSAGE_VERSION);
	} else if (slice_is(name, "airlock-tenant")) {
		*seen |= TENANT;
		same = slice_equal(value, r->tenant);
	} else if (slice_is(name, "airlock-deadline")) {
		*seen |= DEADLINE;
		same = is_number(value, r->deadline_ms) || is_number(value, deadline_ms);
	} else if (slice_is(name, "traceparent")) {
		same = slice_equal(value, r->traceparent);
	}
	return same ? RC_OK : err_set(err, RC_NEVER, "header_differs", "header %.*s is not what line 1 says", (int)name.len, name.ptr);
}
