/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), through libsodium. Pure. */
#pragma once

#include "base/bytes.h"
#include "base/id.h"

/* The digest of @bytes. */
struct digest sha256(struct bytes bytes);

/* The digest of @a followed by @b, without joining them in memory. */
struct digest sha256_pair(struct bytes a, struct bytes b);
