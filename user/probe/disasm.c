// SPDX-License-Identifier: Apache-2.0
#include "probe/disasm.h"

#include <dlfcn.h>
#include <errno.h>

#define TEXT(n) #n
#define SONAME(major) "libcapstone.so." TEXT(major)

int disasm_load(struct disasm *d)
{
	void *lib = dlopen(SONAME(CS_API_MAJOR), RTLD_NOW | RTLD_LOCAL); /* the version whose headers we have */

	*d = (struct disasm){ .library = lib };
	if (!lib)
		return -ENOENT;
	d->open = (__typeof__(d->open))dlsym(lib, "cs_open");
	d->option = (__typeof__(d->option))dlsym(lib, "cs_option");
	d->malloc = (__typeof__(d->malloc))dlsym(lib, "cs_malloc");
	d->next = (__typeof__(d->next))dlsym(lib, "cs_disasm_iter");
	d->free = (__typeof__(d->free))dlsym(lib, "cs_free");
	d->close = (__typeof__(d->close))dlsym(lib, "cs_close");
	if (d->open && d->option && d->malloc && d->next && d->free && d->close)
		return 0;
	disasm_unload(d);
	return -ENOENT;
}

void disasm_unload(struct disasm *d)
{
	if (d->library)
		dlclose(d->library);
	*d = (struct disasm){ 0 };
}
