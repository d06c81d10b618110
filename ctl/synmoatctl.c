/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synmoatctl: sends one request line to the daemon and copies its answer. What the requests are is the daemon's matter:
 * see daemon/face/command.c. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "follow.h"
#include "preflight.h"
#include "synmoat/version.h"
#include "top.h"

#define DEFAULT_SOCKET "/run/synmoat/control.sock"
#define REQUEST_BYTES 1024 /* more than the daemon takes: it says so itself */

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
	      "  events [--last N] [--follow]\n"
	      "                           what happened lately, and what happens from now on\n"
	      "  top [--interval S] [--once]\n"
	      "                           all of this on one screen, again and again\n"
	      "  metrics                  all numbers, as Prometheus reads them\n"
	      "  config show              the configuration in force, defaults included\n"
	      "  check                    whether this host lets the daemon do what it is told to;\n"
	      "                           also when no daemon runs\n"
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
	      "The default SOCKET is " DEFAULT_SOCKET ". See synmoatctl(1).\n"
	      "It exits with 0 if all is well, 1 if the daemon reports an error or check a fault, 2 for wrong usage,\n"
	      "3 if no daemon answers, 4 without the permission.\n",
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

static enum ctl_exit command_run(const char *path, const char *request)
{
	char error[DAEMON_ERROR_BYTES];
	enum ctl_exit result;
	size_t bytes;
	char *answer;
	bool json, faulty;

	result = daemon_ask(path, DAEMON_ANSWER_TIMEOUT_S, request, &answer, &bytes, error);
	if (result != CTL_OK) {
		fprintf(stderr, "synmoatctl: %s\n", error);
		if (result == CTL_NO_DAEMON && preflight_wanted(request, &json) && preflight_run(json) == 1)
			result = CTL_ERROR;
		return result;
	}
	result = daemon_judge(answer);
	faulty = result == CTL_OK && request_is_check(request) && answer_has_fault(answer);
	if (!daemon_show(answer, bytes, result == CTL_OK ? stdout : stderr)) {
		fprintf(stderr, "synmoatctl: cannot write the answer: %s\n", strerror(errno));
		result = CTL_ERROR;
	}
	if (faulty)
		result = CTL_ERROR;
	free(answer);
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
	if (strcmp(argv[optind], "top") == 0)
		return top_main(path, json, argc - optind, argv + optind);
	wrong = request_build(request, argv + optind, json);
	if (wrong)
		return usage_fail(wrong);
	return follow_is_asked(request) ? follow_events(path, request) : command_run(path, request);
}
