/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log of the fake backend: a file that FAKE_AUDIT names. It takes no more while one named
 * so with ".full" behind is there. */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

bool fake_audit_ready(void *self, struct err *err);
void fake_audit(void *self, struct bytes line);
