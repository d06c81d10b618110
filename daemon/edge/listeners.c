/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/listeners.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "edge/answer.h"

#define ANSWER_BYTES (32 << 10)
#define STATES_HALF_OPEN (1U << TCP_SYN_RECV)
#define STATES_CONNECTED \
	(1U << TCP_ESTABLISHED | 1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 | 1U << TCP_CLOSE_WAIT | \
	 1U << TCP_LAST_ACK | 1U << TCP_CLOSING)

static const struct addr unspecified_v4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
static const struct addr unspecified_v6;

/* One socket of a dump. */
typedef void socket_seen(void *context, const struct inet_diag_msg *message, bool v6_only);

static bool says_v6_only(const struct nlmsghdr *header)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header,
			  sizeof(struct inet_diag_msg)) if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY &&
							    mnl_attr_get_payload_len(attr) ==
								    1) return mnl_attr_get_u8(attr);
	return false;
}

static int read_dump(struct mnl_socket *socket, socket_seen *seen, void *context)
{
	uint8_t answer[ANSWER_BYTES];

	for (;;) {
		ssize_t bytes = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		int left = (int)bytes;

		if (bytes <= 0)
			return -errno;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return answer_error(header);
			if (mnl_nlmsg_get_payload_len(header) >= sizeof(struct inet_diag_msg))
				seen(context, mnl_nlmsg_get_payload(header), says_v6_only(header));
		}
	}
}

static int dump_sockets(uint8_t family, uint32_t states, socket_seen *seen, void *context)
{
	char buffer[256] = {0};
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct nlmsghdr *header;
	struct inet_diag_req_v2 *request;
	int error;

	if (!socket)
		return -errno;
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = states;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		error = -errno;
	else
		error = read_dump(socket, seen, context);
	mnl_socket_close(socket);
	return error;
}

static struct addr diag_addr(const struct inet_diag_msg *message, const uint32_t *words)
{
	return message->idiag_family == AF_INET ? addr_from_v4(words) : addr_from_v6(words);
}

/* A growing array; `failed` once memory was short. */
struct collection {
	void *items;
	size_t item_bytes;
	size_t count, room, most;
	bool failed;
};

static void *collection_add(struct collection *all)
{
	if (all->count == all->room) {
		size_t room = all->room ? all->room * 2 : 64;
		void *items = reallocarray(all->items, room, all->item_bytes);
		if (!items) {
			all->failed = true;
			return NULL;
		}
		all->items = items;
		all->room = room;
	}
	return (char *)all->items + all->count++ * all->item_bytes;
}

static int collection_take(struct collection *all, int error, void *items)
{
	if (!error && all->failed)
		error = -ENOMEM;
	if (error) {
		free(all->items);
		return error;
	}
	*(void **)items = all->items;
	return (int)all->count;
}

/* ---- listeners ---- */

/* sk_acceptq_is_full() (include/net/sock.h): beyond that the kernel drops SYNs and third ACKs. */
static bool accept_queue_full(const struct inet_diag_msg *message)
{
	return message->idiag_rqueue > message->idiag_wqueue;
}

static void listener_seen(void *context, const struct inet_diag_msg *message, bool v6_only)
{
	struct collection *all = context;
	struct listener *known = all->items;
	struct addr address = diag_addr(message, message->id.idiag_src);
	uint16_t port = ntohs(message->id.idiag_sport);
	bool v6 = message->idiag_family == AF_INET6;
	struct listener *new;

	for (size_t i = 0; i < all->count; i++) {
		if (known[i].port == port && addr_equal(&known[i].address, &address)) {
			known[i].backlog += message->idiag_wqueue;
			known[i].accept_queue_full |= accept_queue_full(message);
			return;
		}
	}
	new = collection_add(all);
	if (!new)
		return;
	*new = (struct listener){
		.any_address = addr_equal(&address, &unspecified_v4) || addr_equal(&address, &unspecified_v6),
		.address = address,
		.port = port,
		.serves_v6 = v6 && !addr_is_v4(&address),
		.backlog = message->idiag_wqueue, /* sk_max_ack_backlog (net/ipv4/inet_diag.c) */
		.accept_queue_full = accept_queue_full(message),
	};
	new->serves_v4 = addr_is_v4(&address) || (new->any_address && !v6_only);
}

/* What tcp_conn_request() leaves to peers it does not know, with tcp_syncookies=0: three quarters. */
static uint32_t syn_backlog_limit(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_max_syn_backlog", "re");
	unsigned value = 0;

	if (!file)
		return UINT32_MAX;
	if (fscanf(file, "%u", &value) != 1)
		value = 0;
	fclose(file);
	return value ? value - value / 4 : UINT32_MAX;
}

int listeners_read(struct listener **listeners)
{
	struct collection all = {.item_bytes = sizeof(struct listener)};
	uint32_t limit = syn_backlog_limit();
	int error = dump_sockets(AF_INET, 1U << TCP_LISTEN, listener_seen, &all);
	int v6 = dump_sockets(AF_INET6, 1U << TCP_LISTEN, listener_seen, &all);
	struct listener *found = all.items;

	for (size_t i = 0; i < all.count; i++)
		if (found[i].backlog > limit)
			found[i].backlog = limit;
	return collection_take(&all, error ? error : (v6 == -ENOENT ? 0 : v6), listeners);
}

/* ---- connections ---- */

struct flow_search {
	struct collection all;
	uint8_t wanted[65536 / 8]; /* ports, a bit each */
};

static void flow_seen(void *context, const struct inet_diag_msg *message, bool v6_only)
{
	struct flow_search *search = context;
	uint16_t port = ntohs(message->id.idiag_sport);
	struct flow *flow;

	(void)v6_only;
	if (!(search->wanted[port / 8] & 1U << port % 8) || search->all.count >= search->all.most)
		return;
	flow = collection_add(&search->all);
	if (flow)
		*flow = (struct flow){
			.client = diag_addr(message, message->id.idiag_dst),
			.server = diag_addr(message, message->id.idiag_src),
			.client_port = ntohs(message->id.idiag_dport),
			.server_port = port,
		};
}

int listeners_flows(const uint16_t *ports, size_t port_count, enum listeners_state state, size_t most,
		    struct flow **flows)
{
	uint32_t states = state == LISTENERS_HALF_OPEN ? STATES_HALF_OPEN : STATES_CONNECTED;
	struct flow_search *search = calloc(1, sizeof(*search));
	int error;
	int count;

	if (!search)
		return -ENOMEM;
	search->all.item_bytes = sizeof(struct flow);
	search->all.most = most;
	for (size_t i = 0; i < port_count; i++)
		search->wanted[ports[i] / 8] |= (uint8_t)(1U << ports[i] % 8);
	error = dump_sockets(AF_INET, states, flow_seen, search);
	if (!error)
		error = dump_sockets(AF_INET6, states, flow_seen, search);
	count = collection_take(&search->all, error, flows);
	free(search);
	return count;
}

/* ---- half-open connections ---- */

struct half_open_search {
	const struct service_map *map;
	unsigned age_s;
	struct half_open_count *counts;
};

static void half_open_seen(void *context, const struct inet_diag_msg *message, bool v6_only)
{
	struct half_open_search *search = context;
	struct addr server = diag_addr(message, message->id.idiag_src);
	int service = service_map_find(search->map, &server, ntohs(message->id.idiag_sport));

	(void)v6_only;
	if (service < 0)
		return;
	search->counts[service].all++;
	search->counts[service].young +=
		message->idiag_retrans < 31 && (1U << message->idiag_retrans) - 1 < search->age_s;
}

int listeners_half_open(const struct service_map *map, unsigned age_s, struct half_open_count counts[SERVICES_MAX])
{
	struct half_open_search search = {map, age_s, counts};
	int error = dump_sockets(AF_INET, STATES_HALF_OPEN, half_open_seen, &search);

	return error ? error : dump_sockets(AF_INET6, STATES_HALF_OPEN, half_open_seen, &search);
}
