/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/answer.h"

#define DUMP_BYTES (32 << 10)
#define TRIES_MAX 5 /* of a dump that changes under our hands */
#define DEPTH_MAX 8 /* as deep as the kernel piles them: MAX_NEST_DEV, include/linux/netdevice.h */
#define NOWHERE 0

/* What an interface lies upon, and is a port of: indexes. */
struct pile {
	uint32_t tagged; /* NOWHERE, or that whose tag it carries */
	uint32_t master; /* NOWHERE, or a bond, a bridge */
};

struct reading {
	struct links *links;
	struct pile *piled; /* [count]: of each */
	bool enough;        /* what comes is of no interest any more */
};

typedef void dump_seen(struct reading *reading, const struct nlmsghdr *header);

/* ---- what a message says ---- */

static const struct nlattr *attribute(const struct nlmsghdr *header, size_t offset, uint16_t type, size_t bytes)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, header, offset)
	{
		if (mnl_attr_get_type(attr) == type && mnl_attr_get_payload_len(attr) >= bytes)
			return attr;
	}
	return NULL;
}

static uint32_t number_of(const struct nlmsghdr *header, size_t offset, uint16_t type)
{
	const struct nlattr *attr = attribute(header, offset, type, sizeof(uint32_t));

	return attr ? mnl_attr_get_u32(attr) : NOWHERE;
}

static struct link *link_of(struct links *links, uint32_t index)
{
	for (size_t i = 0; index != NOWHERE && i < links->count; i++)
		if (links->links[i].index == index)
			return &links->links[i];
	return NULL;
}

static bool is_vlan(const struct nlmsghdr *header)
{
	const struct nlattr *info = attribute(header, sizeof(struct ifinfomsg), IFLA_LINKINFO, 0);
	const struct nlattr *attr;

	if (!info)
		return false;
	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND && mnl_attr_get_payload_len(attr) >= sizeof("vlan") - 1)
			return strncmp(mnl_attr_get_str(attr), "vlan", mnl_attr_get_payload_len(attr)) == 0;
	}
	return false;
}

static void link_seen(struct reading *reading, const struct nlmsghdr *header)
{
	const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *name = attribute(header, sizeof(*message), IFLA_IFNAME, 1);
	struct links *links = reading->links;
	struct link *link = &links->links[links->count];
	size_t bytes = name ? mnl_attr_get_payload_len(name) : 0;

	if (header->nlmsg_type != RTM_NEWLINK || !answer_has(header, sizeof(*message)) || !name || bytes > IF_NAMESIZE)
		return;
	links->cut |= links->count == LINKS_MAX;
	if (links->count == LINKS_MAX)
		return;
	*link = (struct link){
		.index = (uint32_t)message->ifi_index,
		.up = message->ifi_flags & IFF_UP && !(message->ifi_flags & IFF_LOOPBACK),
		.ethernet = message->ifi_type == ARPHRD_ETHER,
	};
	memcpy(link->name, mnl_attr_get_payload(name), bytes);
	link->name[IF_NAMESIZE - 1] = '\0';
	reading->piled[links->count++] = (struct pile){
		.tagged = is_vlan(header) && !attribute(header, sizeof(*message), IFLA_LINK_NETNSID, 0)
				  ? number_of(header, sizeof(*message), IFLA_LINK)
				  : NOWHERE,
		.master = number_of(header, sizeof(*message), IFLA_MASTER),
	};
}

/* The address that the message is about; false if there is none. */
static bool address_of(const struct nlmsghdr *header, struct addr *address)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;
	bool v6;

	if (header->nlmsg_type != RTM_NEWADDR || !answer_has(header, sizeof(*message)))
		return false;
	v6 = message->ifa_family == AF_INET6;
	attr = attribute(header, sizeof(*message), IFA_LOCAL, v6 ? 16 : 4);
	if (!attr) /* IPv6, and not point to point */
		attr = attribute(header, sizeof(*message), IFA_ADDRESS, v6 ? 16 : 4);
	if (!attr || (!v6 && message->ifa_family != AF_INET))
		return false;
	*address = v6 ? addr_from_v6(mnl_attr_get_payload(attr)) : addr_from_v4(mnl_attr_get_payload(attr));
	return true;
}

static void address_seen(struct reading *reading, const struct nlmsghdr *header)
{
	const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
	struct links *links = reading->links;
	struct addr address;
	struct link *link;

	if (!address_of(header, &address) || addr_is_loopback(&address))
		return;
	link = link_of(links, message->ifa_index);
	if (link && message->ifa_scope != RT_SCOPE_LINK)
		link->has_address = true;
	for (size_t i = 0; i < links->address_count; i++)
		if (addr_equal(&links->addresses[i], &address))
			return;
	links->cut |= links->address_count == LINKS_ADDRESSES_MAX;
	if (links->address_count < LINKS_ADDRESSES_MAX)
		links->addresses[links->address_count++] = address;
}

static bool is_default(const struct nlmsghdr *header)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);
	uint32_t table = number_of(header, sizeof(*message), RTA_TABLE);

	return answer_has(header, sizeof(*message)) && message->rtm_dst_len == 0 && message->rtm_type == RTN_UNICAST &&
	       (table ? table : message->rtm_table) == RT_TABLE_MAIN;
}

/* A route of several ways leads through each. */
static void leads_through_all(struct links *links, const struct nlattr *ways)
{
	const struct rtnexthop *way = mnl_attr_get_payload(ways);
	size_t left = mnl_attr_get_payload_len(ways);

	while (left >= sizeof(*way) && way->rtnh_len >= sizeof(*way) && way->rtnh_len <= left) {
		struct link *link = link_of(links, (uint32_t)way->rtnh_ifindex);
		size_t step = RTNH_ALIGN(way->rtnh_len);

		if (link)
			link->leads_out = link->ethernet;
		left -= step < left ? step : left;
		way = (const struct rtnexthop *)((const char *)way + step);
	}
}

static void leads_out(struct links *links, const struct nlmsghdr *header)
{
	struct link *link = link_of(links, number_of(header, sizeof(struct rtmsg), RTA_OIF));
	const struct nlattr *ways = attribute(header, sizeof(struct rtmsg), RTA_MULTIPATH, sizeof(struct rtnexthop));

	if (link)
		link->leads_out = link->ethernet;
	if (ways)
		leads_through_all(links, ways);
}

static void route_seen(struct reading *reading, const struct nlmsghdr *header)
{
	const struct rtmsg *message = mnl_nlmsg_get_payload(header);

	/* The default route has the first key (fib_table_dump(), net/ipv4/fib_trie.c): a million others need not be heard. */
	reading->enough |= answer_has(header, sizeof(*message)) && message->rtm_table == RT_TABLE_MAIN &&
			   number_of(header, sizeof(*message), RTA_DST) != 0;
	if (header->nlmsg_type == RTM_NEWROUTE && is_default(header))
		leads_out(reading->links, header);
}

/* ---- dumps ---- */

/* -EAGAIN: it changed in between, and has to be read again. */
static int read_dump(struct mnl_socket *socket, dump_seen *seen, struct reading *reading)
{
	static uint8_t answer[DUMP_BYTES];
	bool torn = false;

	for (;;) {
		ssize_t bytes = mnl_socket_recvfrom(socket, answer, sizeof(answer));
		const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
		int left = (int)bytes;

		if (bytes <= 0)
			return bytes < 0 && (errno == ENOBUFS || errno == EINTR) ? -EAGAIN : errno ? -errno : -EIO;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			torn |= header->nlmsg_flags & NLM_F_DUMP_INTR;
			if (header->nlmsg_type == NLMSG_DONE)
				return torn ? -EAGAIN : 0;
			if (header->nlmsg_type == NLMSG_ERROR)
				return answer_error(header);
			seen(reading, header);
		}
		if (reading->enough)
			return torn ? -EAGAIN : 0;
	}
}

/* What the kernel sends of routes is those of one table: others may be many. */
static int dump(uint16_t type, uint8_t family, dump_seen *seen, struct reading *reading)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buffer[256] = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	int strict = 1;
	int error;

	if (!socket)
		return -errno;
	setsockopt(mnl_socket_get_fd(socket), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof(strict));
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (type == RTM_GETROUTE) {
		struct rtmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

		message->rtm_family = family;
		message->rtm_table = RT_TABLE_MAIN;
	} else if (type == RTM_GETADDR) {
		struct ifaddrmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));

		message->ifa_family = family;
	} else {
		mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
	}
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		error = -errno;
	else
		error = read_dump(socket, seen, reading);
	mnl_socket_close(socket);
	return error;
}

/* ---- IPv6's default routes ---- */

/* Of an address in a range that is nobody's (RFC 4291, 2.4; IANA's registry): what leads there is a default route. The route
 * itself is asked for, and only those through `index` count: there is an oif and no source (ip6_route_output_flags_noref(),
 * net/ipv6/route.c). */
static int ask_default_v6(struct mnl_socket *socket, uint32_t index, struct links *links)
{
	static const uint8_t nobody[16] = {0xa0, [15] = 1};
	static uint8_t answer[DUMP_BYTES];
	char buffer[256] = {0};
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct rtmsg *message = mnl_nlmsg_put_extra_header(header, sizeof(*message));
	ssize_t bytes;

	header->nlmsg_type = RTM_GETROUTE;
	header->nlmsg_flags = NLM_F_REQUEST;
	message->rtm_family = AF_INET6;
	message->rtm_dst_len = 128;
	message->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(header, RTA_DST, sizeof(nobody), nobody);
	mnl_attr_put_u32(header, RTA_OIF, index);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	bytes = mnl_socket_recvfrom(socket, answer, sizeof(answer));
	header = (struct nlmsghdr *)answer;
	if (bytes < 0)
		return -errno;
	if (mnl_nlmsg_ok(header, (int)bytes) && header->nlmsg_type == RTM_NEWROUTE && is_default(header))
		leads_out(links, header);
	return 0; /* an error says that there is none */
}

/* Each interface is asked for: in a dump the default routes come last (fib6_walk_continue(), net/ipv6/ip6_fib.c), after
 * hundreds of thousands of others, and it is torn whenever one of these changes. */
static int ask_defaults_v6(struct links *links)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int error = !socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;

	for (size_t i = 0; i < links->count && !error; i++)
		if (links->links[i].up && links->links[i].ethernet)
			error = ask_default_v6(socket, links->links[i].index, links);
	if (socket)
		mnl_socket_close(socket);
	return error;
}

/* What a bond or a bridge sends with a tag, its ports bring: also those of a bond that is a bridge's port. */
static void find_vlans(struct links *links, const struct pile *piled)
{
	bool more = true;

	for (size_t i = 0; i < links->count; i++) {
		struct link *below = link_of(links, piled[i].tagged);

		if (below)
			below->has_vlans = true;
	}
	for (unsigned depth = 0; depth < DEPTH_MAX && more; depth++) {
		more = false;
		for (size_t i = 0; i < links->count; i++) {
			const struct link *master = link_of(links, piled[i].master);

			if (!master || !master->has_vlans || links->links[i].has_vlans)
				continue;
			links->links[i].has_vlans = more = true;
		}
	}
}

static int read_all(struct links *links, struct pile *piled, bool routes)
{
	static const struct {
		uint16_t type;
		uint8_t family;
		dump_seen *seen;
	} dumps[] = {
		{RTM_GETLINK, AF_UNSPEC, link_seen},
		{RTM_GETADDR, AF_INET, address_seen},
		{RTM_GETADDR, AF_INET6, address_seen},
		{RTM_GETROUTE, AF_INET, route_seen},
	};
	struct reading reading = {.links = links, .piled = piled};

	links->count = links->address_count = 0;
	links->cut = false;
	for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		int error = dumps[i].type == RTM_GETROUTE && !routes
				    ? 0
				    : dump(dumps[i].type, dumps[i].family, dumps[i].seen, &reading);

		reading.enough = false;
		/* a kernel without IPv6, or a table without a route yet */
		if (error && !(error == -ENOENT && dumps[i].type == RTM_GETROUTE) &&
		    !(error == -EOPNOTSUPP && dumps[i].family == AF_INET6))
			return error;
	}
	find_vlans(links, piled);
	return routes ? ask_defaults_v6(links) : 0;
}

int links_read(struct links *links, bool routes)
{
	struct links fresh = {
		.links = calloc(LINKS_MAX, sizeof(*fresh.links)),
		.addresses = calloc(LINKS_ADDRESSES_MAX, sizeof(*fresh.addresses)),
	};
	struct pile *piled = calloc(LINKS_MAX, sizeof(*piled));
	int error = fresh.links && fresh.addresses && piled ? -EAGAIN : -ENOMEM;

	for (unsigned i = 0; i < TRIES_MAX && error == -EAGAIN; i++)
		error = read_all(&fresh, piled, routes);
	free(piled);
	links_free(error ? &fresh : links);
	if (!error)
		*links = fresh;
	return error;
}

void links_free(struct links *links)
{
	free(links->links);
	free(links->addresses);
	*links = (struct links){.links = NULL};
}

/* ---- more of one ---- */

bool links_strip_tags(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq request = {.ifr_data = (char *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int failed;

	if (fd < 0)
		return false;
	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	failed = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return !failed && value.data & ETH_FLAG_RXVLAN;
}

/* ---- the watch ---- */

int links_watch(void)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
				     RTNLGRP_IPV6_ROUTE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int error = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;

	for (size_t i = 0; !error && i < sizeof(groups) / sizeof(groups[0]); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])) < 0)
			error = -errno;
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return error;
}

/* A router's routes come and go all the time: those that are no default are nothing to us. */
static bool means_something(const struct nlmsghdr *header)
{
	return (header->nlmsg_type != RTM_NEWROUTE && header->nlmsg_type != RTM_DELROUTE) || is_default(header);
}

bool links_changed(int watch_fd)
{
	static uint8_t events[DUMP_BYTES];
	bool changed = false;

	for (;;) {
		ssize_t bytes = recv(watch_fd, events, sizeof(events), MSG_TRUNC);
		const struct nlmsghdr *header = (const struct nlmsghdr *)events;
		int left = (int)bytes;

		if (bytes < 0 && errno == ENOBUFS) {
			changed = true; /* what was lost, we read */
			continue;
		}
		if (bytes <= 0)
			return changed;
		if (bytes > (ssize_t)sizeof(events))
			return true;
		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
			changed |= means_something(header);
	}
}
