/* SPDX-License-Identifier: Apache-2.0 */
#include "io/local.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

static int address_of(int dir_fd, const char *name, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int len = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
			   dir_fd, name);

	if (len < 0 || (size_t)len >= sizeof(address.sun_path))
		return err_origin(-ENAMETOOLONG);
	*ret_address = address;
	return 0;
}

static int listen_as(int fd, const struct sockaddr_un *address, int backlog)
{
	/* Born closed to everyone else: a chmod afterwards would come too late. */
	mode_t mask = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	(void)umask(mask);
	if (r == 0 && listen(fd, backlog) < 0)
		r = -errno;
	return err_trace(r);
}

static int listen_in(int dir_fd, const char *name, int backlog)
{
	struct sockaddr_un address;
	int r = address_of(dir_fd, name, &address);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_origin(-errno);
	(void)unlinkat(dir_fd, name, 0); /* of one that ran before */
	r = listen_as(fd, &address, backlog);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

static int connect_in(int dir_fd, const char *name)
{
	struct sockaddr_un address;
	int r = address_of(dir_fd, name, &address);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_origin(-errno);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = err_origin(-errno);
	(void)close(fd);
	return r;
}

int local_listen(const char *dir, const char *name, int backlog)
{
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir_fd < 0)
		return err_origin(-errno);
	r = listen_in(dir_fd, name, backlog);
	(void)close(dir_fd);
	return r;
}

int local_connect(const char *dir, const char *name)
{
	int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir_fd < 0)
		return err_origin(-errno);
	r = connect_in(dir_fd, name);
	(void)close(dir_fd);
	return r;
}
