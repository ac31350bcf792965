#include "jail_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail_inside.h"

enum { FDS_MAX = 8 };

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int wire_send(int socket, const void *bytes, size_t n, const int *fds, int fd_count)
{
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { 0 };

	if (fd_count > 0) {
		struct cmsghdr *c = &control.head;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)fd_count * sizeof(int));
	}
	while (sendmsg(socket, &m, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return 0;
}

ssize_t wire_receive(int socket, void *bytes, size_t n, int *fds, int *fd_count)
{
	struct iovec part = { .iov_base = bytes, .iov_len = n };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	int room = fd_count ? *fd_count : 0, count = 0;
	ssize_t got;

	do
		got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	for (struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < room)
				fds[count++] = fd;
			else
				(void)close(fd);
		}
	}
	if (fd_count)
		*fd_count = count;
	return got;
}

static enum rc move(int fd, char *bytes, size_t n, bool out, struct err *err)
{
	while (n > 0) {
		ssize_t done = out ? send(fd, bytes, n, MSG_NOSIGNAL) : read(fd, bytes, n);

		if (done == 0 || (done < 0 && (errno == EPIPE || errno == ECONNRESET)))
			return err_set(err, RC_LATER, "closed", "the other end is gone");
		if (done < 0 && errno != EINTR)
			return err_set(err, RC_BROKEN, "frame", "%s", strerror(errno));
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
	return RC_OK;
}

enum rc wire_write_frame(int fd, struct slice frame, struct err *err)
{
	uint32_t n = (uint32_t)frame.len;
	/* Together: whoever waits for it is woken once. */
	struct iovec parts[] = { { .iov_base = &n, .iov_len = sizeof(n) }, { .iov_base = (void *)(uintptr_t)frame.ptr, .iov_len = frame.len } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = COUNT_OF(parts) };
	ssize_t sent;
	size_t done, head;
	enum rc rc;

	if (frame.len > JAIL_FRAME_BYTES)
		return err_set(err, RC_NEVER, "frame_too_large", "%zu bytes", frame.len);
	sent = sendmsg(fd, &m, MSG_NOSIGNAL);
	done = sent > 0 ? (size_t)sent : 0; /* what failed fails below again, and is told there */
	head = done < sizeof(n) ? done : sizeof(n);
	rc = move(fd, (char *)&n + head, sizeof(n) - head, true, err);
	return rc == RC_OK ? move(fd, (char *)(uintptr_t)frame.ptr + (done - head), frame.len - (done - head), true, err) : rc;
}

enum rc wire_read_frame(int fd, struct buf *out, struct err *err)
{
	uint32_t n;
	char *room;
	enum rc rc = move(fd, (char *)&n, sizeof(n), false, err);

	if (rc != RC_OK)
		return rc;
	buf_cut(out, 0);
	room = n <= JAIL_FRAME_BYTES ? buf_room(out, n) : NULL;
	if (!room)
		return err_set(err, RC_BROKEN, "frame_too_large", "%u bytes", n);
	rc = move(fd, room, n, false, err);
	if (rc == RC_OK)
		buf_grew(out, n);
	return rc;
}
