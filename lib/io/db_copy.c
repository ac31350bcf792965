/* db_copy: the binary COPY stream, written straight into a buffer.  Numbers are big-endian; each field is its length, then its bytes. */
#include "io/db.h"

#include <stdint.h>

#include "base/base.h"

#define UNIX_TO_PG_MS INT64_C(946684800000) /* 2000-01-01 */
#define DAY_MS INT64_C(86400000)
enum { OID_TEXT = 25 };

static void big(unsigned char *to, uint64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--) {
		to[i] = (unsigned char)v;
		v >>= 8;
	}
}

static enum rc number(struct buf *b, uint64_t v, int bytes)
{
	unsigned char field[12];

	big(field, (uint64_t)bytes, 4);
	big(field + 4, v, bytes);
	return buf_add(b, field, 4 + (size_t)bytes);
}

enum rc copy_begin(struct buf *b)
{
	static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* signature with its NUL, flags, no extension */

	return buf_add(b, header, 19);
}

enum rc copy_row(struct buf *b, int columns)
{
	unsigned char n[2];

	big(n, (uint64_t)columns, 2);
	return buf_add(b, n, 2);
}

enum rc copy_null(struct buf *b)
{
	return buf_add(b, "\377\377\377\377", 4);
}

enum rc copy_text(struct buf *b, struct slice s)
{
	char *to;

	if (s.len > INT32_MAX)
		return RC_NEVER;
	to = buf_room(b, 4 + s.len);
	if (to == NULL)
		return RC_NEVER;
	big((unsigned char *)to, s.len, 4);
	if (s.len > 0)
		memcpy(to + 4, s.ptr, s.len);
	buf_grew(b, 4 + s.len);
	return RC_OK;
}

enum rc copy_uuid(struct buf *b, const unsigned char bytes[16])
{
	return copy_text(b, slice_of(bytes, 16));
}

enum rc copy_bool(struct buf *b, bool v)
{
	return number(b, v, 1);
}

enum rc copy_int2(struct buf *b, int16_t v)
{
	return number(b, (uint64_t)v, 2);
}

enum rc copy_int4(struct buf *b, int32_t v)
{
	return number(b, (uint64_t)v, 4);
}

enum rc copy_int8(struct buf *b, int64_t v)
{
	return number(b, (uint64_t)v, 8);
}

enum rc copy_float8(struct buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return number(b, bits, 8);
}

enum rc copy_time(struct buf *b, int64_t wall_ms)
{
	return number(b, (uint64_t)((wall_ms - UNIX_TO_PG_MS) * 1000), 8);
}

enum rc copy_date(struct buf *b, int64_t wall_ms)
{
	int64_t since = wall_ms - UNIX_TO_PG_MS;
	int64_t day = since / DAY_MS - (since % DAY_MS < 0);

	return number(b, (uint64_t)day, 4);
}

enum rc copy_text_array(struct buf *b, const struct slice *items, size_t count)
{
	unsigned char head[24];
	size_t bytes = 12 + (count > 0 ? 8 : 0);

	for (size_t i = 0; i < count; i++)
		bytes += 4 + items[i].len;
	if (bytes > INT32_MAX)
		return RC_NEVER;
	big(head, bytes, 4);
	big(head + 4, count > 0, 4); /* dimensions */
	big(head + 8, 0, 4);         /* no NULLs */
	big(head + 12, OID_TEXT, 4);
	big(head + 16, count, 4);
	big(head + 20, 1, 4);        /* lower bound */
	if (buf_add(b, head, count > 0 ? 24 : 16) != RC_OK)
		return RC_NEVER;
	for (size_t i = 0; i < count; i++) {
		if (copy_text(b, items[i]) != RC_OK)
			return RC_NEVER;
	}
	return RC_OK;
}

enum rc copy_end(struct buf *b)
{
	return buf_add(b, "\377\377", 2);
}
