// SPDX-License-Identifier: Apache-2.0
/*
 * Places in this machine's TLS libraries, against what a processor does: functions are run instruction by instruction, on random
 * arguments up to the place, and in real sessions from the first instruction to the return.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scope.h"
#include "lib_kit.h"
#include "tap.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

#define ARGS	   3
#define FRAMES_MAX 8
#define WATCH_MAX  16
#define STEPS_MAX  64
#define TRIES	   1

static uint64_t rng_state[2] = { 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9 };

static uint64_t chance(void)
{
	uint64_t x = rng_state[0], y = rng_state[1];

	rng_state[0] = y;
	x ^= x << 23;
	rng_state[1] = x ^ y ^ (x >> 17) ^ (y >> 26);
	return rng_state[1] + y;
}

/* ---- random arguments, up to the place ---- */

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return pid;
}

static bool args_are(const struct user_regs_struct *r, const uint64_t args[ARGS])
{
	return r->rdi == args[0] && r->rsi == args[1] && r->rdx == args[2];
}

/* 1: came to the place, arguments as they were; 0: a fault before; -1: not as they were, or never there. */
static int run_to(pid_t pid, const struct user_regs_struct *home, uint64_t start, const struct place *p)
{
	struct user_regs_struct r = *home;
	uint64_t args[ARGS] = { chance(), chance(), chance() };
	int status;

	for (int i = 0; i < ARGS; i++)
		if (chance() & 1)
			args[i] = home->rsp - 4096 + (args[i] & 1023 & ~7ull); /* memory that can be read */
	r.rdi = args[0];
	r.rsi = args[1];
	r.rdx = args[2];
	r.rip = start;
	r.rsp = (home->rsp - 16384) & ~15ull;
	r.orig_rax = UINT64_MAX;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	for (int i = 0; i < STEPS_MAX; i++) {
		ptrace(PTRACE_GETREGS, pid, 0, &r);
		if (r.rip == start + p->entry)
			return args_are(&r, args) ? 1 : -1;
		ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) != SIGTRAP)
			return 0;
	}
	return -1;
}

static int try_function(pid_t pid, const struct user_regs_struct *home, const struct lib *l, const ElfW(Sym) *s, const struct place *p)
{
	int reached = 0;

	for (int k = 0; k < TRIES; k++) {
		int r = run_to(pid, home, (uintptr_t)l->base + s->st_value, p);

		if (r < 0)
			printf("# %s +%u\n", l->strings + s->st_name, p->entry);
		CHECK(r >= 0);
		reached += r > 0;
	}
	return reached;
}

/* One of `every` functions. */
static void functions_of(const char *name, size_t every)
{
	struct user_regs_struct home;
	int placed = 0, reached = 0;
	struct lib l;
	pid_t pid;

	if (!lib_open(&l, name)) {
		SKIP(name, "is not installed");
		return;
	}
	tap_bad = false;
	pid = start_child();
	ptrace(PTRACE_GETREGS, pid, 0, &home);
	for (size_t i = 0; i < l.n; i += every) {
		struct place p;

		if (!lib_place(&l, &l.symbols[i], ARGS, &p) || !p.entry)
			continue;
		placed++;
		reached += try_function(pid, &home, &l, &l.symbols[i], &p);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(placed && reached > placed / 4);
	tap_failed += tap_bad;
	printf("%s %d - %s: %d places past the entry, reached %d times\n", tap_bad ? "not ok" : "ok", ++tap_n, name, placed, reached);
}

/* ---- whole calls of real sessions ---- */

struct frame {
	uint64_t args[ARGS], sp, back, value;
	int entries, rets;
};

struct watch {
	const char *name;
	uint64_t start;
	struct place place;
	struct frame frames[FRAMES_MAX];
	int depth, calls, positive;
};

static struct watch watches[WATCH_MAX];
static int n_watches;

static void watch(const struct lib *l, const char *name)
{
	const ElfW(Sym) *s = lib_symbol(l, name);
	struct watch *w = &watches[n_watches];

	if (!s)
		return;
	*w = (struct watch){ .name = name, .start = (uintptr_t)l->base + s->st_value };
	n_watches += lib_place(l, s, ARGS, &w->place);
}

static void enter(struct watch *w, const struct user_regs_struct *r, pid_t pid)
{
	struct frame *f = &w->frames[w->depth];

	if (w->depth == FRAMES_MAX)
		return;
	w->depth++;
	*f = (struct frame){ { r->rdi, r->rsi, r->rdx }, r->rsp, (uint64_t)ptrace(PTRACE_PEEKDATA, pid, r->rsp, 0), 0, 0, 0 };
}

static void leave(struct watch *w, const struct user_regs_struct *r)
{
	struct frame *f = &w->frames[--w->depth];

	w->calls++;
	CHECK_INT(f->entries, 1);
	CHECK(f->rets <= 1);
	if ((int32_t)r->rax <= 0 || !w->place.n_rets)
		return;
	w->positive++;
	CHECK_INT(f->rets, 1);
	CHECK_INT((int32_t)f->value, (int32_t)r->rax);
}

static void look(struct watch *w, const struct user_regs_struct *r, pid_t pid)
{
	struct frame *f;

	if (r->rip == w->start)
		enter(w, r, pid);
	f = w->depth ? &w->frames[w->depth - 1] : NULL;
	if (!f)
		return;
	if (r->rip == w->start + w->place.entry) {
		f->entries++;
		CHECK(args_are(r, f->args));
	}
	for (int i = 0; i < w->place.n_rets; i++) {
		if (r->rip == w->start + w->place.rets[i]) {
			f->rets++;
			f->value = r->rax;
		}
	}
	if (r->rip == f->back && r->rsp == f->sp + 8)
		leave(w, r);
}

/* Follows a child that says by SIGUSR1 where the calls to follow begin and end. */
static void follow(void (*scenario)(void))
{
	pid_t pid = fork();
	bool steps = false;
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		scenario();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);

		if (sig == SIGUSR1)
			steps = !steps;
		if (steps && sig == SIGTRAP) {
			struct user_regs_struct r;

			ptrace(PTRACE_GETREGS, pid, 0, &r);
			for (int i = 0; i < n_watches; i++)
				look(&watches[i], &r, pid);
		}
		ptrace(steps ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, 0, sig == SIGTRAP || sig == SIGUSR1 || sig == SIGSTOP ? 0 : sig);
	}
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

static struct lib ssl, crypto;

/* Each size that one side writes, the other one reads in pieces; then there is nothing, and nonsense. */
static void ssl_calls(void *a, void *b)
{
	static const int sizes[] = { 1, 300 };
	static char buf[32768];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		LIB_CALL(&ssl, int, SSL_write, (void *, const void *, int), a, buf, sizes[i]);
		while (LIB_CALL(&ssl, int, SSL_read, (void *, void *, int), b, buf, 200) > 0)
			;
		LIB_CALL(&ssl, int, SSL_write_ex, (void *, const void *, size_t, size_t *), b, buf, (size_t)sizes[i], &n);
		while (LIB_CALL(&ssl, int, SSL_read_ex, (void *, void *, size_t, size_t *), a, buf, 200, &n) > 0)
			;
	}
	LIB_CALL(&ssl, int, SSL_write, (void *, const void *, int), a, buf, -1);
	LIB_CALL(&ssl, int, SSL_read, (void *, void *, int), a, buf, -1);
	LIB_CALL(&ssl, int, SSL_write, (void *, const void *, int), a, buf, 0);
}

static void ssl_scenario(void)
{
	void *a, *b;

	if (!ssl_pair(&ssl, &crypto, &a, &b))
		_exit(1);
	raise(SIGUSR1);
	ssl_calls(a, b);
	raise(SIGUSR1);
	_exit(0);
}

static void test_openssl__whole_calls(void)
{
	static const char *const names[] = { "SSL_write", "SSL_read", "SSL_write_ex", "SSL_read_ex" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		watch(&ssl, names[i]);
	watch(&crypto, "BIO_write");
	watch(&crypto, "BIO_read");
	follow(ssl_scenario);
	for (int i = 0; i < n_watches; i++) {
		const struct watch *w = &watches[i];

		printf("# %s: %d calls, +%u, results by %d places (%d positive)\n", w->name, w->calls, w->place.entry, w->place.n_rets,
		       w->positive);
		CHECK(w->calls);
		CHECK_INT(w->depth, 0);
		CHECK(!w->place.n_rets || w->positive);
	}
}

int main(void)
{
	functions_of("libssl.so.3", 1);
	functions_of("libgnutls.so.30", 1);
	functions_of("libnspr4.so", 1);
	functions_of("libcrypto.so.3", 16);
	if (lib_open(&ssl, "libssl.so.3") && lib_open(&crypto, "libcrypto.so.3"))
		RUN(test_openssl__whole_calls);
	else
		SKIP("test_openssl__whole_calls", "libssl.so.3 is not installed");
	return tap_done();
}

#else

int main(void)
{
	(void)tap_run;
	SKIP("places in real libraries", "runs x86-64 code without sanitizers");
	return tap_done();
}

#endif
