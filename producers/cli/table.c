#include "producers/cli/table.h"

#include <assert.h>
#include <stdarg.h>

#include "base/mem.h"

enum { CELL_BYTES = 4096, GAP = 2 };

void table_column(struct table *t, const char *title, bool right)
{
	assert(t->columns < TABLE_COLUMNS && t->cells == 0);
	t->titles[t->columns] = title;
	t->right[t->columns++] = right;
}

void table_add(struct table *t, enum term_style style, struct slice text)
{
	AUTO_BUF struct buf clean = BUF_INIT(4 * CELL_BYTES);
	struct slice piece = slice_of(text.ptr, text.len < CELL_BYTES ? text.len : CELL_BYTES);

	if (t->cells == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 256;
		t->cell = mem_resize(t->cell, t->cap * sizeof(*t->cell));
	}
	(void)!term_clean(&clean, piece, false); /* three times the bytes at most: it fits */
	t->cell[t->cells++] = (struct table_cell){ mem_text_n(clean.data ? clean.data : "", clean.len), style };
}

void table_addf(struct table *t, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* numbers: they fit */
	va_end(args);
	table_add(t, TERM_PLAIN, slice_text(text));
}

static void put_spaces(const struct term *to, size_t n)
{
	fprintf(to->to, "%*s", (int)n, "");
}

static void put_cell(const struct table *t, const struct term *to, size_t column, size_t width, struct slice text, enum term_style style)
{
	size_t used = term_width(text), pad = width > used ? width - used : 0;

	if (t->right[column])
		put_spaces(to, pad);
	term_put(to, style, text);
	if (column + 1 < t->columns)
		put_spaces(to, (t->right[column] ? 0 : pad) + GAP);
}

static void put_row(const struct table *t, const struct term *to, const size_t *widths, const struct table_cell *row)
{
	for (size_t c = 0; c < t->columns; c++) {
		struct slice text = slice_text(row ? row[c].text : t->titles[c]);

		/* The last one is cut at the edge: a wrapped table cannot be read. */
		if (c + 1 == t->columns && to->columns > 0)
			text = term_cut(text, widths[c]);
		put_cell(t, to, c, widths[c], text, row ? row[c].style : TERM_STRONG);
	}
	(void)fputc('\n', to->to); /* a failed write shows in the flush at the end */
}

void table_print(const struct table *t, const struct term *to)
{
	size_t widths[TABLE_COLUMNS], used = 0;

	for (size_t c = 0; c < t->columns; c++) {
		widths[c] = term_width(slice_text(t->titles[c]));
		for (size_t i = c; i < t->cells; i += t->columns) {
			size_t width = term_width(slice_text(t->cell[i].text));

			widths[c] = width > widths[c] ? width : widths[c];
		}
		if (c + 1 < t->columns)
			used += widths[c] + GAP;
	}
	if (to->columns > 0 && t->columns > 0 && used + widths[t->columns - 1] > to->columns)
		widths[t->columns - 1] = to->columns > used + 8 ? to->columns - used : 8;
	put_row(t, to, widths, NULL);
	for (size_t i = 0; i + t->columns <= t->cells; i += t->columns)
		put_row(t, to, widths, &t->cell[i]);
}

void table_release(struct table *t)
{
	for (size_t i = 0; i < t->cells; i++)
		mem_free(t->cell[i].text);
	mem_free(t->cell);
	*t = (struct table){ 0 };
}
