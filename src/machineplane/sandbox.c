/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox: the fabric process gives up root before it reads its first foreign byte.
 *
 * Its own user, no groups, no capabilities, no new privileges, gone when its host process is; and a
 * filter that leaves what the loop, QUIC, HTTPS and LMDB need. What is not on the list fails with
 * EPERM, so that a library's fallback can work; what could bring privileges or other code back
 * kills.
 */
#include "machineplane/fabric.h"

#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	SANDBOX_FILES = 8192,
};

/* The sanitizers' leak check looks at the process from outside when it ends. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_LEAK_CHECK
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_LEAK_CHECK
#endif
#endif

/* By number, so that a name unknown to an older libseccomp is a compile error, not a silent gap. */
static const int allowed[] = {
	/* memory and threads (LMDB's commits run on libuv's pool) */
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
	SCMP_SYS(tgkill),
	SCMP_SYS(kill),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(prctl),
	SCMP_SYS(membarrier),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(prlimit64),
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
	/* sockets */
	SCMP_SYS(socket),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	/* files: its own state directory; what it may not open, its user may not */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(statfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(umask),
	SCMP_SYS(fchmod),
	SCMP_SYS(flock),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
#ifdef SANDBOX_LEAK_CHECK
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(getppid),
	SCMP_SYS(getdents),
#endif
};

static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(setuid), SCMP_SYS(unshare),
	SCMP_SYS(setns),  SCMP_SYS(mount),    SCMP_SYS(bpf),
#ifndef SANDBOX_LEAK_CHECK
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
#ifdef SANDBOX_LEAK_CHECK
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

static int filter_load(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result = 0;

	if (!filter)
		return err_origin(-ENOMEM);
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(allowed); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(deadly); i++)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (result == 0)
		result = filter_ioctl(filter);
	if (result == 0)
		result = filter_clone(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}

/* Connections to the API, logs on their way: more than the 1024 files that are usual. */
static int raise_files(struct err *err)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return err_set(err, -errno, "getrlimit: %s", strerror(errno));
	if (files.rlim_cur >= SANDBOX_FILES)
		return 0;
	files.rlim_cur = files.rlim_max < SANDBOX_FILES ? files.rlim_max : SANDBOX_FILES;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		return err_set(err, -errno, "setrlimit: %s", strerror(errno));
	return 0;
}

int sandbox_enter(uint32_t uid, struct err *err)
{
	int result = raise_files(err);

	if (result)
		return result;

	/* Leaving root clears the death signal, so it is asked for again afterwards. */
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return err_set(err, -errno, "becoming user %u: %s", uid, strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return err_set(err, -errno, "prctl: %s", strerror(errno));
	result = filter_load();
	if (result)
		return err_set(err, result, "seccomp: %s", strerror(-result));
	return 0;
}
