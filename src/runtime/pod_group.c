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
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/log.h"
#include "runtime/files.h"
#include "runtime/job.h"
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
	pod->group_left = pod->in_group && state->left;
	return pod->group_votes != before;
}

/* ---- the end of a disk */

struct remove_job {
	struct pods *pods;
	char *dir;
	int result;
};

static void remove_work(void *arg)
{
	struct remove_job *job = arg;

	job->result = tree_remove(job->dir);
}

static void remove_done(void *arg)
{
	struct remove_job *job = arg;

	job->pods->jobs--;
	if (job->result < 0)
		log_event(LOG_LEVEL_ERROR, "group-remains", "%s: %s", job->dir,
			  strerror(-job->result));
	else
		log_event(LOG_LEVEL_INFO, "group-removed", "%s: removed", job->dir);
	free(job->dir);
	free(job);
}

static void remove_later(struct pods *pods, char *dir)
{
	struct remove_job *job = mem_new(struct remove_job);

	job->pods = pods;
	job->dir = dir;
	pods->jobs++;
	job_run(pods->config.loop, remove_work, remove_done, job);
}

/* Another pod of the ordinal is here, or about to be. */
static bool is_used(const struct pods *pods, const struct pod *except, const struct uid *set,
		    uint32_t ordinal)
{
	list_for_each (it, &pods->pods) {
		const struct pod *pod = list_entry(it, struct pod, link);

		if (pod != except && pod->in_group && pod->group.ordinal == ordinal &&
		    uid_equal(&pod->group.set, set))
			return true;
	}
	return false;
}

void pod_group_release(struct pod *pod)
{
	if ((pod->group_left || pod->group_ended) && !pod->pods->quiet &&
	    !is_used(pod->pods, pod, &pod->group.set, pod->group.ordinal))
		remove_later(pod->pods, pod_group_dir(pod));
}

/* "<uid>.<ordinal>"; false: another name. */
static bool read_name(const char *name, struct uid *ret_set, uint32_t *ret_ordinal)
{
	char uid_part[UID_TEXT_LEN + 1];
	unsigned long ordinal;
	char *end;

	(void)snprintf(uid_part, sizeof(uid_part), "%.*s", (int)UID_TEXT_LEN, name);
	if (strlen(name) < UID_TEXT_LEN + 2 || name[UID_TEXT_LEN] != '.' ||
	    !uid_parse(uid_part, ret_set))
		return false;
	ordinal = strtoul(name + UID_TEXT_LEN + 1, &end, 10);
	if (*end || ordinal >= KUBE_GROUP_MEMBERS)
		return false;
	*ret_ordinal = (uint32_t)ordinal;
	return true;
}

void pods_each_group(const struct pods *pods, void (*each)(void *ctx, const struct uid *set),
		     void *ctx)
{
	DIR *dir = pods->config.groups_dir ? opendir(pods->config.groups_dir) : NULL;
	const struct dirent *entry;
	uint32_t ordinal;
	struct uid set;

	while (dir && (entry = readdir(dir)) != NULL)
		if (read_name(entry->d_name, &set, &ordinal))
			each(ctx, &set);
	if (dir)
		(void)closedir(dir);
}

void pods_end_groups(struct pods *pods, const struct uid *set)
{
	list_for_each (it, &pods->pods) {
		struct pod *pod = list_entry(it, struct pod, link);

		pod->group_ended |= pod->in_group && uid_equal(&pod->group.set, set);
	}
	for (uint32_t i = 0; i < KUBE_GROUP_MEMBERS && pods->config.groups_dir && !pods->quiet;
	     i++) {
		struct path path = path_format("%s/%s.%" PRIu32, pods->config.groups_dir,
					       uid_text(set).text, i);

		if (path_exists(path.text) && !is_used(pods, NULL, set, i))
			remove_later(pods, mem_strdup(path.text));
	}
}
