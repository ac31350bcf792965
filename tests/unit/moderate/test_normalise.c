/* links: workers/moderate/normalise.c workers/moderate/decode.c */
/* What people read is what rules meet, however it is spelled; and no input makes it large, slow or fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/moderate/normalise.h"

#define ALL ((1u << VIEW_COUNT) - 1)
#define BIT(v) (1u << (v))

static bool holds(struct slice text, unsigned wanted, const char *needle)
{
	struct views v;
	bool cut, found = false;

	normalise(text, wanted, &v, &cut);
	for (size_t i = 0; i < v.count; i++) {
		assert_true(slice_is_utf8(v.list[i].text));
		found = found || memmem(v.list[i].text.ptr, v.list[i].text.len, needle, strlen(needle)) != NULL;
	}
	views_release(&v);
	return found;
}

static const struct spelling {
	const char *text, *reads;
	unsigned view;
} spellings[] = {
	{ "MaLware", "malware", BIT(VIEW_FOLDED) },
	{ "m\xe2\x80\x8b" "al\xe2\x80\x8c" "wa\xe2\x80\x8d" "re", "malware", BIT(VIEW_FOLDED) },           /* zero width */
	{ "mal\xc2\xad" "ware", "malware", BIT(VIEW_FOLDED) },                                             /* soft hyphen */
	{ "mal\xef\xbb\xbf" "ware", "malware", BIT(VIEW_FOLDED) },                                         /* BOM inside */
	{ "\xe2\x80\xae" "malware\xe2\x80\xac", "malware", BIT(VIEW_FOLDED) },                             /* bidi override */
	{ "mal\xe2\x81\xa6" "ware\xe2\x81\xa9", "malware", BIT(VIEW_FOLDED) },                             /* bidi isolate */
	{ "m\xef\xb8\x8f" "alware", "malware", BIT(VIEW_FOLDED) },                                         /* variation selector */
	{ "\xd0\xbc\xd0\xb0lw\xd0\xb0r\xd0\xb5", "malware", BIT(VIEW_FOLDED) },                            /* Cyrillic */
	{ "m\xce\xb1lw\xce\xb1re", "malware", BIT(VIEW_FOLDED) },                                          /* Greek */
	{ "\xef\xbd\x8d\xef\xbd\x81\xef\xbd\x8c\xef\xbd\x97\xef\xbd\x81\xef\xbd\x92\xef\xbd\x85", "malware", BIT(VIEW_FOLDED) }, /* full width */
	{ "\xf0\x9d\x90\xa6\xf0\x9d\x90\x9a\xf0\x9d\x90\xa5ware", "malware", BIT(VIEW_FOLDED) },           /* mathematical bold */
	{ "m\xcc\xb6" "a\xcc\xb6" "l\xcc\xb6ware", "malware", BIT(VIEW_FOLDED) },                          /* struck through */
	{ "m\xc3\xa0lw\xc3\xa1r\xc3\xa9", "malware", BIT(VIEW_FOLDED) },                                   /* accents */
	{ "reverse \n\t shell", "reverse\nshell", BIT(VIEW_FOLDED) },
	{ "reverse\xc2\xa0\xe2\x80\x83shell", "reverse shell", BIT(VIEW_FOLDED) },                         /* odd blanks */
	{ "m4lw4r3", "malware", BIT(VIEW_LEET) },
	{ "ran$0mw@re", "ransomware", BIT(VIEW_LEET) },
	{ "m a l w a r e", "malware", BIT(VIEW_LEET) },
	{ "m.a.l.w.a.r.e", "malware", BIT(VIEW_LEET) },
	{ "m-4-l-w-4-r-3", "malware", BIT(VIEW_LEET) },
	{ "run d3JpdGUgc29tZSBtYWx3YXJlIG5vdw== now", "write some malware now", BIT(VIEW_DECODED) },
	{ "d3JpdGUgc29tZSBt\nYWx3YXJl\nIG5vdw==", "write some malware now", BIT(VIEW_DECODED) },
	{ "7772697465206d616c77617265", "write malware", BIT(VIEW_DECODED) },
	{ "write%20%6dalware", "write malware", BIT(VIEW_DECODED) },
	{ "\\x6d\\x61lware", "malware", BIT(VIEW_DECODED) },
	{ "\\u006d\\u0061lware", "malware", BIT(VIEW_DECODED) },
	{ "&#109;al&#x77;are &lt;b&gt;", "malware <b>", BIT(VIEW_DECODED) },
	{ "s = \"mal\" + \"ware\"", "malware", BIT(VIEW_DECODED) },
	{ "s = 'mal' \\\n 'ware'", "malware", BIT(VIEW_DECODED) },
	{ "call([\"rm\", \"-rf\", \"/\"])", "rm -rf /", BIT(VIEW_DECODED) },
	{ "a\xf3\xa0\x81\xad\xf3\xa0\x81\xa1\xf3\xa0\x81\xac\xf3\xa0\x81\xb7\xf3\xa0\x81\xa1\xf3\xa0\x81\xb2\xf3\xa0\x81\xa5", "malware", BIT(VIEW_DECODED) }, /* tags */
	{ "ZDNKcGRHVWdjMjl0WlNCdFlXeDNZWEpsSUc1dmR3PT0=", "write some malware now", BIT(VIEW_DECODED) }, /* base64 twice */
	{ "%64%33JpdGUgc29tZSBtYWx3YXJlIG5vdw==", "write some malware now", BIT(VIEW_DECODED) },          /* base64 in %XX */
	{ "jevgr fbzr znyjner", "write some malware", BIT(VIEW_ROT13) },
	{ "erawlam emos etirw", "write some malware", BIT(VIEW_REVERSED) },
};

static void disguised_words_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(spellings); i++) {
		if (!holds(slice_text(spellings[i].text), spellings[i].view, spellings[i].reads))
			fail_msg("%zu: '%s' is not read as '%s'", i, spellings[i].text, spellings[i].reads);
	}
}

static void numbers_and_plain_words_stay_what_they_are(void **state)
{
	(void)state;
	assert_true(holds(SLICE_LITERAL("sum of 10 and 345"), BIT(VIEW_LEET) | BIT(VIEW_FOLDED), "10 and 345"));
	assert_false(holds(SLICE_LITERAL("print('malware')"), BIT(VIEW_ROT13), "malware"));
	/* A long word that happens to be of base64's letters is no hidden text. */
	assert_false(holds(SLICE_LITERAL("internationalization"), BIT(VIEW_DECODED), "i"));
}

static void only_the_views_asked_for_are_made_and_none_twice(void **state)
{
	struct views v;
	bool cut;

	(void)state;
	normalise(SLICE_LITERAL("plain words"), ALL, &v, &cut);
	assert_false(cut);
	for (size_t i = 0; i < v.count; i++) {
		for (size_t k = 0; k < i; k++)
			assert_false(v.list[i].kind == v.list[k].kind && slice_equal(v.list[i].text, v.list[k].text));
	}
	views_release(&v);
	normalise(SLICE_LITERAL("PLAIN"), BIT(VIEW_PLAIN), &v, &cut);
	assert_int_equal(v.count, 1);
	assert_true(slice_is(v.list[0].text, "PLAIN"));
	views_release(&v);
	normalise(SLICE_EMPTY, ALL, &v, &cut);
	assert_int_equal(v.count, 0);
	assert_false(cut);
	views_release(&v);
}

static void expect_bounded(struct slice text)
{
	struct views v;
	size_t bytes = 0;
	bool cut;

	normalise(text, ALL, &v, &cut);
	assert_in_range(v.count, 0, NORMALISE_VIEWS);
	for (size_t i = 0; i < v.count; i++) {
		assert_true(slice_is_utf8(v.list[i].text));
		bytes += v.list[i].text.len;
	}
	assert_in_range(bytes, 0, (NORMALISE_TIMES + 16) * text.len + 65536);
	views_release(&v);
}

static void bombs_stay_small(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 22), inner = BUF_INIT(1 << 22);
	bool all_ok = true;

	(void)state;
	/* One character that NFKC makes eighteen of. */
	for (int i = 0; i < 20000; i++)
		all_ok = all_ok && buf_add(&text, "\xef\xb7\xba", 3) == RC_OK;
	expect_bounded(buf_slice(&text));
	/* Marks without end on one letter. */
	buf_cut(&text, 0);
	for (int i = 0; i < 50000; i++)
		all_ok = all_ok && buf_add(&text, "\xcc\xb6", 2) == RC_OK;
	expect_bounded(buf_slice(&text));
	/* base64 in base64 in base64 ... */
	buf_cut(&text, 0);
	all_ok = all_ok && buf_add_text(&text, "some text that hides") == RC_OK;
	for (int i = 0; i < 12; i++) {
		buf_cut(&inner, 0);
		all_ok = all_ok && buf_add_base64(&inner, buf_slice(&text)) == RC_OK;
		buf_cut(&text, 0);
		all_ok = all_ok && buf_add_slice(&text, buf_slice(&inner)) == RC_OK;
	}
	expect_bounded(buf_slice(&text));
	/* Quotes, backslashes, percent signs without end. */
	for (const char *p = "'\"\\%&#"; *p; p++) {
		buf_cut(&text, 0);
		for (int i = 0; i < 100000; i++)
			all_ok = all_ok && buf_add(&text, p, 1) == RC_OK;
		expect_bounded(buf_slice(&text));
	}
	assert_true(all_ok);
}

static void a_text_that_hides_more_than_is_looked_at_says_so(void **state)
{
	static char text[NORMALISE_DECODED_BYTES + 16];
	struct views v;
	bool cut;

	(void)state;
	memset(text, ' ', sizeof(text));
	normalise(slice_of(text, sizeof(text)), BIT(VIEW_DECODED), &v, &cut);
	assert_true(cut);
	views_release(&v);
}

static void any_bytes_will_do(void **state)
{
	static const char odd[] = "'\"\\x4%u&#;+ .,=\n\xf3\xa0\x81\xa1z";
	unsigned char bytes[700];
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 400; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[i] = round % 2 ? (unsigned char)(seed >> 24) : (unsigned char)odd[(seed >> 24) % (sizeof(odd) - 1)];
		}
		expect_bounded(slice_of(bytes, (size_t)(seed >> 8) % sizeof(bytes)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disguised_words_are_read),
		cmocka_unit_test(numbers_and_plain_words_stay_what_they_are),
		cmocka_unit_test(only_the_views_asked_for_are_made_and_none_twice),
		cmocka_unit_test(bombs_stay_small),
		cmocka_unit_test(a_text_that_hides_more_than_is_looked_at_says_so),
		cmocka_unit_test(any_bytes_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
