/* ending: the short lines: end, repair, decision, control, alert.  Schemas of the same names. */
#ifndef AIRLOCK_ENDING_H
#define AIRLOCK_ENDING_H

#include "base/digest.h"
#include "base/doc.h"
#include "base/uuid.h"
#include "model/message.h"
#include "model/status.h"
#include "model/verdict.h"

/* A request ends without a gate's decision.  Written by any step, or by the gateway as a whole message (with id and tenant).
 * {"kind":"end","v":1,"id":"..","tenant":"..","by":"infer","attempt":1,"at_ms":..,"status":"failed","code":"model_error","message":"..",
 *  "input_tokens":..,"output_tokens":..,"cost_micro_usd":..}  the last three: left out when 0. */
struct end {
	struct doc *doc;
	struct slice id_text, tenant;
	enum program by;
	int attempt;
	int64_t at_ms;
	enum status status;   /* FAILED, EXPIRED, CANCELLED, DELETED */
	struct slice code;    /* model_error, gate_unavailable, deadline, cancelled_by_client, ... */
	struct slice message; /* one line for the client; foreign text is fine: it is cut to 512 bytes and cleaned */
	int64_t input_tokens, output_tokens, cost_micro_usd; /* spent in this step before it ended */
};
MUSTCHECK enum rc end_read(struct slice line, struct end *out, struct err *err);
MUSTCHECK enum rc end_write(const struct end *e, struct buf *out, struct err *err);
void end_release(struct end *e);

/* REVIEW opens attempt n.  {"kind":"repair","v":1,"attempt":2,"at_ms":..,"why":"tests_failed","text":"<error text, new user data>"} */
struct repair { struct doc *doc; int attempt; int64_t at_ms; struct slice why, text; };
MUSTCHECK enum rc repair_read(struct slice line, struct repair *out, struct err *err);
MUSTCHECK enum rc repair_write(const struct repair *r, struct buf *out, struct err *err);
void repair_release(struct repair *r);

/* A person's decision on a held message.  held_sha256: over all bytes of the held message before this line. */
struct person {
	struct doc *doc;
	enum kind gate;          /* whose hold */
	enum decision decision;  /* ALLOW or REFUSE */
	struct sha256 held_sha256;
	struct slice who, why;
	int64_t at_ms, deadline_ms; /* new deadline */
};
MUSTCHECK enum rc person_read(struct slice line, struct person *out, struct err *err); /* kind "decision" */
MUSTCHECK enum rc person_write(const struct person *p, struct buf *out, struct err *err);
void person_release(struct person *p);

/* Topic control: a hint that every worker acts on.  {"kind":"control","v":1,"id":"..","tenant":"..","action":"cancel","at_ms":..,"deadline_ms":..} */
struct control { struct doc *doc; struct uuid id; struct slice id_text, tenant; bool delete_content; int64_t at_ms, deadline_ms; };
MUSTCHECK enum rc control_read(struct slice line, struct control *out, struct err *err);
MUSTCHECK enum rc control_write(const struct control *c, struct buf *out, struct err *err);
void control_release(struct control *c);

/* Topic alerts.  {"kind":"alert","v":1,"by":"monitor","at_ms":..,"severity":"warning","code":"lag_high","text":"..","subject":"airlock.prompts"} */
struct alert { struct doc *doc; enum program by; int64_t at_ms; struct slice severity, code, text, subject; };
MUSTCHECK enum rc alert_read(struct slice line, struct alert *out, struct err *err);
MUSTCHECK enum rc alert_write(const struct alert *a, struct buf *out, struct err *err);
void alert_release(struct alert *a);

#endif
