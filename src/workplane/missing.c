/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/missing.h"

static void on_missing(void *user, const char *pod)
{
	struct serve *serve = user;
	Magik__Ipc__SiblingSilent silent;

	magik__ipc__sibling_silent__init(&silent);
	silent.pod = (char *)(uintptr_t)pod;
	/* Without a host process the silence of machines has to do. */
	(void)!serve_say(serve, IPC_SIBLING_SILENT, &silent.base);
}

void missing_tell(struct mesh *mesh, struct serve *serve)
{
	mesh_on_missing(mesh, on_missing, serve);
}
