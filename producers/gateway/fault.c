#include "producers/gateway/fault.h"

#include <stdarg.h>

bool fault_set(struct fault *f, int status, const char *code, const char *param, const char *fmt, ...)
{
	va_list args;

	*f = (struct fault){ .status = status };
	(void)snprintf(f->code, sizeof(f->code), "%s", code ? code : "");    /* cut texts still tell enough */
	(void)snprintf(f->param, sizeof(f->param), "%s", param ? param : "");
	va_start(args, fmt);
	(void)vsnprintf(f->message, sizeof(f->message), fmt, args);
	va_end(args);
	return false;
}

/* "request: tests[0].type: code or io expected" -> param "tests[0].type". */
void fault_from(const struct err *err, struct fault *f)
{
	struct slice rest = slice_text(err->text), part;
	char param[128] = "";

	while (slice_cut(&rest, ':', &part)) {
		part = slice_trim(part);
		if (slice_is(part, "request"))
			continue;
		if (part.len > 0 && part.len < sizeof(param) && !memchr(part.ptr, ' ', part.len))
			(void)snprintf(param, sizeof(param), "%.*s", (int)part.len, part.ptr); /* fits: just checked */
		break;
	}
	(void)fault_set(f, 400, "invalid_value", param, "%s", err->text); /* always false */
}

static const char *type_of(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 403:
		return "permission_error";
	case 429:
		return "rate_limit_error";
	default:
		return status >= 500 ? "server_error" : "invalid_request_error";
	}
}

static struct draft *text_or_null(const char *text)
{
	return text[0] ? draft_new_text(slice_text(text)) : draft_new_null();
}

struct draft *fault_doc(const struct fault *f)
{
	struct draft *all = draft_new_object(), *error = draft_new_object();

	draft_set_text(error, "message", slice_text(f->message));
	draft_set_text(error, "type", slice_text(type_of(f->status)));
	draft_set(error, "param", text_or_null(f->param));
	draft_set(error, "code", text_or_null(f->code));
	draft_set(all, "error", error);
	return all;
}
