#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/answer.h"

/* The blocks of text as "language:bytes|language:bytes|". */
static void blocks_are(const char *text, const char *wanted)
{
	AUTO_BUF struct buf said = BUF_INIT(64 * 1024);
	struct block blocks[8];
	char *exact = mem_new(strlen(text) > 0 ? strlen(text) : 1);
	struct slice s = { exact, strlen(text) };
	size_t count;
	bool more;

	memcpy(exact, text, s.len);
	count = answer_blocks(s, blocks, COUNT_OF(blocks), &more);
	assert_false(more);
	assert_int_equal(buf_add_text(&said, ""), RC_OK);
	for (size_t i = 0; i < count; i++) {
		assert_true(blocks[i].offset + blocks[i].len <= s.len);
		assert_int_equal(buf_printf(&said, "%.*s:%.*s|", (int)blocks[i].language.len, blocks[i].language.ptr,
		                            (int)blocks[i].len, exact + blocks[i].offset), RC_OK);
	}
	if (!slice_is(buf_slice(&said), wanted))
		fail_msg("%s\ngives %s\nnot   %s", text, said.data, wanted);
	mem_free(exact);
}

static void fenced_blocks_are_found(void **state)
{
	(void)state;
	blocks_are("", "");
	blocks_are("no code", "");
	blocks_are("```python\nprint(1)\n```\n", "python:print(1)\n|");
	blocks_are("a\n```\nx\n```\nb\n~~~c\ny\n~~~\n", ":x\n|c:y\n|");
	blocks_are("``` python title=\"a\"\nx\n```", "python:x\n|");
	blocks_are("```{.python}\nx\n```", ":x\n|");
	blocks_are("```python,ignore\nx\n```", "python:x\n|");
	blocks_are("~~~ c++ `x`\ny\n~~~", "c++:y\n|");
}

static void a_fence_closes_only_with_one_of_its_kind_and_length(void **state)
{
	(void)state;
	blocks_are("````md\n```c\nx\n```\n````\n", "md:```c\nx\n```\n|");
	blocks_are("```\n~~~\n```\n", ":~~~\n|");
	blocks_are("```\nx\n``` y\nz\n```\n", ":x\n``` y\nz\n|");
	blocks_are("```\nx\n`````\n", ":x\n|");
	blocks_are("``\nx\n``\n", "");
	blocks_are("```inline``` is no fence\n", "");
}

static void an_unclosed_fence_ends_with_the_text(void **state)
{
	(void)state;
	blocks_are("```python\nprint(1)", "python:print(1)|");
	blocks_are("```python\n", "");
	blocks_are("```python", "");
	blocks_are("```\n```", "");
}

static void fences_in_lists_and_quotes_are_found(void **state)
{
	(void)state;
	blocks_are("1. First:\n   ```c\n   x\n   ```\n", "c:   x\n|");
	blocks_are("- ```c\n  x\n  ```\n", "c:  x\n|");
	blocks_are("* a\n  * b\n    ~~~sh\n    x\n    ~~~\n", "sh:    x\n|");
	blocks_are("> ```c\n> x\n> ```\nafter", "c:> x\n|");
	blocks_are("```\n- ```\n```\n", ":- ```\n|"); /* a list mark within code is code */
	blocks_are("10) ```\nx\n```\n", ":x\n|");
}

static void more_blocks_than_fit_are_told(void **state)
{
	struct block blocks[2];
	bool more;

	(void)state;
	assert_int_equal(answer_blocks(SLICE_LITERAL("```\na\n```\n```\nb\n```\n```\nc\n```\n"), blocks, 2, &more), 2);
	assert_true(more);
	assert_int_equal(answer_blocks(SLICE_LITERAL("```\na\n```\n```\nb\n```\n"), blocks, 2, &more), 2);
	assert_false(more);
	assert_int_equal(answer_blocks(SLICE_LITERAL("```\na\n```\n```\nb\n```\n```\nc"), blocks, 2, &more), 2);
	assert_true(more);
}

static struct answer *sample(void)
{
	struct answer *a = mem_new(sizeof(*a));

	*a = (struct answer){ .attempt = 1, .upstream = SLICE_LITERAL("main"), .model = SLICE_LITERAL("m"),
		              .finish = SLICE_LITERAL("stop"), .text = SLICE_LITERAL("x") };
	return a;
}

static void what_a_reader_would_refuse_is_not_written(void **state)
{
	struct answer *a = sample();
	AUTO_BUF struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err;

	(void)state;
	assert_int_equal(answer_write(a, &out, &err), RC_OK);
	buf_cut(&out, 0);
	a->text = slice_of("a\0b", 3);
	assert_int_equal(answer_write(a, &out, &err), RC_NEVER);
	a->text = SLICE_LITERAL("\xff");
	assert_int_equal(answer_write(a, &out, &err), RC_NEVER);
	memset(buf_room(&text, LIMIT_ANSWER_BYTES), '"', LIMIT_ANSWER_BYTES); /* twice as long when escaped */
	buf_grew(&text, LIMIT_ANSWER_BYTES);
	a->text = buf_slice(&text);
	assert_int_equal(answer_write(a, &out, &err), RC_NEVER);
	assert_string_equal(err.code, "infer_size");
	assert_int_equal(out.len, 0);
	a->text = SLICE_EMPTY;
	a->attempt = 5;
	assert_int_equal(answer_write(a, &out, &err), RC_NEVER);
	mem_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fenced_blocks_are_found),
		cmocka_unit_test(a_fence_closes_only_with_one_of_its_kind_and_length),
		cmocka_unit_test(an_unclosed_fence_ends_with_the_text),
		cmocka_unit_test(fences_in_lists_and_quotes_are_found),
		cmocka_unit_test(more_blocks_than_fit_are_told),
		cmocka_unit_test(what_a_reader_would_refuse_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
