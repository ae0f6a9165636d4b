/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local: stream sockets with a name in a directory, for what root asks of this machine's programs.
 *
 * A socket's path holds 107 bytes only, but a directory's may be longer: both ends go through a
 * descriptor of the directory, by way of /proc/self/fd.
 */
#pragma once

#include "base/attr.h"

/* Listen as @dir/@name, in place of what was there; only this user may connect. The socket does not
 * block. A descriptor the caller owns, or -errno. */
_must_use_ int local_listen(const char *dir, const char *name, int backlog);

/* Connect to @dir/@name; the socket blocks. A descriptor the caller owns, or -errno. */
_must_use_ int local_connect(const char *dir, const char *name);
