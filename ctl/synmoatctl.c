/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synmoatctl: sends one request line to the daemon and copies its answer. What the requests are is the daemon's matter:
 * see daemon/face/command.c. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "synmoat/version.h"

#define DEFAULT_SOCKET "/run/synmoat/control.sock"
#define ANSWER_TIMEOUT_S 10
#define REQUEST_BYTES 1024 /* more than the daemon takes: it says so itself */

enum ctl_exit {
	CTL_OK = 0,
	CTL_ERROR = 1, /* the daemon answered with an error, or found a fault */
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
	CTL_NO_PERMISSION = 4, /* for the socket, or the daemon says so */
};

static void usage_print(FILE *out)
{
	fputs("usage: synmoatctl [-s SOCKET] [--json] COMMAND\n"
	      "       synmoatctl -h | -V\n"
	      "asking:\n"
	      "  status                   what is protected, whether armed, and the main counters\n"
	      "  services                 every protected address and port\n"
	      "  sources [--top N] [--by half-open|challenged]\n"
	      "                           who holds half-open connections, who was challenged\n"
	      "  explain SRC [DST:PORT]   what a SYN from there would meet now, and why\n"
	      "  allow list, deny list    the networks that are let past, or refused\n"
	      "  ban list                 the sources that are refused for a while\n"
	      "  check                    whether this host lets the daemon do what it is told to\n"
	      "  secret show-epoch        which secret makes the cookies now, by its fingerprint\n"
	      "  version                  the version of the running daemon\n"
	      "  help                     all commands of the running daemon\n"
	      "changing, as root or as the control group:\n"
	      "  arm|disarm|auto SERVICE  SYN cookies from now on, none, or as the load demands\n"
	      "  allow add|del CIDR       let a network past, or no longer\n"
	      "  deny add|del CIDR        refuse a network, or no longer\n"
	      "  ban lift SRC             end a ban\n"
	      "  secret rotate            add a fresh secret to the file that gateways share\n"
	      "  reload                   read the configuration file again\n"
	      "SERVICE is a name, ADDRESS:PORT, [IPV6]:PORT or any:PORT. --json may also follow the command.\n"
	      "The default SOCKET is " DEFAULT_SOCKET ". See synmoatctl(1).\n",
	      out);
}

static enum ctl_exit usage_fail(const char *what)
{
	fprintf(stderr, "synmoatctl: %s\n", what);
	usage_print(stderr);
	return CTL_USAGE;
}

/* Joins the words to one line "WORD WORD[ json]\n". Returns NULL, or what is wrong with them. */
static const char *request_build(char request[REQUEST_BYTES], char *const *words, bool json)
{
	size_t used = 0;

	for (; *words; words++) {
		if (!**words || strpbrk(*words, " \t\r\n"))
			return "a word of the command is empty or holds a blank";
		if (used + strlen(*words) + sizeof("  json\n") > REQUEST_BYTES)
			return "the command is too long";
		used += (size_t)sprintf(request + used, "%s%s", used ? " " : "", *words);
	}
	strcpy(request + used, json ? " json\n" : "\n");
	return NULL;
}

static enum ctl_exit daemon_connect(const char *path, int *fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};

	if (strlen(path) >= sizeof(address.sun_path))
		return usage_fail("the path of the socket is too long");
	strcpy(address.sun_path, path);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0) {
		fprintf(stderr, "synmoatctl: socket: %s\n", strerror(errno));
		return CTL_NO_DAEMON;
	}
	setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return CTL_OK;

	if (errno == EACCES || errno == EPERM) {
		fprintf(stderr, "synmoatctl: no permission for %s: run it as root (sudo) or as the socket's group\n",
			path);
		return CTL_NO_PERMISSION;
	}
	fprintf(stderr,
		"synmoatctl: no daemon at %s (%s): start it (systemctl start synmoat), or name its socket with -s\n",
		path, strerror(errno));
	return CTL_NO_DAEMON;
}

/* All of the answer, which the caller frees; NULL after saying why. */
static char *daemon_ask(int fd, const char *request, size_t *answer_bytes)
{
	char *answer = NULL, chunk[4096];
	FILE *memory = open_memstream(&answer, answer_bytes);
	ssize_t got;

	if (!memory) {
		fprintf(stderr, "synmoatctl: %s\n", strerror(errno));
		return NULL;
	}
	/* A daemon that refuses us may have answered and closed before we wrote: read in any case. */
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0 || (got < 0 && errno == EINTR))
		if (got > 0)
			fwrite(chunk, 1, (size_t)got, memory);

	int failure = got < 0 ? errno : 0;
	if (fclose(memory) != 0) {
		fprintf(stderr, "synmoatctl: %s\n", strerror(errno));
		free(answer);
		return NULL;
	}
	/* A whole answer ends with a newline; the end of the connection may be a reset when we said too much. */
	if (failure != EAGAIN && *answer_bytes && answer[*answer_bytes - 1] == '\n')
		return answer;
	if (failure == EAGAIN)
		fprintf(stderr, "synmoatctl: no answer from the daemon within %d s\n", ANSWER_TIMEOUT_S);
	else
		fprintf(stderr, "synmoatctl: the daemon closed without a whole answer\n");
	free(answer);
	return NULL;
}

/* Whether the answer to `check` tells a fault: a line of it does, or an object of its JSON, within whose strings quotes
 * are escaped. */
static bool answer_has_fault(const char *answer)
{
	return strncmp(answer, "fault ", 6) == 0 || strstr(answer, "\nfault ") || strstr(answer, "\"level\":\"fault\"");
}

static bool request_is_check(const char *request)
{
	return strncmp(request, "check", 5) == 0 && (request[5] == ' ' || request[5] == '\n');
}

static enum ctl_exit answer_judge(const char *answer)
{
	static const char refused[] = "error:", not_permitted[] = "error: not permitted:";

	if (strncmp(answer, not_permitted, sizeof(not_permitted) - 1) == 0)
		return CTL_NO_PERMISSION;
	return strncmp(answer, refused, sizeof(refused) - 1) == 0 ? CTL_ERROR : CTL_OK;
}

static enum ctl_exit command_run(const char *path, const char *request)
{
	enum ctl_exit result;
	size_t bytes;
	char *answer;
	int fd = -1;

	result = daemon_connect(path, &fd);
	if (result != CTL_OK)
		goto out;
	result = CTL_NO_DAEMON;
	answer = daemon_ask(fd, request, &bytes);
	if (!answer)
		goto out;

	result = answer_judge(answer);
	fwrite(answer, 1, bytes, result == CTL_OK ? stdout : stderr);
	if (result == CTL_OK && request_is_check(request) && answer_has_fault(answer))
		result = CTL_ERROR;
	free(answer);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "synmoatctl: cannot write the answer: %s\n", strerror(errno));
		result = CTL_ERROR;
	}
out:
	if (fd >= 0)
		close(fd);
	return result;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	const char *path = DEFAULT_SOCKET;
	char request[REQUEST_BYTES];
	const char *wrong;
	bool json = false;
	int option;

	/* "+": options behind the command are the command's own */
	while ((option = getopt_long(argc, argv, "+s:hV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			path = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			usage_print(stdout);
			return CTL_OK;
		case 'V':
			puts("synmoatctl " SYNMOAT_VERSION);
			return CTL_OK;
		default:
			usage_print(stderr);
			return CTL_USAGE;
		}
	}
	if (optind == argc)
		return usage_fail("no command given");
	wrong = request_build(request, argv + optind, json);
	if (wrong)
		return usage_fail(wrong);
	return command_run(path, request);
}
