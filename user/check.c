// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <curl/curl.h>
#include <stdio.h>

#include "probe/probe.h"

static size_t ignore_body(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

/* An empty request is legal OTLP; what counts is whether anybody answers. */
static void check_otlp(const struct config *c)
{
	char url[2048], error[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
	CURL *e = curl_easy_init();
	long status = 0;
	CURLcode r;

	if (!e || config_otlp_url(c, url, sizeof(url)))
		goto out;
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, 3000L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ignore_body);
	curl_easy_setopt(e, CURLOPT_CAINFO, c->export.otlp_ca);
	r = curl_easy_perform(e);
	curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
	if (r)
		printf("exporter: %s does not answer: %s\n", url, *error ? error : curl_easy_strerror(r));
	else
		printf("exporter: %s answers with status %ld\n", url, status);
out:
	curl_slist_free_all(headers);
	curl_easy_cleanup(e);
}

int check_run(const struct config *config)
{
	int r = probe_check(stdout, config->operate.backend);

	if (config->export.otlp_endpoint)
		check_otlp(config);
	return r ? 1 : 0;
}
