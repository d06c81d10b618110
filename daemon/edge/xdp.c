/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/xdp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/vault.h"
#include "edge/xdp_parts.h"
#include "synmoat/challenge.h"
#include "synmoat_bare_xdp.skel.h"
#include "synmoat_xdp.skel.h"

_Static_assert(XDP_SERVICES == SERVICES_MAX, "each has its counters");

/* ---- loading ---- */

/* libbpf tells its reasons to a function without a context, and only while it works for us: on the main thread. */
static char said[256];

__attribute__((format(printf, 2, 0))) static int note(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !said[0]) {
		vsnprintf(said, sizeof(said), strncmp(format, "libbpf: ", 8) == 0 ? format + 8 : format, args);
		said[strcspn(said, "\n")] = '\0';
	}
	return 0;
}

struct addr xdp_ban_net(const struct xdp_setup *setup, const struct addr *addr)
{
	return addr_masked(addr, addr_is_v4(addr) ? CIDR_V4_BITS + setup->ban_v4_bits : setup->ban_v6_bits);
}

/* The bits that count of a network: those that are left of all. */
static void mask_of(const volatile uint64_t *mask, unsigned bits)
{
	struct addr all;

	memset(&all, 0xff, sizeof(all));
	all = addr_masked(&all, bits);
	memcpy((void *)(uintptr_t)mask, all.bytes, sizeof(all.bytes));
}

_Static_assert(sizeof(*((struct synmoat_xdp *)0)->rodata) == sizeof(*((struct synmoat_bare_xdp *)0)->rodata) &&
		       sizeof(*((struct synmoat_xdp *)0)->bss) == sizeof(*((struct synmoat_bare_xdp *)0)->bss),
	       "the program without conntrack has the other's skeleton");

/* As synmoat_xdp__open() does, which has one program only. */
static struct synmoat_xdp *open_program(bool conntrack)
{
	struct synmoat_xdp *object = calloc(1, sizeof(*object));
	struct bpf_object_skeleton *skeleton;

	if (!object || synmoat_xdp__create_skeleton(object) != 0) {
		free(object);
		return NULL;
	}
	skeleton = object->skeleton;
	if (!conntrack)
		skeleton->data = (void *)(uintptr_t)synmoat_bare_xdp__elf_bytes(&skeleton->data_sz);
	if (bpf_object__open_skeleton(skeleton, NULL) == 0)
		return object;
	synmoat_xdp__destroy(object);
	return NULL;
}

static struct synmoat_xdp *load(const struct xdp_setup *setup, bool conntrack, bool fragments)
{
	struct synmoat_xdp *object;
	int error;

	said[0] = '\0'; /* if no other can be loaded either, it is the last one's reason that counts */
	object = open_program(conntrack);
	if (!object)
		return NULL;
	object->rodata->sockets = setup->sockets;
	object->rodata->fragments = fragments;
	if (fragments)
		bpf_program__set_flags(object->progs.synmoat_xdp, BPF_F_XDP_HAS_FRAGS);
	object->rodata->kernel_checks_md5 = setup->kernel_checks_md5;
	object->rodata->kernel_checks_ao = setup->kernel_checks_ao;
	mask_of(object->rodata->ban_mask_v4, CIDR_V4_BITS + setup->ban_v4_bits);
	mask_of(object->rodata->ban_mask_v6, setup->ban_v6_bits);
	bpf_map__set_max_entries(object->maps.bans, setup->bans_max ? setup->bans_max : 1);
	error = synmoat_xdp__load(object);
	if (!error)
		return object;
	synmoat_xdp__destroy(object);
	errno = -error;
	return NULL;
}

static bool fill(struct xdp *xdp)
{
	struct xdp_config *config = xdp->config;
	int cpus = libbpf_num_possible_cpus();

	if (cpus <= 0 || getrandom(config->secrets, sizeof(config->secrets), 0) != sizeof(config->secrets) ||
	    getrandom(config->mark_keys, sizeof(config->mark_keys), 0) != sizeof(config->mark_keys) ||
	    getrandom(&config->cap_key, sizeof(config->cap_key), 0) != sizeof(config->cap_key))
		return false;
	for (unsigned i = 0; i < XDP_MARK_KEYS; i++)
		config->mark_keys[i] |= 1;
	xdp->cpus = (unsigned)cpus;
	return true;
}

/* With what the kernel has of what is good to have: it refuses a program that asks for more. */
static struct synmoat_xdp *load_as_it_can_be(const struct xdp_setup *setup)
{
	struct synmoat_xdp *object = NULL;

	for (unsigned without = setup->no_conntrack ? 2 : 0; without < 4 && !object; without++)
		object = load(setup, without < 2, without % 2 == 0);
	return object;
}

struct xdp *xdp_open(const struct xdp_setup *setup, char *error, size_t error_bytes)
{
	struct xdp *xdp = calloc(1, sizeof(*xdp));
	struct synmoat_xdp *object;

	libbpf_set_print(note);
	object = xdp ? load_as_it_can_be(setup) : NULL;
	if (!object) {
		if (errno == EPERM) /* libbpf's advice is for another trouble, and long */
			said[0] = '\0';
		snprintf(error, error_bytes, "the program cannot be loaded: %s%s%s%s", strerror(errno),
			 errno == EPERM || errno == EACCES ? ", it takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN" : "",
			 said[0] ? ": " : "", said);
		free(xdp);
		return NULL;
	}
	xdp->setup = *setup;
	xdp->object = object;
	xdp->program = bpf_program__fd(object->progs.synmoat_xdp);
	xdp->services = bpf_map__fd(object->maps.services);
	xdp->counters = bpf_map__fd(object->maps.counters);
	xdp->bans = bpf_map__fd(object->maps.bans);
	xdp->listed = bpf_map__fd(object->maps.listed);
	xdp->prefixes = bpf_map__fd(object->maps.prefixes);
	xdp->stations = bpf_map__fd(object->maps.stations);
	xdp->config = &object->bss->config;
	(void)vault_hide(xdp->config,
			 sizeof(*xdp->config)); /* the map is shared, and not in a dump by default: core(5) */
	xdp->begun = &object->bss->begun;
	xdp->known = object->bss->known;
	xdp->noted = &object->bss->noted;
	xdp->replies = object->bss->replies;
	if (fill(xdp))
		return xdp;
	snprintf(error, error_bytes, "the program cannot be set up: %s", strerror(errno));
	xdp_close(xdp);
	return NULL;
}

void xdp_close(struct xdp *xdp)
{
	if (!xdp)
		return;
	for (unsigned i = 0; i < xdp->links_count; i++)
		close(xdp->links[i].fd);
	synmoat_xdp__destroy(xdp->object);
	free(xdp);
}

int xdp_program(const struct xdp *xdp)
{
	return xdp->program;
}

/* ---- interfaces ---- */

/* Of a veth the other end takes what XDP sends only if it has a program, too, or GRO (veth_xdp_xmit(),
 * drivers/net/veth.c); the generic way is the stack's own. */
static bool is_veth(uint32_t interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool veth = false;

	if (socket_fd >= 0 && if_indextoname(interface, request.ifr_name))
		veth = ioctl(socket_fd, SIOCETHTOOL, &request) == 0 && strcmp(info.driver, "veth") == 0;
	if (socket_fd >= 0)
		close(socket_fd);
	return veth;
}

/* 0: it has none, or is gone. */
static uint64_t station_of(uint32_t interface)
{
	struct ifreq request = {0};
	int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t station = 0;

	if (socket_fd >= 0 && if_indextoname(interface, request.ifr_name) &&
	    ioctl(socket_fd, SIOCGIFHWADDR, &request) == 0 && request.ifr_hwaddr.sa_family == ARPHRD_ETHER)
		memcpy(&station, request.ifr_hwaddr.sa_data, ETH_ALEN);
	if (socket_fd >= 0)
		close(socket_fd);
	return station;
}

static void forget_station(struct xdp *xdp, uint64_t station)
{
	bool used = false;

	for (unsigned i = 0; i < xdp->links_count; i++)
		used |= xdp->links[i].station == station;
	if (!used)
		bpf_map_delete_elem(xdp->stations, &station);
}

int xdp_answer_at(struct xdp *xdp, const uint8_t address[6])
{
	uint64_t station = 0;
	uint32_t zero = 0;

	memcpy(&station, address, ETH_ALEN);
	return bpf_map_update_elem(xdp->stations, &station, &zero, BPF_ANY);
}

void xdp_follow_addresses(struct xdp *xdp)
{
	for (unsigned i = 0; i < xdp->links_count; i++) {
		uint64_t before = xdp->links[i].station, station = station_of(xdp->links[i].interface);

		if (station == before)
			continue;
		if (station && xdp_answer_at(xdp, (const uint8_t *)&station) != 0)
			station = 0; /* its SYNs go up; it is tried again */
		xdp->links[i].station = station;
		if (before)
			forget_station(xdp, before);
	}
}

static int link_to(const struct xdp *xdp, uint32_t interface, bool native)
{
	struct bpf_link_create_opts opts = {
		.sz = sizeof(opts),
		.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE,
	};
	int fd = bpf_link_create(xdp->program, (int)interface, BPF_XDP, &opts);
	char name[IF_NAMESIZE];

	if (fd == -EINVAL && !if_indextoname(interface, name))
		return -ENODEV;             /* bpf_xdp_link_attach() has one number for that and others */
	return fd == -EEXIST ? -EBUSY : fd; /* another program, of the other mode (dev_xdp_attach(), net/core/dev.c) */
}

int xdp_attach(struct xdp *xdp, uint32_t interface, enum xdp_mode mode, bool *native)
{
	int fd;

	if (xdp->links_count == XDP_INTERFACES_MAX)
		return -ENOSPC;
	*native = mode == XDP_MODE_NATIVE || (mode == XDP_MODE_AUTO && !is_veth(interface));
	fd = link_to(xdp, interface, *native);
	if (fd < 0 && fd != -EBUSY && fd != -ENODEV && mode == XDP_MODE_AUTO && *native) {
		*native = false;
		fd = link_to(xdp, interface, false);
	}
	if (fd < 0)
		return fd;
	xdp->links[xdp->links_count++] = (struct xdp_link){.interface = interface, .fd = fd};
	xdp_follow_addresses(xdp);
	return 0;
}

void xdp_detach(struct xdp *xdp, uint32_t interface)
{
	uint64_t station;

	for (unsigned i = 0; i < xdp->links_count; i++) {
		if (xdp->links[i].interface != interface)
			continue;
		station = xdp->links[i].station;
		close(xdp->links[i].fd);
		xdp->links[i] = xdp->links[--xdp->links_count];
		if (station)
			forget_station(xdp, station);
		return;
	}
}

bool xdp_is_taken(uint32_t interface)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, found);

	return bpf_xdp_query((int)interface, 0, &found) == 0 && found.attach_mode != XDP_ATTACHED_NONE;
}

/* ---- what it answers by ---- */

void xdp_set_secret(struct xdp *xdp, const struct cookie_secret *secret)
{
	uint32_t next = (xdp->config->secret + 1) % XDP_SECRETS;

	xdp->config->secrets[next] = *secret;
	__atomic_store_n(&xdp->config->secret, next, __ATOMIC_RELEASE);
}

void xdp_set_cap(struct xdp *xdp, uint32_t replies_per_s)
{
	uint32_t per_s = replies_per_s < XDP_RATE_MAX ? replies_per_s : XDP_RATE_MAX;

	__atomic_store_n(&xdp->config->cap_per_s, per_s, __ATOMIC_RELAXED);
}

void xdp_set_sample(struct xdp *xdp, uint32_t per_s)
{
	__atomic_store_n(&xdp->config->sample_per_s, per_s < XDP_RATE_MAX ? per_s : XDP_RATE_MAX, __ATOMIC_RELAXED);
}

static uint32_t sum_of(const void *bytes, size_t count)
{
	uint32_t sum = 0;
	uint16_t half;

	for (size_t at = 0; at < count; at += sizeof(half)) {
		memcpy(&half, (const uint8_t *)bytes + at, sizeof(half));
		sum += half;
	}
	return sum;
}

/* The packet that answers a SYN that offers so; of nobody, with no ISN. */
static void answer_make(const struct addr *address, uint16_t port, const struct service_learned *learned,
			unsigned offers, struct xdp_answer *answer)
{
	bool v4 = addr_is_v4(address);
	size_t header = v4 ? 20 : 40, addresses_at = v4 ? 12 : 8, bytes;
	struct segment syn = {.destination = *address, .destination_port = port, .options = {.wscale = -1}};
	struct cookie_options carried;
	struct segment segment;
	uint8_t *packet = (uint8_t *)answer->words;
	uint32_t other[20] = {0};

	if (v4)
		memcpy(syn.source.bytes, addr_v4_prefix, sizeof(addr_v4_prefix));
	syn.options.wscale = offers & XDP_OFFER_WSCALE ? 0 : -1;
	syn.options.sack = offers & XDP_OFFER_SACK;
	syn.options.timestamps = offers & XDP_OFFER_TIMESTAMPS;
	syn.options.mss = 1;
	syn.seq = UINT32_MAX;
	challenge_answer(&syn, learned, &segment, &carried);
	bytes = segment_write(packet, sizeof(answer->words), &segment);
	memset(packet + header + 16, 0, 2);
	if (v4)
		memset(packet + 10, 0, 2);
	answer->count = (uint8_t)(bytes / 4);
	answer->wscale = carried.wscale >= 0;
	answer->sack = carried.sack;
	answer->ip_sum = sum_of(packet, header);
	answer->tcp_sum =
		sum_of(packet + addresses_at, bytes - addresses_at) + htons(6) + htons((uint16_t)(bytes - header));
	segment.options.tsecr = UINT32_MAX;
	segment_write((uint8_t *)other, sizeof(other), &segment);
	for (unsigned i = (unsigned)header / 4 + 5; i < answer->count && !answer->tsecr_at; i++)
		answer->tsecr_at = other[i] != answer->words[i] ? (uint8_t)i : 0;
}

static struct xdp_service_key key_of(const struct addr *address, uint16_t port)
{
	struct xdp_service_key key = {.port_be = htons(port)};

	xdp_words(key.address, address);
	return key;
}

int xdp_answer_for(struct xdp *xdp, const struct addr *address, uint16_t port, unsigned index,
		   const struct service_learned *learned)
{
	struct xdp_service_key key = key_of(address, port);
	struct xdp_service service = {.index = index};
	int error;

	for (unsigned offers = 0; offers < XDP_OFFERS; offers++)
		answer_make(address, port, learned, offers, &service.answers[offers]);
	error = bpf_map_update_elem(xdp->services, &key, &service, BPF_NOEXIST);
	if (error == -EEXIST)
		return bpf_map_update_elem(xdp->services, &key, &service, BPF_EXIST);
	if (!error && xdp->on_port[port]++ == 0)
		xdp->config->ports[port / 64] |= 1ULL << port % 64;
	return error;
}

void xdp_answer_no_more(struct xdp *xdp, const struct addr *address, uint16_t port)
{
	struct xdp_service_key key = key_of(address, port);

	if (bpf_map_delete_elem(xdp->services, &key) == 0 && --xdp->on_port[port] == 0)
		xdp->config->ports[port / 64] &= ~(1ULL << port % 64);
}

void xdp_forget_begun(struct xdp *xdp)
{
	xdp->config->begun = 0;
	memset(xdp->begun, 0, sizeof(*xdp->begun));
}

static void mark_flow(struct xdp *xdp, struct xdp_marks *marks, const struct flow *flow)
{
	struct xdp_flow words = {.ports = cookie_ports_isn(flow->client_port, flow->server_port, 0)};
	uint32_t mark;

	xdp_words(words.client, &flow->client);
	xdp_words(words.server, &flow->server);
	mark = xdp_mark_of(xdp->config->mark_keys, (const uint64_t *)&words, sizeof(words) / sizeof(uint64_t));
	marks->words[mark / 64] |= 1ULL << mark % 64;
}

void xdp_note_begun(struct xdp *xdp, const struct flow *flow)
{
	mark_flow(xdp, xdp->begun, flow);
	xdp->config->begun++;
}

/* ---- what the rules know ---- */

void xdp_note_lasting(struct xdp *xdp, const struct flow *flow, uint64_t until_ns)
{
	mark_flow(xdp, &xdp->known[XDP_LASTING], flow);
	xdp->lasting_until_ns = until_ns > xdp->lasting_until_ns ? until_ns : xdp->lasting_until_ns;
}

void xdp_age(struct xdp *xdp, uint64_t now_ns)
{
	uint32_t older = !xdp->config->known;

	if (now_ns >= xdp->lasting_until_ns && xdp->lasting_until_ns) {
		memset(&xdp->known[XDP_LASTING], 0, sizeof(xdp->known[XDP_LASTING]));
		xdp->lasting_until_ns = 0;
	}
	if (now_ns - xdp->aged_ns < XDP_KNOWN_NS)
		return;
	memset(&xdp->known[older], 0, sizeof(xdp->known[older]));
	__atomic_store_n(&xdp->config->known, older, __ATOMIC_RELEASE);
	xdp->aged_ns = now_ns;
}

/* ---- counters ---- */

void xdp_count(const struct xdp *xdp, unsigned index, struct xdp_counts *counts)
{
	struct xdp_counters of_cpu[xdp->cpus];
	uint64_t sum[XDP_COUNTERS] = {0};

	if (bpf_map_lookup_elem(xdp->counters, &index, of_cpu) == 0) {
		for (unsigned cpu = 0; cpu < xdp->cpus; cpu++) {
			for (unsigned i = 0; i < XDP_COUNTERS; i++)
				sum[i] += of_cpu[cpu].of[i];
		}
	}
	*counts = (struct xdp_counts){
		.answered = sum[XDP_ANSWERED],
		.capped = sum[XDP_CAPPED],
		.denied = sum[XDP_DENIED_SYN],
		.banned = sum[XDP_BANNED],
		.bad_ack = sum[XDP_BAD_ACK],
		.passed_up = sum[XDP_PASSED_UP],
		.failed = sum[XDP_FAILED],
	};
}
