/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netlink: sockets without a kernel behind them. The linker has the daemon's calls end here (--wrap): what is sent is
 * forgotten but for its number, and what is received are the input's datagrams: two bytes of length, then their bytes.
 * What lies behind a datagram in the receiver's buffer is poisoned, so that a look beyond is seen. */
#ifndef SYNMOAT_FUZZ_NETLINK_H
#define SYNMOAT_FUZZ_NETLINK_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include "fuzz.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

/* Called where others have left their poison. */
#define WRAP __attribute__((no_sanitize("address")))
#define NETLINK_POISONED_MAX 64
#define NETLINK_POISON_BYTES 4096
#define NETLINK_LARGE (256 << 10) /* of nft.c, which builds its questions where it gets its answers */
#define NETLINK_FD 1000
#define NETLINK_PORT 77

static struct input netlink_input;
static uint32_t netlink_seq; /* of what was sent last */
static struct {
	void *at;
	size_t bytes;
} netlink_poisoned[NETLINK_POISONED_MAX];
static unsigned netlink_poisoned_count;

WRAP static void netlink_unpoison(void)
{
	for (unsigned i = 0; i < netlink_poisoned_count; i++)
		ASAN_UNPOISON_MEMORY_REGION(netlink_poisoned[i].at, netlink_poisoned[i].bytes);
	netlink_poisoned_count = 0;
}

WRAP static void netlink_poison(uint8_t *at, size_t bytes)
{
	size_t most = bytes < NETLINK_POISON_BYTES ? bytes : NETLINK_POISON_BYTES;

	if (netlink_poisoned_count == NETLINK_POISONED_MAX || !most)
		return;
	netlink_poisoned[netlink_poisoned_count].at = at;
	netlink_poisoned[netlink_poisoned_count++].bytes = most;
	ASAN_POISON_MEMORY_REGION(at, most);
}

/* Small numbers count from that of the question on: no input could know it. Returns what is to be received: libmnl takes a
 * length above 2^31 for a negative one, which fits everywhere, so there the datagram ends. */
WRAP static size_t netlink_number(uint8_t *datagram, size_t bytes)
{
	struct nlmsghdr *header = (struct nlmsghdr *)datagram;
	int left = (int)bytes;

	while (left >= (int)sizeof(*header)) {
		if (header->nlmsg_len > INT32_MAX)
			return (size_t)((uint8_t *)header - datagram);
		if (header->nlmsg_seq < 64)
			header->nlmsg_seq += netlink_seq;
		if (!mnl_nlmsg_ok(header, left))
			break;
		header = mnl_nlmsg_next(header, &left);
	}
	return bytes;
}

/* Of a length of 0xfff0 and above the kernel has run out of room, or was interrupted. */
WRAP static ssize_t netlink_receive(uint8_t *out, size_t room, int at_the_end)
{
	size_t bytes;

	if (!netlink_input.left) {
		errno = at_the_end;
		return -1;
	}
	bytes = input_16(&netlink_input);
	if (bytes >= 0xfff0) {
		errno = bytes & 1 ? ENOBUFS : EINTR;
		return -1;
	}
	if (bytes > netlink_input.left)
		bytes = netlink_input.left;
	if (bytes > room)
		bytes = room;
	if (bytes)
		memcpy(out, netlink_input.at, bytes);
	netlink_input.at += bytes;
	netlink_input.left -= bytes;
	bytes = netlink_number(out, bytes);
	if (room < NETLINK_LARGE &&
	    MNL_ALIGN(bytes) < room) /* libmnl lets the last attribute end where the next would begin */
		netlink_poison(out + MNL_ALIGN(bytes), room - MNL_ALIGN(bytes));
	return (ssize_t)bytes;
}

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags);
int __wrap_mnl_socket_bind(struct mnl_socket *socket, unsigned groups, pid_t pid);
int __wrap_mnl_socket_close(struct mnl_socket *socket);
int __wrap_mnl_socket_get_fd(const struct mnl_socket *socket);
unsigned __wrap_mnl_socket_get_portid(const struct mnl_socket *socket);
int __wrap_mnl_socket_setsockopt(const struct mnl_socket *socket, int type, void *value, socklen_t bytes);
ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t count);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *socket, void *out, size_t room);
ssize_t __wrap_recv(int fd, void *out, size_t room, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);

WRAP struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
	static char socket;

	(void)bus;
	(void)flags;
	netlink_unpoison();
	return (struct mnl_socket *)&socket;
}

WRAP int __wrap_mnl_socket_bind(struct mnl_socket *socket, unsigned groups, pid_t pid)
{
	(void)socket;
	(void)groups;
	(void)pid;
	return 0;
}

WRAP int __wrap_mnl_socket_close(struct mnl_socket *socket)
{
	(void)socket;
	netlink_unpoison();
	return 0;
}

WRAP int __wrap_mnl_socket_get_fd(const struct mnl_socket *socket)
{
	(void)socket;
	return NETLINK_FD;
}

WRAP unsigned __wrap_mnl_socket_get_portid(const struct mnl_socket *socket)
{
	(void)socket;
	return NETLINK_PORT;
}

WRAP int __wrap_mnl_socket_setsockopt(const struct mnl_socket *socket, int type, void *value, socklen_t bytes)
{
	(void)socket;
	(void)type;
	(void)value;
	(void)bytes;
	return 0;
}

/* What is sent is whole. */
WRAP ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t count)
{
	const struct nlmsghdr *header = bytes;
	int left = (int)count;

	(void)socket;
	netlink_unpoison();
	must(mnl_nlmsg_ok(header, left));
	netlink_seq = header->nlmsg_seq;
	while (mnl_nlmsg_ok(header, left))
		header = mnl_nlmsg_next(header, &left);
	must(left <= 0);
	return (ssize_t)count;
}

WRAP ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *socket, void *out, size_t room)
{
	(void)socket;
	netlink_unpoison();
	return netlink_receive(out, room, EIO);
}

WRAP ssize_t __wrap_recv(int fd, void *out, size_t room, int flags)
{
	(void)fd;
	(void)flags;
	netlink_unpoison();
	return netlink_receive(out, room, EAGAIN);
}

WRAP int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	unsigned got = 0;

	(void)fd;
	(void)flags;
	(void)timeout;
	netlink_unpoison();
	for (; got < count && netlink_input.left; got++) {
		const struct iovec *vector = messages[got].msg_hdr.msg_iov;
		ssize_t bytes = netlink_receive(vector->iov_base, vector->iov_len, EAGAIN);

		messages[got].msg_len = bytes > 0 ? (unsigned)bytes : 0;
	}
	errno = EAGAIN;
	return got ? (int)got : -1;
}

#endif
