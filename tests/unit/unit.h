/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unit: the main() of every unit test program, `return unit_main(suite());`.
 *
 * Prints what Check prints. With RESULTS=FILE in the environment it also appends one line per test, "pass PROGRAM.TEST"
 * or "fail PROGRAM.TEST", where TEST is the name given to START_TEST. Returns 0 if all passed, else 1. */
#ifndef SYNMOAT_UNIT_H
#define SYNMOAT_UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char *program_invocation_short_name;

/* Check tells a test's name in its TAP log alone: "ok 1 - FILE:CASE:TEST: Passed", "not ok 2 - ...". The rounds of a
 * loop test share a name there: they are numbered, TEST, TEST[1], TEST[2]. */
static inline void unit_results_append(FILE *tap, FILE *results)
{
	char line[4096], test[256], previous[256] = "";
	unsigned round = 0;

	while (fgets(line, sizeof(line), tap)) {
		const char *word = "pass";

		if (sscanf(line, "ok %*d - %*[^:]:%*[^:]:%255[^:]:", test) != 1) {
			if (sscanf(line, "not ok %*d - %*[^:]:%*[^:]:%255[^:]:", test) != 1)
				continue;
			word = "fail";
		}
		round = strcmp(test, previous) == 0 ? round + 1 : 0;
		strcpy(previous, test);
		fprintf(results, "%s %s.%s", word, program_invocation_short_name, test);
		if (round)
			fprintf(results, "[%u]", round);
		fputc('\n', results);
	}
}

static inline int unit_main(Suite *suite)
{
	const char *results_path = getenv("RESULTS");
	char tap_path[] = "/tmp/synmoat-unit-XXXXXX";
	SRunner *runner = srunner_create(suite);
	int tap_fd = results_path && *results_path ? mkstemp(tap_path) : -1;
	int failed;

	if (tap_fd >= 0)
		srunner_set_tap(runner, tap_path);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);

	if (tap_fd >= 0) {
		FILE *tap = fdopen(tap_fd, "r");
		FILE *results = fopen(results_path, "a");

		if (tap && results)
			unit_results_append(tap, results);
		else
			failed++; /* a result that nobody can count is none */
		if (results)
			fclose(results);
		if (tap)
			fclose(tap);
		unlink(tap_path);
	}
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
