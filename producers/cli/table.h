/* table: rows of cells in aligned columns.  Cells are cleaned as they come in.  On a terminal the last column gives way. */
#ifndef AIRLOCK_CLI_TABLE_H
#define AIRLOCK_CLI_TABLE_H

#include "producers/cli/term.h"

enum { TABLE_COLUMNS = 16 };
struct table_cell { char *text; enum term_style style; };
struct table {
	size_t columns, cells, cap; /* cells: of all rows, without titles */
	const char *titles[TABLE_COLUMNS];
	bool right[TABLE_COLUMNS];  /* numbers */
	struct table_cell *cell;
};

void table_column(struct table *t, const char *title, bool right); /* title: borrowed; before the first cell */
void table_add(struct table *t, enum term_style style, struct slice text); /* the next cell of the current row, else of a new one */
void table_addf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(const struct table *t, const struct term *to);
void table_release(struct table *t); /* a zeroed one is fine */
#define AUTO_TABLE __attribute__((cleanup(table_release)))

#endif
