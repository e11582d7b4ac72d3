// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"
#include "base/slice.h"
#include "host/places.h"

#define WHOLE 1 /* number of the directory where a hierarchy begins; a part of it begins with another */

static bool has_word(struct slice list, const char *word)
{
	struct slice one;

	while (slice_split(&list, ',', &one))
		if (slice_eq(slice_trim(one), slice_str(word)))
			return true;
	return false;
}

/* One line of mountinfo. */
static bool is_mount_of(char *line, const char *controller, char *where, size_t size)
{
	char *behind = strstr(line, " - "), at[1024], type[64], options[1024];

	line[strcspn(line, "\n")] = '\0';
	if (!behind || sscanf(line, "%*s %*s %*s %*s %1023s", at) != 1 || sscanf(behind, " - %63s %*s %1023s", type, options) != 2)
		return false;
	if (controller ? strcmp(type, "cgroup") || !has_word(slice_str(options), controller) : strcmp(type, "cgroup2"))
		return false;
	return (size_t)snprintf(where, size, "%s", at) < size;
}

static int find(const char *mounts, const char *below, const char *controller, char *path, size_t size)
{
	_fclose_ FILE *f = fopen(mounts, "re");
	char line[4096], where[1024];
	struct stat st;

	while (f && fgets(line, sizeof(line), f)) {
		if (!is_mount_of(line, controller, where, sizeof(where)) ||
		    (size_t)snprintf(path, size, "%s%s", below, where) >= size)
			continue;
		if (!stat(path, &st) && S_ISDIR(st.st_mode) && st.st_ino == WHOLE)
			return 0;
	}
	return -ENOENT;
}

int places_root(const char *proc, const char *controller, char *path, size_t size)
{
	char mounts[512], root[512];

	snprintf(mounts, sizeof(mounts), "%s/self/mountinfo", proc);
	if (!find(mounts, "", controller, path, size))
		return 0;
	snprintf(mounts, sizeof(mounts), "%s/1/mountinfo", proc);
	snprintf(root, sizeof(root), "%s/1/root", proc);
	return find(mounts, root, controller, path, size);
}
