/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netfilter: the one rule that the namespace in front of a pod needs.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

/*
 * Whatever arrives by TCP or UDP in this thread's network namespace, for whatever local address and
 * port, goes to the transparent socket there that is bound to @port (TPROXY). 0 or -errno: of the
 * kernel that cannot do it for IPv4; without IPv6 there is no rule for that.
 */
_must_use_ int netfilter_capture(uint16_t port);
