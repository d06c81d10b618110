/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control: what a client does to the control socket: bytes in pieces, several clients, hang-ups, silence. Each gets at most
 * one answer, to the first line it has sent, whatever comes behind it. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "face/command.h"
#include "face/control.h"
#include "fuzz.h"

#define CLIENTS 4
#define LINE_MAX_BYTES 512
#define SENT_MAX 2048
#define STEPS_MAX 64

struct client {
	int fd; /* -1: none */
	bool shut, follows;
	size_t sent_bytes, got_bytes;
	char sent[SENT_MAX], got[SENT_MAX];
};

static struct control *control;
static char path[64];
static struct client clients[CLIENTS];
static uint64_t now_ns = 1;
static unsigned asked;

static enum control_then answer(void *context, const struct control_peer *peer, const char *request, FILE *out)
{
	char error[COMMAND_ERROR_BYTES];
	struct command command;

	(void)context;
	must(peer->uid == geteuid() && peer->may_change && strlen(request) <= LINE_MAX_BYTES && !strchr(request, '\n'));
	asked++;
	if (command_parse(request, &command, error, sizeof(error)) != 0) {
		fprintf(out, "error: %s\n", error);
		return CONTROL_CLOSE;
	}
	fprintf(out, "ok %s|\n", request);
	if (command.verb != VERB_EVENTS || !command.follow)
		return CONTROL_CLOSE;
	return command.json ? CONTROL_FOLLOW_JSON : CONTROL_FOLLOW_TEXT;
}

static void away(void)
{
	if (control)
		control_close(control);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static void open_once(void)
{
	char error[256] = "", directory[] = "/tmp/synmoat-fuzz-XXXXXX";
	struct control_setup setup = {.path = path};

	if (control)
		return;
	must(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/s", directory);
	control = control_open(&setup, answer, NULL, error, sizeof(error));
	must(control);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	atexit(away);
}

static void serve(void)
{
	for (unsigned i = 0; i < 3; i++)
		control_serve(control, now_ns);
}

static void connect_one(struct client *client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(client, 0, sizeof(*client));
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	must(client->fd >= 0);
	must(connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	serve();
}

static void take(struct client *client)
{
	ssize_t got;

	while (client->got_bytes < SENT_MAX) {
		got = recv(client->fd, client->got + client->got_bytes, SENT_MAX - client->got_bytes, MSG_DONTWAIT);
		if (got <= 0)
			return;
		client->got_bytes += (size_t)got;
	}
}

/* The first line, if it is whole. */
static bool first_line(const struct client *client, char line[SENT_MAX + 1], bool *too_long)
{
	const char *newline = memchr(client->sent, '\n', client->sent_bytes);
	size_t bytes = newline ? (size_t)(newline - client->sent) : client->sent_bytes;

	*too_long = bytes > LINE_MAX_BYTES;
	memcpy(line, client->sent, bytes);
	line[bytes] = '\0';
	return newline || *too_long || (client->shut && bytes);
}

static void is_answered(struct client *client)
{
	char line[SENT_MAX + 1], expected[SENT_MAX + 16], error[COMMAND_ERROR_BYTES];
	struct command command;
	bool too_long;

	take(client);
	if (!first_line(client, line, &too_long)) {
		must(client->got_bytes == 0);
		return;
	}
	if (too_long)
		strcpy(expected, "error: request longer than 512 bytes\n");
	else if (command_parse(line, &command, error, sizeof(error)) != 0)
		snprintf(expected, sizeof(expected), "error: %s\n", error);
	else
		snprintf(expected, sizeof(expected), "ok %s|\n", line);
	must(client->got_bytes >= strlen(expected) && memcmp(client->got, expected, strlen(expected)) == 0);
	client->follows = !too_long && strncmp(expected, "ok", 2) == 0 && command.verb == VERB_EVENTS && command.follow;
	must(client->follows || client->got_bytes == strlen(expected));
}

static void hang_up(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	serve();
}

static void send_some(struct client *client, struct input *input)
{
	size_t most = input_8(input) * (input_8(input) & 1 ? 4U : 1U);
	size_t bytes = most < input->left ? most : input->left;

	if (client->sent_bytes + bytes > SENT_MAX || client->shut)
		return;
	if (send(client->fd, input->at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes) {
		memcpy(client->sent + client->sent_bytes, input->at, bytes);
		client->sent_bytes += bytes;
	}
	input->at += bytes;
	input->left -= bytes;
	serve();
}

static void tell(struct input *input)
{
	char text[300], json[300];
	size_t bytes = input_8(input);

	memset(text, 't', sizeof(text));
	memset(json, 'j', sizeof(json));
	strcpy(text + bytes, "\n");
	strcpy(json + bytes, "\n");
	control_tell(control, text, json);
}

static void step(struct input *input)
{
	uint8_t kind = input_8(input);
	struct client *client = &clients[kind / 16 % CLIENTS];

	if (client->fd < 0) {
		connect_one(client);
		return;
	}
	switch (kind % 8) {
	case 0:
		hang_up(client);
		return;
	case 1:
		shutdown(client->fd, SHUT_WR);
		client->shut = true;
		serve();
		break;
	case 2:
		tell(input);
		break;
	default:
		send_some(client, input);
		break;
	}
	is_answered(client);
}

/* Six seconds of silence end all but followers. */
static void silence(void)
{
	char waste[4096];

	now_ns += 6000000000ULL;
	serve();
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *client = &clients[i];
		ssize_t got = 1;

		if (client->fd < 0)
			continue;
		while (got > 0)
			got = recv(client->fd, waste, sizeof(waste), MSG_DONTWAIT);
		must(client->follows || got == 0 || errno == ECONNRESET);
		hang_up(client);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {data, bytes};

	open_once();
	for (unsigned i = 0; i < STEPS_MAX && input.left; i++)
		step(&input);
	silence();
	return 0;
}
