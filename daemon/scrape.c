/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrape.h"

#include "face/metrics.h"
#include "log.h"

static int read_metrics(void *context, struct http_page *page)
{
	const struct metrics_words *words = supervisor_metrics(context, false);

	if (!words)
		return -1;
	*page = (struct http_page){words->text, words->bytes, words->made_ns};
	return 0;
}

int scrape_open(struct supervisor *supervisor, struct http **http, char *error, size_t error_bytes)
{
	const struct config *config = &supervisor->config;
	struct http_setup setup = {
		.address = config->metrics.address,
		.port = config->metrics.port,
		.content_type = METRICS_CONTENT_TYPE,
		.read = read_metrics,
		.context = supervisor,
	};

	if (!config->metrics.listen[0])
		return 0;
	*http = http_open(&setup, error, error_bytes);
	if (!*http)
		return -1;
	log_info("metrics at http://%s/metrics", config->metrics.listen);
	return 0;
}
