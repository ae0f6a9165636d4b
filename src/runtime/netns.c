/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

int netns_enter(int netns, int *ret_own)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), r;

	if (own < 0)
		return err_origin(-errno);
	r = netns < 0 ? unshare(CLONE_NEWNET) : setns(netns, CLONE_NEWNET);
	if (r < 0) {
		r = err_origin(-errno);
		(void)close(own);
		return r;
	}
	*ret_own = own;
	return 0;
}

void netns_leave(int own)
{
	/* A thread lost in a pod's namespace would do all further work there. */
	if (setns(own, CLONE_NEWNET) < 0)
		abort();
	(void)close(own);
}
