/*
 * jail_supervise: a process of a job from the supervisor's side: its streams, its clocks, its refused calls, its last word.
 *
 * One loop over poll(); it waits for nothing without a limit, and no byte of the job makes it do more than count: what is kept of a stream is
 * its head and tail, what it reports is of fixed size.
 */
#include "jail_running.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	TICK_MS = 50,    /* how often the CPU account is looked at */
	PIECE = 65536,
	HARD_TIMES = 64, /* a stream this many times over what is kept ends the program */
};

void running_shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* pipes and sockets: nothing is lost by a failing close */
	*fd = -1;
}

void running_kill(struct running *r)
{
	if (r->killed)
		return;
	(void)syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0); /* dead already: fine */
	r->killed = true;
	r->killed_ms = clock_mono_ms();
}

void running_stream(struct jail_stream *s, int64_t keep)
{
	*s = (struct jail_stream){ .keep = keep };
	s->head = (struct buf)BUF_INIT((size_t)keep);
	s->tail = (struct buf)BUF_INIT((size_t)keep + 2 * PIECE);
}

/* The first half of what is kept stays; the rest keeps its end. */
static void stream_add(struct jail_stream *s, const char *bytes, size_t n)
{
	size_t half = (size_t)s->keep / 2;

	s->bytes += (int64_t)n;
	if (s->head.len < half) {
		size_t first = half - s->head.len < n ? half - s->head.len : n;

		(void)!buf_add(&s->head, bytes, first); /* below its ceiling by construction */
		bytes += first;
		n -= first;
	}
	if (n == 0)
		return;
	(void)!buf_add(&s->tail, bytes, n);
	if (s->tail.len > half + PIECE)
		buf_drop(&s->tail, s->tail.len - half);
}

/* Pass on what bytes push out of what is held back. */
static void hold_back(struct running *r, struct jail_stream *s, const char *bytes, size_t n)
{
	size_t total = r->held_bytes + n, out = total > sizeof(r->held) ? total - sizeof(r->held) : 0;
	size_t old = out < r->held_bytes ? out : r->held_bytes;

	stream_add(s, r->held, old);
	stream_add(s, bytes, out - old);
	memmove(r->held, r->held + old, r->held_bytes - old);
	memcpy(r->held + r->held_bytes - old, bytes + out - old, total - out - (r->held_bytes - old));
	r->held_bytes = total - out;
}

/* What a container's pid 1 said; without it the program was killed before it could. */
void running_take_held(struct running *r)
{
	if (r->held_bytes == sizeof(r->held) && memcmp(r->held, r->mark, sizeof(r->mark)) == 0)
		memcpy(&r->result->end, r->held + sizeof(r->mark), sizeof(r->result->end));
	else
		stream_add(&r->result->err_out, r->held, r->held_bytes);
}

static void read_stream(struct running *r, int *fd, struct jail_stream *s)
{
	char piece[PIECE];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n > 0) {
		if (r->lane->oci && fd == &r->err_fd)
			hold_back(r, s, piece, (size_t)n);
		else
			stream_add(s, piece, (size_t)n);
		if (s->bytes > HARD_TIMES * s->keep) {
			r->result->output_out = true;
			running_kill(r);
		}
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		running_shut(fd);
	}
}

static void feed(struct running *r)
{
	ssize_t n = r->input.len > 0 ? write(r->stdin_fd, r->input.ptr, r->input.len) : 0;

	if (n > 0) {
		r->input.ptr += n;
		r->input.len -= (size_t)n;
	}
	if (r->input.len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		running_shut(&r->stdin_fd);
}

static void answer_refused(struct running *r)
{
	jail_syscalls_answer(r->listener, &r->result->refused);
	if (r->result->refused.calls > JAIL_REFUSED_CALLS) {
		r->result->refused_out = true;
		running_kill(r);
	}
}

static void see_pids(struct running *r)
{
	int64_t now = jail_cgroup_pids(&r->lane->cgroup);

	if (now > r->pids_seen)
		r->pids_seen = now;
}

static void watch_clocks(struct running *r)
{
	const struct jail_limits *l = &r->spawn->limits;
	int64_t now_ms = clock_mono_ms();

	r->result->wall_ms = now_ms - r->begun_ms;
	if (r->killed || r->starting)
		return;
	if (r->result->wall_ms >= l->wall_ms) {
		r->result->timed_out = true;
		running_kill(r);
		return;
	}
	/* A program that keeps us awake must not make us read the kernel's files each time. */
	if (now_ms < r->look_ms)
		return;
	r->look_ms = now_ms + TICK_MS;
	see_pids(r);
	if (jail_cgroup_cpu_us(&r->lane->cgroup) - r->cpu_before_us >= l->cpu_ms * 1000) {
		r->result->cpu_out = true;
		running_kill(r);
	}
}

static int wait_ms(const struct running *r)
{
	int64_t left = r->starting ? TICK_MS : r->spawn->limits.wall_ms - (clock_mono_ms() - r->begun_ms);

	return left < 0 ? 0 : left < TICK_MS ? (int)left : TICK_MS;
}

/* A runtime's own time is not the program's: the clock begins here. */
static void take_start(struct running *r)
{
	char word = RUN_NOT;

	(void)wire_receive(r->lane->spawner_socket, &word, 1, NULL, NULL); /* nothing: not started */
	r->starting = false;
	r->failed = word != RUN_STARTED;
	r->begun_ms = clock_mono_ms();
}

void running_take_listener(struct running *r)
{
	char mark = 0;
	int count = 1, fd = -1;

	if (wire_receive(r->listener_socket, &mark, 1, &fd, &count) != 1 || count != 1)
		fd = -1; /* it failed before the filter: the report says where */
	running_shut(&r->listener_socket);
	if (mark == *JAIL_LETTER)
		r->listener_socket = fd;
	else
		r->listener = fd;
	if (r->listener >= 0)
		jail_syscalls_listen(r->listener);
}

/* Where our own processes' lives are told: to whom the order went. */
int running_orders(const struct running *r)
{
	return r->forked ? r->lane->zygote.socket : r->lane->spawner_socket;
}

/* init's last word comes when it is alone in its namespace; none at all when it was killed, and then it is its death that counts. */
static void take_report(struct running *r)
{
	if (read(r->report_fd, &r->result->end, sizeof(r->result->end)) == (ssize_t)sizeof(r->result->end))
		r->told = true;
	running_shut(&r->report_fd);
}

/* Until everyone in there is dead and all pipes are empty. */
enum rc running_supervise(struct running *r, struct err *err)
{
	bool dead = false;

	while (!(dead || r->told) || r->out_fd >= 0 || r->err_fd >= 0 || r->starting) {
		struct pollfd p[] = {
			{ .fd = r->out_fd, .events = POLLIN },   { .fd = r->err_fd, .events = POLLIN },
			{ .fd = r->stdin_fd, .events = POLLOUT }, { .fd = r->listener, .events = POLLIN },
			{ .fd = r->listener_socket, .events = POLLIN }, { .fd = dead ? -1 : r->pidfd, .events = POLLIN },
			{ .fd = r->killed ? -1 : r->lane->command_fd, .events = POLLIN },
			{ .fd = r->starting ? r->lane->spawner_socket : -1, .events = POLLIN },
			{ .fd = r->lane->oci ? -1 : r->report_fd, .events = POLLIN },
		};

		if (poll(p, COUNT_OF(p), wait_ms(r)) < 0 && errno != EINTR)
			return err_set(err, RC_BROKEN, "poll", "%s", strerror(errno));
		if (p[4].revents)
			running_take_listener(r);
		if (p[3].revents & POLLIN)
			answer_refused(r);
		else if (p[3].revents)
			running_shut(&r->listener);
		if (p[0].revents)
			read_stream(r, &r->out_fd, &r->result->out);
		if (p[1].revents)
			read_stream(r, &r->err_fd, &r->result->err_out);
		if (p[2].revents)
			feed(r);
		if (p[5].revents)
			dead = true;
		if (p[6].revents) {
			r->result->stopped = true;
			running_kill(r);
		}
		if (p[7].revents)
			take_start(r);
		if (p[8].revents)
			take_report(r);
		watch_clocks(r);
		/* From the kill on, not from the limit: a supervisor that did not get to run for long is not to find a survivor at once. */
		if (r->killed && clock_mono_ms() - r->killed_ms > LINGER_MS)
			return err_set(err, RC_BROKEN, "survivor", "a killed job did not die within %d ms", LINGER_MS);
	}
	return RC_OK;
}
