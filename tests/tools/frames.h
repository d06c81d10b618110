/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frames - what the tools that make frames of their own have in common: bytes, checksums, numbers that look random, a socket,
 * the clock, and the wish to end. Each is a program of one file.
 */
#ifndef TOOLS_FRAMES_H
#define TOOLS_FRAMES_H

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000ULL
#define TICK_NS 1000000ULL /* pacing step */

static volatile sig_atomic_t interrupted;

static inline void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* splitmix64 (Steele, Lea, Flood 2014): a bijection, so distinct inputs give distinct outputs. */
static inline uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static inline void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void put32(uint8_t *at, uint32_t v)
{
	put16(at, (uint16_t)(v >> 16));
	put16(at + 2, (uint16_t)v);
}

/* Of the Internet checksum (RFC 1071): an odd byte counts as if a zero followed, so it is the last one summed. */
static inline uint32_t sum(const uint8_t *at, size_t bytes, uint32_t acc)
{
	for (size_t i = 0; i + 1 < bytes; i += 2)
		acc += (uint32_t)at[i] << 8 | at[i + 1];
	return bytes % 2 ? acc + ((uint32_t)at[bytes - 1] << 8) : acc;
}

static inline uint16_t fold(uint32_t acc)
{
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return (uint16_t)~acc;
}

/* Frames leave through it as they are. */
static inline int packet_socket(const char *device)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;

	to.sll_ifindex = (int)if_nametoindex(device);
	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, device, strerror(errno));
		exit(1);
	}
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	return fd;
}

#endif
