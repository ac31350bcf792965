/* judge: from the jail's raw facts to an outcome: which verdict, which test passed.  Pure. */
#ifndef AIRLOCK_JUDGE_H
#define AIRLOCK_JUDGE_H

#include "base/doc.h"

#include "model/outcome.h"
#include "model/request.h"

enum { MARK_BYTES = 33 };

/* One raw RESULT of the jail -> how it ended. */
enum run_verdict judge_result(const struct doc *result);
/* Does stdout answer the test?  code: ends with the mark, or, without a mark, is not looked at: the harness's exit code said it;
 * io: compares as the test says. */
bool judge_output(const struct test *t, struct slice output, const char *mark);
/* The jail's whole answer -> outcome, which takes answer.  mark: NULL where tests in code ran under a harness. */
MUSTCHECK enum rc judge(struct doc *answer, const struct request *r, const char *mark, struct outcome *out, struct err *err);

#endif
