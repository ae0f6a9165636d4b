/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod that asks for an identity of its own does not start before it has one; but where no steward
 * can be reached, as after a power cut, it starts without the files, which come later.
 */
#include "runtime/svid.h"

#include "io/clock.h"
#include "io/log.h"
#include "runtime/pod.h"

enum {
	AWAIT_MS = 10 * 1000, /* two rounds over all stewards, on a busy machine */
	FILE_MAX = 64 * 1024, /* four certificates of 4 KiB, in base64 */
};

static json_t *make(struct bytes chain, struct bytes key, struct bytes bundle)
{
	return json_pack("{s:s,s:{s:s%,s:s%,s:s%}}", "kind", SVID_KIND, "data", SVID_FILE,
			 (const char *)chain.ptr, chain.len, SVID_KEY_FILE, (const char *)key.ptr,
			 key.len, SVID_BUNDLE_FILE, (const char *)bundle.ptr, bundle.len);
}

static bool read_left(const struct pod *pod, const char *name, struct buf *ret)
{
	struct path path = path_format("%s/volumes/" SVID_VOLUME "/%s", pod->dir, name);

	return file_read(path.text, FILE_MAX, ret) == 0;
}

void pod_svid_init(struct pod *pod)
{
	struct buf chain = {0}, key = {0}, bundle = {0};

	if (pod->spec->svid && read_left(pod, SVID_FILE, &chain) &&
	    read_left(pod, SVID_KEY_FILE, &key) && read_left(pod, SVID_BUNDLE_FILE, &bundle))
		pod->svid = make(bytes_buf(&chain), bytes_buf(&key), bytes_buf(&bundle));
	secret_wipe(key.ptr, key.len);
	buf_deinit(&chain);
	buf_deinit(&key);
	buf_deinit(&bundle);
}

void pod_svid_deinit(struct pod *pod)
{
	loop_timer_free(pod->svid_timer);
	json_decref(pod->svid);
}

static void set(struct pod *pod, json_t *svid)
{
	json_decref(pod->svid);
	pod->svid = svid;
	pod->config_stale = true;
	if (!pod->pods->quiet)
		pod_advance(pod);
}

static void on_late(void *user)
{
	struct pod *pod = user;

	if (pod->svid)
		return;
	log_event(LOG_LEVEL_WARN, "no-svid",
		  "pod %s starts without a certificate for its application; it is given one when "
		  "a steward has signed it",
		  pod->uid_text);
	set(pod, json_pack("{s:s,s:{}}", "kind", SVID_KIND, "data"));
}

void pod_svid_await(struct pod *pod)
{
	if (!pod->spec->svid || pod->svid || pod->svid_timer)
		return;
	pod->svid_timer = loop_timer_new(pod->pods->config.loop, on_late, pod);
	loop_timer_set(pod->svid_timer, mono_add_ms(clock_mono(), AWAIT_MS));
}

bool pods_wants_svid(const struct pods *pods, const struct uid *uid)
{
	const struct pod *pod = pods_find(pods, uid);

	return pod && pod->spec->svid && !pod_is_null(pod) && !pod->closed &&
	       pod->stage <= STAGE_ACTIVE;
}

void pods_set_svid(struct pods *pods, const struct uid *uid, const struct pod_svid *svid)
{
	struct pod *pod = pods_find(pods, uid);

	if (pod && pod->spec->svid)
		set(pod, make(svid->chain, svid->key, svid->bundle));
}
