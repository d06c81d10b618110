/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "face/metrics_writer.h"

#include <inttypes.h>
#include <math.h>

static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
};

/* In quotes. The text form knows three escapes, JSON (RFC 8259 7) those and \u for other control characters. */
static void put_quoted(struct writer *writer, const char *text)
{
	fputc('"', writer->out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(writer->out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", writer->out);
		else if (writer->json && c < ' ')
			fprintf(writer->out, "\\u%04x", c);
		else
			fputc(c, writer->out);
	}
	fputc('"', writer->out);
}

void writer_begin(struct writer *writer, bool json, FILE *out)
{
	*writer = (struct writer){.out = out, .json = json};
	if (json)
		fputs("{\"format\":1,\"metrics\":[", out);
}

void writer_end(struct writer *writer)
{
	if (writer->json)
		fprintf(writer->out, "%s]}\n", writer->family ? "]}" : "");
}

void writer_family(struct writer *writer, const char *name, enum metric_type type, const char *help)
{
	if (writer->json) {
		fprintf(writer->out, "%s{\"name\":\"%s\",\"type\":\"%s\",\"help\":", writer->family ? "]}," : "", name,
			type_names[type]);
		put_quoted(writer, help);
		fputs(",\"samples\":[", writer->out);
	} else {
		fprintf(writer->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type_names[type]);
	}
	writer->family = name;
	writer->sampled = false;
}

static void put_labels(struct writer *writer, const struct label *labels, size_t count)
{
	fputs(writer->json || count ? "{" : "", writer->out);
	for (size_t i = 0; i < count; i++) {
		fprintf(writer->out, writer->json ? "%s\"%s\":" : "%s%s=", i ? "," : "", labels[i].name);
		put_quoted(writer, labels[i].value);
	}
	fputs(writer->json || count ? "}" : "", writer->out);
}

static void put_sample(struct writer *writer, const char *suffix, const struct label *labels, size_t count,
		       const char *value)
{
	if (writer->json)
		fprintf(writer->out, "%s{\"name\":\"%s%s\",\"labels\":", writer->sampled ? "," : "", writer->family,
			suffix);
	else
		fprintf(writer->out, "%s%s", writer->family, suffix);
	put_labels(writer, labels, count);
	fprintf(writer->out, writer->json ? ",\"value\":%s}" : " %s\n", value);
	writer->sampled = true;
}

void writer_sample(struct writer *writer, const char *suffix, const struct label *labels, size_t count, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_sample(writer, suffix, labels, count, text);
}

void writer_real(struct writer *writer, const char *suffix, const struct label *labels, size_t count, double value)
{
	char text[32];

	if (isfinite(value))
		snprintf(text, sizeof(text), "%.15g", value);
	else
		snprintf(text, sizeof(text), "%s", writer->json ? "null" : "NaN");
	put_sample(writer, suffix, labels, count, text);
}

void writer_number(struct writer *writer, const char *name, enum metric_type type, const char *help, uint64_t value)
{
	writer_family(writer, name, type, help);
	writer_sample(writer, "", NULL, 0, value);
}
