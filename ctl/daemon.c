/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX ((size_t)64 << 20) /* many times what a daemon has to tell */

static enum ctl_exit __attribute__((format(printf, 3, 4)))
fail(enum ctl_exit result, char error[DAEMON_ERROR_BYTES], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, DAEMON_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return result;
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

/* Who may use it, as far as we are allowed to look. */
static enum ctl_exit permission_fail(const char *path, char error[DAEMON_ERROR_BYTES])
{
	struct stat status;
	struct group *group = stat(path, &status) == 0 && status.st_gid ? getgrgid(status.st_gid) : NULL;

	if (group)
		return fail(CTL_NO_PERMISSION, error,
			    "no permission for %s: run it as root (sudo), or as a member of the group %s "
			    "(usermod -aG %s USER, then log in again)",
			    path, group->gr_name, group->gr_name);
	return fail(CTL_NO_PERMISSION, error,
		    "no permission for %s: run it as root (sudo), or as a member of the socket's group", path);
}

static enum ctl_exit connect_fail(const char *path, int failure, unsigned timeout_s, char error[DAEMON_ERROR_BYTES])
{
	struct stat status;

	if (failure == EACCES || failure == EPERM)
		return permission_fail(path, error);
	if (failure == EAGAIN)
		return fail(CTL_NO_DAEMON, error, "no answer from the daemon at %s within %u s: does it hang?", path,
			    timeout_s);
	if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return fail(CTL_NO_DAEMON, error, "%s is no socket: name the daemon's (control.socket) with -s", path);
	return fail(CTL_NO_DAEMON, error,
		    "no daemon at %s (%s): start it (systemctl start synmoat), or name its socket with -s", path,
		    strerror(failure));
}

enum ctl_exit daemon_connect(const char *path, unsigned timeout_s, int *fd, char error[DAEMON_ERROR_BYTES])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = (time_t)timeout_s};
	int failure;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(CTL_USAGE, error, "the path of the socket is longer than %zu bytes",
			    sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);

	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return fail(CTL_NO_DAEMON, error, "socket: %s", strerror(errno));
	setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)); /* of connect() as well: unix(7) */
	if (connect(*fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return CTL_OK;
	failure = errno;
	close(*fd);
	*fd = -1;
	return connect_fail(path, failure, timeout_s, error);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

enum ctl_exit daemon_hangs(const char *path, unsigned timeout_s, char error[DAEMON_ERROR_BYTES])
{
	return fail(CTL_NO_DAEMON, error,
		    "no answer from the daemon at %s within %u s: does it hang? (systemctl status synmoat)", path,
		    timeout_s);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As recv(), until `end_ms` at the latest: then -1 and EAGAIN. */
static ssize_t receive(int fd, char *chunk, size_t bytes, int64_t end_ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	int64_t left_ms;
	ssize_t got;

	while ((left_ms = end_ms - now_ms()) > 0) {
		if (poll(&readable, 1, (int)left_ms) <= 0)
			continue;
		got = recv(fd, chunk, bytes, MSG_DONTWAIT);
		if (got >= 0 || (errno != EAGAIN && errno != EINTR))
			return got;
	}
	errno = EAGAIN;
	return -1;
}

/* All that comes until the end; 0, or an errno. */
static int answer_read(int fd, unsigned timeout_s, char **answer, size_t *answer_bytes)
{
	int64_t end_ms = now_ms() + (int64_t)timeout_s * 1000;
	char chunk[4096];
	FILE *memory = open_memstream(answer, answer_bytes);
	size_t all = 0;
	ssize_t got;
	int failure;

	if (!memory)
		return ENOMEM;
	while ((got = receive(fd, chunk, sizeof(chunk), end_ms)) > 0 && (all += (size_t)got) <= ANSWER_BYTES_MAX)
		fwrite(chunk, 1, (size_t)got, memory);
	failure = got < 0 ? errno : got > 0 ? EFBIG : 0;
	return fclose(memory) == 0 ? failure : ENOMEM;
}

enum ctl_exit daemon_ask(const char *path, unsigned timeout_s, const char *request, char **answer, size_t *answer_bytes,
			 char error[DAEMON_ERROR_BYTES])
{
	int fd = -1, failure;
	enum ctl_exit result = daemon_connect(path, timeout_s, &fd, error);

	*answer = NULL;
	*answer_bytes = 0;
	if (result != CTL_OK)
		return result;
	/* A daemon that refuses us may have answered and closed before we wrote: read in any case. */
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	failure = answer_read(fd, timeout_s, answer, answer_bytes);
	close(fd);
	/* A whole answer ends with a newline; the end of the connection may be a reset when we said too much. */
	if (failure != EAGAIN && failure != ENOMEM && failure != EFBIG && *answer_bytes &&
	    (*answer)[*answer_bytes - 1] == '\n')
		return CTL_OK;

	free(*answer);
	*answer = NULL;
	if (failure == EAGAIN)
		return daemon_hangs(path, timeout_s, error);
	if (failure == ENOMEM)
		return fail(CTL_ERROR, error, "out of memory");
	if (failure == EFBIG)
		return fail(CTL_ERROR, error, "the answer is longer than %zu MiB: is it synmoatd that listens at %s?",
			    ANSWER_BYTES_MAX >> 20, path);
	return fail(CTL_NO_DAEMON, error, "the daemon closed without a whole answer: try again");
}

enum ctl_exit daemon_judge(const char *answer)
{
	static const char not_permitted[] = "not permitted:", prefix[] = "error: ";
	enum ctl_exit result = CTL_OK;
	json_t *object = NULL;
	const char *why = NULL;

	if (strncmp(answer, prefix, sizeof(prefix) - 1) == 0) {
		why = answer + sizeof(prefix) - 1;
	} else if (*answer == '{') {
		object = json_loads(answer, 0, NULL);
		why = json_string_value(json_object_get(object, "error"));
	}
	if (why)
		result = strncmp(why, not_permitted, sizeof(not_permitted) - 1) == 0 ? CTL_NO_PERMISSION : CTL_ERROR;
	json_decref(object);
	return result;
}

/* --- showing ------------------------------------------------------------------------------------------------------ */

/* C0 but newline and tab, DEL, and C1 in UTF-8: U+0080 to U+009F. */
static bool is_control(unsigned char before, unsigned char byte)
{
	return (byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f ||
	       (before == 0xc2 && byte >= 0x80 && byte < 0xa0);
}

bool daemon_show(char *text, size_t bytes, FILE *out)
{
	static unsigned char before; /* also the last byte of what was shown before this */
	bool terminal = isatty(fileno(out));

	for (size_t i = 0; terminal && i < bytes; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (is_control(before, byte))
			text[i] = '?';
		before = byte;
	}
	/* What does not fit into the buffer is written at once: fflush() alone does not tell that it failed. */
	return fwrite(text, 1, bytes, out) == bytes && fflush(out) == 0;
}
