/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool fake_audit_ready(void *self, struct err *err)
{
	const char *path = getenv("FAKE_AUDIT");
	char full[512];

	(void)self;
	(void)snprintf(full, sizeof(full), "%s.full", path ? path : "");
	if (!path || access(full, F_OK) != 0)
		return true;
	(void)err_set(err, -ENOSPC, "no space left on device");
	return false;
}

void fake_audit(void *self, struct bytes line)
{
	const char *path = getenv("FAKE_AUDIT");
	FILE *file = path ? fopen(path, "ae") : NULL;

	(void)self;
	if (!file)
		return;
	(void)fprintf(file, "%.*s\n", (int)line.len, (const char *)line.ptr);
	(void)fclose(file);
}
