/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker: one shard, one thread. It owns two queues, the tables behind them and the sockets it answers by; nobody else
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
#include "synmoat/guard.h"

#define WORKER_FLOW_BATCH 32
#define WORKER_FLOW_QUEUE_LENGTH 16384 /* packets */

struct worker;
typedef void worker_job(struct worker *worker, void *argument);

struct worker_setup {
	unsigned shard;
	uint16_t syn_queue, flow_queue;
	int alarm_fd; /* eventfd: raised when a service has to change its posture, or a source is to be banned */
};

struct worker {
	struct worker_setup setup;
	struct guard guard;
	struct inject inject;
	struct conntrack conntrack;
	struct queue *syn_queue, *flow_queue;

	struct queued syns[QUEUE_BATCH_MAX]; /* the batch in hand, from `syn_next` on */
	unsigned syn_next, syn_count;
	uint64_t arming_until_ns; /* SYNs wait until the supervisor has armed, at most until then; 0 = they don't */

	pthread_t thread;
	int wake_fd;
	_Atomic bool stop;
	_Atomic bool go_on; /* what a trip asked for is done, or is not to be */
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

/* Once no rule leads to the queues any more: gives every packet still in them its verdict, and ends the thread. */
void worker_stop(struct worker *worker);

void worker_close(struct worker *worker);

/* CLOCK_MONOTONIC. */
uint64_t worker_now_ns(void);

#endif
