/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: asks, draws, waits for the next time, a key or a signal. What is asked for is what anybody can ask. */
#include "top.h"

#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "screen.h"
#include "terminal.h"
#include "view.h"

#define INTERVAL_S 1.0
#define INTERVAL_MIN_S 0.2
#define INTERVAL_MAX_S 3600.0
#define ANSWER_TIMEOUT_S 2 /* whoever looks at a screen wants to know soon */
#define SOURCES_ASKED 50   /* at most VIEW_SOURCES_MAX */
#define EVENTS_ASKED 20    /* at most VIEW_EVENTS_MAX */

struct top {
	const char *path;
	double interval_s;
	bool once;
	bool by_challenged;
	double asked_s; /* when the view was last filled; 0: never */
	size_t page;    /* services on the screen */
	int signals;    /* signalfd */
	struct screen screen;
	struct view view;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* The answer, which the caller frees; or NULL, with a trouble in the view. */
static char *ask(struct top *top, const char *request, enum ctl_exit *result)
{
	char error[DAEMON_ERROR_BYTES], *answer;
	size_t bytes;

	*result = daemon_ask(top->path, ANSWER_TIMEOUT_S, request, &answer, &bytes, error);
	if (*result != CTL_OK)
		snprintf(top->view.trouble, sizeof(top->view.trouble), "%s", error);
	return answer;
}

static enum ctl_exit ask_status(struct top *top)
{
	enum ctl_exit result;
	char *answer = ask(top, "status json\n", &result);
	double now = now_s();

	if (!answer)
		return result;
	if (view_take_status(&top->view, answer, top->asked_s > 0 ? now - top->asked_s : 0) != 0)
		result = CTL_ERROR;
	else
		top->asked_s = now;
	free(answer);
	return result;
}

static enum ctl_exit ask_sources(struct top *top)
{
	enum ctl_exit result;
	char request[64], *answer;

	snprintf(request, sizeof(request), "sources --top %d --by %s json\n", SOURCES_ASKED,
		 top->by_challenged ? "challenged" : "half-open");
	answer = ask(top, request, &result);
	if (answer && view_take_sources(&top->view, answer) != 0)
		result = CTL_ERROR;
	free(answer);
	return result;
}

/* As text: that is what is shown. */
static enum ctl_exit ask_events(struct top *top)
{
	enum ctl_exit result;
	char request[64], *answer;

	snprintf(request, sizeof(request), "events --last %d\n", EVENTS_ASKED);
	answer = ask(top, request, &result);
	if (answer)
		view_take_events(&top->view, answer);
	free(answer);
	return result;
}

static enum ctl_exit ask_all(struct top *top)
{
	enum ctl_exit result;

	*top->view.trouble = '\0';
	result = ask_status(top);
	if (result == CTL_OK)
		result = ask_sources(top);
	if (result == CTL_OK)
		result = ask_events(top);
	return result;
}

/* --- drawing ------------------------------------------------------------------------------------------------------ */

static void clock_read(char text[16])
{
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(text, 16, "%H:%M:%SZ", &utc);
}

/* The frame, which the caller frees; NULL: no memory. */
static char *frame_draw(struct top *top, size_t *bytes)
{
	char *frame = NULL;
	FILE *out = open_memstream(&frame, bytes);

	if (!out)
		return NULL;
	top->page = screen_draw(&top->screen, &top->view, out);
	if (fclose(out) == 0)
		return frame;
	free(frame);
	return NULL;
}

static int show(struct top *top)
{
	struct screen *screen = &top->screen;
	size_t bytes;
	char *frame;
	int result;

	terminal_size(&screen->columns, &screen->rows);
	if (screen->columns > SCREEN_COLUMNS_MAX)
		screen->columns = SCREEN_COLUMNS_MAX;
	if (screen->rows > SCREEN_ROWS_MAX)
		screen->rows = SCREEN_ROWS_MAX;
	if (!screen->paused)
		clock_read(screen->clock);
	frame = frame_draw(top, &bytes);
	result = frame ? terminal_show(frame, bytes) : -1;
	free(frame);
	return result;
}

/* --- keys and signals --------------------------------------------------------------------------------------------- */

static void scroll_by(struct top *top, long services)
{
	size_t hidden = top->view.service_count > top->page ? top->view.service_count - top->page : 0;
	long to = (long)top->screen.scroll + services;

	top->screen.scroll = to < 0 ? 0 : (size_t)to > hidden ? hidden : (size_t)to;
}

/* Returns whether to go on; `*ask_now` when the answer is wanted before the next time. */
static bool key_obey(struct top *top, int key, bool *ask_now)
{
	long page = top->page > 1 ? (long)top->page - 1 : 1;

	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 'p':
		top->screen.paused = !top->screen.paused;
		*ask_now |= !top->screen.paused;
		break;
	case 's':
		top->by_challenged = !top->by_challenged;
		*ask_now = true;
		break;
	case 'h':
	case '?':
		top->screen.help = !top->screen.help;
		break;
	case KEY_UP:
		scroll_by(top, -1);
		break;
	case KEY_DOWN:
		scroll_by(top, 1);
		break;
	case KEY_PAGE_UP:
		scroll_by(top, -page);
		break;
	case KEY_PAGE_DOWN:
		scroll_by(top, page);
		break;
	case KEY_HOME:
		top->screen.scroll = 0;
		break;
	case KEY_LAST:
		scroll_by(top, VIEW_SERVICES_MAX);
		break;
	default:
		break;
	}
	return true;
}

static bool keys_obey(struct top *top, bool *ask_now)
{
	int keys[TERMINAL_KEYS_MAX];
	int count = terminal_keys(keys);

	for (int i = 0; i < count; i++)
		if (!key_obey(top, keys[i], ask_now))
			return false;
	return count >= 0;
}

static int signals_catch(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGWINCH);
	sigaddset(&signals, SIGTSTP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The terminal is the shell's while we are stopped. */
static void suspend(void)
{
	terminal_give_back();
	raise(SIGSTOP);
	terminal_take();
}

/* Ends as the signal would have ended us, with the terminal given back. */
static void end_by(int signal_number)
{
	sigset_t one;

	terminal_give_back();
	signal(signal_number, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static void signals_obey(const struct top *top)
{
	struct signalfd_siginfo caught;

	while (read(top->signals, &caught, sizeof(caught)) == sizeof(caught))
		if (caught.ssi_signo == SIGTSTP)
			suspend();
		else if (caught.ssi_signo != SIGWINCH)
			end_by((int)caught.ssi_signo);
}

/* Until it is time to ask again, or something happened. Returns whether to go on. */
static bool wait_for_events(struct top *top, double until_s, bool *ask_now)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = top->signals, .events = POLLIN}};
	double left_s = until_s - now_s();
	int timeout_ms = top->screen.paused ? -1 : left_s > 0 ? (int)ceil(left_s * 1000) : 0;

	if (poll(fds, 2, timeout_ms) < 0)
		return errno == EINTR;
	if (fds[1].revents)
		signals_obey(top);
	if (fds[0].revents & POLLIN)
		return keys_obey(top, ask_now);
	return !fds[0].revents;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static enum ctl_exit run(struct top *top)
{
	bool ask_now = false;
	double next_s = now_s() + top->interval_s;

	top->signals = signals_catch();
	if (top->signals < 0 || terminal_take() != 0) {
		fprintf(stderr, "synmoatctl: top: %s\n", strerror(errno));
		return CTL_ERROR;
	}
	while (show(top) == 0 && wait_for_events(top, next_s, &ask_now)) {
		if (!ask_now && (top->screen.paused || now_s() < next_s))
			continue;
		ask_all(top);
		ask_now = false;
		next_s = now_s() + top->interval_s;
	}
	terminal_give_back();
	return CTL_OK;
}

static unsigned size_from_environment(const char *name, unsigned usual, unsigned most)
{
	const char *text = getenv(name);
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	return value == 0 ? usual : value > most ? most : (unsigned)value;
}

/* One frame, of which the rates are those of one interval. */
static enum ctl_exit run_once(struct top *top)
{
	enum ctl_exit result;
	size_t bytes;
	char *frame;

	usleep((useconds_t)(top->interval_s * 1e6));
	result = ask_all(top);
	if (result != CTL_OK) {
		fprintf(stderr, "synmoatctl: %s\n", top->view.trouble);
		return result;
	}
	top->screen.columns = size_from_environment("COLUMNS", 80, SCREEN_COLUMNS_MAX);
	top->screen.rows = size_from_environment("LINES", 24, SCREEN_ROWS_MAX);
	clock_read(top->screen.clock);
	frame = frame_draw(top, &bytes);
	if (!frame || fwrite(frame, 1, bytes, stdout) != bytes || fflush(stdout) != 0) {
		fprintf(stderr, "synmoatctl: top: cannot write: %s\n", strerror(errno));
		result = CTL_ERROR;
	}
	free(frame);
	return result;
}

static bool interval_read(const char *text, double *interval_s)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= INTERVAL_MIN_S && value <= INTERVAL_MAX_S))
		return false;
	*interval_s = value;
	return true;
}

/* Returns NULL, or what is wrong. */
static const char *options_read(struct top *top, int count, char **arguments)
{
	static const struct option options[] = {
		{"interval", required_argument, NULL, 'i'},
		{"once", no_argument, NULL, 'o'},
		{0},
	};
	int option;

	optind = 0; /* begins anew: getopt(3) */
	opterr = 0;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
		if (option == 'o')
			top->once = true;
		else if (option != 'i')
			return "unknown option: known are --interval S and --once";
		else if (!interval_read(optarg, &top->interval_s))
			return "--interval takes seconds, 0.2 to 3600";
	return optind < count ? "one word too many: allowed is top [--interval S] [--once]" : NULL;
}

int top_main(const char *path, bool json, int argument_count, char **arguments)
{
	static struct top top;
	const char *wrong, *no_colour = getenv("NO_COLOR");
	enum ctl_exit result;

	top = (struct top){.path = path, .interval_s = INTERVAL_S};
	wrong = options_read(&top, argument_count, arguments);
	if (!wrong && json)
		wrong = "it is for people: for programs, status --json and sources --json tell the same";
	if (!wrong && !top.once && !terminal_there())
		wrong = "standard input and output are no terminal that it could fill: top --once prints one screen";
	if (wrong) {
		fprintf(stderr, "synmoatctl: top: %s\n", wrong);
		return CTL_USAGE;
	}
	setlocale(LC_CTYPE, "");
	top.screen.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	top.screen.colour = !top.once && !(no_colour && *no_colour);
	top.screen.keys = !top.once;

	result = ask_all(&top); /* once it has answered, we go on when it is gone */
	if (result != CTL_OK) {
		fprintf(stderr, "synmoatctl: %s\n", top.view.trouble);
		return result;
	}
	return top.once ? run_once(&top) : run(&top);
}
