/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * torrent - SYNs as fast as one CPU can make them, or at a set pace; bounded in time and count.
 *
 * Frames are made by a BPF program that BPF_PROG_TEST_RUN runs on live frames, and go straight to the interface's
 * ndo_xdp_xmit: no socket, no queueing discipline. A second program, the sink, sits at the receiving end of the same
 * interface, counts what comes back for sources of ours and drops it; the sink also makes a veth take what the far end
 * sends by XDP_TX.
 *
 * Prints "ready" once the sink is attached, and one JSON object in the end: how many SYNs were `sent` in `seconds`, and how
 * many `synacks`, `rsts` and `others` came back. What of the sent ones arrived, the far end's interface knows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/types.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frames.h"
#include "torrent.h"
#include "torrent.skel.h"

/* Frames of one system call, which a signal ends. Each one changes a dispatcher in the kernel, and waits until all CPUs have
 * seen it (kernel/bpf/dispatcher.c): as few as can be. */
#define TURN (1 << 30)
#define TURN_COUNTED (1 << 22) /* between two looks whether all have left */
#define BATCH 256              /* frames that leave together, at most what the kernel lets (net/bpf/test_run.c) */
#define STILL_NS 100000000ULL  /* nothing has come back for so long: nothing will */
#define STILL_WAIT_NS NSEC_PER_SEC

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: torrent -i DEV -m NEXT_HOP_MAC [-r RATE_PPS] [-t SECONDS] [-n COUNT]\n"
			"               [-s random|random:N|each:N] [-a] DST PORT[-PORT] [DST PORT[-PORT]]...\n");
	exit(2);
}

static _Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "torrent: %s: %s\n", what, strerror(error));
	exit(1);
}

static uint64_t number(const char *text, char **rest, uint64_t max)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (end == text || v == 0 || v > max || (*end && !rest))
		usage();
	if (rest)
		*rest = end;
	return v;
}

static void parse_source(struct setup *setup, const char *name)
{
	if (!strcmp(name, "random"))
		return;
	if (!strncmp(name, "each:", 5))
		setup->in_turn = 1;
	else if (strncmp(name, "random:", 7))
		usage();
	setup->pool = (__u32)number(strchr(name, ':') + 1, NULL, 1 << 24);
}

static void parse_target(struct setup *setup, const char *address, const char *ports)
{
	struct target *target = &setup->target[setup->targets++];
	char *rest;
	uint64_t last;

	target->v6 = strchr(address, ':') != NULL;
	if (inet_pton(target->v6 ? AF_INET6 : AF_INET, address, target->address) != 1)
		usage();
	last = target->port = (__u16)number(ports, &rest, UINT16_MAX);
	if (*rest == '-')
		last = number(rest + 1, NULL, UINT16_MAX);
	else if (*rest)
		usage();
	if (last < target->port)
		usage();
	target->ports = (__u16)(last - target->port + 1);
}

static void interface_find(struct setup *setup, const char *name)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	setup->interface = if_nametoindex(name);
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || !setup->interface || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		die(name, errno);
	memcpy(setup->from, request.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
}

static uint64_t parse(struct setup *setup, int argc, char **argv)
{
	const char *device = NULL, *mac = "";
	uint64_t rate = 0, seconds = 10;
	struct ether_addr *to;
	int opt;

	setup->count = UINT64_MAX;
	while ((opt = getopt(argc, argv, "i:m:r:t:n:s:a")) != -1) {
		switch (opt) {
		case 'i':
			device = optarg;
			break;
		case 'm':
			mac = optarg;
			break;
		case 'r':
			rate = number(optarg, NULL, 100000000);
			break;
		case 't':
			seconds = number(optarg, NULL, 3600);
			break;
		case 'n':
			setup->count = number(optarg, NULL, UINT32_MAX);
			break;
		case 's':
			parse_source(setup, optarg);
			break;
		case 'a':
			setup->acks = 1;
			break;
		default:
			usage();
		}
	}
	argc -= optind;
	to = ether_aton(mac);
	if (!device || !to || argc < 2 || argc % 2 || argc > 2 * TARGETS_MAX)
		usage();
	memcpy(setup->to, to, ETH_ALEN);
	for (argv += optind; *argv; argv += 2)
		parse_target(setup, argv[0], argv[1]);
	interface_find(setup, device);
	setup->burst_ns = rate ? BURST * NSEC_PER_SEC / rate : 0;
	return seconds * NSEC_PER_SEC;
}

static struct sunk sunk_read(const struct torrent *torrent)
{
	static struct sunk cpu[1024];
	struct sunk all = {0};
	uint32_t zero = 0;
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 1 || cpus > 1024 || bpf_map_lookup_elem(bpf_map__fd(torrent->maps.sunk), &zero, cpu))
		die("the sink's counters", errno);
	for (int i = 0; i < cpus; i++) {
		all.synacks += cpu[i].synacks;
		all.rsts += cpu[i].rsts;
		all.others += cpu[i].others;
	}
	return all;
}

/* What is still on its way back is waited for, for a while. */
static struct sunk sunk_in_the_end(const struct torrent *torrent)
{
	struct timespec still = {.tv_nsec = STILL_NS};
	uint64_t limit = now_ns() + STILL_WAIT_NS;
	struct sunk before, now = sunk_read(torrent);

	do {
		before = now;
		nanosleep(&still, NULL);
		now = sunk_read(torrent);
	} while (memcmp(&before, &now, sizeof(now)) && now_ns() < limit);
	return now;
}

static void flood(struct torrent *torrent, uint64_t lasts_ns)
{
	struct itimerval timer = {0};
	static uint8_t frame[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = torrent->rodata->setup.count == UINT64_MAX ? TURN : TURN_COUNTED,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	timer.it_value.tv_sec = (time_t)(lasts_ns / NSEC_PER_SEC);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (!interrupted && torrent->bss->sent < torrent->rodata->setup.count && now_ns() < torrent->bss->end_ns) {
		if (bpf_prog_test_run_opts(bpf_program__fd(torrent->progs.flood), &run) && errno != EINTR)
			die("BPF_PROG_TEST_RUN", errno);
	}
	if (torrent->bss->failed)
		die("frames could not be made", EINVAL);
}

int main(int argc, char **argv)
{
	struct setup setup = {0};
	uint64_t lasts_ns = parse(&setup, argc, argv), took;
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	struct torrent *torrent = torrent__open();
	struct sunk back;
	int error;

	if (!torrent)
		die("the program", errno);
	memcpy((void *)&torrent->rodata->setup, &setup, sizeof(setup));
	error = torrent__load(torrent);
	if (error)
		die("the program cannot be loaded", -error);
	if (bpf_link_create(bpf_program__fd(torrent->progs.sink), (int)setup.interface, BPF_XDP, &native) < 0)
		die("the sink cannot be attached", errno);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);
	puts("ready");
	fflush(stdout);

	torrent->bss->end_ns = now_ns() + lasts_ns;
	flood(torrent, lasts_ns);
	took = torrent->bss->last_ns - torrent->bss->first_ns;
	back = sunk_in_the_end(torrent);
	printf("{\"sent\": %llu, \"seconds\": %.3f, \"synacks\": %llu, \"rsts\": %llu, \"others\": %llu}\n",
	       (unsigned long long)torrent->bss->sent, (double)took / NSEC_PER_SEC, (unsigned long long)back.synacks,
	       (unsigned long long)back.rsts, (unsigned long long)back.others);
	torrent__destroy(torrent);
	return 0;
}
