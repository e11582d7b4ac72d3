// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "check.h"
#include "config.h"
#include "control.h"
#include "loop.h"
#include "privilege.h"

#define EXIT_USAGE 2

static enum log_level level_of(const char *name)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++)
		if (!strcmp(names[i], name))
			return (enum log_level)i;
	return LOG_INFO;
}

static int usage(const char *error)
{
	fprintf(stderr, "spandrel: %s\n", error);
	return EXIT_USAGE;
}

static int run(struct config *c, int argc, char **argv)
{
	CURLM *multi;
	int r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(multi = curl_multi_init())) {
		log_error("libcurl does not start");
		return 1;
	}
	r = c->operate.replay ? loop_replay(c, multi) : loop_live(c, argc, argv, multi);
	curl_multi_cleanup(multi);
	curl_global_cleanup();
	return r;
}

int main(int argc, char **argv)
{
	struct config c;
	char error[512];
	int r;

	if (argc > 1 && !strcmp(argv[1], "set"))
		return set_main(argc, argv);
	privilege_begin();
	if (config_load(&c, argc, argv, error, sizeof(error)) || config_check(&c, error, sizeof(error))) {
		r = usage(error);
	} else if (c.operate.help) {
		config_help();
		r = 0;
	} else if (c.operate.version) {
		printf("spandrel %s\n", VERSION);
		r = 0;
	} else {
		log_setup(level_of(c.operate.log_level), !strcmp(c.operate.log_format, "json"));
		r = c.operate.check ? check_run(&c) : run(&c, argc, argv);
	}
	config_fini(&c);
	return r;
}
