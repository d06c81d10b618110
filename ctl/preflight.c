/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "preflight.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DAEMON "synmoatd"

bool preflight_wanted(const char *request, bool *json)
{
	static const char *const forms[] = {" --json", " json"};

	*json = false;
	if (strncmp(request, "check", 5) != 0)
		return false;
	request += 5;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strncmp(request, forms[i], strlen(forms[i])) == 0) {
			request += strlen(forms[i]);
			*json = true;
		}
	return strcmp(request, "\n") == 0;
}

/* Where `make install` puts it, seen from us, or where `make` does. False: not there. */
static bool daemon_beside(char path[PATH_MAX])
{
	static const char *const places[] = {"/../sbin/" DAEMON, "/" DAEMON};
	char self[PATH_MAX];
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *end;

	if (bytes <= 0)
		return false;
	self[bytes] = '\0';
	end = strrchr(self, '/');
	if (!end)
		return false;
	*end = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(path, PATH_MAX, "%s%s", self, places[i]) < PATH_MAX && access(path, X_OK) == 0)
			return true;
	return false;
}

int preflight_run(bool json)
{
	char path[PATH_MAX];
	char *const arguments[] = {DAEMON, "-k", json ? "-j" : NULL, NULL};
	int status;
	pid_t pid;

	if (!daemon_beside(path))
		strcpy(path, DAEMON);
	fprintf(stderr, "synmoatctl: so this is what %s -k says of this host\n", path);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execvp(path, arguments); /* with a slash in it, it is not looked for */
		fprintf(stderr, "synmoatctl: cannot run %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		fprintf(stderr, "synmoatctl: fork: %s\n", strerror(errno));
		return -1;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? WEXITSTATUS(status) : -1;
}
