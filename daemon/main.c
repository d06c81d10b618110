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
	const char *config_path;
	bool explicit_path;
	bool test;
};

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){.config_path = CONFIG_DEFAULT_PATH};
	while ((option = getopt(argc, argv, "c:tV")) != -1) {
		switch (option) {
		case 'c':
			options->config_path = optarg;
			options->explicit_path = true;
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

/* Without -c a missing file means defaults. */
static int load_config(const struct options *options, struct config *config)
{
	char error[512];

	if (!options->explicit_path && access(options->config_path, F_OK) < 0 && errno == ENOENT) {
		config_defaults(config);
		return 0;
	}
	if (config_load(config, options->config_path, error, sizeof(error)) == 0)
		return 0;
	log_error("%s", error);
	return -1;
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

static void answer(void *context, const char *request, FILE *out)
{
	supervisor_answer(context, request, out);
}

/* Until a signal says stop. */
static void serve(struct supervisor *supervisor, struct control *control, int signal_fd, const struct options *options)
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
		struct config config;

		poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms);
		wait_ms = supervisor_tick(supervisor);
		control_serve(control, worker_now_ns());
		if (read(signal_fd, &caught, sizeof(caught)) != sizeof(caught))
			continue;
		if (caught.ssi_signo != SIGHUP)
			return;
		if (load_config(options, &config) == 0)
			supervisor_reload(supervisor, &config);
		else
			log_error("configuration not reloaded: the old one stays in force");
	}
}

int main(int argc, char **argv)
{
	static struct supervisor supervisor;
	struct options options;
	struct config config;
	struct control *control;
	char error[512];
	int signal_fd;

	log_open();
	parse_options(argc, argv, &options);
	if (load_config(&options, &config) < 0)
		return EXIT_FAILURE;
	if (options.test) {
		puts("configuration OK");
		config_free(&config);
		return EXIT_SUCCESS;
	}

	signal_fd = catch_signals();
	if (supervisor_open(&supervisor, &config) < 0)
		return EXIT_FAILURE;
	control = control_open(supervisor.config.control_socket, answer, &supervisor, error, sizeof(error));
	if (!control) {
		log_error("%s", error);
		supervisor_close(&supervisor);
		return EXIT_FAILURE;
	}
	log_info("ready: %u bindings protected by %u shards", supervisor.registry.binding_count, supervisor.shards);

	serve(&supervisor, control, signal_fd, &options);

	control_close(control);
	supervisor_close(&supervisor);
	close(signal_fd);
	log_info("stopped");
	return EXIT_SUCCESS;
}
