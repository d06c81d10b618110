/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "face/control_socket.h"

#define CLIENTS_MAX 64
#define CLIENTS_KEPT 16 /* for those who may change things */
#define PLACES (CLIENTS_MAX + CONTROL_FOLLOWERS_MAX)
#define REQUEST_BYTES 512 /* without the newline */
#define GROUPS_USUAL 64
#define IDLE_NS (5 * UINT64_C(1000000000))
#define ACCEPT_PAUSE_NS UINT64_C(1000000000)
#define DRAIN_READS 16
#define ANSWERS_AT_ONCE 4 /* some take long: then our caller has its turn */

/* Reads its request until `answer` is set, then writes that and is closed, or goes on with what is behind. */
struct client {
	int fd; /* -1: free */
	enum control_then then;
	struct control_peer peer;
	uint64_t active_ns; /* when it last sent or took something */
	size_t request_bytes;
	char request[REQUEST_BYTES + 1];
	char *answer; /* owned */
	size_t answer_bytes, answer_sent;
	char *behind; /* owned: CONTROL_BEHIND_MAX bytes, a follower's alone */
	size_t behind_bytes;
};

struct control {
	int epoll_fd;
	uint64_t accept_again_ns; /* 0 unless accepting is paused for lack of descriptors */
	control_answer *answer;
	void *context;
	unsigned answered; /* in this turn */
	bool has_group;
	gid_t group;
	struct control_socket socket;
	struct client clients[PLACES];
};

/* --- opening and closing ------------------------------------------------------------------------------------------- */

static int control_watch(struct control *control, int operation, int fd, uint32_t events, void *who)
{
	struct epoll_event event = {.events = events, .data.ptr = who};

	return epoll_ctl(control->epoll_fd, operation, fd, &event);
}

struct control *control_open(const struct control_setup *setup, control_answer *answer, void *context, char *error,
			     size_t error_bytes)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		snprintf(error, error_bytes, "control socket: out of memory");
		return NULL;
	}
	control->answer = answer;
	control->context = context;
	control->has_group = setup->has_group;
	control->group = setup->group;
	control->epoll_fd = -1;
	for (size_t i = 0; i < PLACES; i++)
		control->clients[i].fd = -1;
	if (control_socket_open(&control->socket, setup, error, error_bytes) != 0)
		goto fail;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll_fd >= 0 && control_watch(control, EPOLL_CTL_ADD, control->socket.fd, EPOLLIN, control) == 0)
		return control;
	snprintf(error, error_bytes, "control socket: epoll: %s", strerror(errno));
fail:
	control_close(control);
	return NULL;
}

const char *control_warning(const struct control *control)
{
	return control->socket.warning;
}

int control_fd(const struct control *control)
{
	return control->epoll_fd;
}

/* --- clients ------------------------------------------------------------------------------------------------------ */

static void client_close(struct client *client)
{
	char waste[REQUEST_BYTES];

	/* Unread bytes would turn the client's end of file into ECONNRESET. */
	for (int i = 0; i < DRAIN_READS && recv(client->fd, waste, sizeof(waste), MSG_DONTWAIT) > 0; i++)
		;
	close(client->fd);
	free(client->answer);
	free(client->behind);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

/* As much as the socket takes: the number of bytes, or -1 when it takes no more of anything. */
static ssize_t client_send(struct client *client, const char *bytes, size_t count, uint64_t now_ns)
{
	size_t sent = 0;

	while (sent < count) {
		ssize_t took = send(client->fd, bytes + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (took < 0 && errno == EINTR)
			continue;
		if (took < 0 && errno == EAGAIN)
			break;
		if (took < 0)
			return -1;
		sent += (size_t)took;
		client->active_ns = now_ns;
	}
	return (ssize_t)sent;
}

/* Behind its answer. With nothing left to send only a hang-up wakes us, which epoll always tells: a client that has shut
 * down its side would else be readable for ever (unix_poll(), net/unix/af_unix.c). */
static void follower_write(struct control *control, struct client *client)
{
	ssize_t sent = client_send(client, client->behind, client->behind_bytes, 0);

	if (sent < 0) {
		client_close(client);
		return;
	}
	client->behind_bytes -= (size_t)sent;
	memmove(client->behind, client->behind + sent, client->behind_bytes);
	if (control_watch(control, EPOLL_CTL_MOD, client->fd, client->behind_bytes ? EPOLLOUT : 0, client) != 0)
		client_close(client);
}

static void client_write(struct control *control, struct client *client, uint64_t now_ns)
{
	ssize_t sent = client_send(client, client->answer + client->answer_sent,
				   client->answer_bytes - client->answer_sent, now_ns);

	if (sent >= 0) {
		client->answer_sent += (size_t)sent;
		if (client->answer_sent < client->answer_bytes)
			return;
	}
	if (sent >= 0 && client->then != CONTROL_CLOSE)
		follower_write(control, client);
	else
		client_close(client);
}

/* Makes a follower of it, or tells it why not. */
static void client_follow(struct control *control, struct client *client, enum control_then then)
{
	static const char refused[] = "error: too many followers, try again\n";
	size_t others = 0, all = 0;
	bool room;

	for (size_t i = 0; i < PLACES; i++)
		if (control->clients[i].fd >= 0 && control->clients[i].then != CONTROL_CLOSE) {
			all++;
			others += !control->clients[i].peer.may_change;
		}
	room = all < CONTROL_FOLLOWERS_MAX &&
	       (client->peer.may_change || others < CONTROL_FOLLOWERS_MAX - CONTROL_FOLLOWERS_KEPT);
	client->behind = room ? malloc(CONTROL_BEHIND_MAX) : NULL;
	if (client->behind) {
		client->then = then;
		return;
	}
	free(client->answer);
	client->answer = strdup(refused);
	client->answer_bytes = client->answer ? sizeof(refused) - 1 : 0;
}

/* `request` NULL: it did not fit. */
static void client_answer(struct control *control, struct client *client, const char *request, uint64_t now_ns)
{
	enum control_then then = CONTROL_CLOSE;
	FILE *out = open_memstream(&client->answer, &client->answer_bytes);

	control->answered++;
	if (!out) {
		client_close(client);
		return;
	}
	if (request)
		then = control->answer(control->context, &client->peer, request, out);
	else
		fprintf(out, "error: request longer than %d bytes\n", REQUEST_BYTES);
	if (fclose(out) != 0) {
		client_close(client);
		return;
	}
	if (then != CONTROL_CLOSE)
		client_follow(control, client, then);
	if (!client->answer || control_watch(control, EPOLL_CTL_MOD, client->fd, EPOLLOUT, client) != 0)
		client_close(client);
	else
		client_write(control, client, now_ns);
}

static void client_read(struct control *control, struct client *client, uint64_t now_ns)
{
	char *end = client->request + client->request_bytes;
	ssize_t got = recv(client->fd, end, sizeof(client->request) - client->request_bytes, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0 || (got == 0 && client->request_bytes == 0)) {
		client_close(client);
		return;
	}
	client->active_ns = now_ns;
	client->request_bytes += (size_t)got;

	char *newline = memchr(end, '\n', (size_t)got);
	if (newline)
		*newline = '\0';
	else if (got == 0) /* the end of input ends the line as well; there is room, or it would have been refused */
		*end = '\0';
	else if (client->request_bytes <= REQUEST_BYTES)
		return;
	client_answer(control, client, newline || got == 0 ? client->request : NULL, now_ns);
}

static bool among(gid_t group, const gid_t *groups, socklen_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*groups); i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* Whether it is one of the peer's supplementary groups; if in doubt, not. */
static bool peer_in_group(int fd, gid_t group)
{
	gid_t usual[GROUPS_USUAL], *all;
	socklen_t bytes = sizeof(usual);
	bool found;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, usual, &bytes) == 0)
		return among(group, usual, bytes);
	if (errno != ERANGE) /* else `bytes` tells how many it takes, up to NGROUPS_MAX */
		return false;
	all = malloc(bytes);
	found = all && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, all, &bytes) == 0 && among(group, all, bytes);
	free(all);
	return found;
}

static struct control_peer peer_read(const struct control *control, int fd)
{
	struct ucred credentials;
	socklen_t bytes = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
		return (struct control_peer){.uid = (uid_t)-1};
	return (struct control_peer){
		.uid = credentials.uid,
		.pid = credentials.pid,
		.may_change = credentials.uid == 0 || credentials.uid == geteuid() ||
			      (control->has_group &&
			       (credentials.gid == control->group || peer_in_group(fd, control->group))),
	};
}

/* NULL when there is no room for such a peer. Followers have places of their own. */
static struct client *client_free_slot(struct control *control, const struct control_peer *peer)
{
	struct client *free_slot = NULL;
	size_t all = 0, others = 0;

	for (size_t i = 0; i < PLACES; i++) {
		const struct client *client = &control->clients[i];

		if (client->fd < 0)
			free_slot = &control->clients[i];
		else if (client->then == CONTROL_CLOSE) {
			all++;
			others += !client->peer.may_change;
		}
	}
	if (all >= CLIENTS_MAX || (!peer->may_change && others >= CLIENTS_MAX - CLIENTS_KEPT))
		return NULL;
	return free_slot;
}

static void client_add(struct control *control, int fd, uint64_t now_ns)
{
	static const char full[] = "error: too many clients, try again\n";
	struct control_peer peer = peer_read(control, fd);
	struct client *client = client_free_slot(control, &peer);

	if (client && control_watch(control, EPOLL_CTL_ADD, fd, EPOLLIN, client) == 0) {
		client->fd = fd;
		client->peer = peer;
		client->active_ns = now_ns;
		return;
	}
	send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void control_accept(struct control *control, uint64_t now_ns)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		int fd = accept4(control->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_add(control, fd, now_ns);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* Out of descriptors or memory: the listener would stay readable and our caller spin. */
		if (errno != EAGAIN && control_watch(control, EPOLL_CTL_MOD, control->socket.fd, 0, control) == 0)
			control->accept_again_ns = now_ns + ACCEPT_PAUSE_NS;
		return;
	}
}

static void client_serve(struct control *control, struct client *client, uint32_t events, uint64_t now_ns)
{
	if (client->fd < 0) /* closed by what another one asked for */
		return;
	if (!client->answer && control->answered == ANSWERS_AT_ONCE)
		client->active_ns =
			now_ns; /* it is we who are late: epoll tells of it again, before those who come now */
	else if (!client->answer)
		client_read(control, client, now_ns);
	else if (client->then != CONTROL_CLOSE && (events & (EPOLLHUP | EPOLLERR)))
		client_close(client);
	else
		client_write(control, client, now_ns);
}

void control_serve(struct control *control, uint64_t now_ns)
{
	struct epoll_event events[PLACES + 1];
	int count = epoll_wait(control->epoll_fd, events, PLACES + 1, 0);
	bool accepting = false;

	control->answered = 0;
	for (int i = 0; i < count; i++)
		if (events[i].data.ptr == control)
			accepting = true;
		else
			client_serve(control, events[i].data.ptr, events[i].events, now_ns);
	for (size_t i = 0; i < PLACES; i++) {
		struct client *client = &control->clients[i];

		if (client->fd >= 0 && client->then == CONTROL_CLOSE && now_ns - client->active_ns > IDLE_NS)
			client_close(client);
	}
	if (accepting) /* last, when places have been freed */
		control_accept(control, now_ns);
	if (control->accept_again_ns && now_ns >= control->accept_again_ns) {
		control->accept_again_ns = 0;
		control_watch(control, EPOLL_CTL_MOD, control->socket.fd, EPOLLIN, control);
	}
}

void control_tell(struct control *control, const char *text, const char *json)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct client *client = &control->clients[i];
		const char *line = client->then == CONTROL_FOLLOW_JSON ? json : text;
		size_t bytes;

		if (client->fd < 0 || client->then == CONTROL_CLOSE)
			continue;
		bytes = strlen(line);
		if (client->behind_bytes + bytes > CONTROL_BEHIND_MAX) {
			client_close(client);
			continue;
		}
		memcpy(client->behind + client->behind_bytes, line, bytes);
		client->behind_bytes += bytes;
		if (client->answer_sent == client->answer_bytes)
			follower_write(control, client);
	}
}

void control_close(struct control *control)
{
	for (size_t i = 0; i < PLACES; i++)
		if (control->clients[i].fd >= 0)
			client_close(&control->clients[i]);
	control_socket_close(&control->socket);
	if (control->epoll_fd >= 0)
		close(control->epoll_fd);
	free(control);
}
