// SPDX-License-Identifier: Apache-2.0
/* Placement in made-up functions: each breaks one obligation of place.h, or none. */
#include "probe/place.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "tap.h"

#define CODE(...) ((const char[]){ __VA_ARGS__ }), sizeof((const char[]){ __VA_ARGS__ })
#define REFUSED 0

static struct place place(enum place_arch arch, unsigned args, const char *code, size_t n)
{
	struct place p = { .entry = 0xdead };

	CHECK_INT(place_function(slice_of(code, n), 0x401000, arch, args, &p), 0);
	return p;
}

static struct place x86(const char *code, size_t n)
{
	return place(PLACE_X86_64, 3, code, n);
}

#define SUB_RSP 0x48, (char)0x83, (char)0xec, 0x18
#define ADD_RSP 0x48, (char)0x83, (char)0xc4, 0x18
#define TEST_EDX (char)0x85, (char)0xd2
#define TEST_EAX (char)0x85, (char)0xc0
#define CALL_FAR (char)0xe8, 0, 0, 1, 0
#define GUARD 0x64, 0x48, 0x2b, 0x14, 0x25, 0x28, 0, 0, 0 /* sub %fs:0x28,%rdx */
#define JS(n) 0x78, (char)(n)
#define JNE(n) 0x75, (char)(n)
#define JLE(n) 0x7e, (char)(n)
#define JMP(n) (char)0xeb, (char)(n)
#define RET (char)0xc3
#define MINUS_ONE (char)0xb8, -1, -1, -1, -1
#define ONE (char)0xb8, 1, 0, 0, 0
#define ZERO 0x31, (char)0xc0

static void test_x86__entry(void)
{
	struct place p = x86(CODE(0x53, RET));

	CHECK(p.entry == 0 && p.entry_emulated && p.first_emulated);
	p = x86(CODE(0x41, 0x54, RET)); /* push %r12 */
	CHECK(p.entry == 0 && p.first_emulated);
	p = x86(CODE(SUB_RSP, TEST_EDX, JS(4), ADD_RSP, RET));
	CHECK(p.entry == 6 && p.entry_emulated && !p.first_emulated);
	p = x86(CODE(SUB_RSP, CALL_FAR, ADD_RSP, RET));
	CHECK(p.entry == 4 && p.entry_emulated);
	p = x86(CODE((char)0xf3, 0x0f, 0x1e, (char)0xfa, 0x55, RET)); /* endbr64; push %rbp */
	CHECK(p.entry == 4 && p.entry_emulated && !p.first_emulated);
	p = x86(CODE(SUB_RSP, 0x66, (char)0x90, ADD_RSP, RET));
	CHECK(p.entry == 4);
	p = x86(CODE(0x31, (char)0xc9, (char)0xe9, 0, 0, 1, 0)); /* a tail call and nothing else */
	CHECK(p.entry == 2 && p.entry_emulated);
}

static void test_x86__not_emulated(void)
{
	CHECK_INT(x86(CODE(SUB_RSP, 0x0f, 0x1f, 0x40, 0, ADD_RSP, RET)).entry, REFUSED);	 /* a longer nop */
	CHECK_INT(x86(CODE(SUB_RSP, 0x41, (char)0x90, ADD_RSP, RET)).entry, REFUSED);	 /* xchg %r8,%rax, not nop */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0xff, 0x15, 0, 0, 0, 0, ADD_RSP, RET)).entry, REFUSED); /* call *0(%rip) */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0xe3, 4, ADD_RSP, RET)).entry, REFUSED);		 /* jrcxz */
	CHECK_INT(x86(CODE(SUB_RSP, 0x68, 1, 0, 0, 0, ADD_RSP, RET)).entry, REFUSED);	 /* push $1 */
	CHECK(!x86(CODE(SUB_RSP, RET)).entry_emulated);
}

static void test_x86__arguments_written(void)
{
	static const char third[] = { SUB_RSP, (char)0xba, 1, 0, 0, 0, CALL_FAR, ADD_RSP, RET }; /* mov $1,%edx */

	CHECK_INT(x86(third, sizeof(third)).entry, REFUSED);
	CHECK_INT(place(PLACE_X86_64, 2, third, sizeof(third)).entry, 9);
	CHECK_INT(x86(CODE(SUB_RSP, 0x40, (char)0xb6, 1, CALL_FAR, ADD_RSP, RET)).entry, REFUSED);	    /* mov $1,%sil */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0x48, (char)0x87, (char)0xf7, CALL_FAR, ADD_RSP, RET)).entry, REFUSED); /* xchg */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0x0f, (char)0xa2, CALL_FAR, ADD_RSP, RET)).entry, REFUSED);	    /* cpuid */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0xa4, CALL_FAR, ADD_RSP, RET)).entry, REFUSED);		    /* movsb */
	CHECK_INT(x86(CODE(SUB_RSP, (char)0xf7, (char)0xe1, CALL_FAR, ADD_RSP, RET)).entry, REFUSED);	    /* mul %ecx */
	CHECK_INT(place(PLACE_X86_64, 7, CODE(SUB_RSP, CALL_FAR, ADD_RSP, RET)).entry, REFUSED);
}

static void test_x86__led_to_again(void)
{
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(-4), ADD_RSP, RET)).entry, REFUSED);	     /* a loop over the line */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(-2), ADD_RSP, RET)).entry, REFUSED);	     /* to itself */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(5), ADD_RSP, RET, JMP(-9))).entry, REFUSED); /* from behind */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(5), ADD_RSP, RET, JMP(-15))).entry, 6);     /* anew from the first one */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(-3), ADD_RSP, RET)).entry, REFUSED);	     /* into an instruction */
}

static void test_x86__not_followed(void)
{
#define JMP_RAX (char)0xff, (char)0xe0
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(2), JMP_RAX, ADD_RSP, RET)).entry, REFUSED); /* could be a table of cases */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(6), ADD_RSP, JMP_RAX, ADD_RSP, RET)).entry, 6);
	CHECK_INT(x86(CODE(TEST_EDX, JS(2), JMP_RAX, RET)).entry, REFUSED); /* nothing moved the stack pointer */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, 0x0f, (char)0x88, 0, 0, 1, 0, ADD_RSP, RET)).entry, REFUSED); /* a part elsewhere */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(5), ADD_RSP, RET, 0x06)).entry, REFUSED);		  /* does not decode */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(5), ADD_RSP, RET, (char)0x48)).entry, REFUSED);	  /* cut short */
}

static void test_x86__frame_pointer(void)
{
	/* endbr64; mov %rsp,%rax; sub; test; js L; leave-like: lea 0x18(%rsp),%rsp; jmp *rax */
	CHECK_INT(x86(CODE(SUB_RSP, TEST_EDX, JS(7), 0x48, (char)0x8d, 0x64, 0x24, 0x18, JMP_RAX, ADD_RSP, RET)).entry, 6);
	/* the pushes give no choice: the first one is it */
	CHECK_INT(x86(CODE(0x55, 0x48, (char)0x89, (char)0xe5, SUB_RSP, TEST_EDX, JS(3), (char)0xc9, JMP_RAX, (char)0xc9, RET)).entry, 0);
}

static void test_x86__returns(void)
{
	/* as Debian's SSL_write: sub; test; js A; call; test; jle B; mov (%rsp),%eax; B: guard; jne F; add; ret; A: call; mov $-1; jmp B;
	 * F: call */
	static const char ssl[] = { SUB_RSP, TEST_EDX, JS(28), CALL_FAR, TEST_EAX, JLE(3), (char)0x8b, 0x04, 0x24, GUARD, JNE(17),
				    ADD_RSP, RET, CALL_FAR, MINUS_ONE, JMP(-28), CALL_FAR };
	struct place p = x86(ssl, sizeof(ssl));

	CHECK_INT(p.entry, 6);
	CHECK_INT(p.n_rets, 1);
	CHECK_INT(p.rets[0], 29);
}

static void test_x86__returns_refused(void)
{
	/* without a guard nothing emulated is behind the value */
	CHECK_INT(x86(CODE(SUB_RSP, CALL_FAR, ADD_RSP, RET)).n_rets, 0);
	/* push; call; jmp +0; pop %rbx; ret */
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(0), 0x5b, RET)).n_rets, 1);
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(0), 0x58, RET)).n_rets, 0);		/* pop %rax */
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(0), 0x0f, 0x48, (char)0xc2, RET)).n_rets, 0); /* cmovs %edx,%eax */
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(0), CALL_FAR, RET)).n_rets, 0);
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(-7), RET)).n_rets, 0);
}

static void test_x86__every_return(void)
{
	/* push; test; js L; call; jmp R; R: pop; ret; L: …; pop; ret */
#define TWO(...) 0x53, TEST_EDX, JS(9), CALL_FAR, JMP(0), 0x5b, RET, __VA_ARGS__, 0x5b, RET
	CHECK_INT(x86(CODE(TWO(MINUS_ONE))).n_rets, 1);
	CHECK_INT(x86(CODE(TWO(ZERO))).n_rets, 1);
	CHECK_INT(x86(CODE(TWO(ONE))).n_rets, 0);
	CHECK_INT(x86(CODE(TWO(CALL_FAR))).n_rets, 0);
	CHECK_INT(x86(CODE(TWO(CALL_FAR, JMP(0)))).n_rets, 2);
	/* behind a test that says that it is not positive: call; test; jle R; call; jmp 0; R: pop; ret */
	CHECK_INT(x86(CODE(0x53, CALL_FAR, TEST_EAX, JLE(7), CALL_FAR, JMP(0), 0x5b, RET)).n_rets, 1);
	CHECK_INT(x86(CODE(0x53, CALL_FAR, TEST_EDX, JLE(7), CALL_FAR, JMP(0), 0x5b, RET)).n_rets, 0);
	CHECK_INT(x86(CODE(0x53, CALL_FAR, TEST_EAX, 0x7f, 7, CALL_FAR, JMP(0), 0x5b, RET)).n_rets, 0); /* jg */
	/* a branch that comes from elsewhere to the conditional one brings its own flags */
	CHECK_INT(x86(CODE(0x53, CALL_FAR, JMP(2), TEST_EAX, JLE(7), CALL_FAR, JMP(0), 0x5b, RET)).n_rets, 0);
	/* a tail call */
	CHECK_INT(x86(CODE(0x53, TEST_EDX, JS(9), CALL_FAR, JMP(0), 0x5b, RET, 0x5b, (char)0xe9, 0, 0, 1, 0)).n_rets, 0);
}

static void test_x86__return_instructions(void)
{
	uint32_t at[2];
	static const char two[] = { TWO(ZERO), (char)0xcc, RET };

	CHECK_INT(place_rets(slice_of(two, sizeof(two)), 0, PLACE_X86_64, at, 2), 2);
	CHECK(at[0] == 13 && at[1] == 17);
	CHECK_INT(place_rets(slice_of(two, sizeof(two)), 0, PLACE_X86_64, at, 1), -E2BIG);
	CHECK_INT(place_rets(SLICE("\xff\xe0\xc3"), 0, PLACE_X86_64, at, 2), -EILSEQ);
	CHECK_INT(place_rets(SLICE("\x53\x06\xc3"), 0, PLACE_X86_64, at, 2), -EILSEQ);
	CHECK_INT(place_rets(SLICE(""), 0, PLACE_X86_64, at, 2), -EINVAL);
}

static struct place arm64(const uint32_t *words, size_t n)
{
	return place(PLACE_ARM64, 3, (const char *)words, n);
}
#define WORDS(...) ((const uint32_t[]){ __VA_ARGS__ }), sizeof((const uint32_t[]){ __VA_ARGS__ })

#define A_STP 0xa9be7bfd     /* stp x29, x30, [sp, #-32]! */
#define A_LDP 0xa8c27bfd     /* ldp x29, x30, [sp], #32 */
#define A_FRAME 0x910003fd   /* mov x29, sp */
#define A_ADRP 0x90000004    /* adrp x4 */
#define A_ADRP_X1 0x90000001 /* adrp x1 */
#define A_CBZ(n) (0xb4000000u | ((n) & 0x7ffff) << 5) /* cbz x0 */
#define A_B(n) (0x14000000u | ((n) & 0x3ffffff))
#define A_BL_FAR 0x94010000
#define A_BR 0xd61f0200 /* br x16 */
#define A_RET 0xd65f03c0
#define A_RETAA 0xd65f0bff
#define A_MOV_X19 0xaa0003f3 /* mov x19, x0 */
#define A_MOV_W2 0x52800022  /* mov w2, #1 */
#define A_LDR_X1 0xf9400001  /* ldr x1, [x0] */
#define A_POST_X1 0xf8408420 /* ldr x0, [x1], #8 */
#define A_STR_X1 0xf9000001  /* str x1, [x0] */
#define A_LDR_LITERAL 0x58000044 /* ldr x4, … */

static void test_arm64__entry(void)
{
	struct place p = arm64(WORDS(A_STP, A_FRAME, A_MOV_X19, A_STR_X1, A_ADRP, A_BL_FAR, A_LDP, A_RET));

	CHECK(p.entry == 16 && p.entry_emulated && !p.first_emulated);
	CHECK(p.n_rets == 1 && p.rets[0] == 28);
	CHECK_INT(arm64(WORDS(A_STP, A_ADRP_X1, A_LDP, A_RET)).entry, 4); /* the write comes behind the probe */
	CHECK_INT(arm64(WORDS(A_STP, A_MOV_W2, A_BL_FAR, A_LDP, A_RET)).entry, REFUSED);
	CHECK_INT(arm64(WORDS(A_STP, A_LDR_X1, A_BL_FAR, A_LDP, A_RET)).entry, REFUSED);
	CHECK_INT(arm64(WORDS(A_STP, A_POST_X1, A_BL_FAR, A_LDP, A_RET)).entry, REFUSED);
	CHECK_INT(arm64(WORDS(A_STP, A_LDR_LITERAL, A_BL_FAR, A_LDP, A_RET)).entry, 8);
	CHECK(arm64(WORDS(A_CBZ(2), A_BL_FAR, A_RET)).first_emulated);
}

static void test_arm64__loops(void)
{
	CHECK_INT(arm64(WORDS(A_STP, A_FRAME, A_CBZ(-1), A_LDP, A_RET)).entry, REFUSED);
	CHECK_INT(arm64(WORDS(A_STP, A_FRAME, A_CBZ(1), A_LDP, A_RET)).entry, 8);
	CHECK_INT(arm64(WORDS(A_STP, A_FRAME, A_CBZ(2), A_BR, A_LDP, A_RET)).entry, REFUSED);
	CHECK_INT(arm64(WORDS(A_STP, A_FRAME, A_CBZ(3), A_LDP, A_BR, A_LDP, A_RET)).entry, 8);
}

static void test_arm64__returns(void)
{
	uint32_t at[4];
	struct place p = arm64(WORDS(A_STP, A_CBZ(3), A_LDP, A_RET, A_LDP, A_RET, A_RET));

	CHECK(p.n_rets == 2 && p.rets[0] == 12 && p.rets[1] == 20); /* the third one is never reached: perhaps data */
	CHECK_INT(arm64(WORDS(A_STP, A_BL_FAR, A_LDP, A_RETAA)).n_rets, 0);
	CHECK_INT(arm64(WORDS(A_STP, A_CBZ(3), A_LDP, A_RET, A_LDP, A_BR)).n_rets, 0);
	CHECK_INT(place_rets(slice_of((const char *)(uint32_t[]){ A_CBZ(2), A_RET, A_RET, A_RET }, 16), 0, PLACE_ARM64, at, 4), 2);
}

static void test_any__bounds(void)
{
	_cleanup_(free_p) char *big = calloc(1, PLACE_CODE_MAX + 4);
	struct place p = { .entry = 7 };
	enum place_arch arch;

	REQUIRE(big);
	CHECK_INT(place_function(SLICE(""), 0, PLACE_X86_64, 3, &p), -EINVAL);
	CHECK_INT(p.entry, 7);
	memset(big, 0x90, PLACE_CODE_MAX + 4);
	CHECK_INT(place_function(slice_of(big, PLACE_CODE_MAX + 1), 0, PLACE_X86_64, 3, &p), 0);
	CHECK(!p.entry && !p.entry_emulated && !p.n_rets);
	/* the worst for a walk: branches all over */
	for (size_t i = 0; i + 2 <= PLACE_CODE_MAX; i += 2)
		big[i] = 0x75, big[i + 1] = (char)(i % 250 ? 0x40 : -0x40);
	CHECK_INT(place_function(slice_of(big, PLACE_CODE_MAX), 0, PLACE_X86_64, 3, &p), 0);
	CHECK_INT(place_function(slice_of(big, PLACE_CODE_MAX), 0, PLACE_ARM64, 3, &p), 0);
	CHECK(!place_arch_of(EM_AARCH64, &arch) && arch == PLACE_ARM64);
	CHECK(!place_arch_of(EM_X86_64, &arch) && arch == PLACE_X86_64);
	CHECK_INT(place_arch_of(EM_386, &arch), -ENOTSUP);
}

int main(void)
{
	RUN(test_x86__entry);
	RUN(test_x86__not_emulated);
	RUN(test_x86__arguments_written);
	RUN(test_x86__led_to_again);
	RUN(test_x86__not_followed);
	RUN(test_x86__frame_pointer);
	RUN(test_x86__returns);
	RUN(test_x86__returns_refused);
	RUN(test_x86__every_return);
	RUN(test_x86__return_instructions);
	RUN(test_arm64__entry);
	RUN(test_arm64__loops);
	RUN(test_arm64__returns);
	RUN(test_any__bounds);
	return tap_done();
}
