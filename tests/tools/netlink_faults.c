/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netlink_faults - makes netlink sockets fail now and then: an LD_PRELOAD library for the tests.
 *
 * NETLINK_FAULTS names a file with one fault per line, read at every call, so that it can change while the program runs:
 *
 *	queue receive ENOBUFS 10     of the calls that receive from NFQUEUE sockets one in ten fails with ENOBUFS
 *	queue:100 receive UNBIND 1   the socket of queue 100 is exchanged for one that has no queue
 *	nftables send ENOMEM 1       no transaction is sent
 *
 * Families: queue, conntrack, nftables (each told by what was sent last through the socket), events (nothing was), diag.
 * A call that fails does nothing else: nothing is sent, what waits to be received goes on waiting. The number of faults so
 * far is kept in NETLINK_FAULTS.count.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 1024
#define RULES_MAX 16
#define UNBIND (-1)

static const struct {
	const char *name;
	int number;
} errors[] = {
	{"EAGAIN", EAGAIN}, {"EINTR", EINTR},   {"ENOBUFS", ENOBUFS}, {"ENOMEM", ENOMEM}, {"EPERM", EPERM},
	{"EBUSY", EBUSY},   {"UNBIND", UNBIND}, {"ENOENT", ENOENT},   {"EINVAL", EINVAL}, {"EOPNOTSUPP", EOPNOTSUPP},
};

/* What was sent last through a socket. */
static struct {
	uint8_t subsystem; /* NFNL_SUBSYS_*, 0 = nothing so far */
	uint16_t queue;
} seen[FDS_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned calls[RULES_MAX]; /* that each line has matched */
static unsigned faults;
static int control_fd = -1, count_fd = -1;

__attribute__((constructor)) static void open_control(void)
{
	const char *path = getenv("NETLINK_FAULTS");
	char counter[4096];

	if (!path)
		return;
	control_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(counter, sizeof(counter), "%s.count", path);
	count_fd = open(counter, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

static bool is_netlink(int fd, int *protocol)
{
	socklen_t bytes = sizeof(int);
	int domain;

	if (control_fd < 0 || fd < 0 || fd >= FDS_MAX || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 ||
	    domain != AF_NETLINK)
		return false;
	bytes = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, protocol, &bytes) == 0;
}

static const char *family_of(int fd, int protocol)
{
	if (protocol == NETLINK_SOCK_DIAG)
		return "diag";
	if (protocol != NETLINK_NETFILTER)
		return "other";
	switch (seen[fd].subsystem) {
	case NFNL_SUBSYS_QUEUE:
		return "queue";
	case NFNL_SUBSYS_CTNETLINK:
		return "conntrack";
	case NFNL_SUBSYS_NFTABLES:
		return "nftables";
	default:
		return "events";
	}
}

static void look_at(int fd, const void *data, size_t bytes)
{
	const struct nlmsghdr *header = data;
	const struct nfgenmsg *family;

	if (bytes < NLMSG_SPACE(sizeof(*family)))
		return;
	family = NLMSG_DATA(header);
	if (header->nlmsg_type == NFNL_MSG_BATCH_BEGIN)
		seen[fd].subsystem = (uint8_t)ntohs(family->res_id);
	else
		seen[fd].subsystem = (uint8_t)(header->nlmsg_type >> 8);
	if (seen[fd].subsystem == NFNL_SUBSYS_QUEUE)
		seen[fd].queue = ntohs(family->res_id);
}

static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].number;
	return 0;
}

/* The error of the first line that is for this call and whose turn it is, or 0. Under the lock. */
static int due(int fd, const char *family, const char *call)
{
	char text[1024], what[32], which[16], name[16], own[32];
	const char *line = text;
	ssize_t bytes = pread(control_fd, text, sizeof(text) - 1, 0);
	unsigned one_in;

	text[bytes > 0 ? bytes : 0] = '\0';
	snprintf(own, sizeof(own), "queue:%u", seen[fd].queue);
	for (unsigned i = 0; i < RULES_MAX && line && *line; i++) {
		if (sscanf(line, "%31s %15s %15s %u", what, which, name, &one_in) == 4 && one_in &&
		    !strcmp(which, call) &&
		    (!strcmp(what, family) || (!strcmp(family, "queue") && !strcmp(what, own))) &&
		    ++calls[i] % one_in == 0)
			return error_number(name);
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return 0;
}

/* Another socket takes the place of this one: what was bound to it is no more. */
static void unbind(int fd)
{
	int other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (other < 0 || dup3(other, fd, O_CLOEXEC) < 0)
		abort();
	close(other);
	seen[fd].subsystem = 0;
}

/* Whether the call is to fail: errno is set then. */
static bool fails(int fd, const char *call, const void *sent, size_t bytes)
{
	char text[16];
	int protocol;
	int error;

	if (!is_netlink(fd, &protocol))
		return false;
	pthread_mutex_lock(&lock);
	if (sent)
		look_at(fd, sent, bytes);
	error = due(fd, family_of(fd, protocol), call);
	if (error) {
		snprintf(text, sizeof(text), "%u\n", ++faults);
		if (pwrite(count_fd, text, strlen(text), 0) < 0)
			abort();
	}
	if (error == UNBIND)
		unbind(fd);
	pthread_mutex_unlock(&lock);
	if (error > 0)
		errno = error;
	return error > 0;
}

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *real(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function)
		abort();
	return function;
}

/* ---- what is put in the place of libc's ---- */

int socket(int domain, int type, int protocol)
{
	int fd = REAL(socket)(domain, type, protocol);

	if (fd >= 0 && fd < FDS_MAX)
		seen[fd].subsystem = 0;
	return fd;
}

ssize_t send(int fd, const void *data, size_t bytes, int flags)
{
	return fails(fd, "send", data, bytes) ? -1 : REAL(send)(fd, data, bytes, flags);
}

ssize_t sendto(int fd, const void *data, size_t bytes, int flags, __CONST_SOCKADDR_ARG to, socklen_t to_bytes)
{
	return fails(fd, "send", data, bytes) ? -1 : REAL(sendto)(fd, data, bytes, flags, to, to_bytes);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	bool any = message->msg_iovlen > 0;

	return fails(fd, "send", any ? message->msg_iov->iov_base : NULL, any ? message->msg_iov->iov_len : 0)
		       ? -1
		       : REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t bytes, int flags)
{
	return fails(fd, "receive", NULL, 0) ? -1 : REAL(recv)(fd, data, bytes, flags);
}

ssize_t recvfrom(int fd, void *restrict data, size_t bytes, int flags, __SOCKADDR_ARG from,
		 socklen_t *restrict from_bytes)
{
	return fails(fd, "receive", NULL, 0) ? -1 : REAL(recvfrom)(fd, data, bytes, flags, from, from_bytes);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return fails(fd, "receive", NULL, 0) ? -1 : REAL(recvmsg)(fd, message, flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	return fails(fd, "receive", NULL, 0) ? -1 : REAL(recvmmsg)(fd, messages, count, flags, timeout);
}
