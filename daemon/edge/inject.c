/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/inject.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/marks.h"

#define SEND_BUFFER_BYTES (4 << 20)

/* One destination, either family. */
union endpoint_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int open_raw(int family, uint32_t mark)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	int on = 1;
	int bytes = SEND_BUFFER_BYTES;
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int option = family == AF_INET ? IP_HDRINCL : IPV6_HDRINCL;

	if (fd < 0)
		return family == AF_INET6 && errno == EAFNOSUPPORT ? -2 : -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	/* IPV6_PKTINFO with the address of a server behind us (ip6_datagram_send_ctl()); IPv4 does not ask whose it is. */
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (setsockopt(fd, level, option, &on, sizeof(on)) < 0 ||
	    (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

void inject_blank(struct inject *inject)
{
	inject->back = NULL;
	inject->waiting = inject->servers_waiting = 0;
	inject->routed = (struct inject_outcome){0, 0};
	inject->server_used = 0;
	inject->client_v4 = inject->client_v6 = -1;
	inject->server_v4 = inject->server_v6 = -1;
}

int inject_open(struct inject *inject)
{
	inject->back = NULL;
	inject->waiting = inject->servers_waiting = 0;
	inject->routed = (struct inject_outcome){0, 0};
	inject->server_used = 0;
	inject->client_v4 = open_raw(AF_INET, MARK_UNTRACKED);
	inject->server_v4 = open_raw(AF_INET, MARK_NONE);
	inject->client_v6 = open_raw(AF_INET6, MARK_UNTRACKED); /* -2 on a host without IPv6: never used then */
	inject->server_v6 = open_raw(AF_INET6, MARK_NONE);
	if (inject->client_v4 != -1 && inject->server_v4 != -1 && inject->client_v6 != -1 && inject->server_v6 != -1)
		return 0;
	int error = errno;
	inject_close(inject);
	errno = error;
	return -1;
}

static void close_back(struct inject_back *back)
{
	if (back && back->fd >= 0)
		close(back->fd);
	free(back);
}

/* It sends only: a packet socket of no protocol receives nothing. */
int inject_open_back(struct inject *inject)
{
	struct inject_back *back = calloc(1, sizeof(*back));
	int bytes = SEND_BUFFER_BYTES;
	int on = 1;

	if (!back)
		return -1;
	back->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (back->fd < 0 || setsockopt(back->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0) {
		int error = errno;
		close_back(back);
		errno = error;
		return -1;
	}
	setsockopt(back->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	for (unsigned i = 0; i < INJECT_BATCH; i++) {
		back->to[i].sll_family = AF_PACKET;
		back->to[i].sll_halen = ETH_ALEN;
		back->vectors[i].iov_base = back->bytes[i];
		back->headers[i].msg_hdr = (struct msghdr){.msg_name = &back->to[i],
							   .msg_namelen = sizeof(back->to[i]),
							   .msg_iov = &back->vectors[i],
							   .msg_iovlen = 1};
	}
	inject->back = back;
	return 0;
}

void inject_close(struct inject *inject)
{
	int fds[] = {inject->client_v4, inject->client_v6, inject->server_v4, inject->server_v6};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close_back(inject->back);
	inject_blank(inject);
}

static socklen_t fill_address(union endpoint_address *to, const struct addr *destination, uint32_t interface)
{
	memset(to, 0, sizeof(*to));
	if (addr_is_v4(destination)) {
		to->v4.sin_family = AF_INET;
		memcpy(&to->v4.sin_addr, addr_wire(destination), 4);
		return sizeof(to->v4);
	}
	to->v6.sin6_family = AF_INET6;
	memcpy(&to->v6.sin6_addr, destination->bytes, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&to->v6.sin6_addr))
		to->v6.sin6_scope_id = interface;
	return sizeof(to->v6);
}

unsigned inject_to_client(struct inject *inject, const struct segment *segment, uint32_t interface)
{
	unsigned at = inject->waiting++;

	inject->batch[at].length = (uint16_t)segment_write(inject->batch[at].bytes, INJECT_CLIENT_BYTES, segment);
	inject->batch[at].v4 = addr_is_v4(&segment->destination);
	inject->batch[at].source = segment->source;
	inject->batch[at].destination = segment->destination;
	inject->batch[at].interface = interface;
	return inject->waiting == INJECT_BATCH ? inject_flush(inject) : 0;
}

/* Room for the one control message that a packet goes with. */
union source_control {
	struct cmsghdr header;
	uint8_t v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
	uint8_t v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Routing by source (ip rule from ...) looks at what this says, not into our header. */
static void fill_control(struct msghdr *header, union source_control *control, const struct addr *source)
{
	struct in_pktinfo v4 = {.ipi_ifindex = 0};
	struct in6_pktinfo v6 = {.ipi6_ifindex = 0};
	bool is_v4 = addr_is_v4(source);
	struct cmsghdr *message;

	memset(control, 0, sizeof(*control));
	header->msg_control = control;
	header->msg_controllen = is_v4 ? sizeof(control->v4) : sizeof(control->v6);
	message = CMSG_FIRSTHDR(header);
	message->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	message->cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO;
	message->cmsg_len = is_v4 ? CMSG_LEN(sizeof(v4)) : CMSG_LEN(sizeof(v6));
	memcpy(&v4.ipi_spec_dst, source->bytes + 12, 4);
	memcpy(&v6.ipi6_addr, source->bytes, 16);
	memcpy(CMSG_DATA(message), is_v4 ? (const void *)&v4 : &v6, is_v4 ? sizeof(v4) : sizeof(v6));
}

/* Of this destination, or of this moment: the kernel's own answer would not get there, either. */
static bool is_no_way(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EACCES ||
	       error == EINVAL || error == ENOBUFS || error == EAGAIN;
}

/* sendmmsg() stops at the first failure: that one is counted and the rest tried. Returns how many failed. */
static unsigned send_all(struct inject_outcome *outcome, int fd, struct mmsghdr *headers, unsigned count)
{
	unsigned failed = 0;

	for (unsigned sent = 0; sent < count;) {
		int done = sendmmsg(fd, headers + sent, count - sent, 0);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			failed++;
			outcome->refused += done < 0 && !is_no_way(errno);
			done = 1;
		}
		sent += (unsigned)done;
	}
	outcome->sent += count - failed;
	return failed;
}

unsigned inject_flush_back(struct inject *inject)
{
	struct inject_back *back = inject->back;
	unsigned count = back ? back->waiting : 0;
	struct inject_outcome outcome = {0, 0}; /* no rule sees these: they tell nothing of those that are routed */

	if (!count)
		return 0;
	back->waiting = 0;
	return send_all(&outcome, back->fd, back->headers, count);
}

unsigned inject_back(struct inject *inject, const struct segment *segment, uint32_t interface, const uint8_t link[12])
{
	struct inject_back *back = inject->back;
	uint16_t protocol = addr_is_v4(&segment->destination) ? htons(ETH_P_IP) : htons(ETH_P_IPV6);
	unsigned at = back->waiting++;
	uint8_t *bytes = back->bytes[at];

	memcpy(bytes, link + ETH_ALEN, ETH_ALEN);
	memcpy(bytes + ETH_ALEN, link, ETH_ALEN);
	memcpy(bytes + 2 * ETH_ALEN, &protocol, sizeof(protocol));
	back->to[at].sll_ifindex = (int)interface;
	back->to[at].sll_protocol = protocol;
	memcpy(back->to[at].sll_addr, bytes, ETH_ALEN);
	back->vectors[at].iov_len =
		INJECT_LINK_BYTES + segment_write(bytes + INJECT_LINK_BYTES, INJECT_CLIENT_BYTES, segment);
	return back->waiting == INJECT_BATCH ? inject_flush_back(inject) : 0;
}

/* Sends what waits for one family. */
static unsigned flush_family(struct inject *inject, bool v4)
{
	union endpoint_address to[INJECT_BATCH];
	union source_control controls[INJECT_BATCH];
	struct iovec vectors[INJECT_BATCH];
	struct mmsghdr headers[INJECT_BATCH];
	unsigned count = 0;

	for (unsigned i = 0; i < inject->waiting; i++) {
		struct msghdr *header = &headers[count].msg_hdr; // cppcheck-suppress uninitvar ; its address only

		if (inject->batch[i].v4 != v4)
			continue;
		vectors[count] = (struct iovec){inject->batch[i].bytes, inject->batch[i].length};
		*header = (struct msghdr){.msg_name = &to[count], .msg_iov = &vectors[count], .msg_iovlen = 1};
		header->msg_namelen =
			fill_address(&to[count], &inject->batch[i].destination, inject->batch[i].interface);
		fill_control(header, &controls[count], &inject->batch[i].source);
		count++;
	}
	return count ? send_all(&inject->routed, v4 ? inject->client_v4 : inject->client_v6, headers, count) : 0;
}

unsigned inject_flush(struct inject *inject)
{
	unsigned failed = 0;

	if (inject->waiting) {
		failed = flush_family(inject, true) + flush_family(inject, false);
		inject->waiting = 0;
	}
	return failed;
}

bool inject_untracked(struct inject *inject, const struct addr *destination, const uint8_t *packet, size_t bytes)
{
	union endpoint_address to;
	socklen_t to_bytes = fill_address(&to, destination, 0);

	return sendto(addr_is_v4(destination) ? inject->client_v4 : inject->client_v6, packet, bytes, 0, &to.any,
		      to_bytes) == (ssize_t)bytes;
}

static void flush_servers_of(struct inject *inject, bool v4)
{
	union endpoint_address to[INJECT_BATCH];
	struct iovec vectors[INJECT_BATCH];
	struct mmsghdr headers[INJECT_BATCH];
	unsigned count = 0;

	for (unsigned i = 0; i < inject->servers_waiting; i++) {
		if (addr_is_v4(&inject->servers[i].destination) != v4)
			continue;
		vectors[count] =
			(struct iovec){inject->server_bytes + inject->servers[i].at, inject->servers[i].length};
		headers[count].msg_hdr = // cppcheck-suppress uninitvar ; its address only
			(struct msghdr){.msg_name = &to[count], .msg_iov = &vectors[count], .msg_iovlen = 1};
		headers[count].msg_hdr.msg_namelen = fill_address(&to[count], &inject->servers[i].destination, 0);
		count++;
	}
	for (unsigned sent = 0; sent < count;) {
		int done = sendmmsg(v4 ? inject->server_v4 : inject->server_v6, headers + sent, count - sent, 0);

		if (done < 0 && errno == EINTR)
			continue;
		sent += done > 0 ? (unsigned)done : 1; /* the first has failed */
	}
}

void inject_flush_servers(struct inject *inject)
{
	if (inject->servers_waiting) {
		flush_servers_of(inject, true);
		flush_servers_of(inject, false);
	}
	inject->servers_waiting = 0;
	inject->server_used = 0;
}

void inject_to_server(struct inject *inject, const struct segment *segment)
{
	size_t needed = SEGMENT_HEADERS_MAX + segment->payload_bytes;
	uint8_t *bytes;
	size_t length;

	if (inject->servers_waiting == INJECT_BATCH || inject->server_used + needed > sizeof(inject->server_bytes))
		inject_flush_servers(inject);
	bytes = inject->server_bytes + inject->server_used;
	length = segment_write(bytes, sizeof(inject->server_bytes) - inject->server_used, segment);
	if (!length)
		return;
	inject->servers[inject->servers_waiting].at = (uint32_t)inject->server_used;
	inject->servers[inject->servers_waiting].length = (uint32_t)length;
	inject->servers[inject->servers_waiting++].destination = segment->destination;
	inject->server_used += length;
}
