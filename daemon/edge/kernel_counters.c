/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/kernel_counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/conntrack.h"
#include "edge/queue.h"

static const char *const tcp_names[] = {
#define TCP(id, name) [KERNEL_TCP_##id] = (name),
	KERNEL_TCPS(TCP)
#undef TCP
};
_Static_assert(sizeof(tcp_names) / sizeof(tcp_names[0]) == KERNEL_TCP_COUNT, "every counter has a name");

static void take_tcp(struct kernel_counters *counters, const char *name, const char *value)
{
	for (unsigned i = 0; i < KERNEL_TCP_COUNT; i++)
		if (strcmp(tcp_names[i], name) == 0) {
			counters->tcp[i] = strtoull(value, NULL, 10);
			counters->tcp_known[i] = true;
		}
}

/* Two lines for each group, names and numbers (net/ipv4/proc.c, netstat_seq_show). */
static void read_tcp(struct kernel_counters *counters)
{
	static const char group[] = "TcpExt:";
	FILE *file = fopen("/proc/net/netstat", "re");
	char *names = NULL, *values = NULL;
	size_t names_bytes = 0, values_bytes = 0;

	if (!file)
		return;
	while (getline(&names, &names_bytes, file) > 0 && getline(&values, &values_bytes, file) > 0) {
		char *name_rest = NULL, *value_rest = NULL;
		const char *name = strtok_r(names, " \n", &name_rest);
		const char *value = strtok_r(values, " \n", &value_rest);

		if (!name || strcmp(name, group) != 0)
			continue;
		while (name && value) {
			take_tcp(counters, name, value);
			name = strtok_r(NULL, " \n", &name_rest);
			value = strtok_r(NULL, " \n", &value_rest);
		}
	}
	free(names);
	free(values);
	fclose(file);
}

/* The kernel's own count of what did not fit into our queues (net/netfilter/nfnetlink_queue.c, seq_show): number,
 * portid, length, mode, range, dropped, dropped to the socket, sequence. */
static void read_queues(struct kernel_counters *counters, unsigned first, unsigned count)
{
	FILE *file = queue_table_open();
	unsigned number;
	unsigned length;
	unsigned long long full;
	unsigned long long socket;

	if (!file)
		return;
	counters->queues_known = true;
	while (fscanf(file, "%u %*u %u %*u %*u %llu %llu %*[^\n]", // NOLINT(cert-err34-c): the kernel writes it
		      &number, &length, &full, &socket) == 4)
		if (number >= first && number < first + count && counters->queue_count < KERNEL_QUEUES_MAX)
			counters->queues[counters->queue_count++] =
				(struct kernel_queue){(uint16_t)number, length, full, socket};
	fclose(file);
}

/* By a socket of its own: what an error leaves unread in it is nobody else's answer. */
static void read_conntrack(struct kernel_counters *counters)
{
	struct conntrack conntrack;

	if (conntrack_open(&conntrack) < 0)
		return;
	counters->conntrack_known = conntrack_stats(&conntrack, &counters->conntrack) == 0;
	conntrack_close(&conntrack);
}

void kernel_counters_read(struct kernel_counters *counters, unsigned first_queue, unsigned queues)
{
	*counters = (struct kernel_counters){.queues_known = false};
	read_tcp(counters);
	read_queues(counters, first_queue, queues);
	read_conntrack(counters);
}

void kernel_counters_add_lost(struct kernel_counters *counters, uint16_t number, uint64_t lost)
{
	for (unsigned i = 0; i < counters->queue_count; i++)
		if (counters->queues[i].number == number) {
			counters->queues[i].socket_full += lost;
			return;
		}
	counters->lost += lost;
}

uint64_t kernel_counters_queue_dropped(const struct kernel_counters *counters)
{
	uint64_t dropped = counters->lost;

	for (unsigned i = 0; i < counters->queue_count; i++)
		dropped += counters->queues[i].queue_full + counters->queues[i].socket_full;
	return dropped;
}
