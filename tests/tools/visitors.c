/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * visitors - legitimate clients that take little of a CPU, and how they fared.
 *
 * Each connects, asks for a page and is content with its first bytes. They begin at a set interval, whatever became of
 * those before; or a set number is always under way, for a set time. Nothing is tried twice but by the kernel.
 *
 * With -o each has a line in a file, when it is over: the milliseconds since the system started at which it began, and
 * those to its page's first byte, or - if that never came. With -w they go on until a file is gone.
 *
 * Prints one JSON object: of those `tried` how many were `connected` and `served`; the median and the 99th percentile of
 * the milliseconds to the connection and to the first byte, in which a client that failed took the limit; and how many
 * were served `per_s`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL
#define VISITS_MAX (1U << 20)
#define EVENTS 64

static const char request[] = "GET / HTTP/1.0\r\n\r\n";

enum state {
	CONNECTING,
	ASKING,
	SERVED,
	FAILED
};

struct visit {
	int fd;
	enum state state;
	uint64_t start_ns, connect_ns, first_ns; /* the latter two: since the first; 0: never */
};

struct crowd {
	struct sockaddr_storage to;
	socklen_t to_len;
	uint32_t each;          /* visits of a source, one after the other */
	uint32_t base, sources; /* of client_address in lib.sh; no sources: the host's own address */
	uint32_t count, at_once;
	uint64_t interval_ns, limit_ns, lasts_ns;
	const char *while_file;
	FILE *lines;

	int epoll;
	struct visit *visits;
	uint32_t begun, ended, oldest; /* none before the oldest is under way */
	uint64_t start_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts); /* as /proc/uptime has it, for scripts; and nobody sets it */
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: visitors [-n COUNT] [-i INTERVAL_US | -c AT_ONCE [-t SECONDS]] [-l LIMIT_MS]\n"
			"                [-s FIRST:SOURCES [-k VISITS_OF_EACH]] [-o LINES] [-w FILE] DST PORT\n");
	exit(2);
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

static void parse_target(struct crowd *c, const char *address, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&c->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c->to;
	uint16_t port_be = htons((uint16_t)number(port, NULL, UINT16_MAX));

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port_be;
		c->to_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port_be;
		c->to_len = sizeof(*v6);
	} else {
		usage();
	}
}

/* The n-th visitor's address: as client_address in lib.sh has it. */
static int source_bind(const struct crowd *c, int fd, uint32_t n)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	uint32_t which = c->base + n / c->each % c->sources;
	int one = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (c->to.ss_family == AF_INET) {
		v4.sin_addr.s_addr = htonl(0x0a4e0000 | (which & 0xffff));
		return bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	}
	v6.sin6_addr.s6_addr16[0] = htons(0xfd78);
	v6.sin6_addr.s6_addr32[3] = htonl(which);
	return bind(fd, (struct sockaddr *)&v6, sizeof(v6));
}

static void visit_end(struct crowd *c, struct visit *v, enum state how)
{
	v->state = how;
	close(v->fd);
	c->ended++;
	if (!c->lines)
		return;
	fprintf(c->lines, "%.3f ", (double)v->start_ns / NSEC_PER_MSEC);
	if (how == SERVED)
		fprintf(c->lines, "%.3f\n", (double)v->first_ns / NSEC_PER_MSEC);
	else
		fputs("-\n", c->lines);
}

static void visit_begin(struct crowd *c, uint64_t now)
{
	struct visit *v = &c->visits[c->begun];
	struct epoll_event event = {.events = EPOLLOUT, .data.u32 = c->begun};

	v->fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (v->fd < 0 || (c->sources && source_bind(c, v->fd, c->begun) < 0)) {
		perror("visitors: a socket");
		exit(1);
	}
	v->start_ns = now;
	v->state = CONNECTING;
	c->begun++;
	if (connect(v->fd, (struct sockaddr *)&c->to, c->to_len) < 0 && errno != EINPROGRESS)
		visit_end(c, v, FAILED);
	else if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, v->fd, &event) < 0)
		visit_end(c, v, FAILED);
}

static void visit_goes_on(struct crowd *c, uint32_t which, uint64_t now)
{
	struct visit *v = &c->visits[which];
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = which};
	char page[4096];
	int error = 0;
	socklen_t len = sizeof(error);

	if (v->state == CONNECTING) {
		if (getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
			visit_end(c, v, FAILED);
			return;
		}
		v->connect_ns = now - v->start_ns;
		v->state = ASKING;
		if (write(v->fd, request, sizeof(request) - 1) < 0 ||
		    epoll_ctl(c->epoll, EPOLL_CTL_MOD, v->fd, &event) < 0)
			visit_end(c, v, FAILED);
	} else if (v->state == ASKING) {
		if (read(v->fd, page, sizeof(page)) <= 0) {
			visit_end(c, v, FAILED);
			return;
		}
		v->first_ns = now - v->start_ns;
		visit_end(c, v, SERVED);
	}
}

static bool over(const struct visit *v)
{
	return v->state == SERVED || v->state == FAILED;
}

static void late_ones_end(struct crowd *c, uint64_t now)
{
	for (; c->oldest < c->begun; c->oldest++) {
		struct visit *v = &c->visits[c->oldest];

		if (over(v))
			continue;
		if (now - v->start_ns < c->limit_ns)
			return;
		visit_end(c, v, FAILED);
	}
}

static bool next_is_due(const struct crowd *c, uint64_t now)
{
	if (c->begun >= c->count)
		return false;
	if (c->at_once)
		return c->begun - c->ended < c->at_once && now - c->start_ns < c->lasts_ns;
	return now - c->start_ns >= c->begun * c->interval_ns;
}

static bool all_begun(const struct crowd *c, uint64_t now)
{
	return c->begun >= c->count || (c->at_once && now - c->start_ns >= c->lasts_ns);
}

static uint64_t run(struct crowd *c)
{
	struct epoll_event events[EVENTS];
	uint64_t now = now_ns();
	int n;

	c->start_ns = now;
	while (!all_begun(c, now) || c->ended < c->begun) {
		if (c->while_file && access(c->while_file, F_OK) < 0)
			c->count = c->begun;
		while (next_is_due(c, now))
			visit_begin(c, now_ns());
		n = epoll_wait(c->epoll, events, EVENTS, 1);
		now = now_ns();
		for (int i = 0; i < n; i++)
			visit_goes_on(c, events[i].data.u32, now);
		late_ones_end(c, now);
	}
	return now - c->start_ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_ms(uint64_t *sorted, uint32_t n, unsigned percent)
{
	return n ? (double)sorted[(uint64_t)(n - 1) * percent / 100] / NSEC_PER_MSEC : 0;
}

static void tell(const struct crowd *c, uint64_t took_ns)
{
	uint64_t *connect = calloc(c->begun + 1, sizeof(*connect)), *first = calloc(c->begun + 1, sizeof(*first));
	uint32_t connected = 0, served = 0;

	if (!connect || !first)
		exit(1);
	for (uint32_t i = 0; i < c->begun; i++) {
		const struct visit *v = &c->visits[i];

		connected += v->connect_ns != 0;
		served += v->state == SERVED;
		connect[i] = v->connect_ns ? v->connect_ns : c->limit_ns;
		first[i] = v->first_ns ? v->first_ns : c->limit_ns;
	}
	qsort(connect, c->begun, sizeof(*connect), by_size);
	qsort(first, c->begun, sizeof(*first), by_size);
	printf("{\"tried\": %u, \"connected\": %u, \"served\": %u, \"connect_p50\": %.3f, \"connect_p99\": %.3f, "
	       "\"first_p50\": %.3f, \"first_p99\": %.3f, \"per_s\": %.1f}\n",
	       c->begun, connected, served, percentile_ms(connect, c->begun, 50), percentile_ms(connect, c->begun, 99),
	       percentile_ms(first, c->begun, 50), percentile_ms(first, c->begun, 99),
	       served / ((double)took_ns / NSEC_PER_SEC));
	free(connect);
	free(first);
}

int main(int argc, char **argv)
{
	struct crowd c = {.each = 1, .interval_ns = 10 * NSEC_PER_MSEC, .limit_ns = 3 * NSEC_PER_SEC};
	struct rlimit files = {VISITS_MAX, VISITS_MAX};
	char *rest;
	int opt;

	c.lasts_ns = NSEC_PER_SEC;
	while ((opt = getopt(argc, argv, "n:i:c:t:l:s:k:o:w:")) != -1) {
		switch (opt) {
		case 'n':
			c.count = (uint32_t)number(optarg, NULL, VISITS_MAX);
			break;
		case 'i':
			c.interval_ns = number(optarg, NULL, 1000000000) * NSEC_PER_USEC;
			break;
		case 'c':
			c.at_once = (uint32_t)number(optarg, NULL, 10000);
			break;
		case 't':
			c.lasts_ns = number(optarg, NULL, 3600) * NSEC_PER_SEC;
			break;
		case 'l':
			c.limit_ns = number(optarg, NULL, 60000) * NSEC_PER_MSEC;
			break;
		case 'k':
			c.each = (uint32_t)number(optarg, NULL, 1000);
			break;
		case 'o':
			c.lines = fopen(optarg, "we");
			if (!c.lines) {
				perror(optarg);
				return 1;
			}
			setvbuf(c.lines, NULL, _IOLBF, 0);
			break;
		case 'w':
			c.while_file = optarg;
			break;
		case 's':
			c.base = (uint32_t)number(optarg, &rest, VISITS_MAX);
			if (*rest != ':')
				usage();
			c.sources = (uint32_t)number(rest + 1, NULL, VISITS_MAX);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	parse_target(&c, argv[optind], argv[optind + 1]);
	if (!c.count)
		c.count = c.at_once || c.while_file ? VISITS_MAX : 200;
	if (c.at_once && c.count < VISITS_MAX)
		c.lasts_ns = UINT64_MAX; /* until the count is reached */

	setrlimit(RLIMIT_NOFILE, &files);
	c.epoll = epoll_create1(0);
	c.visits = calloc(c.count, sizeof(*c.visits));
	if (c.epoll < 0 || !c.visits) {
		perror("visitors");
		return 1;
	}
	tell(&c, run(&c));
	return 0;
}
