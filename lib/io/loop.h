/*
 * loop: one thread, epoll, timers.  Everything in a program runs on it; nothing on it blocks.
 * Callbacks run one at a time; a callback may add, change or remove any watch or timer, its own too.
 */
#ifndef AIRLOCK_LOOP_H
#define AIRLOCK_LOOP_H

#include "base/rc.h"

struct loop;
struct watch;
struct timer;

MUSTCHECK struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop() */
void loop_stop(struct loop *l); /* from a callback */
/* One turn: wait at most wait_ms (0: do not wait), run what is due.  For tests. */
void loop_turn(struct loop *l, int64_t wait_ms);
int64_t loop_now_ms(const struct loop *l);     /* monotonic, read once a turn */
int64_t loop_turned_ms(const struct loop *l);  /* when the last turn began: /livez */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
/* fd stays the caller's; remove the watch before closing it.  events given to fn: LOOP_READ | LOOP_WRITE, errors count as both. */
MUSTCHECK struct watch *loop_watch(struct loop *l, int fd, int events, void (*fn)(void *arg, int events), void *arg);
void watch_change(struct watch *w, int events);
void watch_free(struct watch *w); /* NULL is fine */

/* Runs once, at the earliest in ms; set again from anywhere.  Coarse: 1 ms. */
MUSTCHECK struct timer *timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void timer_set(struct timer *t, int64_t in_ms); /* replaces an earlier setting */
void timer_clear(struct timer *t);
bool timer_is_set(const struct timer *t);
void timer_free(struct timer *t);

/* Run fn once at the end of this turn, after all due callbacks: to batch work that many callbacks ask for. */
void loop_later(struct loop *l, void (*fn)(void *arg), void *arg);

/* SIGTERM, SIGINT, SIGHUP, SIGCHLD as callbacks on the loop (signalfd).  Block them before threads start. */
MUSTCHECK enum rc loop_signals(struct loop *l, void (*fn)(void *arg, int signal), void *arg, struct err *err);

#endif
