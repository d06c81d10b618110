/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_json: the same answers as report.c words, as objects: see report.h. */
#ifndef SYNMOAT_REPORT_JSON_H
#define SYNMOAT_REPORT_JSON_H

#include "face/report.h"

void report_json_status(const struct report *report, FILE *out);
void report_json_services(const struct report *report, FILE *out);
void report_json_sources(const struct report *report, FILE *out);
void report_json_version(const struct report *report, FILE *out);
void report_json_help(FILE *out);
void report_json_explain(const char *source, const char *policy, const struct report_verdict *verdicts, size_t count,
			 FILE *out);
void report_json_cidrs(const char *list, const struct report_cidr *cidrs, size_t count, FILE *out);
void report_json_bans(const struct report_ban *bans, size_t count, FILE *out);
void report_json_checks(const struct report_check *checks, size_t count, FILE *out);
void report_json_epoch(const struct report_epoch *epoch, FILE *out);
void report_json_done(const char *what, FILE *out);
void report_json_error(const char *why, FILE *out);

#endif
