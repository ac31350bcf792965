/* jail_wire: datagrams with descriptors between a lane's processes, and length-prefixed frames between worker, jail and lanes. */
#ifndef AIRLOCK_JAIL_WIRE_H
#define AIRLOCK_JAIL_WIRE_H

#include <sys/types.h>

#include "base/buf.h"

/* One datagram with up to 8 descriptors; 0 or -1 with errno. */
int wire_send(int socket, const void *bytes, size_t n, const int *fds, int fd_count);
/* Bytes received, 0 at the end, -1 with errno.  *fd_count: room in fds, then how many came (close-on-exec); both may be NULL. */
ssize_t wire_receive(int socket, void *bytes, size_t n, int *fds, int *fd_count);

/* A whole frame, blocking.  RC_LATER "closed" at the end of the stream. */
MUSTCHECK enum rc wire_write_frame(int fd, struct slice frame, struct err *err);
MUSTCHECK enum rc wire_read_frame(int fd, struct buf *out, struct err *err);

#endif
