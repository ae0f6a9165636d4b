/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod's part in the group of its StatefulSet (kube/group.h): where its member's disk is, and
 * whether its agent has said that the member votes.
 *
 *   G/<uid of the StatefulSet>.<ordinal>/   term, vote, log and snapshot (workplane/raft_store.h)
 *
 * The directory is the ordinal's, not the pod's: the next pod of it on this machine goes on where
 * the last one ended. Only root may enter it; the agent has its files open before it becomes
 * nobody, and they do not grow beyond RAFT_STORE_MAP_BYTES.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/files.h"
#include "runtime/pod.h"

void pod_group_init(struct pod *pod)
{
	pod->in_group = pod->pods->config.groups_dir && !pod_is_null(pod) &&
			kube_group_read(pod->spec->root, &pod->group);
}

char *pod_group_dir(const struct pod *pod)
{
	return mem_strdup(path_format("%s/%s.%" PRIu32, pod->pods->config.groups_dir,
				      uid_text(&pod->group.set).text, pod->group.ordinal)
				  .text);
}

int pod_group_make(const struct pod *pod, struct err *err)
{
	char *dir = pod_group_dir(pod);
	int r = dir_make(dir, 0700);

	if (r < 0)
		r = err_set(err, r, "make %s: %s", dir, strerror(-r));
	free(dir);
	return r;
}

/* A machine that does not know its address yet gives its pods no mesh, and so no group. */
bool pod_group_is_awaited(const struct pod *pod)
{
	return pod->in_group && pod->host_ip[0] && !pod->group_votes;
}

bool pod_group_said(struct pod *pod, const Magik__Ipc__GroupState *state)
{
	bool before = pod->group_votes;

	pod->group_votes = pod->in_group && state->votes;
	return pod->group_votes != before;
}
