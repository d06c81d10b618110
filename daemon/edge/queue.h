/* SPDX-License-Identifier: GPL-2.0-or-later */
/* queue: one NFQUEUE, through libnetfilter_queue. Packets come in batches, verdicts go out in batches. */
#ifndef SYNMOAT_QUEUE_H
#define SYNMOAT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct queue;

/* A packet in the kernel's queue. Owes exactly one verdict. `data` is valid until the next queue_receive(). */
struct queued {
	uint32_t id;
	uint32_t mark;
	uint32_t interface; /* index of the one it came in on; 0 = made on this host */
	bool outgoing;      /* after routing: an answer on its way to the client */
	bool unverified;    /* neither the link nor the kernel has looked at its checksum */
	uint8_t *data;      /* from the IP header on; at most `copy_bytes` of it */
	uint32_t bytes;
};

struct queue_setup {
	uint16_t number;
	uint32_t copy_bytes; /* of each packet */
	uint32_t length;     /* packets the kernel keeps for us */
	bool pass_when_full; /* else the kernel drops what does not fit */
	unsigned batch;      /* packets received at once, at most QUEUE_BATCH_MAX */
};

#define QUEUE_BATCH_MAX 64

/* Binds. On error it returns NULL and errno is set: EPERM without the capability, EBUSY when another process has it. */
struct queue *queue_open(const struct queue_setup *setup);

/* As in the setup, from now on. */
void queue_set_pass_when_full(struct queue *queue, bool pass);

/* Unbinds: the kernel drops what still waits. */
void queue_close(struct queue *queue);

/* Readable when packets wait. */
int queue_fd(const struct queue *queue);

/* Up to a batch of packets, without waiting; 0 when there are none. `packets` must hold the batch. Verdicts of the last
 * batch must have been flushed. */
unsigned queue_receive(struct queue *queue, struct queued *packets);

/* Whether the last queue_receive() worked: there was a packet, or none waited. */
bool queue_is_readable(const struct queue *queue);

/* The kernel's table of all queues (net/netfilter/nfnetlink_queue.c, seq_show), for the caller to close; NULL on error. Only
 * root may open it; a daemon that runs as another user is given it as its standard input. */
FILE *queue_table_open(void);

/* Verdicts: collected, and sent when the buffer is full or by queue_flush(). `mark` becomes the packet's. */
void queue_pass(struct queue *queue, uint32_t id, uint32_t mark);
void queue_pass_as(struct queue *queue, uint32_t id, uint32_t mark, const uint8_t *data, size_t bytes);
void queue_release(struct queue *queue, uint32_t id); /* passes it with the mark it has */
void queue_drop(struct queue *queue, uint32_t id);

/* As queue_pass() and queue_drop(), for a packet all of whose elders in the queue have their verdict: runs of equal
 * verdicts become one message. Not to be mixed with the others on one queue. */
void queue_pass_in_order(struct queue *queue, uint32_t id, uint32_t mark);
void queue_drop_in_order(struct queue *queue, uint32_t id);

/* Likewise: the packet goes through the rules that queued it once more, as they are now, and may come back. */
void queue_repeat_in_order(struct queue *queue, uint32_t id, uint32_t mark);

void queue_flush(struct queue *queue);

/* Verdicts that the kernel refused so far. */
uint64_t queue_errors(const struct queue *queue);

#endif
