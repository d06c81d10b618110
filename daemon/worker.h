/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker: one shard, one thread. It owns three queues, the tables behind them and the sockets it answers by; nobody else
 * touches them while it runs. What the supervisor wants of it is done by worker_call(), between two batches. */
#ifndef SYNMOAT_WORKER_H
#define SYNMOAT_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "edge/conntrack.h"
#include "edge/inject.h"
#include "edge/queue.h"
#include "edge/spill.h"
#include "synmoat/account.h"
#include "synmoat/guard.h"

#define WORKERS_MAX 64
#define WORKER_FLOW_BATCH 32
#define WORKER_FLOW_QUEUE_LENGTH 16384 /* packets */

struct worker;
typedef void worker_job(struct worker *worker, void *argument);

/* SYNs come in two lanes, so that those to an armed service keep nobody else waiting. */
enum worker_lane {
	LANE_WATCHED = ACCOUNT_WATCHED,
	LANE_ARMED = ACCOUNT_ARMED,
	WORKER_LANES,
};

struct worker_setup {
	unsigned shard;
	uint16_t syn_queues[WORKER_LANES], flow_queue;
	bool spill;           /* SYNs to armed services beyond what is queued are wanted, too: as copies, */
	uint16_t spill_group; /* from this group of NFLOG */
	bool pass_when_full[WORKER_LANES]; /* SYNs that do not fit; else they are dropped */
	int alarm_fd; /* eventfd: raised when the supervisor has to do something: arm, ban, or note a server found */
};

struct syn_lane {
	struct queue *queue;
	struct queued batch[QUEUE_BATCH_MAX]; /* in hand, from `next` on */
	unsigned next, count;
	unsigned served; /* the last question in whose time it had its turn */
};

struct worker {
	struct worker_setup setup;
	struct guard guard;
	struct inject inject;
	struct conntrack conntrack;
	struct syn_lane lanes[WORKER_LANES];
	struct spill *spill; /* SYNs to armed services beyond what is queued; NULL: they are all queued */
	int spill_errno;     /* why */
	struct account_taken syns_taken;
	struct queue *flow_queue;
	struct decision taken[CONNTRACK_BATCH]; /* TAKE_OVER, of this batch: done together */
	unsigned taken_count;
	uint64_t arming_until_ns; /* SYNs wait until the supervisor has armed, at most until then; 0 = they don't */

	pthread_t thread;
	int wake_fd;
	_Atomic bool stop;
	_Atomic unsigned asked, answered; /* questions for a sign of life, by number */
	unsigned question;                /* that of this round */
	_Atomic bool go_on;               /* what a trip asked for is done, or is not to be */
	worker_job *_Atomic job;
	void *job_argument;
	sem_t job_done;
};

/* As worker_close() leaves it: nothing open. */
void worker_blank(struct worker *worker);

/* Opens queues and sockets; guard must be initialised. -1 on error, `error` says what is wrong. */
int worker_open(struct worker *worker, const struct worker_setup *setup, char *error, size_t error_bytes);

/* Starts the thread. 0 or an errno value. */
int worker_start(struct worker *worker);

/* Runs `job` in the worker's thread and returns when it is done. */
void worker_call(struct worker *worker, worker_job *job, void *argument);

/* Lets SYNs that waited for arming go on. */
void worker_go_on(struct worker *worker);

/* Asks for a sign of life, without waiting for it. worker_has_answered(): since it was asked last, the worker has had each
 * of its queues in hand, and could read it. */
void worker_ask(struct worker *worker);
bool worker_has_answered(const struct worker *worker);

/* Once no rule leads to the queues any more: gives every packet still in them its verdict, and ends the thread. */
void worker_stop(struct worker *worker);

void worker_close(struct worker *worker);

/* CLOCK_MONOTONIC. */
uint64_t worker_now_ns(void);

#endif
