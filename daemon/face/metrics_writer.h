/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics_writer: families of numbers in one of two forms, written as they come. A family is begun, then has its samples:
 *
 *   text   # HELP NAME ...        JSON   {"format":1,"metrics":[{"name":NAME,"type":...,"help":...,"samples":[
 *          # TYPE NAME counter             {"name":NAME,"labels":{"label":"value"},"value":1}]},...]}
 *          NAME{label="value"} 1
 *
 * The text is the Prometheus exposition format 0.0.4. JSON knows no NaN: there it is null. */
#ifndef SYNMOAT_METRICS_WRITER_H
#define SYNMOAT_METRICS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
};

struct label {
	const char *name;  /* [a-z_]+ */
	const char *value; /* any text in UTF-8 */
};

struct writer {
	FILE *out;
	bool json;
	const char *family; /* begun last, or NULL */
	bool sampled;       /* it has a sample */
};

void writer_begin(struct writer *writer, bool json, FILE *out);
void writer_end(struct writer *writer);

/* `name` has to live until the next family, or the end. */
void writer_family(struct writer *writer, const char *name, enum metric_type type, const char *help);

/* A sample of the family begun last. `suffix` is "" but for histograms. */
void writer_sample(struct writer *writer, const char *suffix, const struct label *labels, size_t count, uint64_t value);
void writer_real(struct writer *writer, const char *suffix, const struct label *labels, size_t count, double value);

/* A family of one sample without labels. */
void writer_number(struct writer *writer, const char *name, enum metric_type type, const char *help, uint64_t value);

#endif
