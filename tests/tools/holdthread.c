/* SPDX-License-Identifier: GPL-2.0-or-later */
/* holdthread TID: stops one thread of another process, as if it were stuck, and says "held"; lets it go on when the
 * standard input ends. A signal would stop them all. See ptrace(2), PTRACE_SEIZE. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	pid_t thread = argc == 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	char ignored[64];
	int status;

	if (thread <= 0) {
		fputs("usage: holdthread TID\n", stderr);
		return 2;
	}
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 ||
	    waitpid(thread, &status, __WALL) < 0) {
		perror("holdthread");
		return 1;
	}
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0)
		;
	if (ptrace(PTRACE_DETACH, thread, NULL, NULL) < 0) {
		perror("holdthread");
		return 1;
	}
	return 0;
}
