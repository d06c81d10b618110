/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/answer.h"

#define MESSAGE_OVERHEAD_BYTES 512 /* netlink headers and attributes around a packet */
#define SOCKET_BUFFER_BYTES (32 << 20)
#define VERDICT_ROOM_BYTES 128 /* a verdict without payload */
#define VERDICT_BUFFER_BYTES (QUEUE_BATCH_MAX * VERDICT_ROOM_BYTES * 2)
#define VERDICT_BUFFER_ALL_BYTES (VERDICT_BUFFER_BYTES + 66000)

/* A run of equal verdicts that is still growing. */
struct verdict_run {
	bool open;
	uint32_t last_id;
	int verdict;
	uint32_t mark;
};

struct queue {
	struct mnl_socket *socket;
	uint16_t number;
	unsigned batch;
	size_t receive_bytes; /* per packet */
	uint8_t *receive;     /* [batch][receive_bytes] */
	struct iovec vectors[QUEUE_BATCH_MAX];
	struct mmsghdr headers[QUEUE_BATCH_MAX];
	size_t verdict_bytes;
	uint8_t *verdicts; /* VERDICT_BUFFER_ALL_BYTES */
	struct verdict_run run;
	uint64_t errors;
	bool unreadable; /* the last queue_receive() failed */
};

static int send_config(struct queue *queue, struct nlmsghdr *header)
{
	char answer[256];
	ssize_t bytes;
	const struct nlmsghdr *reply = (const struct nlmsghdr *)answer;
	int error;

	header->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(queue->socket, header, header->nlmsg_len) < 0)
		return -1;
	bytes = mnl_socket_recvfrom(queue->socket, answer, sizeof(answer));
	if (bytes < 0)
		return -1;
	if (!mnl_nlmsg_ok(reply, (int)bytes) || reply->nlmsg_type != NLMSG_ERROR)
		return 0;
	error = answer_error(reply);
	errno = -error;
	return error ? -1 : 0;
}

static int bind_queue(struct queue *queue, const struct queue_setup *setup)
{
	char buffer[512] = {0};
	struct nlmsghdr *header = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, setup->number);

	/* Packets are copied one by one, complete and of at most the MTU's size: never NFQA_CFG_F_GSO. */
	nfq_nlmsg_cfg_put_cmd(header, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	nfq_nlmsg_cfg_put_params(header, NFQNL_COPY_PACKET, (int)setup->copy_bytes);
	nfq_nlmsg_cfg_put_qmaxlen(header, setup->length);
	mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(setup->pass_when_full ? NFQA_CFG_F_FAIL_OPEN : 0));
	mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO));
	return send_config(queue, header);
}

void queue_set_pass_when_full(struct queue *queue, bool pass)
{
	char buffer[512] = {0};
	struct nlmsghdr *header = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, queue->number);

	mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(pass ? NFQA_CFG_F_FAIL_OPEN : 0));
	mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN));
	if (mnl_socket_sendto(queue->socket, header, header->nlmsg_len) < 0)
		queue->errors++; /* what the kernel says of it comes with the packets, and counts there */
}

static int open_socket(struct queue *queue)
{
	int on = 1;
	int bytes = SOCKET_BUFFER_BYTES;

	queue->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!queue->socket || mnl_socket_bind(queue->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -1;
	mnl_socket_setsockopt(queue->socket, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	mnl_socket_setsockopt(queue->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	if (setsockopt(mnl_socket_get_fd(queue->socket), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(mnl_socket_get_fd(queue->socket), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return 0;
}

struct queue *queue_open(const struct queue_setup *setup)
{
	struct queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->number = setup->number;
	queue->batch = setup->batch;
	queue->receive_bytes = MNL_ALIGN(setup->copy_bytes + MESSAGE_OVERHEAD_BYTES);
	queue->receive = calloc(setup->batch, queue->receive_bytes);
	queue->verdicts = calloc(1, VERDICT_BUFFER_ALL_BYTES);
	if (!queue->receive || !queue->verdicts || open_socket(queue) < 0 || bind_queue(queue, setup) < 0) {
		int error = errno;
		queue_close(queue);
		errno = error;
		return NULL;
	}
	for (unsigned i = 0; i < setup->batch; i++) {
		queue->vectors[i] = (struct iovec){queue->receive + i * queue->receive_bytes, queue->receive_bytes};
		queue->headers[i].msg_hdr = (struct msghdr){.msg_iov = &queue->vectors[i], .msg_iovlen = 1};
	}
	return queue;
}

void queue_close(struct queue *queue)
{
	if (!queue)
		return;
	if (queue->socket)
		mnl_socket_close(queue->socket);
	free(queue->receive);
	free(queue->verdicts);
	free(queue);
}

int queue_fd(const struct queue *queue)
{
	return mnl_socket_get_fd(queue->socket);
}

/* ---- packets ---- */

static bool parse_packet(const struct nlmsghdr *header, struct queued *packet)
{
	struct nlattr *attributes[NFQA_MAX + 1] = {0};
	const struct nfqnl_msg_packet_hdr *packet_header;

	if (nfq_nlmsg_parse(header, attributes) < 0 || !attributes[NFQA_PACKET_HDR])
		return false;
	packet_header = mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]);
	packet->id = ntohl(packet_header->packet_id);
	packet->outgoing = packet_header->hook != NF_INET_PRE_ROUTING;
	packet->mark = attributes[NFQA_MARK] ? ntohl(mnl_attr_get_u32(attributes[NFQA_MARK])) : 0;
	packet->interface =
		attributes[NFQA_IFINDEX_INDEV] ? ntohl(mnl_attr_get_u32(attributes[NFQA_IFINDEX_INDEV])) : 0;
	packet->unverified = attributes[NFQA_SKB_INFO] &&
			     ntohl(mnl_attr_get_u32(attributes[NFQA_SKB_INFO])) & NFQA_SKB_CSUM_NOTVERIFIED;
	packet->data = attributes[NFQA_PAYLOAD] ? mnl_attr_get_payload(attributes[NFQA_PAYLOAD]) : NULL;
	packet->bytes = attributes[NFQA_PAYLOAD] ? mnl_attr_get_payload_len(attributes[NFQA_PAYLOAD]) : 0;
	return true;
}

unsigned queue_receive(struct queue *queue, struct queued *packets)
{
	int messages = recvmmsg(mnl_socket_get_fd(queue->socket), queue->headers, queue->batch, MSG_DONTWAIT, NULL);
	unsigned count = 0;

	queue->unreadable = messages < 0 && errno != EAGAIN && errno != EINTR;
	for (int i = 0; i < messages; i++) {
		const struct nlmsghdr *header = queue->vectors[i].iov_base;
		int left = (int)queue->headers[i].msg_len;

		for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
			if (header->nlmsg_type == NLMSG_ERROR)
				queue->errors++;
			else if (header->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) &&
				 count < queue->batch)
				count += parse_packet(header, &packets[count]);
		}
	}
	return count;
}

bool queue_is_readable(const struct queue *queue)
{
	return !queue->unreadable;
}

/* ---- what the kernel counts ---- */

#define TABLE_PATH "/proc/net/netfilter/nfnetlink_queue"
#define TABLE_NAME "/nfnetlink_queue" /* /proc/net is a link: what we were given has another path */

static FILE *table_given(void)
{
	char path[64] = "";
	ssize_t bytes = readlink("/proc/self/fd/0", path, sizeof(path) - 1);
	const char *name = bytes > 0 ? strrchr(path, '/') : NULL;
	FILE *file = NULL;
	int fd;

	if (!name || strcmp(name, TABLE_NAME) != 0 || lseek(STDIN_FILENO, 0, SEEK_SET) != 0)
		return NULL;
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		file = fdopen(fd, "r");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

FILE *queue_table_open(void)
{
	FILE *file = fopen(TABLE_PATH, "re");

	if (!file)
		file = table_given();
	return file;
}

/* ---- verdicts ---- */

/* A message is lost only when the kernel has no memory for it, so another try may do; then the packets of this buffer stay
 * in the queue, and are counted. */
static void send_verdicts(struct queue *queue)
{
	int tries = 3;

	while (queue->verdict_bytes && tries-- > 0)
		if (mnl_socket_sendto(queue->socket, queue->verdicts, queue->verdict_bytes) >= 0)
			queue->verdict_bytes = 0;
	queue->errors += queue->verdict_bytes > 0;
	queue->verdict_bytes = 0;
}

/* `mark` NULL leaves the packet's as it is. */
static void put_verdict(struct queue *queue, int type, uint32_t id, int verdict, const uint32_t *mark,
			const uint8_t *data, size_t bytes)
{
	struct nlmsghdr *header = nfq_nlmsg_put((char *)queue->verdicts + queue->verdict_bytes, type, queue->number);

	nfq_nlmsg_verdict_put(header, (int)id, verdict);
	if (mark)
		nfq_nlmsg_verdict_put_mark(header, *mark);
	if (bytes)
		nfq_nlmsg_verdict_put_pkt(header, data, (uint32_t)bytes);
	queue->verdict_bytes += MNL_ALIGN(header->nlmsg_len);
	if (queue->verdict_bytes > VERDICT_BUFFER_BYTES)
		send_verdicts(queue);
}

void queue_pass(struct queue *queue, uint32_t id, uint32_t mark)
{
	put_verdict(queue, NFQNL_MSG_VERDICT, id, NF_ACCEPT, &mark, NULL, 0);
}

void queue_pass_as(struct queue *queue, uint32_t id, uint32_t mark, const uint8_t *data, size_t bytes)
{
	put_verdict(queue, NFQNL_MSG_VERDICT, id, NF_ACCEPT, &mark, data, bytes);
}

void queue_release(struct queue *queue, uint32_t id)
{
	put_verdict(queue, NFQNL_MSG_VERDICT, id, NF_ACCEPT, NULL, NULL, 0);
}

void queue_drop(struct queue *queue, uint32_t id)
{
	put_verdict(queue, NFQNL_MSG_VERDICT, id, NF_DROP, NULL, NULL, 0);
}

static void end_run(struct queue *queue)
{
	if (queue->run.open)
		put_verdict(queue, NFQNL_MSG_VERDICT_BATCH, queue->run.last_id, queue->run.verdict,
			    queue->run.verdict == NF_DROP ? NULL : &queue->run.mark, NULL, 0);
	queue->run.open = false;
}

static void verdict_in_order(struct queue *queue, uint32_t id, int verdict, uint32_t mark)
{
	if (queue->run.open && (queue->run.verdict != verdict || queue->run.mark != mark))
		end_run(queue);
	queue->run = (struct verdict_run){true, id, verdict, mark};
}

void queue_pass_in_order(struct queue *queue, uint32_t id, uint32_t mark)
{
	verdict_in_order(queue, id, NF_ACCEPT, mark);
}

void queue_drop_in_order(struct queue *queue, uint32_t id)
{
	verdict_in_order(queue, id, NF_DROP, 0);
}

void queue_repeat_in_order(struct queue *queue, uint32_t id, uint32_t mark)
{
	verdict_in_order(queue, id, NF_REPEAT, mark);
}

void queue_flush(struct queue *queue)
{
	end_run(queue);
	send_verdicts(queue);
}

uint64_t queue_errors(const struct queue *queue)
{
	return queue->errors;
}
