/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/confine.h"

#include <grp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "io/filter.h"

enum {
	NOBODY = 65534, /* the overflow id: owns nothing */
};

/* Sockets, of which it makes its own in the pod's network only. Of files, those that it has open:
 * what its group writes down (raft_store.h). */
static const int allowed[] = {
	SCMP_SYS(socket),      SCMP_SYS(bind),        SCMP_SYS(listen),     SCMP_SYS(accept4),
	SCMP_SYS(connect),     SCMP_SYS(getsockname), SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
	SCMP_SYS(getpeername), SCMP_SYS(shutdown),    SCMP_SYS(sendto),     SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),     SCMP_SYS(recvmsg),     SCMP_SYS(sendmmsg),   SCMP_SYS(recvmmsg),
	SCMP_SYS(pread64),     SCMP_SYS(pwrite64),    SCMP_SYS(pwritev),    SCMP_SYS(lseek),
	SCMP_SYS(fdatasync),
};

static int enter_root(const char *root, struct err *err)
{
	if (root && chroot(root) < 0)
		return err_set(err, -errno, "enter %s: %s", root, strerror(errno));
	if (chdir("/") < 0)
		return err_set(err, -errno, "enter the root directory: %s", strerror(errno));
	return 0;
}

/* By hand it may be anybody, who cannot become somebody else. */
static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			       setresuid(NOBODY, NOBODY, NOBODY) < 0
		       ? -1
		       : 0;
}

static int drop_privileges(struct err *err)
{
	cap_t none = cap_init();
	int r = 0;

	if (!none)
		return err_set(err, -ENOMEM, "capabilities: %s", strerror(ENOMEM));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (become_nobody() < 0 || cap_set_proc(none) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = err_set(err, -errno, "drop privileges: %s", strerror(errno));
	(void)cap_free(none);
	return r;
}

int confine_enter(const char *root, struct err *err)
{
	int r = enter_root(root, err);

	if (r == 0)
		r = drop_privileges(err);
	if (r < 0)
		return r;
	r = filter_load(allowed, ARRAY_LEN(allowed));
	return r < 0 ? err_set(err, r, "seccomp: %s", strerror(-r)) : 0;
}
