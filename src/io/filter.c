/* SPDX-License-Identifier: Apache-2.0 */
#include "io/filter.h"

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"

/* The sanitizers' leak check looks at the process from outside when it ends. */
#if defined(__SANITIZE_ADDRESS__)
#define FILTER_LEAK_CHECK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FILTER_LEAK_CHECK
#endif
#endif

static const int everyone[] = {
	/* memory and threads (libuv's pool) */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(msync),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(prctl),
	SCMP_SYS(membarrier),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(getrlimit),
	/* clock and entropy */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	/* the loop */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	/* what is open */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
#ifdef FILTER_LEAK_CHECK
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(getppid),
	SCMP_SYS(getdents),
#endif
};

static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(setuid), SCMP_SYS(unshare),
	SCMP_SYS(setns),  SCMP_SYS(mount),    SCMP_SYS(bpf),
#ifndef FILTER_LEAK_CHECK
	SCMP_SYS(ptrace),
#endif
};

/* What is asked of files and sockets. Terminals take input from whoever asks them to (TIOCSTI), and
 * stderr may be the terminal of root's shell. */
static const unsigned long requests[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS};

static int filter_ioctl(scmp_filter_ctx filter)
{
	int result = 0;

	/* The kernel looks at the lower half of the argument only. */
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(requests); i++)
		result = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)requests[i]));
	return result;
}

/* Threads, but no processes: those would live on when this one is ended. And no namespaces: inside
 * one of its own a process has every capability again. What clone3() is asked stands in memory,
 * where a filter cannot look; the C library does without. */
static int filter_clone(scmp_filter_ctx filter)
{
#ifdef FILTER_LEAK_CHECK
	const scmp_datum_t thread = 0;
#else
	const scmp_datum_t thread = CLONE_THREAD;
#endif
	const scmp_datum_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
					CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces | thread, thread));

	return result ? result
		      : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Of itself only: others may run under the same user. */
static int filter_own(scmp_filter_ctx filter)
{
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));

	return result ? result
		      : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
					 SCMP_A0(SCMP_CMP_EQ, 0));
}

int filter_load(const int *allowed, size_t count)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result = 0;

	if (!filter)
		return err_origin(-ENOMEM);
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(everyone); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, everyone[i], 0);
	for (size_t i = 0; result == 0 && i < count; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(deadly); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (result == 0)
		result = filter_ioctl(filter);
	if (result == 0)
		result = filter_clone(filter);
	if (result == 0)
		result = filter_own(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}
