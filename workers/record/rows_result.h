/* rows_result: the row of a result, gathered from all lines of a message.  Pure. */
#ifndef AIRLOCK_ROWS_RESULT_H
#define AIRLOCK_ROWS_RESULT_H

#include "record.h"

#include "model/lineage.h"
#include "model/status.h"

/* Large things that every message needs once: kept, not allocated a row. */
struct scratch {
	struct request request;
	struct verdict gates[3];
	struct answer answer;
	struct outcome outcome;
};

/* Why a request ended, where the last line does not say it: a dead letter. */
struct override { const char *code; struct slice code_text, text; enum program by; int64_t at_ms; };

extern const char result_columns[];
/* Add the row; fills what the item tells about an end.  request NULL: the gateway's own end line opens the message. */
MUSTCHECK enum rc result_row(struct scratch *s, struct buf *out, struct item *it, const struct message *m, const struct lineage *l,
                             const struct request *r, const struct override *o, struct err *err);
/* What the item says of a hold. */
MUSTCHECK enum rc held_row(struct scratch *s, struct buf *out, struct item *it, const struct message *m, const struct request *r,
                           int64_t hold_ms, struct err *err);
extern const char held_columns[];

/* The cells of one row: the first that fails makes the whole fail. */
struct cells { struct buf *out; enum rc rc; int count; };
void cell_text(struct cells *c, struct slice s);
void cell_some(struct cells *c, struct slice s);         /* NULL when empty */
void cell_name(struct cells *c, const char *s);          /* NULL when NULL */
void cell_int2(struct cells *c, int64_t v);
void cell_int4(struct cells *c, int64_t v);
void cell_int8(struct cells *c, int64_t v);
void cell_bool(struct cells *c, bool v);
void cell_time(struct cells *c, int64_t wall_ms);
void cell_hash(struct cells *c, const struct sha256 *h); /* NULL when NULL */
void cell_id(struct cells *c, const struct uuid *id);    /* id and day */
void cell_nulls(struct cells *c, int n);

#endif
