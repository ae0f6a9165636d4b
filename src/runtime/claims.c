/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/claims.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/log.h"
#include "kube/claim.h"
#include "kube/member.h"

static const char gone[] = ".gone";

void claims_init(struct claims *claims, const char *dir)
{
	claims->dir = dir;
	list_init(&claims->list);
}

void claims_drop(struct claim *claim)
{
	list_remove(&claim->link);
	json_decref(claim->json);
	free(claim->namespace);
	free(claim->name);
	free(claim);
}

void claims_deinit(struct claims *claims)
{
	list_for_each_safe (it, &claims->list)
		claims_drop(list_entry(it, struct claim, link));
}

struct claim *claims_find(const struct claims *claims, const struct uid *uid)
{
	list_for_each (it, &claims->list) {
		struct claim *claim = list_entry(it, struct claim, link);

		if (uid_equal(&claim->uid, uid))
			return claim;
	}
	return NULL;
}

const json_t *claims_named(const struct claims *claims, const char *namespace, const char *name)
{
	list_for_each (it, &claims->list) {
		const struct claim *claim = list_entry(it, struct claim, link);

		if (!claim->doomed && strcmp(claim->namespace, namespace) == 0 &&
		    strcmp(claim->name, name) == 0)
			return claim->json;
	}
	return NULL;
}

bool claims_note(struct claims *claims, const json_t *json)
{
	struct claim *claim;
	struct uid uid;

	if (!uid_parse(kube_member_string(json, "metadata.uid"), &uid))
		return false;
	claim = claims_find(claims, &uid);
	if (claim) {
		json_decref(claim->json);
		claim->json = json_deep_copy(json);
		return false;
	}
	claim = mem_new(struct claim);
	claim->uid = uid;
	claim->namespace = mem_strdup(kube_member_string(json, "metadata.namespace"));
	claim->name = mem_strdup(kube_member_string(json, "metadata.name"));
	claim->json = json_deep_copy(json);
	list_append(&claims->list, &claim->link);
	return true;
}

static struct path dir_of(const char *dir, const struct uid *uid)
{
	return path_format("%s/%s", dir, uid_text(uid).text);
}

/* ---- on the disk */

static void recover_one(struct claims *claims, const char *name)
{
	struct path path = path_format("%s/%.64s/claim.json", claims->dir, name);
	json_t *json = json_load_file(path.text, 0, NULL);
	struct uid uid, own;

	if (!json || !uid_parse(name, &uid) ||
	    !uid_parse(kube_member_string(json, "metadata.uid"), &own) || !uid_equal(&uid, &own))
		/* Cut off while it was made: it is made again for the pod that waits for it. */
		log_event(LOG_LEVEL_WARN, "claim-unreadable", "%s cannot be read: left alone",
			  path.text);
	else
		(void)claims_note(claims, json);
	json_decref(json);
}

void claims_recover(struct claims *claims)
{
	DIR *dir = claims->dir ? opendir(claims->dir) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len == UID_TEXT_LEN)
			recover_one(claims, entry->d_name);
		else if (len == UID_TEXT_LEN + strlen(gone) &&
			 strcmp(entry->d_name + UID_TEXT_LEN, gone) == 0)
			(void)!tree_remove(path_format("%s/%s", claims->dir, entry->d_name).text);
	}
	if (dir)
		(void)closedir(dir);
}

int claim_path(const char *dir, const json_t *json, struct path *ret_path)
{
	struct uid uid;

	if (!dir || !uid_parse(kube_member_string(json, "metadata.uid"), &uid))
		return -EINVAL;
	*ret_path = path_format("%s/%s/data", dir, uid_text(&uid).text);
	return 0;
}

static int check_room(const char *dir, const json_t *json, struct err *err)
{
	int64_t wanted = kube_claim_read(json).storage_bytes;
	struct statvfs disk;
	uint64_t room;

	if (statvfs(dir, &disk) < 0)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	room = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (room >= (uint64_t)wanted)
		return 0;
	return err_set(err, -ENOSPC,
		       "the claim asks for %" PRId64 " MiB of disk, and this machine has %" PRIu64
		       " MiB left",
		       wanted >> 20, room >> 20);
}

/* Everyone may write to it at first, as to an emptyDir; later it is as pods have left it. */
static int make_data(const char *data, struct err *err)
{
	struct path fresh = path_format("%s.new", data);

	if (path_exists(data))
		return 0;
	if ((mkdir(fresh.text, 0700) < 0 && errno != EEXIST) || chmod(fresh.text, 0777) < 0 ||
	    rename(fresh.text, data) < 0)
		return err_set(err, -errno, "make %s: %s", data, strerror(errno));
	return 0;
}

static int write_claim(const char *dir, const json_t *json, struct err *err)
{
	struct path path = path_format("%s/claim.json", dir);
	char *text = json_dumps(json, JSON_COMPACT);
	int r = file_write(path.text, bytes_str(text), 0600);

	free(text);
	return r < 0 ? err_set(err, r, "write %s: %s", path.text, strerror(-r)) : 0;
}

int claim_make(const char *dir, const json_t *json, struct err *err)
{
	struct path data, own;
	struct uid uid;
	int r = 0;

	if (claim_path(dir, json, &data) < 0 ||
	    !uid_parse(kube_member_string(json, "metadata.uid"), &uid))
		return err_set(err, -EINVAL, "this machine keeps no volumes");
	own = dir_of(dir, &uid);
	if (!path_exists(data.text))
		r = check_room(dir, json, err);
	if (r < 0)
		return r;
	r = dir_make(own.text, 0711);
	if (r == 0)
		r = write_claim(own.text, json, err);
	else
		(void)err_set(err, r, "make %s: %s", own.text, strerror(-r));
	return r < 0 ? r : make_data(data.text, err);
}

int claim_remove(const char *dir, const struct uid *uid, struct err *err)
{
	struct path own = dir_of(dir, uid);
	struct path away = path_format("%s%s", own.text, gone);
	int r;

	/* At once: what is half removed must never be mounted again. */
	if (rename(own.text, away.text) < 0 && errno != ENOENT)
		return err_set(err, -errno, "rename %s: %s", own.text, strerror(errno));
	r = tree_remove(away.text);
	return r < 0 ? err_set(err, r, "remove %s: %s", away.text, strerror(-r)) : 0;
}
