/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/spill.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COPY_BYTES 256              /* IPv6 with some extension headers, and a TCP header with all options */
#define MESSAGE_BYTES (15 << 10)    /* with the kernel's own part of it, four pages */
#define FLUSH_HUNDREDTHS 1          /* a message that is not full goes then: 10 ms */
#define RECEIVE_BYTES (128 << 10)   /* no message is longer: NFULNL_COPY_RANGE_MAX and headers (nfnetlink_log.c) */
#define MESSAGE_TRUESIZE (20 << 10) /* what the kernel counts against the socket's buffer for one */

struct spill {
	struct mnl_socket *socket;
	uint32_t expected; /* number of the next packet: the kernel begins with 0, too */
	uint64_t lost;
	uint8_t receive[RECEIVE_BYTES] __attribute__((aligned(8)));
};

static struct nlmsghdr *config_put(char *buffer, uint16_t number)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));

	header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	generic->nfgen_family = AF_UNSPEC;
	generic->version = NFNETLINK_V0;
	generic->res_id = htons(number);
	return header;
}

static int config_send(const struct spill *spill, const struct nlmsghdr *header)
{
	char answer[512];
	ssize_t bytes;

	if (mnl_socket_sendto(spill->socket, header, header->nlmsg_len) < 0)
		return -1;
	bytes = mnl_socket_recvfrom(spill->socket, answer, sizeof(answer));
	return bytes < 0 ? -1 : mnl_cb_run(answer, (size_t)bytes, 0, 0, NULL, NULL);
}

static int bind_group(const struct spill *spill, uint16_t number)
{
	struct nfulnl_msg_config_cmd command = {.command = NFULNL_CFG_CMD_BIND};
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET};
	char buffer[512] = {0};
	struct nlmsghdr *header = config_put(buffer, number);

	mnl_attr_put(header, NFULA_CFG_CMD, sizeof(command), &command);
	mnl_attr_put(header, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(header, NFULA_CFG_NLBUFSIZ, htonl(MESSAGE_BYTES));
	mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(SPILL_BATCH));
	mnl_attr_put_u32(header, NFULA_CFG_TIMEOUT, htonl(FLUSH_HUNDREDTHS));
	mnl_attr_put_u16(header, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
	return config_send(spill, header);
}

struct spill *spill_open(uint16_t number)
{
	struct spill *spill = calloc(1, sizeof(*spill));
	int on = 1;
	int bytes = SPILL_WAITING_MAX * MESSAGE_TRUESIZE / 2; /* the kernel doubles it */

	if (!spill)
		return NULL;
	spill->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!spill->socket || mnl_socket_bind(spill->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    bind_group(spill, number) < 0) {
		int error = errno;
		spill_close(spill);
		errno = error;
		return NULL;
	}
	mnl_socket_setsockopt(spill->socket, NETLINK_NO_ENOBUFS, &on, sizeof(on)); /* the numbers tell what is lost */
	if (setsockopt(mnl_socket_get_fd(spill->socket), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(mnl_socket_get_fd(spill->socket), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return spill;
}

void spill_close(struct spill *spill)
{
	if (!spill)
		return;
	if (spill->socket)
		mnl_socket_close(spill->socket);
	free(spill);
}

int spill_fd(const struct spill *spill)
{
	return mnl_socket_get_fd(spill->socket);
}

uint64_t spill_lost(const struct spill *spill)
{
	return spill->lost;
}

/* ---- packets ---- */

struct fields {
	const struct nlattr *payload, *link;
	uint16_t link_type;
	uint32_t interface;
	uint32_t number;
	bool numbered;
};

static struct fields fields_of(const struct nlmsghdr *header)
{
	struct fields fields = {.payload = NULL};
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		size_t bytes = mnl_attr_get_payload_len(attribute);

		switch (mnl_attr_get_type(attribute)) {
		case NFULA_PAYLOAD:
			fields.payload = attribute;
			break;
		case NFULA_HWHEADER:
			fields.link = bytes >= SPILL_LINK_BYTES ? attribute : NULL;
			break;
		case NFULA_HWTYPE:
			fields.link_type = bytes >= 2 ? ntohs(mnl_attr_get_u16(attribute)) : 0;
			break;
		case NFULA_IFINDEX_INDEV:
			fields.interface = bytes >= 4 ? ntohl(mnl_attr_get_u32(attribute)) : 0;
			break;
		case NFULA_SEQ:
			fields.numbered = bytes >= 4;
			fields.number = fields.numbered ? ntohl(mnl_attr_get_u32(attribute)) : 0;
			break;
		default:
			break;
		}
	}
	return fields;
}

/* An answer can go back over the same link if both ends of it are named: by no group address. */
static const uint8_t *link_of(const struct fields *fields)
{
	const uint8_t *link = fields->link ? mnl_attr_get_payload(fields->link) : NULL;

	return link && fields->link_type == ARPHRD_ETHER && fields->interface && !((link[0] | link[6]) & 1) ? link
													    : NULL;
}

static void note_number(struct spill *spill, const struct fields *fields)
{
	if (!fields->numbered)
		return;
	spill->lost += fields->number - spill->expected;
	spill->expected = fields->number + 1;
}

unsigned spill_receive(struct spill *spill, struct spilled *packets)
{
	ssize_t bytes = recv(mnl_socket_get_fd(spill->socket), spill->receive, sizeof(spill->receive), MSG_DONTWAIT);
	const struct nlmsghdr *header = (const struct nlmsghdr *)spill->receive;
	int left = bytes > 0 ? (int)bytes : 0;
	unsigned count = 0;

	for (; mnl_nlmsg_ok(header, left) && count < SPILL_BATCH; header = mnl_nlmsg_next(header, &left)) {
		struct fields fields;

		if (header->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
			continue;
		fields = fields_of(header);
		note_number(spill, &fields);
		packets[count++] = (struct spilled){
			.interface = fields.interface,
			.link = link_of(&fields),
			.data = fields.payload ? mnl_attr_get_payload(fields.payload) : NULL,
			.bytes = fields.payload ? mnl_attr_get_payload_len(fields.payload) : 0,
		};
	}
	return count;
}
