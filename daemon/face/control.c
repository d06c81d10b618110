/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 64
#define CLIENTS_KEPT 16   /* for those who may change things */
#define REQUEST_BYTES 512 /* without the newline */
#define GROUPS_USUAL 64
#define IDLE_NS (5 * UINT64_C(1000000000))
#define ACCEPT_PAUSE_NS UINT64_C(1000000000)
#define DRAIN_READS 16

/* Reads its request until `answer` is set, then writes that and is closed. */
struct client {
	int fd; /* -1: free */
	struct control_peer peer;
	uint64_t active_ns; /* when it last sent or took something */
	size_t request_bytes;
	char request[REQUEST_BYTES + 1];
	char *answer; /* owned */
	size_t answer_bytes, answer_sent;
};

struct control {
	int epoll_fd, listen_fd;
	uint64_t accept_again_ns; /* 0 unless accepting is paused for lack of descriptors */
	control_answer *answer;
	void *context;
	bool has_group;
	gid_t group;
	struct sockaddr_un address;
	dev_t device; /* of the socket file, to remove only our own */
	ino_t inode;
	struct client clients[CLIENTS_MAX];
};

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int __attribute__((format(printf, 3, 4))) open_fail(char *error, size_t error_bytes, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_bytes, format, arguments);
	va_end(arguments);
	return -1;
}

static int directory_make(const char *path, char *error, size_t error_bytes)
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	strcpy(directory, path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) == 0)
		return chmod(directory, 0755) == 0 /* a umask of 077 would keep the group out */
			       ? 0
			       : open_fail(error, error_bytes, "%s: %s", directory, strerror(errno));
	if (errno == EEXIST)
		return 0;
	return open_fail(error, error_bytes, "cannot create %s for the control socket: %s", directory, strerror(errno));
}

/* A file left by a daemon that was killed gives way; one that somebody listens on does not. */
static int stale_remove(const struct sockaddr_un *address, char *error, size_t error_bytes)
{
	const char *path = address->sun_path;
	struct stat status;

	if (lstat(path, &status) != 0)
		return errno == ENOENT ? 0
				       : open_fail(error, error_bytes, "control socket %s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return open_fail(error, error_bytes, "control socket %s: the file exists and is no socket", path);

	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return open_fail(error, error_bytes, "control socket: %s", strerror(errno));
	int failure = connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	close(probe);

	if (failure == 0 || failure == EAGAIN) /* EAGAIN: it listens, and its backlog is full */
		return open_fail(error, error_bytes, "control socket %s is in use: another synmoatd runs", path);
	if (failure != ECONNREFUSED)
		return open_fail(error, error_bytes, "control socket %s: %s", path, strerror(failure));
	if (unlink(path) != 0 && errno != ENOENT)
		return open_fail(error, error_bytes, "cannot remove stale control socket %s: %s", path,
				 strerror(errno));
	return 0;
}

/* The file begins as ours alone (bind() takes the socket's mode less the umask), then gets its group, and only then the
 * mode that lets others in. */
static int control_listen(struct control *control, const struct control_setup *setup, char *error, size_t error_bytes)
{
	const char *path = control->address.sun_path;
	struct stat status;

	control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->listen_fd < 0 || fchmod(control->listen_fd, 0600) != 0)
		return open_fail(error, error_bytes, "control socket: %s", strerror(errno));
	if (bind(control->listen_fd, (struct sockaddr *)&control->address, sizeof(control->address)) != 0)
		return open_fail(error, error_bytes, "cannot bind control socket %s: %s", path, strerror(errno));
	if (lstat(path, &status) == 0) {
		control->device = status.st_dev;
		control->inode = status.st_ino;
	}
	if (setup->has_group && lchown(path, (uid_t)-1, setup->group) != 0)
		return open_fail(error, error_bytes, "cannot give control socket %s to group %u: %s", path,
				 (unsigned)setup->group, strerror(errno));
	if (chmod(path, setup->everybody_reads ? 0666 : 0660) != 0 || listen(control->listen_fd, CLIENTS_MAX) != 0)
		return open_fail(error, error_bytes, "control socket %s: %s", path, strerror(errno));
	return 0;
}

static int control_watch(struct control *control, int operation, int fd, uint32_t events, void *who)
{
	struct epoll_event event = {.events = events, .data.ptr = who};

	return epoll_ctl(control->epoll_fd, operation, fd, &event);
}

struct control *control_open(const struct control_setup *setup, control_answer *answer, void *context, char *error,
			     size_t error_bytes)
{
	const char *path = setup->path;
	struct control *control = calloc(1, sizeof(*control));

	if (!control) {
		open_fail(error, error_bytes, "control socket: out of memory");
		return NULL;
	}
	control->answer = answer;
	control->context = context;
	control->has_group = setup->has_group;
	control->group = setup->group;
	control->epoll_fd = control->listen_fd = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].fd = -1;

	control->address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(control->address.sun_path)) {
		open_fail(error, error_bytes, "control socket %s: the path is longer than %zu bytes", path,
			  sizeof(control->address.sun_path) - 1);
		goto fail;
	}
	strcpy(control->address.sun_path, path);

	if (directory_make(path, error, error_bytes) != 0 || stale_remove(&control->address, error, error_bytes) != 0 ||
	    control_listen(control, setup, error, error_bytes) != 0)
		goto fail;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll_fd >= 0 && control_watch(control, EPOLL_CTL_ADD, control->listen_fd, EPOLLIN, control) == 0)
		return control;
	open_fail(error, error_bytes, "control socket: epoll: %s", strerror(errno));
fail:
	control_close(control);
	return NULL;
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
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

static void client_write(struct client *client, uint64_t now_ns)
{
	while (client->answer_sent < client->answer_bytes) {
		ssize_t sent = send(client->fd, client->answer + client->answer_sent,
				    client->answer_bytes - client->answer_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0)
			break;
		client->answer_sent += (size_t)sent;
		client->active_ns = now_ns;
	}
	client_close(client);
}

/* `request` NULL: it did not fit. */
static void client_answer(struct control *control, struct client *client, const char *request, uint64_t now_ns)
{
	FILE *out = open_memstream(&client->answer, &client->answer_bytes);

	if (!out) {
		client_close(client);
		return;
	}
	if (request)
		control->answer(control->context, &client->peer, request, out);
	else
		fprintf(out, "error: request longer than %d bytes\n", REQUEST_BYTES);
	if (fclose(out) != 0 || control_watch(control, EPOLL_CTL_MOD, client->fd, EPOLLOUT, client) != 0)
		client_close(client);
	else
		client_write(client, now_ns);
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
		.may_change = credentials.uid == 0 || (control->has_group && (credentials.gid == control->group ||
									      peer_in_group(fd, control->group))),
	};
}

/* NULL when there is no room for such a peer. */
static struct client *client_free_slot(struct control *control, const struct control_peer *peer)
{
	struct client *free_slot = NULL;
	size_t others = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (control->clients[i].fd < 0)
			free_slot = &control->clients[i];
		else
			others += !control->clients[i].peer.may_change;
	return peer->may_change || others < CLIENTS_MAX - CLIENTS_KEPT ? free_slot : NULL;
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
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_add(control, fd, now_ns);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* Out of descriptors or memory: the listener would stay readable and our caller spin. */
		if (errno != EAGAIN && control_watch(control, EPOLL_CTL_MOD, control->listen_fd, 0, control) == 0)
			control->accept_again_ns = now_ns + ACCEPT_PAUSE_NS;
		return;
	}
}

void control_serve(struct control *control, uint64_t now_ns)
{
	struct epoll_event events[CLIENTS_MAX + 1];
	int count = epoll_wait(control->epoll_fd, events, CLIENTS_MAX + 1, 0);
	bool accepting = false;

	for (int i = 0; i < count; i++) {
		struct client *client = events[i].data.ptr;

		if (events[i].data.ptr == control)
			accepting = true;
		else if (client->answer)
			client_write(client, now_ns);
		else
			client_read(control, client, now_ns);
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0 && now_ns - control->clients[i].active_ns > IDLE_NS)
			client_close(&control->clients[i]);
	if (accepting) /* last, when places have been freed */
		control_accept(control, now_ns);
	if (control->accept_again_ns && now_ns >= control->accept_again_ns) {
		control->accept_again_ns = 0;
		control_watch(control, EPOLL_CTL_MOD, control->listen_fd, EPOLLIN, control);
	}
}

void control_close(struct control *control)
{
	struct stat status;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			client_close(&control->clients[i]);
	if (control->inode && lstat(control->address.sun_path, &status) == 0 && status.st_dev == control->device &&
	    status.st_ino == control->inode)
		unlink(control->address.sun_path);
	if (control->listen_fd >= 0)
		close(control->listen_fd);
	if (control->epoll_fd >= 0)
		close(control->epoll_fd);
	free(control);
}
