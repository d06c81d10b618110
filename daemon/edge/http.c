/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "edge/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define CLOSING_MAX 16 /* that had to go, until the library has closed them */
#define BACKLOG 16
#define REQUEST_BYTES 8192 /* all that is kept of a connection */
#define IDLE_S 5
#define LIFETIME_NS 10000000000ULL /* a client that sends a byte now and then is not idle */
#define RUNS_MAX 4                 /* then others get their turn */
#define PATH "/metrics"
#define METHODS "GET, HEAD"

struct client {
	int fd; /* -1: none */
	uint64_t begun_ns;
	uint64_t number; /* the lowest came first */
	bool has_asked;  /* a whole request */
	bool is_ended;
};

struct http {
	struct http_setup setup;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	uint64_t now_ns;
	uint64_t clients_seen;
	struct client clients[CLIENTS_MAX + CLOSING_MAX];
	struct MHD_Response *page; /* made at page_ns; those who still read it keep it */
	uint64_t page_ns;
};

/* ---- answers ---- */

/* One request each: a connection that is done makes room for another. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result result;

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, METHODS);
	return answer(connection, status, response);
}

/* The page as it is now, shared by all who ask for it. */
static int page_refresh(struct http *http)
{
	struct http_page page;

	if (http->setup.read(http->setup.context, &page) != 0)
		return -1;
	if (http->page && page.made_ns == http->page_ns)
		return 0;
	if (http->page)
		MHD_destroy_response(http->page);
	http->page = MHD_create_response_from_buffer(page.bytes, (void *)page.text, MHD_RESPMEM_MUST_COPY);
	if (!http->page)
		return -1;
	MHD_add_response_header(http->page, MHD_HTTP_HEADER_CONTENT_TYPE, http->setup.content_type);
	MHD_add_response_header(http->page, MHD_HTTP_HEADER_CONNECTION, "close");
	http->page_ns = page.made_ns;
	return 0;
}

static bool is_loopback(const char *host, size_t bytes)
{
	static const char name[] = "localhost";
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	if (bytes >= sizeof(text))
		return false;
	memcpy(text, host, bytes);
	text[bytes] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return strcasecmp(text, name) == 0 || (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

/* A name with a port or without; whoever sends none is no browser. */
static bool host_allowed(const char *host)
{
	const char *end;

	if (!host)
		return true;
	if (*host != '[')
		return is_loopback(host, strcspn(host, ":"));
	end = strchr(host, ']');
	return end && (!end[1] || end[1] == ':') && is_loopback(host + 1, (size_t)(end - host - 1));
}

static void note_request(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (info && info->socket_context)
		((struct client *)info->socket_context)->has_asked = true;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_bytes, void **request)
{
	struct http *http = context;

	(void)version;
	(void)upload;
	(void)upload_bytes;
	(void)request;
	note_request(connection);
	if (!host_allowed(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)))
		return answer_text(connection, MHD_HTTP_FORBIDDEN,
				   "this host is to be called localhost or by a loopback address\n");
	if (strcmp(url, PATH) != 0)
		return answer_text(connection, MHD_HTTP_NOT_FOUND, "the metrics are at " PATH "\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "allowed are " METHODS "\n");
	if (page_refresh(http) != 0)
		return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, http->page);
}

/* ---- clients ---- */

/* The library closes it when it finds that nothing more comes and goes. */
static void client_end(struct client *client)
{
	client->is_ended = true;
	shutdown(client->fd, SHUT_RDWR);
}

static bool goes_before(const struct client *client, const struct client *other)
{
	if (client->has_asked != other->has_asked)
		return other->has_asked;
	return client->number < other->number;
}

/* So that clients that stay do not keep others out: of those who have not asked the oldest goes, else the oldest. */
static void make_room(struct http *http)
{
	struct client *first = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < CLIENTS_MAX + CLOSING_MAX; i++) {
		struct client *client = &http->clients[i];

		if (client->fd < 0 || client->is_ended)
			continue;
		count++;
		if (!first || goes_before(client, first))
			first = client;
	}
	if (count >= CLIENTS_MAX)
		client_end(first);
}

static void client_notify(void *context, struct MHD_Connection *connection, void **slot,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http *http = context;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*slot)
			((struct client *)*slot)->fd = -1;
		return;
	}
	*slot = NULL;
	make_room(http);
	for (unsigned i = 0; info && i < CLIENTS_MAX + CLOSING_MAX; i++)
		if (http->clients[i].fd < 0) {
			http->clients[i] = (struct client){
				.fd = info->connect_fd, .begun_ns = http->now_ns, .number = http->clients_seen++};
			*slot = &http->clients[i];
			return;
		}
}

static void end_old_clients(struct http *http)
{
	for (unsigned i = 0; i < CLIENTS_MAX + CLOSING_MAX; i++)
		if (http->clients[i].fd >= 0 && http->now_ns - http->clients[i].begun_ns > LIFETIME_NS)
			client_end(&http->clients[i]);
}

/* ---- life ---- */

static int listen_at(const struct addr *address, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool is_v4 = addr_is_v4(address);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	int failed;

	if (fd < 0)
		return -1;
	memcpy(is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr, addr_wire(address), addr_wire_bytes(address));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	failed = is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4)) : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (failed == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

static struct MHD_Daemon *start(struct http *http, int listen_fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, listen_fd,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)(CLIENTS_MAX + CLOSING_MAX),
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				(size_t)REQUEST_BYTES, MHD_OPTION_NOTIFY_CONNECTION, client_notify, http,
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
}

struct http *http_open(const struct http_setup *setup, char *error, size_t error_bytes)
{
	struct http *http = calloc(1, sizeof(*http));
	const union MHD_DaemonInfo *info;
	int listen_fd;

	if (!http) {
		snprintf(error, error_bytes, "metrics: out of memory");
		return NULL;
	}
	http->setup = *setup;
	for (unsigned i = 0; i < CLIENTS_MAX + CLOSING_MAX; i++)
		http->clients[i].fd = -1;
	listen_fd = listen_at(&setup->address, setup->port);
	if (listen_fd < 0) {
		snprintf(error, error_bytes, "metrics.listen: port %u: %s%s", setup->port, strerror(errno),
			 errno == EADDRINUSE ? " (by another program: name another port)" : "");
		free(http);
		return NULL;
	}
	http->daemon = start(http, listen_fd);
	info = http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		snprintf(error, error_bytes, "metrics: libmicrohttpd does not start");
		http_close(http);
		return NULL;
	}
	http->epoll_fd = info->epoll_fd;
	return http;
}

int http_fd(const struct http *http)
{
	return http->epoll_fd;
}

int http_serve(struct http *http, uint64_t now_ns)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	bool waits = true;

	http->now_ns = now_ns;
	end_old_clients(http);
	for (unsigned i = 0; i < RUNS_MAX && waits && wait_ms == 0; i++) {
		MHD_run(http->daemon);
		waits = MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES;
	}
	return waits ? (int)(wait_ms < IDLE_S * 1000 ? wait_ms : IDLE_S * 1000) : -1;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	if (http->page)
		MHD_destroy_response(http->page);
	free(http);
}
