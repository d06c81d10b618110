/* SPDX-License-Identifier: GPL-2.0-or-later */
/* synmoatd: see synmoatd(8). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "edge/http.h"
#include "edge/manager.h"
#include "face/control.h"
#include "log.h"
#include "preflight.h"
#include "pulse.h"
#include "scrape.h"
#include "supervisor.h"
#include "synmoat/version.h"

#define NSEC_PER_MSEC 1000000ULL

struct options {
	struct config_file config; /* without -c a missing file means defaults */
	bool test;
	bool preflight, json;
};

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){.config.path = CONFIG_DEFAULT_PATH};
	while ((option = getopt(argc, argv, "c:jktV")) != -1) {
		switch (option) {
		case 'c':
			options->config = (struct config_file){optarg, true};
			break;
		case 'j':
			options->json = true;
			break;
		case 'k':
			options->preflight = true;
			break;
		case 't':
			options->test = true;
			break;
		case 'V':
			puts("synmoatd " SYNMOAT_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs("usage: synmoatd [-c FILE] [-k [-j] | -t] [-V]\n", stderr);
			exit(2);
		}
	}
	if (options->json && !options->preflight) {
		fputs("synmoatd: -j goes with -k\n", stderr);
		exit(2);
	}
	if (optind < argc) {
		fprintf(stderr, "synmoatd: unexpected argument '%s'\n", argv[optind]);
		exit(2);
	}
}

/* Before any thread starts, so that none of them takes the signals. */
static int catch_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static enum control_then answer(void *context, const struct control_peer *peer, const char *request, FILE *out)
{
	return supervisor_answer(context, peer, request, out);
}

/* The sooner of both: a moment, and milliseconds (-1: never). */
static int sooner(uint64_t due_ns, int other_ms)
{
	uint64_t now_ns = worker_now_ns();
	int due_ms = due_ns > now_ns ? (int)((due_ns - now_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC) : 0;

	return other_ms >= 0 && other_ms < due_ms ? other_ms : due_ms;
}

/* Until a signal says stop. What comes over HTTP makes no tick: a tick asks every shard, and anybody on this host may
 * connect there. */
static void serve(struct supervisor *supervisor, struct control *control, struct http *http, int signal_fd)
{
	uint64_t tick_due_ns = 0;
	int http_ms = http ? 0 : -1;
	int wait_ms = 0;
	struct pulse pulse;

	pulse_begin(&pulse, supervisor);
	for (;;) {
		struct pollfd fds[] = {
			{.fd = signal_fd, .events = POLLIN},
			{.fd = control_fd(control), .events = POLLIN},
			{.fd = supervisor->alarm_fd, .events = POLLIN},
			{.fd = supervisor_events_fd(supervisor), .events = POLLIN},
			{.fd = accelerator_watch_fd(supervisor), .events = POLLIN},
			{.fd = http ? http_fd(http) : -1, .events = POLLIN},
		};
		struct signalfd_siginfo caught;
		char message[512];
		bool links;

		poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms);
		/* first: it is emptied, whatever else there is */
		links = fds[4].revents && accelerator_links_changed(supervisor);
		if (worker_now_ns() >= tick_due_ns || fds[0].revents || fds[1].revents || fds[2].revents ||
		    fds[3].revents || links)
			tick_due_ns = (uint64_t)supervisor_tick(supervisor) * NSEC_PER_MSEC + worker_now_ns();
		control_serve(control, worker_now_ns());
		if (http)
			http_ms = http_serve(http, worker_now_ns());
		wait_ms = pulse_tick(&pulse, supervisor, sooner(tick_due_ns, http_ms));
		if (read(signal_fd, &caught, sizeof(caught)) != sizeof(caught))
			continue;
		if (caught.ssi_signo != SIGHUP)
			return;
		supervisor_reload(supervisor, message, sizeof(message));
	}
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	struct options options;
	struct config config;
	struct control_setup control_setup;
	struct control *control;
	struct http *http = NULL;
	char error[512];
	int signal_fd;

	log_open();
	parse_options(argc, argv, &options);
	if (options.preflight)
		return preflight_run(&options.config, options.json, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (config_load_from(&config, &options.config, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	if (supervisor_refuses(&config, error, sizeof(error)) < 0 ||
	    (options.test && accelerator_refuses(&config, error, sizeof(error)) < 0)) {
		log_error("%s", error);
		config_free(&config);
		return EXIT_FAILURE;
	}
	if (options.test) {
		puts("configuration OK");
		config_free(&config);
		return EXIT_SUCCESS;
	}

	signal_fd = catch_signals();
	if (supervisor_open(&supervisor, &options.config, &config) < 0)
		return EXIT_FAILURE;
	control_setup = (struct control_setup){
		.path = supervisor.config.control_socket,
		.has_group = supervisor.config.has_control_group,
		.group = supervisor.config.control_gid,
		.everybody_reads = supervisor.config.control_access == ACCESS_EVERYBODY,
	};
	control = control_open(&control_setup, answer, &supervisor, error, sizeof(error));
	if (!control || scrape_open(&supervisor, &http, error, sizeof(error)) < 0) {
		log_error("%s", error);
		if (control)
			control_close(control);
		supervisor_fail(&supervisor);
		return EXIT_FAILURE;
	}
	supervisor.control = control;
	supervisor_tell_ready(&supervisor);
	supervisor_tell_control(&supervisor);

	serve(&supervisor, control, http, signal_fd);

	supervisor_end_attacks(&supervisor);
	supervisor_tell_plain(&supervisor, EVENT_STOPPING, "stopping");
	supervisor.control = NULL;
	manager_stopping();
	http_close(http);
	control_close(control);
	supervisor_close(&supervisor);
	close(signal_fd);
	supervisor_tell_plain(&supervisor, EVENT_STOPPED, "stopped");
	return EXIT_SUCCESS;
}
