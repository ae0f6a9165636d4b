/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandbox: the fabric process gives up root before it reads its first foreign byte.
 *
 * Its own user, no groups, no capabilities, no new privileges, gone when its host process is; and a
 * filter that leaves what the loop, QUIC, HTTPS and LMDB need.
 */
#include "machineplane/fabric.h"

#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/filter.h"

enum {
	SANDBOX_FILES = 8192,
};

static const int allowed[] = {
	SCMP_SYS(kill),
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
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(close_range),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
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
};

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
	result = filter_load(allowed, ARRAY_LEN(allowed));
	if (result)
		return err_set(err, result, "seccomp: %s", strerror(-result));
	return 0;
}
