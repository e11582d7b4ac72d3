// SPDX-License-Identifier: Apache-2.0
/* Fuzz target for --kubeconfig files: taken or refused with one line, never both. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[128] = "";
	struct kubeconfig c;
	int r = kubeconfig_parse(&c, slice_of((const char *)data, size), "/dir/config", error, sizeof(error));

	if (!r && (!c.context || !c.server || (c.cert_file && !c.key_file && !c.key_data)))
		abort();
	if (r && (r > 0 || !*error || strlen(error) >= sizeof(error)))
		abort();
	kubeconfig_fini(&c);
	return 0;
}
