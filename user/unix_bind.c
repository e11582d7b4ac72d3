// SPDX-License-Identifier: Apache-2.0
#include "unix_bind.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/scope.h"

int unix_address(const char *path, struct sockaddr_un *to, socklen_t *size)
{
	size_t n = strlen(path);

	if (!n || n >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, path, n);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

/* What a tracer that was killed has left. */
static void remove_stale(int type, const struct sockaddr_un *a, socklen_t size)
{
	_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || lstat(a->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	if (connect(fd, (const struct sockaddr *)a, size) && errno == ECONNREFUSED)
		unlink(a->sun_path);
}

/* Created with its mode: nobody else can use it even for a moment. */
int unix_bind(int fd, int type, const char *path)
{
	struct sockaddr_un a;
	socklen_t size;
	mode_t mask;
	int r = unix_address(path, &a, &size);

	if (r)
		return r;
	remove_stale(type, &a, size);
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&a, size) ? -errno : 0;
	umask(mask);
	return r;
}
