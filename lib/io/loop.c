/*
 * loop: epoll for descriptors, a binary heap for timers, a list for "at the end of this turn".
 *
 * A watch or timer that is freed inside a callback may still stand in the array that epoll filled, so freed watches
 * are only marked and collected at the end of the turn.  Nothing here blocks but the one epoll_wait.
 */
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { EVENTS_PER_TURN = 256, WAIT_MAX_MS = 1000 };

struct watch {
	struct loop *loop;
	int fd;
	int events;
	void (*fn)(void *arg, int events);
	void *arg;
	bool dead;
	struct watch *next_dead;
};

enum { NOT_SET = -1 };
struct timer {
	struct loop *loop;
	int64_t due_ms;
	long place; /* in the heap; NOT_SET when not waiting */
	void (*fn)(void *arg);
	void *arg;
};

struct later {
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	int epoll_fd;
	bool stopping;
	int64_t now_ms;
	int64_t turned_ms;
	struct watch *dead;
	struct timer **heap;
	long heap_len, heap_cap;
	struct later *later;
	size_t later_len, later_cap;
	/* signals */
	int signal_fd;
	struct watch *signal_watch;
	void (*on_signal)(void *arg, int signal);
	void *signal_arg;
};

struct loop *loop_new(void)
{
	struct loop *l = mem_new(sizeof(*l));

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	assert(l->epoll_fd >= 0);
	l->signal_fd = -1;
	l->now_ms = l->turned_ms = clock_mono_ms();
	return l;
}

static void bury_watches(struct loop *l)
{
	while (l->dead) {
		struct watch *w = l->dead;

		l->dead = w->next_dead;
		mem_free(w);
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	watch_free(l->signal_watch);
	if (l->signal_fd >= 0)
		(void)close(l->signal_fd); /* nothing to be done about a failing close */
	bury_watches(l);
	(void)close(l->epoll_fd);
	mem_free(l->heap);
	mem_free(l->later);
	mem_free(l);
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

int64_t loop_turned_ms(const struct loop *l)
{
	return l->turned_ms;
}

/* ---- watches ---- */

static uint32_t epoll_bits(int events)
{
	return ((events & LOOP_READ) ? (uint32_t)EPOLLIN : 0u) | ((events & LOOP_WRITE) ? (uint32_t)EPOLLOUT : 0u);
}

struct watch *loop_watch(struct loop *l, int fd, int events, void (*fn)(void *arg, int events), void *arg)
{
	struct watch *w = mem_new(sizeof(*w));
	struct epoll_event e = { .events = epoll_bits(events), .data.ptr = w };
	int rc;

	*w = (struct watch){ .loop = l, .fd = fd, .events = events, .fn = fn, .arg = arg };
	rc = epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e);
	assert(rc == 0); /* a descriptor that cannot be watched, or twice: our bug */
	return w;
}

void watch_change(struct watch *w, int events)
{
	struct epoll_event e = { .events = epoll_bits(events), .data.ptr = w };
	int rc;

	if (w->events == events)
		return;
	w->events = events;
	rc = epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &e);
	assert(rc == 0);
}

void watch_free(struct watch *w)
{
	if (!w || w->dead)
		return;
	/* A library may have closed the descriptor already; the kernel then forgot it. */
	(void)epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->dead = true;
	w->next_dead = w->loop->dead;
	w->loop->dead = w;
}

/* ---- timers: a heap by due_ms ---- */

static void heap_put(struct loop *l, long place, struct timer *t)
{
	l->heap[place] = t;
	t->place = place;
}

static void heap_up(struct loop *l, long place)
{
	struct timer *t = l->heap[place];

	while (place > 0 && l->heap[(place - 1) / 2]->due_ms > t->due_ms) {
		heap_put(l, place, l->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	heap_put(l, place, t);
}

static void heap_down(struct loop *l, long place)
{
	struct timer *t = l->heap[place];

	for (;;) {
		long child = 2 * place + 1;

		if (child >= l->heap_len)
			break;
		if (child + 1 < l->heap_len && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
			child++;
		if (l->heap[child]->due_ms >= t->due_ms)
			break;
		heap_put(l, place, l->heap[child]);
		place = child;
	}
	heap_put(l, place, t);
}

static void heap_remove(struct loop *l, long place)
{
	struct timer *last = l->heap[--l->heap_len];

	l->heap[place]->place = NOT_SET;
	if (place == l->heap_len)
		return;
	heap_put(l, place, last);
	heap_up(l, place);
	heap_down(l, last->place);
}

struct timer *timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct timer *t = mem_new(sizeof(*t));

	*t = (struct timer){ .loop = l, .place = NOT_SET, .fn = fn, .arg = arg };
	return t;
}

void timer_set(struct timer *t, int64_t in_ms)
{
	struct loop *l = t->loop;

	/* Not l->now_ms: a long callback would make every timer early. */
	t->due_ms = clock_mono_ms() + (in_ms > 0 ? in_ms : 0);
	if (t->place != NOT_SET) {
		heap_up(l, t->place);
		heap_down(l, t->place);
		return;
	}
	if (l->heap_len == l->heap_cap) {
		l->heap_cap = l->heap_cap ? 2 * l->heap_cap : 64;
		l->heap = mem_resize(l->heap, (size_t)l->heap_cap * sizeof(struct timer *));
	}
	l->heap[l->heap_len] = t;
	t->place = l->heap_len++;
	heap_up(l, t->place);
}

void timer_clear(struct timer *t)
{
	if (t->place != NOT_SET)
		heap_remove(t->loop, t->place);
}

bool timer_is_set(const struct timer *t)
{
	return t->place != NOT_SET;
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	timer_clear(t);
	mem_free(t);
}

static void run_timers(struct loop *l)
{
	/* One that is set again for "now" waits for the next turn: only what was due when we began. */
	int64_t due = l->now_ms;
	long budget = l->heap_len;

	while (budget-- > 0 && l->heap_len > 0 && l->heap[0]->due_ms <= due) {
		struct timer *t = l->heap[0];

		heap_remove(l, 0);
		t->fn(t->arg);
	}
}

/* ---- end of turn ---- */

void loop_later(struct loop *l, void (*fn)(void *arg), void *arg)
{
	if (l->later_len == l->later_cap) {
		l->later_cap = l->later_cap ? 2 * l->later_cap : 16;
		l->later = mem_resize(l->later, l->later_cap * sizeof(*l->later));
	}
	l->later[l->later_len++] = (struct later){ fn, arg };
}

static void run_later(struct loop *l)
{
	/* What a callback adds runs in the next turn, which then does not wait. */
	size_t n = l->later_len;

	for (size_t i = 0; i < n; i++) {
		struct later now = l->later[i];

		now.fn(now.arg);
	}
	memmove(l->later, l->later + n, (l->later_len - n) * sizeof(*l->later));
	l->later_len -= n;
}

static int wait_ms_for(const struct loop *l, int64_t wait_ms)
{
	if (l->later_len > 0)
		return 0;
	if (l->heap_len > 0) {
		int64_t left = l->heap[0]->due_ms - clock_mono_ms();

		if (left < wait_ms)
			wait_ms = left;
	}
	return wait_ms > 0 ? (int)wait_ms : 0;
}

void loop_turn(struct loop *l, int64_t wait_ms)
{
	struct epoll_event got[EVENTS_PER_TURN];
	int n = epoll_wait(l->epoll_fd, got, EVENTS_PER_TURN, wait_ms_for(l, wait_ms));

	l->now_ms = l->turned_ms = clock_mono_ms();
	assert(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++) {
		struct watch *w = got[i].data.ptr;
		int events = 0;

		if (w->dead)
			continue;
		if (got[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI))
			events |= LOOP_READ;
		if (got[i].events & EPOLLOUT)
			events |= LOOP_WRITE;
		if (got[i].events & (EPOLLERR | EPOLLHUP))
			events |= LOOP_READ | LOOP_WRITE;
		w->fn(w->arg, events);
	}
	run_timers(l);
	if (l->later_len > 0)
		run_later(l);
	bury_watches(l);
}

void loop_run(struct loop *l)
{
	l->stopping = false;
	while (!l->stopping)
		loop_turn(l, WAIT_MAX_MS);
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}

/* ---- signals ---- */

static void signals_readable(void *arg, int events)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		l->on_signal(l->signal_arg, (int)info.ssi_signo);
}

enum rc loop_signals(struct loop *l, void (*fn)(void *arg, int signal), void *arg, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, RC_BROKEN, "signals", "sigprocmask: %s", strerror(errno));
	l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (l->signal_fd < 0)
		return err_set(err, RC_BROKEN, "signals", "signalfd: %s", strerror(errno));
	l->on_signal = fn;
	l->signal_arg = arg;
	l->signal_watch = loop_watch(l, l->signal_fd, LOOP_READ, signals_readable, l);
	return RC_OK;
}
