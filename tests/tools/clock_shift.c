/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock_shift - a wall clock that steps, for one program: an LD_PRELOAD library for the tests.
 *
 * CLOCK_SHIFT names a file with a number of seconds, which may be less than zero: so much is added to what the program is
 * told of the time of day. It is read each time. Clocks that nobody sets (CLOCK_MONOTONIC) stay as they are.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int shift_fd = -1;

__attribute__((constructor)) static void open_shift(void)
{
	const char *path = getenv("CLOCK_SHIFT");

	if (path)
		shift_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static long shift_s(void)
{
	char text[32];
	ssize_t bytes = shift_fd < 0 ? 0 : pread(shift_fd, text, sizeof(text) - 1, 0);

	text[bytes > 0 ? bytes : 0] = '\0';
	return strtol(text, NULL, 10);
}

/* ---- what is put in the place of libc's ---- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	int failed;

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "clock_gettime");
	failed = real(clock, now);
	if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += shift_s();
	return failed;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &precise);
	*now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
	return 0;
}
