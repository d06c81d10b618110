/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "edge/answer.h"

#define REQUEST_BYTES CONNTRACK_REQUEST_BYTES
#define ANSWER_BYTES 8192
#define OVERRUNS_MAX 8
/* Until the connection's next packet, which gives it the sysctl's time (nf_conntrack_tcp_timeout_established). */
#define SPLICE_TIMEOUT_S 120

int conntrack_open(struct conntrack *conntrack)
{
	int on = 1;

	conntrack->seq = (uint32_t)time(NULL);
	conntrack->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!conntrack->socket)
		return -errno;
	if (mnl_socket_bind(conntrack->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int error = -errno;
		conntrack_close(conntrack);
		return error;
	}
	mnl_socket_setsockopt(conntrack->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void conntrack_close(struct conntrack *conntrack)
{
	if (conntrack->socket)
		mnl_socket_close(conntrack->socket);
	conntrack->socket = NULL;
}

/* ---- requests ---- */

static struct nlmsghdr *request(struct conntrack *conntrack, void *buffer, uint16_t type, uint16_t flags,
				const struct flow *flow)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *family;

	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = ++conntrack->seq;
	family = mnl_nlmsg_put_extra_header(header, sizeof(*family));
	family->nfgen_family = !flow ? AF_UNSPEC : addr_is_v4(&flow->client) ? AF_INET : AF_INET6;
	family->version = NFNETLINK_V0;
	return header;
}

static void put_address(struct nlmsghdr *header, uint16_t v4_type, uint16_t v6_type, const struct addr *addr)
{
	mnl_attr_put(header, addr_is_v4(addr) ? v4_type : v6_type, addr_wire_bytes(addr), addr_wire(addr));
}

static void put_tuple(struct nlmsghdr *header, uint16_t type, const struct addr *source, uint16_t source_port,
		      const struct addr *destination, uint16_t destination_port)
{
	struct nlattr *tuple = mnl_attr_nest_start(header, type);
	struct nlattr *nest = mnl_attr_nest_start(header, CTA_TUPLE_IP);

	put_address(header, CTA_IP_V4_SRC, CTA_IP_V6_SRC, source);
	put_address(header, CTA_IP_V4_DST, CTA_IP_V6_DST, destination);
	mnl_attr_nest_end(header, nest);
	nest = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(header, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, htons(source_port));
	mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, htons(destination_port));
	mnl_attr_nest_end(header, nest);
	mnl_attr_nest_end(header, tuple);
}

static void put_original(struct nlmsghdr *header, const struct flow *flow)
{
	put_tuple(header, CTA_TUPLE_ORIG, &flow->client, flow->client_port, &flow->server, flow->server_port);
}

static void put_reply(struct nlmsghdr *header, const struct flow *flow)
{
	put_tuple(header, CTA_TUPLE_REPLY, &flow->server, flow->server_port, &flow->client, flow->client_port);
}

static void put_zone(struct nlmsghdr *header, const struct conntrack_entry *entry)
{
	if (entry->zone)
		mnl_attr_put_u16(header, CTA_ZONE, htons(entry->zone));
}

static void put_nat(struct nlmsghdr *header, uint16_t type, const struct addr *addr, uint16_t port)
{
	struct nlattr *nat = mnl_attr_nest_start(header, type);
	struct nlattr *protocol;

	put_address(header, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP, addr);
	protocol = mnl_attr_nest_start(header, CTA_NAT_PROTO);
	mnl_attr_put_u16(header, CTA_PROTONAT_PORT_MIN, htons(port));
	mnl_attr_put_u16(header, CTA_PROTONAT_PORT_MAX, htons(port));
	mnl_attr_nest_end(header, protocol);
	mnl_attr_nest_end(header, nat);
}

/* ESTABLISHED from the start: replication to another gateway takes the offset from the NEW event alone. */
static void put_tcp_state(struct nlmsghdr *header, const struct conntrack_splice *splice)
{
	struct nlattr *info = mnl_attr_nest_start(header, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(header, CTA_PROTOINFO_TCP);
	struct nf_ct_tcp_flags flags = {
		.flags = (uint8_t)((splice->wscale ? IP_CT_TCP_FLAG_WINDOW_SCALE : 0) |
				   (splice->sack ? IP_CT_TCP_FLAG_SACK_PERM : 0)),
		.mask = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM,
	};

	mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_put(header, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	mnl_attr_put(header, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	if (splice->wscale) {
		mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, splice->client_wscale);
		mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_WSCALE_REPLY, splice->server_wscale);
	}
	mnl_attr_nest_end(header, tcp);
	mnl_attr_nest_end(header, info);
}

static void put_offset(struct nlmsghdr *header, uint32_t delta)
{
	struct nlattr *offset = mnl_attr_nest_start(header, CTA_SEQ_ADJ_REPLY);

	mnl_attr_put_u32(header, CTA_SEQADJ_CORRECTION_POS, 0);
	mnl_attr_put_u32(header, CTA_SEQADJ_OFFSET_BEFORE, htonl(delta));
	mnl_attr_put_u32(header, CTA_SEQADJ_OFFSET_AFTER, htonl(delta));
	mnl_attr_nest_end(header, offset);
}

static void build_spliced(struct nlmsghdr *header, const struct conntrack_entry *entry,
			  const struct conntrack_splice *splice)
{
	const struct flow *original = &entry->original;
	const struct flow *reply = &entry->reply;

	put_original(header, original);
	put_reply(header, original); /* NAT makes of this plain inverse what it was */
	put_zone(header, entry);
	mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(SPLICE_TIMEOUT_S));
	mnl_attr_put_u32(header, CTA_MARK, htonl(splice->mark));
	mnl_attr_put_u32(header, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	put_tcp_state(header, splice);
	if (!addr_equal(&reply->server, &original->server) || reply->server_port != original->server_port)
		put_nat(header, CTA_NAT_DST, &reply->server, reply->server_port);
	if (!addr_equal(&reply->client, &original->client) || reply->client_port != original->client_port)
		put_nat(header, CTA_NAT_SRC, &reply->client, reply->client_port);
	if (entry->helper[0]) {
		struct nlattr *helper = mnl_attr_nest_start(header, CTA_HELP);
		mnl_attr_put_strz(header, CTA_HELP_NAME, entry->helper);
		mnl_attr_nest_end(header, helper);
	}
	if (entry->labels_bytes)
		mnl_attr_put(header, CTA_LABELS, entry->labels_bytes, entry->labels);
	put_offset(header, splice->delta);
}

/* ---- answers ---- */

static void take_addresses(const struct nlattr *nest, struct addr *source, struct addr *destination)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		const void *payload = mnl_attr_get_payload(attr);
		uint16_t bytes = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case CTA_IP_V4_SRC:
			*source = bytes == 4 ? addr_from_v4(payload) : *source;
			break;
		case CTA_IP_V4_DST:
			*destination = bytes == 4 ? addr_from_v4(payload) : *destination;
			break;
		case CTA_IP_V6_SRC:
			*source = bytes == 16 ? addr_from_v6(payload) : *source;
			break;
		case CTA_IP_V6_DST:
			*destination = bytes == 16 ? addr_from_v6(payload) : *destination;
			break;
		default:
			break;
		}
	}
}

static void take_ports(const struct nlattr *nest, uint16_t *source, uint16_t *destination)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_payload_len(attr) < sizeof(uint16_t))
			continue;
		if (mnl_attr_get_type(attr) == CTA_PROTO_SRC_PORT)
			*source = ntohs(mnl_attr_get_u16(attr));
		else if (mnl_attr_get_type(attr) == CTA_PROTO_DST_PORT)
			*destination = ntohs(mnl_attr_get_u16(attr));
	}
}

static void take_tuple(const struct nlattr *tuple, struct addr *source, uint16_t *source_port, struct addr *destination,
		       uint16_t *destination_port)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, tuple)
	{
		if (mnl_attr_get_type(attr) == CTA_TUPLE_IP)
			take_addresses(attr, source, destination);
		else if (mnl_attr_get_type(attr) == CTA_TUPLE_PROTO)
			take_ports(attr, source_port, destination_port);
	}
}

static void take_offset(const struct nlattr *nest, struct conntrack_entry *entry)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == CTA_SEQADJ_OFFSET_AFTER && mnl_attr_get_payload_len(attr) == 4) {
			entry->delta = ntohl(mnl_attr_get_u32(attr));
			entry->adjusted = entry->delta != 0;
		}
	}
}

static void take_helper(const struct nlattr *nest, struct conntrack_entry *entry)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		uint16_t bytes = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) == CTA_HELP_NAME && bytes && bytes < CONNTRACK_HELPER_BYTES)
			memcpy(entry->helper, mnl_attr_get_payload(attr), bytes);
	}
}

static void take_entry(const struct nlmsghdr *header, struct conntrack_entry *entry)
{
	struct flow *original = &entry->original;
	struct flow *reply = &entry->reply;
	const struct nlattr *attr;

	memset(entry, 0, sizeof(*entry));
	mnl_attr_for_each(attr, header, sizeof(struct nfgenmsg))
	{
		uint16_t bytes = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case CTA_TUPLE_ORIG:
			take_tuple(attr, &original->client, &original->client_port, &original->server,
				   &original->server_port);
			break;
		case CTA_TUPLE_REPLY:
			take_tuple(attr, &reply->server, &reply->server_port, &reply->client, &reply->client_port);
			break;
		case CTA_MARK:
			entry->mark = bytes == 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
			break;
		case CTA_ZONE:
			entry->zone = bytes == 2 ? ntohs(mnl_attr_get_u16(attr)) : 0;
			break;
		case CTA_LABELS:
			entry->labels_bytes = (uint8_t)(bytes <= CONNTRACK_LABELS_BYTES ? bytes : 0);
			memcpy(entry->labels, mnl_attr_get_payload(attr), entry->labels_bytes);
			break;
		case CTA_HELP:
			take_helper(attr, entry);
			break;
		case CTA_SEQ_ADJ_REPLY:
			take_offset(attr, entry);
			break;
		default:
			break;
		}
	}
}

/* Sends, then reads what waits: the entry that was asked for, which goes to `entry`, or all errors there are. */
static int exchange(struct conntrack *conntrack, const void *requests, size_t bytes, struct conntrack_entry *entry)
{
	uint8_t answer[ANSWER_BYTES];
	int first = entry ? -ENOENT : 0;

	if (mnl_socket_sendto(conntrack->socket, requests, bytes) < 0)
		return -errno;
	for (;;) {
		ssize_t received = recv(mnl_socket_get_fd(conntrack->socket), answer, sizeof(answer), MSG_DONTWAIT);
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		int left = (int)received;

		if (received < 0 && errno == EINTR)
			continue;
		if (received <= 0)
			return received < 0 && errno != EAGAIN ? -errno : first;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			if (header->nlmsg_type == NLMSG_ERROR) {
				int error = answer_error(header);

				first = error ? error : first;
			} else if (entry && header->nlmsg_seq == conntrack->seq) {
				take_entry(header, entry);
				return 0;
			}
		}
	}
}

int conntrack_get(struct conntrack *conntrack, const struct flow *flow, bool server_view, struct conntrack_entry *entry)
{
	uint8_t buffer[REQUEST_BYTES] = {0};
	struct nlmsghdr *header = request(conntrack, buffer, IPCTNL_MSG_CT_GET, 0, flow);

	if (server_view)
		put_reply(header, flow);
	else
		put_original(header, flow);
	return exchange(conntrack, buffer, header->nlmsg_len, entry);
}

/* ---- several at once ---- */

/* Sends the requests, the first of which is numbered `first`, `each` of them to a handover, and takes what the kernel says. */
static void exchange_all(struct conntrack *conntrack, size_t bytes, uint32_t first, unsigned each,
			 struct conntrack_handover *handovers, unsigned count)
{
	int failed = bytes && mnl_socket_sendto(conntrack->socket, conntrack->requests, bytes) < 0 ? -errno : 0;
	_Alignas(8) uint8_t answer[ANSWER_BYTES];
	unsigned overruns = 0;

	for (unsigned i = 0; failed && i < count; i++)
		handovers[i].error = handovers[i].error ? handovers[i].error : failed;
	while (bytes && !failed) {
		ssize_t received = recv(mnl_socket_get_fd(conntrack->socket), answer, sizeof(answer), MSG_DONTWAIT);
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		int left = (int)received;

		if (received < 0 && (errno == EINTR || (errno == ENOBUFS && overruns++ < OVERRUNS_MAX)))
			continue; /* ENOBUFS: of an answer that is lost nothing is known, and the others still wait */
		if (received <= 0)
			return;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			uint32_t index = (header->nlmsg_seq - first) / each;

			if (index >= count)
				continue;
			if (header->nlmsg_type != NLMSG_ERROR) {
				take_entry(header, &handovers[index].entry);
				handovers[index].error = 0;
			} else if (answer_error(header)) {
				handovers[index].error = answer_error(header);
			}
		}
	}
}

void conntrack_get_all(struct conntrack *conntrack, struct conntrack_handover *handovers, unsigned count)
{
	uint32_t first = conntrack->seq + 1;
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		struct nlmsghdr *header =
			request(conntrack, conntrack->requests + bytes, IPCTNL_MSG_CT_GET, 0, &handovers[i].flow);

		put_original(header, &handovers[i].flow);
		bytes += MNL_ALIGN(header->nlmsg_len);
		handovers[i].error = -ENOENT; /* until its answer comes */
	}
	exchange_all(conntrack, bytes, first, 1, handovers, count);
}

void conntrack_splice_all(struct conntrack *conntrack, struct conntrack_handover *handovers, unsigned count)
{
	uint32_t first = conntrack->seq + 1;
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct conntrack_entry *entry = &handovers[i].entry;
		struct nlmsghdr *header;

		if (handovers[i].error) {
			conntrack->seq += 2;
			continue;
		}
		header = request(conntrack, conntrack->requests + bytes, IPCTNL_MSG_CT_DELETE, 0, &entry->original);
		put_original(header, &entry->original);
		put_zone(header, entry);
		bytes += MNL_ALIGN(header->nlmsg_len);
		header = request(conntrack, conntrack->requests + bytes, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL,
				 &entry->original);
		build_spliced(header, entry, &handovers[i].splice);
		bytes += MNL_ALIGN(header->nlmsg_len);
	}
	exchange_all(conntrack, bytes, first, 2, handovers, count);
}

int conntrack_delete(struct conntrack *conntrack, const struct flow *flow)
{
	uint8_t buffer[REQUEST_BYTES] = {0};
	struct nlmsghdr *header = request(conntrack, buffer, IPCTNL_MSG_CT_DELETE, 0, flow);

	put_original(header, flow);
	return exchange(conntrack, buffer, header->nlmsg_len, NULL);
}

int conntrack_count_marked(struct conntrack *conntrack, uint32_t mark, uint32_t mask, size_t *with_offset,
			   size_t *without_offset)
{
	uint8_t buffer[REQUEST_BYTES] = {0};
	uint8_t answer[MNL_SOCKET_BUFFER_SIZE * 4];
	struct nlmsghdr *header = request(conntrack, buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, NULL);
	struct conntrack_entry entry;

	*with_offset = *without_offset = 0;
	mnl_attr_put_u32(header, CTA_MARK, htonl(mark));
	mnl_attr_put_u32(header, CTA_MARK_MASK, htonl(mask));
	if (mnl_socket_sendto(conntrack->socket, header, header->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t received = mnl_socket_recvfrom(conntrack->socket, answer, sizeof(answer));
		const struct nlmsghdr *reply = (const struct nlmsghdr *)answer;
		int left = (int)received;

		if (received <= 0)
			return -errno;
		for (; mnl_nlmsg_ok(reply, left); reply = mnl_nlmsg_next(reply, &left)) {
			if (reply->nlmsg_type == NLMSG_DONE)
				return 0;
			if (reply->nlmsg_type == NLMSG_ERROR)
				return answer_error(reply);
			take_entry(reply, &entry);
			(*(entry.adjusted ? with_offset : without_offset))++;
		}
	}
}

int conntrack_any_marked(struct conntrack *conntrack, uint32_t mark, uint32_t mask)
{
	size_t with_offset, without_offset;
	int error = conntrack_count_marked(conntrack, mark, mask, &with_offset, &without_offset);

	return error ? error : with_offset + without_offset > 0;
}
