/* fault: an answer that says no, in OpenAI's words: {"error":{"message","type","param","code"}}.  Pure. */
#ifndef AIRLOCK_GATEWAY_FAULT_H
#define AIRLOCK_GATEWAY_FAULT_H

#include "base/draft.h"

struct fault {
	int status;
	char code[64], param[128], message[512]; /* code, param: "" is null */
	int64_t retry_after_ms;                  /* 0: no header; SDKs then use their own backoff where the status lets them */
	bool no_retry;                           /* x-should-retry: false */
};
/* Fill and return false, so that a failing check reads `return fault_set(...)`. */
bool fault_set(struct fault *f, int status, const char *code, const char *param, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Of a check that names the member first: "tests[0].type: code or io expected", with or without "request: " before it.  400 invalid_value. */
void fault_from(const struct err *err, struct fault *f);
MUSTCHECK struct draft *fault_doc(const struct fault *f);

#endif
