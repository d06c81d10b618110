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

#include "face/control.h"
#include "log.h"
#include "supervisor.h"
#include "synmoat/version.h"

struct options {
	struct config_file config; /* without -c a missing file means defaults */
	bool test;
};

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){.config.path = CONFIG_DEFAULT_PATH};
	while ((option = getopt(argc, argv, "c:tV")) != -1) {
		switch (option) {
		case 'c':
			options->config = (struct config_file){optarg, true};
			break;
		case 't':
			options->test = true;
			break;
		case 'V':
			puts("synmoatd " SYNMOAT_VERSION);
			exit(EXIT_SUCCESS);
		default:
			fputs("usage: synmoatd [-c FILE] [-t] [-V]\n", stderr);
			exit(2);
		}
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

static void answer(void *context, const struct control_peer *peer, const char *request, FILE *out)
{
	supervisor_answer(context, peer, request, out);
}

/* Until a signal says stop. */
static void serve(struct supervisor *supervisor, struct control *control, int signal_fd)
{
	int wait_ms = 0;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = signal_fd, .events = POLLIN},
			{.fd = control_fd(control), .events = POLLIN},
			{.fd = supervisor->alarm_fd, .events = POLLIN},
			{.fd = supervisor_events_fd(supervisor), .events = POLLIN},
		};
		struct signalfd_siginfo caught;
		char error[512];

		poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms);
		wait_ms = supervisor_tick(supervisor);
		control_serve(control, worker_now_ns());
		if (read(signal_fd, &caught, sizeof(caught)) != sizeof(caught))
			continue;
		if (caught.ssi_signo != SIGHUP)
			return;
		if (supervisor_reload(supervisor, error, sizeof(error)) < 0)
			log_error("%s", error);
	}
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	struct options options;
	struct config config;
	struct control_setup control_setup;
	struct control *control;
	char error[512];
	int signal_fd;

	log_open();
	parse_options(argc, argv, &options);
	if (config_load_from(&config, &options.config, error, sizeof(error)) < 0) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	if (supervisor_refuses(&config, error, sizeof(error)) < 0) {
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
	if (!control) {
		log_error("%s", error);
		supervisor_fail(&supervisor);
		return EXIT_FAILURE;
	}
	log_info("ready: %u bindings protected by %u shards", supervisor.registry.binding_count, supervisor.shards);

	serve(&supervisor, control, signal_fd);

	control_close(control);
	supervisor_close(&supervisor);
	close(signal_fd);
	log_info("stopped");
	return EXIT_SUCCESS;
}
