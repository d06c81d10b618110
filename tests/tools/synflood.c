/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * synflood - a paced SYN generator for the tests, bounded in time and count.
 *
 * Frames are built here, whole, and leave through an AF_PACKET socket: no route, no conntrack and no source check
 * of the sending host is involved. Sources are from 11.0.0.0/8 or fd99::/16, which no test net uses: random ones, random
 * ones of a pool, or each of a pool in turn; or all SYNs have one given source. On demand each SYN is followed by an ACK
 * with a guessed acknowledgement number (-a), or there are such ACKs alone (-A).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/ether.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"

#define BATCH 64
#define FRAME_MAX (ETH_HLEN + 40 + 20 + 20)

enum source_kind {
	SOURCE_RANDOM,
	SOURCE_POOL,
	SOURCE_EACH,
	SOURCE_FIXED
};

struct flood {
	const char *device;
	struct ether_addr mac;
	uint64_t rate_pps, seconds, count;
	enum source_kind source_kind;
	uint64_t pool_size;
	bool v6;
	uint8_t source[16], target[16]; /* wire order; IPv4 in the first four bytes */
	uint16_t port;
	const uint8_t *options;
	size_t options_len;
	bool pairs; /* each SYN is followed by an ACK */
	bool acks;  /* no SYNs, ACKs alone */
};

/* As a Linux client sends them: MSS 1460, SACK permitted, timestamps, window scale 7. */
static const uint8_t options_full[] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 1, 2, 3, 0, 0, 0, 0, 1, 3, 3, 7};
static const uint8_t options_mss[] = {2, 4, 0x05, 0xb4};
/* The signature of a stranger (RFC 5925 2.2), and MSS. */
static const uint8_t options_ao[] = {29, 16, 1, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 4, 0x05, 0xb4};

/* The source of the n-th SYN. */
static void source_pick(const struct flood *f, uint64_t n, uint64_t random, uint8_t *out)
{
	uint64_t which = random;

	if (f->source_kind == SOURCE_FIXED) {
		memcpy(out, f->source, f->v6 ? 16 : 4);
		return;
	}
	if (f->source_kind == SOURCE_POOL)
		which = random % f->pool_size;
	if (f->source_kind == SOURCE_EACH)
		which = n % f->pool_size;
	if (f->v6) { /* one /64 for each source, so that per-prefix counting sees them all */
		uint64_t spread = f->source_kind == SOURCE_RANDOM ? which : which + 1;

		put32(out, 0xfd990000 | (uint16_t)(spread >> 32));
		put32(out + 4, (uint32_t)spread);
		put32(out + 8, 0);
		put32(out + 12, 1 + (uint16_t)(mix(spread) >> 48));
	} else {
		put32(out, 0x0b000000 | (((uint32_t)which + 1) & 0xffffff));
	}
}

static size_t ip_header(const struct flood *f, uint64_t n, uint64_t random, size_t tcp_len, uint8_t *ip)
{
	if (f->v6) {
		put32(ip, 0x60000000);
		put16(ip + 4, (uint16_t)tcp_len);
		ip[6] = IPPROTO_TCP;
		ip[7] = 64;
		source_pick(f, n, random, ip + 8);
		memcpy(ip + 24, f->target, 16);
		return 40;
	}
	put16(ip, 0x4500);
	put16(ip + 2, (uint16_t)(20 + tcp_len));
	put16(ip + 4, (uint16_t)random);
	put16(ip + 6, 0x4000); /* DF */
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	put16(ip + 10, 0);
	source_pick(f, n, random, ip + 12);
	memcpy(ip + 16, f->target, 4);
	put16(ip + 10, fold(sum(ip, 20, 0)));
	return 20;
}

/* Builds the n-th SYN, or of pairs the SYN or the ACK that pretends to follow it; returns the length of the frame. The
 * Ethernet header is already there. */
static size_t frame_build(const struct flood *f, uint64_t seed, uint64_t n, uint8_t *frame)
{
	bool ack = f->acks || (f->pairs && n % 2);
	uint64_t which = f->pairs ? n / 2 : n;
	uint64_t r = mix(seed + which), r2 = mix(r);
	size_t tcp_len = ack ? 20 : 20 + f->options_len;
	uint8_t *ip = frame + ETH_HLEN;
	size_t ip_len = ip_header(f, which, r, tcp_len, ip);
	uint8_t *tcp = ip + ip_len;
	size_t addresses = f->v6 ? 8 : 12;

	put16(tcp, (uint16_t)(1024 + r2 % 64512));
	put16(tcp + 2, f->port);
	put32(tcp + 4, (uint32_t)(r2 >> 32) + ack);
	put32(tcp + 8, ack ? (uint32_t)mix(r2) : 0); /* a guess */
	tcp[12] = (uint8_t)(tcp_len / 4 << 4);
	tcp[13] = ack ? 0x10 : 0x02; /* ACK, SYN */
	put16(tcp + 14, 64240);
	put32(tcp + 16, 0);
	memcpy(tcp + 20, f->options, tcp_len - 20);
	put16(tcp + 16,
	      fold(sum(ip + addresses, ip_len - addresses, sum(tcp, tcp_len, IPPROTO_TCP + (uint32_t)tcp_len))));
	return ETH_HLEN + ip_len + tcp_len;
}

/* Sends at most BATCH frames; returns how many left, 0 when the device's queue is full. */
static unsigned int batch_send(const struct flood *f, int fd, uint64_t seed, uint64_t first, unsigned int n,
			       uint8_t frames[BATCH][FRAME_MAX])
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	int sent;

	for (unsigned int i = 0; i < n; i++) {
		iov[i].iov_base = frames[i];
		iov[i].iov_len = frame_build(f, seed, first + i, frames[i]);
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, msgs, n, 0);
	if (sent >= 0)
		return (unsigned int)sent;
	if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
		return 0;
	perror("synflood: sendmmsg");
	exit(1);
}

static uint64_t flood_run(const struct flood *f, int fd)
{
	static uint8_t frames[BATCH][FRAME_MAX];
	uint64_t start = now_ns(), end = start + f->seconds * NSEC_PER_SEC, seed = mix(start), sent = 0;
	struct ethhdr eth = {.h_proto = htons(f->v6 ? ETH_P_IPV6 : ETH_P_IP), .h_source = {2, 0, 0, 0, 0, 0xad}};

	memcpy(eth.h_dest, &f->mac, ETH_ALEN);
	for (int i = 0; i < BATCH; i++)
		memcpy(frames[i], &eth, ETH_HLEN);

	for (uint64_t now = start; now < end && sent < f->count && !interrupted; now = now_ns()) {
		uint64_t due = (now - start + TICK_NS) * f->rate_pps / NSEC_PER_SEC;
		struct timespec tick = {.tv_nsec = TICK_NS};
		unsigned int n = 0;

		if (due > f->count)
			due = f->count;
		if (due > sent)
			n = batch_send(f, fd, seed, sent, due - sent < BATCH ? (unsigned int)(due - sent) : BATCH,
				       frames);
		sent += n;
		if (n < BATCH)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
	}
	printf("sent %llu in %.2f s\n", (unsigned long long)sent, (double)(now_ns() - start) / NSEC_PER_SEC);
	return sent;
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: synflood -i DEV -m NEXT_HOP_MAC [-r RATE_PPS] [-t SECONDS] [-n COUNT]\n"
		"                [-s random|random:N|each:N|ADDR] [-6] [-a|-A] [-o full|mss|none|ao] DST PORT\n");
	exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (end == text || *end || v == 0 || v > max)
		usage();
	return v;
}

static void parse_address(const struct flood *f, const char *text, uint8_t *out)
{
	if (inet_pton(f->v6 ? AF_INET6 : AF_INET, text, out) != 1)
		usage();
}

static void parse_options(struct flood *f, const char *name)
{
	static const struct {
		const char *name;
		const uint8_t *bytes;
		size_t len;
	} sets[] = {
		{"full", options_full, sizeof(options_full)},
		{"mss", options_mss, sizeof(options_mss)},
		{"none", options_mss, 0},
		{"ao", options_ao, sizeof(options_ao)},
	};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (!strcmp(name, sets[i].name)) {
			f->options = sets[i].bytes;
			f->options_len = sets[i].len;
			return;
		}
	}
	usage();
}

static void parse_source(struct flood *f, const char *name)
{
	if (!strcmp(name, "random"))
		return;
	if (!strncmp(name, "random:", 7)) {
		f->source_kind = SOURCE_POOL;
		f->pool_size = number(name + 7, 1 << 24);
	} else if (!strncmp(name, "each:", 5)) {
		f->source_kind = SOURCE_EACH;
		f->pool_size = number(name + 5, 1 << 24);
	} else {
		f->source_kind = SOURCE_FIXED;
		parse_address(f, name, f->source);
	}
}

int main(int argc, char **argv)
{
	struct flood f = {.rate_pps = 20000, .seconds = 10, .count = UINT64_MAX};
	const char *source = "random", *options = "full", *mac = "";
	int opt;

	while ((opt = getopt(argc, argv, "i:m:r:t:n:s:6aAo:")) != -1) {
		switch (opt) {
		case 'i':
			f.device = optarg;
			break;
		case 'm':
			mac = optarg;
			break;
		case 'r':
			f.rate_pps = number(optarg, 10000000);
			break;
		case 't':
			f.seconds = number(optarg, 3600);
			break;
		case 'n':
			f.count = number(optarg, UINT32_MAX);
			break;
		case 's':
			source = optarg;
			break;
		case '6':
			f.v6 = true;
			break;
		case 'a':
			f.pairs = true;
			break;
		case 'A':
			f.acks = true;
			break;
		case 'o':
			options = optarg;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2 || !f.device || !ether_aton_r(mac, &f.mac))
		usage();
	f.v6 |= strchr(argv[optind], ':') != NULL;
	parse_address(&f, argv[optind], f.target);
	f.port = (uint16_t)number(argv[optind + 1], UINT16_MAX);
	parse_source(&f, source);
	parse_options(&f, options);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	return flood_run(&f, packet_socket(f.device)) == 0;
}
