/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inject: segments of our own making, by raw sockets. One struct per shard. */
#ifndef SYNMOAT_INJECT_H
#define SYNMOAT_INJECT_H

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "synmoat/packet.h"

#define INJECT_BATCH 64
#define INJECT_CLIENT_BYTES SEGMENT_HEADERS_MAX /* nothing that goes to a client carries data */

#define INJECT_LINK_BYTES 14 /* Ethernet's header */

/* Segments that go out as they came in: to a neighbour, without routing. */
struct inject_back {
	int fd;
	unsigned waiting;
	uint8_t bytes[INJECT_BATCH][INJECT_LINK_BYTES + INJECT_CLIENT_BYTES];
	struct sockaddr_ll to[INJECT_BATCH];
	struct iovec vectors[INJECT_BATCH];
	struct mmsghdr headers[INJECT_BATCH];
};

/* What became of segments. */
struct inject_outcome {
	unsigned sent;
	unsigned refused; /* not for want of a way or of room */
};

struct inject {
	struct inject_back *back; /* NULL: none was opened */
	int client_v4, client_v6; /* untracked, by mark */
	int server_v4, server_v6;
	unsigned servers_waiting; /* segments to servers, not yet sent */
	size_t server_used;
	struct {
		uint32_t at, length; /* in `server_bytes` */
		struct addr destination;
	} servers[INJECT_BATCH];
	uint8_t server_bytes[UINT16_MAX]; /* these may carry data */
	struct inject_outcome routed;     /* of segments to clients, by whatever sent them: the caller resets it */
	unsigned waiting;                 /* segments to clients, not yet sent */
	struct {
		uint8_t bytes[INJECT_CLIENT_BYTES];
		uint16_t length;
		bool v4;
		struct addr source, destination;
		uint32_t interface;
	} batch[INJECT_BATCH];
};

/* As inject_close() leaves it: nothing open. */
void inject_blank(struct inject *inject);

/* -1 and errno on error: EPERM without CAP_NET_RAW. */
int inject_open(struct inject *inject);
void inject_close(struct inject *inject);

/* A segment towards a client: collected, and sent by inject_flush() or when INJECT_BATCH wait. Returns how many
 * segments could not be sent on that occasion. `interface` matters to link-local destinations only. */
unsigned inject_to_client(struct inject *inject, const struct segment *segment, uint32_t interface);
unsigned inject_flush(struct inject *inject);

/* For inject_back(): -1 and errno on error. */
int inject_open_back(struct inject *inject);

/* A segment to a client, back over the link that its own came by: `link` is how that began, to whom and from whom.
 * Collected and sent as with inject_to_client(), but past qdiscs and rules. */
unsigned inject_back(struct inject *inject, const struct segment *segment, uint32_t interface, const uint8_t link[12]);
unsigned inject_flush_back(struct inject *inject);

/* A whole packet, as it is, to an address of this host. False if it could not be sent. */
bool inject_untracked(struct inject *inject, const struct addr *destination, const uint8_t *packet, size_t bytes);

/* A segment towards the server, as if it came from the client: collected, and sent by inject_flush_servers() or when there is
 * no more room. */
void inject_to_server(struct inject *inject, const struct segment *segment);
void inject_flush_servers(struct inject *inject);

#endif
