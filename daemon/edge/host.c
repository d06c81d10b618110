/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>

#include "edge/host.h"

#include <errno.h>
#include <glob.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/answer.h"
#include "edge/nft_others.h"

#define INTERFACE_BYTES 32
#define ANSWER_BYTES 32768
#define PATH_BYTES 128
#define PROC_SYS "/proc/sys/"

long host_sysctl(const char *path)
{
	char full[PATH_BYTES];
	long value = -1;
	FILE *file;

	snprintf(full, sizeof(full), PROC_SYS "%s", path);
	file = fopen(full, "re");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1) // NOLINT(cert-err34-c): the kernel writes it
		value = -1;
	fclose(file);
	return value;
}

int host_text(const char *path, char *text, size_t text_bytes)
{
	FILE *file = fopen(path, "re");
	size_t bytes;

	text[0] = '\0';
	if (!file)
		return -errno;
	bytes = fread(text, 1, text_bytes - 1, file);
	text[bytes] = '\0';
	fclose(file);
	return (int)bytes;
}

/* ---- VRF ---- */

static bool has_kind(const struct nlattr *info, const char *kind)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			return answer_names(attr, kind);
	}
	return false;
}

/* The interface's name, if it is of that kind. */
static int interface_seen(const struct nlmsghdr *header, void *context)
{
	const struct nlattr *attr;
	const char *interface = "?";
	int bytes = 1;
	bool vrf = false;
	char *name = context;

	mnl_attr_for_each(attr, header, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFNAME) {
			interface = mnl_attr_get_str(attr);
			bytes = mnl_attr_get_payload_len(attr);
		} else if (mnl_attr_get_type(attr) == IFLA_LINKINFO) {
			vrf = has_kind(attr, "vrf");
		}
	}
	if (vrf)
		snprintf(name, INTERFACE_BYTES, "%.*s", bytes, interface);
	return MNL_CB_OK;
}

/* Writes the name of a VRF, or "". */
static void find_vrf(char name[INTERFACE_BYTES])
{
	static uint8_t answer[ANSWER_BYTES];
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct nlmsghdr *header = mnl_nlmsg_put_header(answer);
	struct ifinfomsg *wanted;
	int more = MNL_CB_OK;

	name[0] = '\0';
	if (!socket)
		return;
	header->nlmsg_type = RTM_GETLINK;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	wanted = mnl_nlmsg_put_extra_header(header, sizeof(*wanted));
	wanted->ifi_family = AF_UNSPEC;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		more = MNL_CB_STOP;
	while (more == MNL_CB_OK) {
		ssize_t bytes = mnl_socket_recvfrom(socket, answer, sizeof(answer));

		more = bytes <= 0 ? MNL_CB_STOP
				  : mnl_cb_run(answer, (size_t)bytes, 0, mnl_socket_get_portid(socket), interface_seen,
					       name);
	}
	mnl_socket_close(socket);
}

/* ---- zones ---- */

static void find_zone(uint64_t until_ns, char *where, size_t where_bytes)
{
	struct nft *nft = malloc(sizeof(*nft));

	where[0] = '\0';
	if (nft && nft_open(nft) == 0) {
		nft->until_ns = until_ns;
		if (nft_zone_find(nft, where, where_bytes) != 1)
			where[0] = '\0';
		nft_close(nft);
	}
	free(nft);
}

int host_check(uint64_t until_ns, char *error, size_t error_bytes)
{
	char vrf[INTERFACE_BYTES];
	char zone[256];

	find_vrf(vrf);
	if (vrf[0]) {
		snprintf(
			error, error_bytes,
			"interface %s is a VRF: its packets pass netfilter twice, which synmoat does not support (run it in "
			"a network namespace of its own, or remove the VRF)",
			vrf);
		return -1;
	}
	find_zone(until_ns, zone, sizeof(zone));
	if (zone[0]) {
		snprintf(
			error, error_bytes,
			"a rule of nftables (%s) puts connections in conntrack zones, which synmoat does not support (remove "
			"it, or run synmoat in a network namespace of its own)",
			zone);
		return -1;
	}
	return 0;
}

/* ---- forwarding ---- */

bool host_forwards(bool v6)
{
	glob_t found;
	bool any = false;

	if (glob(v6 ? PROC_SYS "net/ipv6/conf/*/forwarding" : PROC_SYS "net/ipv4/conf/*/forwarding", 0, NULL, &found))
		return false;
	for (size_t i = 0; i < found.gl_pathc && !any; i++)
		any = !strstr(found.gl_pathv[i], "/default/") && host_sysctl(found.gl_pathv[i] + strlen(PROC_SYS)) > 0;
	globfree(&found);
	return any;
}
