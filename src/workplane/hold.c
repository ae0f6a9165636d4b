/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/hold.h"

#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HOSTNAME_MAX = 63, /* a DNS label; the kernel takes 64 */
};

static int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return err_origin(-errno);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		r = err_origin(-errno);
	(void)close(fd);
	return r;
}

static int join(int64_t fd, int kind)
{
	if (setns((int)fd, kind) < 0)
		return err_origin(-errno);
	(void)close((int)fd);
	return 0;
}

static int join_all(const struct options *options, struct err *err)
{
	int r = join(options->net_fd, CLONE_NEWNET);

	if (r == 0)
		r = join(options->ipc_fd, CLONE_NEWIPC);
	if (r == 0)
		r = join(options->uts_fd, CLONE_NEWUTS);
	return r < 0 ? err_set(err, r, "join namespaces: %s", strerror(-r)) : 0;
}

int hold_enter(const struct options *options, struct err *err)
{
	const char *name = options->hostname ? options->hostname : options->pod;
	int r;

	if (options->net_fd != OPTIONS_FD_NONE)
		return join_all(options, err);
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_set(err, -errno, "make namespaces: %s", strerror(errno));
	if (sethostname(name, strnlen(name, HOSTNAME_MAX)) < 0)
		return err_set(err, -errno, "set host name: %s", strerror(errno));
	r = loopback_up();
	return r < 0 ? err_set(err, r, "bring up lo: %s", strerror(-r)) : 0;
}
