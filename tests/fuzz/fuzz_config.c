/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config: any text is a configuration within its limits, or an error that says where; and what is shown of it is taken
 * again, and shown the same. */
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "face/config_show.h"
#include "fuzz.h"

#define PATH_BYTES 32
#define ERROR_BYTES 1024

/* libconfig 1.5 loses the string that it was about to read where the text breaks off. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static void text_file(const void *text, size_t bytes, char path[PATH_BYTES], int *fd)
{
	*fd = memfd_create("synmoat.conf", MFD_CLOEXEC);
	must(*fd >= 0 && write(*fd, text, bytes) == (ssize_t)bytes);
	snprintf(path, PATH_BYTES, "/proc/self/fd/%d", *fd);
}

static void between(unsigned value, unsigned least, unsigned most)
{
	must(value >= least && value <= most);
}

static void list_is_sound(const struct cidr *list, size_t count)
{
	must(count <= CIDR_LIST_MAX && (list || !count));
	for (size_t i = 0; i < count; i++)
		must(list[i].bits <= 128);
}

static void services_are_sound(const struct config *config)
{
	size_t pairs = 0;

	must(config->services || !config->service_count);
	must(config->mode != MODE_GATEWAY || config->service_count);
	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *service = &config->services[i];

		must(service->name[0] && memchr(service->name, '\0', sizeof(service->name)));
		must(service->port_count && service->ports && service->cookies <= COOKIES_NEVER);
		for (size_t p = 0; p < service->port_count; p++)
			must(service->ports[p]);
		must(!service->host_bits || (config->mode == MODE_GATEWAY && !service->any_address));
		must(service->any_address || !addr_is_v4(&service->address) || service->host_bits <= 32);
		pairs += service->port_count;
	}
	must(pairs <= 1024);
}

/* The ranges of config.h. */
static void numbers_are_sound(const struct config *config)
{
	between(config->backlog.arm_percent, 1, 100);
	between(config->backlog.crowd_percent, config->backlog.arm_percent, 100);
	must(config->backlog.disarm_percent < config->backlog.arm_percent);
	between(config->backlog.hold_s, 0, 3600);
	between(config->backlog.handshake_timeout_s, 1, 300);
	between(config->sources.half_open_limit, 0, 1000000);
	between(config->sources.prefix_v4, 8, 32);
	between(config->sources.prefix_v6, 16, 128);
	between(config->sources.proven_s, 0, 86400);
	between(config->sources.direct_half_open, 0, 1024);
	between(config->rate_limit.connections_per_s, 0, 30000);
	between(config->rate_limit.burst, 1, 60000);
	between(config->rate_limit.ban_s, 0, 86400);
	between(config->reflection.unanswered_per_s, 0, 1000000);
	between(config->tables.half_open, 1024, 16777216);
	between(config->tables.sources, 1024, 16777216);
	between(config->tables.handovers, 64, 1048576);
	between(config->tables.bans, 64, 1048576);
	between(config->queues.shards, 0, 64);
	between(config->queues.first, 0, 65000);
	between(config->xdp.sample_per_s, 1, 100000);
	between(config->gateway.grace_s, 0, 86400);
}

static void is_sound(const struct config *config)
{
	must(config->mode <= MODE_GATEWAY && config->policy <= POLICY_OBSERVE);
	must(config->on_overload <= UNSEEN_DROP && config->on_exit <= UNSEEN_DROP);
	must(config->gateway.strays <= STRAYS_RESET && config->rate_limit.action <= ACTION_RESET);
	must(config->queues.spill <= SPILL_OFF && config->accelerator <= ACCELERATOR_OFF);
	must(config->control_access <= ACCESS_EVERYBODY && config->xdp.mode <= XDP_MODE_GENERIC);
	must(config->xdp.interface_count <= CONFIG_INTERFACES_MAX);
	for (size_t i = 0; i < config->xdp.interface_count; i++)
		must(memchr(config->xdp.interfaces[i], '\0', IF_NAMESIZE) && config->xdp.interfaces[i][0]);
	must(memchr(config->control_socket, '\0', sizeof(config->control_socket)) && config->control_socket[0] == '/');
	must(!config->metrics.listen[0] || addr_is_loopback(&config->metrics.address));
	services_are_sound(config);
	numbers_are_sound(config);
	list_is_sound(config->allow, config->allow_count);
	list_is_sound(config->deny, config->deny_count);
}

static char *shown(const struct config *config, bool json, size_t *bytes)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);

	must(out);
	config_show(config, json, out);
	must(fclose(out) == 0 && text);
	return text;
}

static void json_is_sound(const struct config *config)
{
	size_t bytes;
	char *text = shown(config, true, &bytes);
	json_t *object = json_loadb(text, bytes, 0, NULL);

	must(json_is_object(object));
	json_decref(object);
	free(text);
}

static void round_trip(const struct config *config)
{
	char path[PATH_BYTES], error[ERROR_BYTES] = "";
	size_t first_bytes, second_bytes;
	char *first = shown(config, false, &first_bytes), *second;
	struct config again;
	int fd;

	text_file(first, first_bytes, path, &fd);
	if (config_load(&again, path, error, sizeof(error)) != 0) {
		fprintf(stderr, "%s\nin what was shown:\n%s\n", error, first);
		must(!"what is shown is taken");
	}
	is_sound(&again);
	second = shown(&again, false, &second_bytes);
	must(first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0);
	config_free(&again);
	close(fd);
	free(first);
	free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char path[PATH_BYTES], error[ERROR_BYTES];
	struct config config;
	int fd;

	memset(error, 'x', sizeof(error));
	text_file(data, bytes, path, &fd);
	if (config_load(&config, path, error, sizeof(error)) == 0) {
		is_sound(&config);
		json_is_sound(&config);
		round_trip(&config);
		config_free(&config);
	} else {
		must(memchr(error, '\0', sizeof(error)));
		must(strncmp(error, path, strlen(path)) == 0 && error[strlen(path)] == ':' &&
		     strlen(error) > strlen(path) + 5);
	}
	close(fd);
	return 0;
}
