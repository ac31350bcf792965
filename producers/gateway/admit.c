#include "producers/gateway/admit.h"

#include "base/mem.h"

#include "model/message.h"

enum { OUTPUT_TOKENS_LEAST = 16 };

/* ---- members ---- */

enum use {
	USED,     /* read below */
	NO_EFFECT, /* taken, changes nothing of the answer */
	REFUSED,  /* we cannot honour it, unless it is null, false or its default */
};
struct member {
	const char *name;
	enum use use;
	const char *harmless; /* REFUSED: this text value is fine too */
};
static const struct member response_members[] = {
	{ "input", USED, NULL },          { "instructions", USED, NULL },      { "model", USED, NULL },
	{ "background", USED, NULL },     { "stream", USED, NULL },            { "max_output_tokens", USED, NULL },
	{ "temperature", USED, NULL },    { "metadata", USED, NULL },          { "service_tier", USED, NULL },
	{ "tools", USED, NULL },          { "safety_identifier", USED, NULL }, { "user", USED, NULL },
	{ "airlock", USED, NULL },        { "store", NO_EFFECT, NULL },        { "include", NO_EFFECT, NULL },
	{ "parallel_tool_calls", NO_EFFECT, NULL }, { "prompt_cache_key", NO_EFFECT, NULL }, { "prompt_cache_retention", NO_EFFECT, NULL },
	{ "stream_options", NO_EFFECT, NULL }, { "top_p", REFUSED, NULL },     { "truncation", REFUSED, "disabled" },
	{ "tool_choice", REFUSED, "auto" }, { "text", REFUSED, NULL },         { "reasoning", NO_EFFECT, NULL },
	{ "previous_response_id", REFUSED, NULL }, { "conversation", REFUSED, NULL }, { "prompt", REFUSED, NULL },
	{ "max_tool_calls", REFUSED, NULL }, { "top_logprobs", REFUSED, NULL }, { "moderation", REFUSED, NULL },
};
static const struct member run_members[] = {
	{ "program", USED, NULL },  { "language", USED, NULL },    { "stdin", USED, NULL },        { "tests", USED, NULL },
	{ "limits", USED, NULL },   { "inputs", USED, NULL },      { "outputs", USED, NULL },      { "background", USED, NULL },
	{ "metadata", USED, NULL }, { "service_tier", USED, NULL }, { "safety_identifier", USED, NULL }, { "user", USED, NULL },
	{ "custom_id", USED, NULL }, { "group", USED, NULL },      { "sample", USED, NULL },       { "deadline_ms", USED, NULL },
	{ "stop_at_first_failure", USED, NULL }, { "isolation", USED, NULL }, { "stream", USED, NULL }, { "model", NO_EFFECT, NULL },
};
static const struct member airlock_members[] = {
	{ "language", USED, NULL }, { "execute", USED, NULL }, { "tests", USED, NULL },     { "stdin", USED, NULL },
	{ "limits", USED, NULL },   { "rounds", USED, NULL },  { "outputs", USED, NULL },   { "inputs", USED, NULL },
	{ "group", USED, NULL },    { "sample", USED, NULL },  { "custom_id", USED, NULL }, { "deadline_ms", USED, NULL },
	{ "stop_at_first_failure", USED, NULL }, { "isolation", USED, NULL },
};

static bool is_harmless(const char *name, const struct doc *value, const char *harmless)
{
	bool flag = true;
	double number = 0;

	if (doc_type(value) == DOC_NULL || (doc_bool(value, &flag) && !flag))
		return true;
	if (strcmp(name, "top_p") == 0)
		return doc_real(value, &number) && number >= 1 && number <= 1;
	if (strcmp(name, "top_logprobs") == 0)
		return doc_real(value, &number) && number <= 0;
	if (strcmp(name, "text") == 0) {
		const struct doc *format = doc_get(value, "format");

		return doc_type(value) == DOC_OBJECT && (!format || slice_is(doc_get_text(format, "type"), "text"));
	}
	return harmless && slice_is(doc_text(value), harmless);
}

static bool check_members(const struct doc *object, const char *path, const struct member *members, size_t count, struct fault *f)
{
	const struct doc *value;
	const char *name;

	DOC_EACH(object, &name, &value) {
		char param[128];
		size_t m = 0;

		(void)snprintf(param, sizeof(param), "%s%s", path, name); /* a cut name is still a hint */
		while (m < count && strcmp(members[m].name, name) != 0)
			m++;
		if (m == count)
			return fault_set(f, 400, "unknown_parameter", param, "Unknown parameter: '%s'.", param);
		if (members[m].use == REFUSED && !is_harmless(name, value, members[m].harmless))
			return fault_set(f, 400, "unsupported_parameter", param, "Unsupported value of '%s': Airlock does not do that.", param);
	}
	return true;
}

/* ---- input ---- */

static bool add_text(struct buf *b, struct slice text)
{
	return (b->len == 0 || buf_add_text(b, "\n\n") == RC_OK) && buf_add_slice(b, text) == RC_OK;
}

static bool add_content(const struct doc *content, const char *param, struct buf *to, struct fault *f)
{
	const struct doc *part;

	if (doc_type(content) == DOC_TEXT)
		return add_text(to, doc_text(content)) || fault_set(f, 413, "request_too_large", param, "The input is too large.");
	if (doc_type(content) != DOC_ARRAY)
		return fault_set(f, 400, "invalid_type", param, "'%s': text or a list of text parts expected.", param);
	DOC_ITEMS(content, &part) {
		if (!slice_is(doc_get_text(part, "type"), "input_text") && !slice_is(doc_get_text(part, "type"), "text"))
			return fault_set(f, 400, "unsupported_value", param, "'%s': parts of type input_text expected.", param);
		if (!add_text(to, doc_get_text(part, "text")))
			return fault_set(f, 413, "request_too_large", param, "The input is too large.");
	}
	return true;
}

/* Text, or a list of messages: users' words become the input, those of system and developer the instructions. */
static bool read_input(const struct doc *body, struct buf *input, struct buf *instructions, struct fault *f)
{
	const struct doc *d = doc_get(body, "input"), *item;
	size_t i = 0;

	if (doc_get(body, "instructions") && doc_type(doc_get(body, "instructions")) != DOC_NULL &&
	    !add_content(doc_get(body, "instructions"), "instructions", instructions, f))
		return false;
	if (doc_type(d) == DOC_TEXT)
		return add_content(d, "input", input, f);
	if (doc_type(d) != DOC_ARRAY)
		return fault_set(f, 400, d ? "invalid_type" : "missing_required_parameter", "input", "'input': text or a list of messages expected.");
	DOC_ITEMS(d, &item) {
		struct slice role = doc_get_text(item, "role");
		bool user = slice_is(role, "user");
		char param[64];

		(void)snprintf(param, sizeof(param), "input[%zu]", i++); /* always fits */
		if (!user && !slice_is(role, "system") && !slice_is(role, "developer"))
			return fault_set(f, 400, "unsupported_value", param, "'%s.role': user, system or developer expected.", param);
		if (!add_content(doc_get(item, "content"), param, user ? input : instructions, f))
			return false;
	}
	return true;
}

static bool wants_python(const struct doc *body, bool *out, struct fault *f)
{
	const struct doc *tools = doc_get(body, "tools"), *tool;
	size_t i = 0;

	if (doc_type(tools) != DOC_NONE && doc_type(tools) != DOC_NULL && doc_type(tools) != DOC_ARRAY)
		return fault_set(f, 400, "invalid_type", "tools", "'tools': a list expected.");
	DOC_ITEMS(tools, &tool) {
		if (!slice_is(doc_get_text(tool, "type"), "code_interpreter"))
			return fault_set(f, 400, "unsupported_value", "tools", "'tools[%zu].type': code_interpreter expected.", i);
		i++;
		*out = true;
	}
	return true;
}

/* ---- line 1 ---- */

static void copy_member(struct draft *to, const char *name, const struct doc *from, const char *from_name)
{
	const struct doc *value = doc_get(from, from_name);

	if (value && doc_type(value) != DOC_NULL && !(doc_type(value) == DOC_TEXT && doc_text(value).len == 0))
		draft_set(to, name, draft_copy_of(value));
}

static void copy_list(struct draft *to, const char *name, const struct doc *from)
{
	if (doc_count(doc_get(from, name)) > 0 || doc_type(doc_get(from, name)) != DOC_ARRAY) /* an empty list is none */
		copy_member(to, name, from, name);
}

static bool choose_lane(const struct doc *body, bool background, enum lane *out, struct fault *f)
{
	struct slice tier = doc_get_text(body, "service_tier");

	*out = background ? LANE_BATCH : LANE_INTERACTIVE;
	if (tier.len == 0 || slice_is(tier, "auto") || slice_is(tier, "default"))
		return true;
	if (slice_is(tier, "priority") || slice_is(tier, "fast") || slice_is(tier, "ultrafast"))
		*out = LANE_INTERACTIVE;
	else if (slice_is(tier, "flex") || slice_is(tier, "scale"))
		*out = LANE_BATCH;
	else
		return fault_set(f, 400, "invalid_value", "service_tier", "'service_tier': auto, default, priority or flex expected.");
	return true;
}

static void write_who(struct draft *line, const struct doc *body, const struct doc *own, const struct admit_terms *t, enum lane lane)
{
	int64_t ms = doc_get_int(own, "deadline_ms", lane == LANE_INTERACTIVE ? t->interactive_ms : t->batch_ms);
	char id[UUID_TEXT_BYTES];

	uuid_text(&t->id, id);
	draft_set_text(line, "kind", SLICE_LITERAL("request"));
	draft_set_int(line, "v", MESSAGE_VERSION);
	draft_set_text(line, "id", slice_text(id));
	draft_set_text(line, "tenant", t->tenant);
	draft_set_text(line, "key", t->key);
	draft_set_text(line, "lane", slice_text(lane_name(lane)));
	draft_set_text(line, "api", t->own_program ? SLICE_LITERAL("runs") : SLICE_LITERAL("responses"));
	draft_set_int(line, "created_ms", t->now_ms);
	draft_set_int(line, "deadline_ms", t->now_ms + (ms > 0 && ms <= LIMIT_DEADLINE_MS_MAX ? ms : LIMIT_DEADLINE_MS_MAX));
	copy_member(line, "custom_id", own, "custom_id");
	copy_member(line, "group", own, "group");
	copy_member(line, "sample", own, "sample");
	copy_member(line, "end_user", body, doc_get_text(body, "safety_identifier").len > 0 ? "safety_identifier" : "user");
	copy_member(line, "metadata", body, "metadata");
	if (t->traceparent.len > 0)
		draft_set_text(line, "traceparent", t->traceparent);
}

static void write_run(struct draft *line, const struct doc *own, bool execute, bool python)
{
	draft_set_bool(line, "execute", execute);
	if (doc_get_text(own, "language").len == 0 && execute && python)
		draft_set_text(line, "language", SLICE_LITERAL("python"));
	else
		copy_member(line, "language", own, "language");
	copy_list(line, "tests", own);
	copy_member(line, "stop_at_first_failure", own, "stop_at_first_failure");
	copy_member(line, "isolation", own, "isolation");
	copy_member(line, "stdin", own, "stdin");
	copy_list(line, "inputs", own);
	copy_list(line, "outputs", own);
	copy_member(line, "limits", own, "limits");
}

static void write_budget(struct draft *line, const struct admit_terms *t, int64_t max_output_tokens, int64_t rounds)
{
	struct draft *budget = draft_new_object();

	if (rounds < 1 || rounds > LIMIT_ROUNDS)
		rounds = 1; /* request_read() refuses it below */
	if (max_output_tokens <= 0 || max_output_tokens > t->budget.output_tokens)
		max_output_tokens = t->budget.output_tokens;
	draft_set_int(budget, "input_tokens", t->budget.input_tokens * rounds);
	draft_set_int(budget, "output_tokens", max_output_tokens * rounds);
	draft_set_int(budget, "cost_micro_usd", t->budget.cost_micro_usd * rounds);
	draft_set(line, "budget", budget);
}

static bool write_ask(struct draft *line, const struct doc *body, const struct doc *own, const struct admit_terms *t, struct fault *f)
{
	AUTO_BUF struct buf input = BUF_INIT(LIMIT_REQUEST_BYTES), instructions = BUF_INIT(LIMIT_REQUEST_BYTES);
	int64_t max_output_tokens = doc_get_int(body, "max_output_tokens", 0), rounds = doc_get_int(own, "rounds", 1);
	bool python = false, execute;

	if (!wants_python(body, &python, f) || !read_input(body, &input, &instructions, f))
		return false;
	if (input.len == 0)
		return fault_set(f, 400, "invalid_value", "input", "'input' is empty.");
	if (doc_type(doc_get(body, "max_output_tokens")) == DOC_INT && max_output_tokens < OUTPUT_TOKENS_LEAST)
		return fault_set(f, 400, "integer_below_min_value", "max_output_tokens", "'max_output_tokens': at least 16 expected.");
	/* A language or a tool asks for a run; what execute says counts more. */
	execute = doc_get_bool(own, "execute", python || doc_get_text(own, "language").len > 0);
	if (execute && !python && doc_get_text(own, "language").len == 0)
		return fault_set(f, 400, "missing_required_parameter", "airlock.language", "'airlock.language': needed to run the answer.");
	copy_member(line, "model", body, "model");
	if (instructions.len > 0)
		draft_set_text(line, "instructions", buf_slice(&instructions));
	draft_set_text(line, "input", buf_slice(&input));
	copy_member(line, "max_output_tokens", body, "max_output_tokens");
	copy_member(line, "temperature", body, "temperature");
	write_run(line, own, execute, python);
	draft_set_int(line, "rounds", rounds);
	write_budget(line, t, max_output_tokens, rounds);
	return true;
}

static bool write_program(struct draft *line, const struct doc *body, struct fault *f)
{
	if (doc_type(doc_get(body, "program")) != DOC_TEXT || doc_get_text(body, "program").len == 0)
		return fault_set(f, 400, "missing_required_parameter", "program", "'program': text expected.");
	if (doc_get_text(body, "language").len == 0)
		return fault_set(f, 400, "missing_required_parameter", "language", "'language': text expected.");
	draft_set(line, "program", draft_copy_of(doc_get(body, "program")));
	write_run(line, body, true, false);
	draft_set_int(line, "rounds", 1);
	return true;
}

/* How the model is to think is not ours to pass on: what official clients send as a matter of course is taken, anything else is named. */
static bool check_reasoning(const struct doc *body, struct fault *f)
{
	static const char *const known[] = { "effort", "summary", "generate_summary" };
	const struct doc *reasoning = doc_get(body, "reasoning"), *value;
	const char *name;

	if (reasoning && doc_type(reasoning) != DOC_OBJECT && doc_type(reasoning) != DOC_NULL)
		return fault_set(f, 400, "invalid_type", "reasoning", "'reasoning': an object expected.");
	DOC_EACH(reasoning, &name, &value) {
		char param[128];
		size_t m = 0;

		while (m < COUNT_OF(known) && strcmp(known[m], name) != 0)
			m++;
		(void)snprintf(param, sizeof(param), "reasoning.%s", name); /* a cut name is still a hint */
		if (m == COUNT_OF(known))
			return fault_set(f, 400, "unknown_parameter", param, "Unknown parameter: '%s'.", param);
	}
	return true;
}

static bool check_types(const struct doc *body, const struct doc *own, const struct admit_terms *t, struct fault *f)
{
	static const char *const flags[] = { "background", "stream" };
	const struct doc *deadline = doc_get(own, "deadline_ms");
	int64_t ms = doc_get_int(own, "deadline_ms", 1);

	if (doc_type(body) != DOC_OBJECT)
		return fault_set(f, 400, "invalid_type", "", "The body must be a JSON object.");
	if (own && doc_type(own) != DOC_OBJECT)
		return fault_set(f, 400, "invalid_type", "airlock", "'airlock': an object expected.");
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		const struct doc *flag = doc_get(body, flags[i]);

		if (flag && doc_type(flag) != DOC_BOOL && doc_type(flag) != DOC_NULL)
			return fault_set(f, 400, "invalid_type", flags[i], "'%s': true or false expected.", flags[i]);
	}
	if (deadline && (doc_type(deadline) != DOC_INT || ms < 1 || ms > LIMIT_DEADLINE_MS_MAX))
		return fault_set(f, 400, "invalid_value", t->own_program ? "deadline_ms" : "airlock.deadline_ms",
		                 "'deadline_ms': milliseconds from now expected, at most 7 days.");
	return t->own_program || check_reasoning(body, f);
}

static bool write_line(const struct doc *body, const struct admit_terms *t, struct draft *line, bool *background, bool *stream, struct fault *f)
{
	const struct doc *own = t->own_program ? body : doc_get(body, "airlock");
	enum lane lane;

	if (!check_types(body, own, t, f))
		return false;
	if (t->own_program ? !check_members(body, "", run_members, COUNT_OF(run_members), f) :
	                     !check_members(body, "", response_members, COUNT_OF(response_members), f) ||
	                             !check_members(own, "airlock.", airlock_members, COUNT_OF(airlock_members), f))
		return false;
	/* A run of an own program has no client of OpenAI's that expects to be kept waiting. */
	*background = doc_get_bool(body, "background", t->own_program);
	*stream = doc_get_bool(body, "stream", false);
	if (!choose_lane(body, *background, &lane, f))
		return false;
	write_who(line, body, own, t, lane);
	return t->own_program ? write_program(line, body, f) : write_ask(line, body, own, t, f);
}

enum rc admit(const struct doc *body, const struct admit_terms *t, struct admitted *out, struct fault *fault)
{
	struct admitted a = { .line = BUF_INIT(2 * LIMIT_REQUEST_BYTES) };
	AUTO_DRAFT struct draft *line = draft_new_object();
	struct err err = { 0 };

	if (!write_line(body, t, line, &a.background, &a.stream, fault))
		return RC_NEVER;
	if (draft_write(line, &a.line) != RC_OK || a.line.len > LIMIT_REQUEST_BYTES) {
		buf_release(&a.line);
		fault_set(fault, 413, "request_too_large", "", "The request passes %d bytes.", LIMIT_REQUEST_BYTES);
		return RC_NEVER;
	}
	if (request_read(buf_slice(&a.line), &a.request, &err) != RC_OK) {
		buf_release(&a.line);
		fault_from(&err, fault);
		return RC_NEVER;
	}
	*out = a;
	return RC_OK;
}

void admitted_release(struct admitted *a)
{
	request_release(&a->request);
	buf_release(&a->line);
}
