// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/caps.h"
#include "base/slice.h"

static void test_caps__text(void)
{
	char text[64], small[12];

	caps_text(0, text, sizeof(text));
	CHECK_SLICE(slice_str(text), "none");
	caps_text(CAP_BIT(CAP_SYS_PTRACE), text, sizeof(text));
	CHECK_SLICE(slice_str(text), "CAP_SYS_PTRACE");
	caps_text(CAP_BIT(0) | CAP_BIT(38) | CAP_BIT(39) | CAP_BIT(40), text, sizeof(text));
	CHECK_SLICE(slice_str(text), "CAP_CHOWN, CAP_PERFMON, CAP_BPF, CAP_CHECKPOINT_RESTORE");
	caps_text(CAP_BIT(63), text, sizeof(text)); /* of a later kernel */
	CHECK_SLICE(slice_str(text), "none");
	caps_text(~0ULL, small, sizeof(small));
	CHECK_INT(strlen(small), sizeof(small) - 1);
}

/* In a process of its own, which gives them up: what is left is what was asked for, and nothing comes back. */
static int given_up(uint64_t keep)
{
	struct caps before, now;

	if (caps_get(&before) || caps_keep(keep) || caps_get(&now))
		return 1;
	if (now.permitted != (before.permitted & keep) || now.effective != now.permitted || now.inheritable)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (before.permitted & ~keep && !caps_set(&before))
		return 4;
	return 0;
}

static void test_caps__keep(void)
{
	const uint64_t keeps[] = { 0, CAP_BIT(CAP_SYS_PTRACE), CAP_BIT(38) | CAP_BIT(CAP_DAC_READ_SEARCH), ~0ULL };

	for (size_t i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			_exit(given_up(keeps[i]));
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		CHECK_INT(WEXITSTATUS(status), 0);
	}
}

/* What is not in use for a while can be taken back. */
static void test_caps__use(void)
{
	struct caps before, now;

	REQUIRE(!caps_get(&before));
	CHECK(!caps_use(0) && !caps_get(&now) && !now.effective && now.permitted == before.permitted);
	CHECK(!caps_set(&before) && !caps_get(&now) && now.effective == before.effective);
}

int main(void)
{
	RUN(test_caps__text);
	RUN(test_caps__keep);
	RUN(test_caps__use);
	return tap_done();
}
