// SPDX-License-Identifier: Apache-2.0
#include "base/open_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/scope.h"

#define STACK (64 * 1024)
#define LATE_MAX 50 /* times OPEN_WAIT_NS that a thread may want for a processor */

/* Of the process, as its threads are. */
static struct stuck {
	atomic_bool taken; /* by a thread that was left behind, which gives it back */
	uint64_t place;
} stuck[OPEN_STUCK_MAX];

struct opening {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done, left; /* left: nobody waits for the answer */
	atomic_int tid;	 /* 0: it has not begun */
	int fd;		 /* or -errno */
	struct stuck *slot;
	int flags;
	char path[];
};

static void opening_free(struct opening *o)
{
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

static int open_and_ask(const char *path, int flags)
{
	_close_ int fd = open(path, flags);
	struct statfs fs;

	if (fd < 0 || (!(flags & O_PATH) && fstatfs(fd, &fs)))
		return -errno;
	return TAKE_FD(fd);
}

static void *run(void *arg)
{
	struct opening *o = arg;
	bool left;
	int fd;

	atomic_store(&o->tid, gettid());
	fd = open_and_ask(o->path, o->flags);
	pthread_mutex_lock(&o->lock);
	o->fd = fd;
	o->done = true;
	left = o->left;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	if (left) {
		close_fd(&fd);
		atomic_store(&o->slot->taken, false);
		opening_free(o);
	}
	return NULL;
}

static struct opening *opening_new(const char *path, int flags, struct stuck *slot)
{
	size_t n = strlen(path) + 1;
	struct opening *o = calloc(1, sizeof(*o) + n);
	pthread_condattr_t attr;

	if (!o)
		return NULL;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&o->lock, NULL);
	o->flags = flags;
	o->slot = slot;
	memcpy(o->path, path, n);
	return o;
}

/* Signals are the caller's to take. */
static int start(pthread_t *thread, struct opening *o)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, MAX((size_t)STACK, (size_t)PTHREAD_STACK_MIN));
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, &attr, run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* Does it want nothing but a processor? That is no fault of the file system's. */
static bool only_late(const struct opening *o)
{
	int tid = atomic_load(&o->tid);
	_fclose_ FILE *f = NULL;
	char path[64], state = 'R';

	if (!tid)
		return true;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	return f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 'R';
}

/* With the lock. */
static bool wait_once(struct opening *o)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + OPEN_WAIT_NS;
	const struct timespec until = { .tv_sec = (time_t)(end / NS_PER_S), .tv_nsec = (long)(end % NS_PER_S) };

	while (!o->done && pthread_cond_timedwait(&o->changed, &o->lock, &until) != ETIMEDOUT)
		;
	return o->done;
}

/* True: it has the answer. False: it is the thread's from now on. */
static bool wait_for(struct opening *o, pthread_t thread)
{
	bool done, late = true;

	pthread_mutex_lock(&o->lock);
	for (int i = 0; !wait_once(o) && late && i < LATE_MAX; i++) {
		pthread_mutex_unlock(&o->lock); /* it may want that as well */
		late = only_late(o);
		pthread_mutex_lock(&o->lock);
	}
	done = o->done;
	o->left = !done;
	if (!done) {
		atomic_store(&o->slot->taken, true);
		pthread_detach(thread);
	}
	pthread_mutex_unlock(&o->lock);
	return done;
}

static struct stuck *slot_for(uint64_t place)
{
	struct stuck *free = NULL;

	for (struct stuck *s = stuck; s < stuck + OPEN_STUCK_MAX; s++) {
		if (!atomic_load(&s->taken))
			free = s;
		else if (s->place == place)
			return NULL;
	}
	if (free)
		free->place = place;
	return free;
}

bool open_unanswered(int err)
{
	return err == -ETIMEDOUT || err == -EBUSY;
}

int open_wait(const char *path, int flags, uint64_t place)
{
	struct stuck *slot = slot_for(place);
	struct opening *o = slot ? opening_new(path, flags, slot) : NULL;
	pthread_t thread;
	int fd;

	if (!o)
		return slot ? -ENOMEM : -EBUSY;
	fd = start(&thread, o);
	if (fd) {
		opening_free(o);
		return fd;
	}
	if (!wait_for(o, thread))
		return -ETIMEDOUT;
	pthread_join(thread, NULL);
	fd = o->fd;
	opening_free(o);
	return fd;
}
