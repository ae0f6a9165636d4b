/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities of applications: where a manifest asks for it, the host process makes a key for the
 * application in the pod, has it signed like the agent's, and hands both over as files
 * (runtime/svid.h).
 *
 *   ASKING --certificate--> HOLDING --from half of its life on--> ASKING, with another key
 *     refused, or no answer: asked again, later and later (identity/renewal.h)
 *
 * The key is made here and not by the agent, because the agent reads what the network says: whoever
 * breaks it has the pod's place in the mesh, but not what the application proves itself with
 * elsewhere. It is not the agent's own, because that never leaves the agent; and what is signed for
 * it opens no connection of the mesh, so that an application neither passes its agent by nor speaks
 * in its place. The fabric process never sees it, and what it brings is judged here by the root
 * that was pinned. A host process that is started again makes another key; until that is signed,
 * the files stay as they are.
 */
#include "machineplane/host_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/cert.h"
#include "identity/pem.h"
#include "identity/pod_key.h"
#include "identity/renewal.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/log.h"

enum {
	CHECK_MS = 3600 * 1000, /* fabric time may step: look again this often */
};

struct host_svid {
	struct list link;
	struct host *host;
	struct uid pod;
	struct loop_timer *timer;
	struct key key; /* of the request under way; none: there is none */
	bool holding;
	struct wall due;   /* fabric time; holding */
	int64_t offset_ms; /* of fabric time to the monotonic clock */
	int64_t retry_ms;
};

static void wait_ms(struct host_svid *svid, int64_t ms)
{
	loop_timer_set(svid->timer, mono_add_ms(clock_mono(), ms));
}

static int64_t left_ms(const struct host_svid *svid)
{
	return svid->holding ? svid->due.ms - (clock_mono().us / US_PER_MS + svid->offset_ms) : 0;
}

static void send_ask(struct host_svid *svid, const struct pod_key_name *pod)
{
	struct host *host = svid->host;
	uint8_t proof[KEY_SIGNATURE_LEN];
	Magik__Ipc__LeafAsk ask;
	Magik__Ipc__LeafLook look;

	magik__ipc__leaf_ask__init(&ask);
	magik__ipc__leaf_look__init(&look);
	pod_key_prove(&svid->key, POD_KEY_APPLICATION, pod, proof);
	ask.key.data = svid->key.public_key.byte;
	ask.key.len = ID_LEN;
	ask.proof.data = proof;
	ask.proof.len = sizeof(proof);
	ask.application = true;
	look.pod.data = svid->pod.byte;
	look.pod.len = UID_LEN;
	look.ask = &ask;
	/* Without a fabric process it is asked as soon as there is one again. */
	if (host->link)
		(void)!ipc_link_send(host->link, IPC_LEAF_LOOK, &look.base, -1);
}

static void ask(struct host_svid *svid)
{
	const struct pods *pods = svid->host->pods;
	const struct pod_key_name pod = {pods_namespace(pods, &svid->pod),
					 pods_name(pods, &svid->pod)};
	uint8_t seed[KEY_SEED_LEN];

	if (!pods_wants_svid(pods, &svid->pod))
		return; /* it has ended, or does; no timer goes on */
	if (key_is_none(&svid->key)) {
		entropy_fill(seed, sizeof(seed));
		svid->key = key_from_seed(seed);
		secret_wipe(seed, sizeof(seed));
	}
	send_ask(svid, &pod);
	wait_ms(svid, svid->retry_ms);
	svid->retry_ms = renewal_retry_ms(svid->retry_ms);
}

static void check(void *user)
{
	struct host_svid *svid = user;
	int64_t left = left_ms(svid);

	if (left <= 0)
		ask(svid);
	else
		wait_ms(svid, left < CHECK_MS ? left : CHECK_MS);
}

static struct host_svid *find(const struct host *host, const struct uid *pod)
{
	list_for_each (it, &host->svids) {
		struct host_svid *svid = list_entry(it, struct host_svid, link);

		if (uid_equal(&svid->pod, pod))
			return svid;
	}
	return NULL;
}

static void svid_free(struct host_svid *svid)
{
	list_remove(&svid->link);
	loop_timer_free(svid->timer);
	key_wipe(&svid->key);
	free(svid);
}

void host_svid_status(struct host *host, const struct presence *presence)
{
	struct host_svid *svid = find(host, &presence->pod_uid);

	if (svid && presence->phase == POD_GONE)
		svid_free(svid);
	if (svid || presence->phase == POD_GONE || !host->config->hooks.verify_application ||
	    !pods_wants_svid(host->pods, &presence->pod_uid))
		return;
	svid = mem_new(struct host_svid);
	svid->host = host;
	svid->pod = presence->pod_uid;
	svid->retry_ms = RENEWAL_RETRY_FIRST_MS;
	svid->timer = loop_timer_new(host->loop, check, svid);
	list_append(&host->svids, &svid->link);
	ask(svid);
}

void host_svids_link(struct host *host)
{
	list_for_each (it, &host->svids) {
		struct host_svid *svid = list_entry(it, struct host_svid, link);

		svid->retry_ms = RENEWAL_RETRY_FIRST_MS;
		check(svid);
	}
}

void host_svids_free(struct host *host)
{
	list_for_each_safe (it, &host->svids)
		svid_free(list_entry(it, struct host_svid, link));
}

static void hand_over(struct host_svid *svid, const Magik__Ipc__PodIdentity *told)
{
	struct buf chain = {0}, key = {0}, bundle = {0};

	chain_to_pem(bytes_of(told->chain.data, told->chain.len), &chain);
	key_export_pem(&svid->key, &key);
	pem_encode("CERTIFICATE", bytes_of(told->root.data, told->root.len), &bundle);
	pods_set_svid(svid->host->pods, &svid->pod,
		      &(struct pod_svid){bytes_buf(&chain), bytes_buf(&key), bytes_buf(&bundle)});
	secret_wipe(key.ptr, key.len);
	buf_deinit(&chain);
	buf_deinit(&key);
	buf_deinit(&bundle);
	key_wipe(&svid->key); /* the next one has another */
}

static void take(struct host_svid *svid, const Magik__Ipc__PodIdentity *told)
{
	const struct host_hooks *hooks = &svid->host->config->hooks;
	const struct pods *pods = svid->host->pods;
	struct host_application application = {
		.chain = bytes_of(told->chain.data, told->chain.len),
		.root = bytes_of(told->root.data, told->root.len),
		.key = svid->key.public_key,
		.namespace = pods_namespace(pods, &svid->pod),
		.pod = pods_name(pods, &svid->pod),
	};
	struct cert leaf;
	struct err err = {0};

	if (!application.pod || !told->chain.len)
		return; /* the timer asks again */
	if (hooks->verify_application(hooks->ctx, &application, &leaf, &err) < 0) {
		log_event(LOG_LEVEL_WARN, "svid-refused", "pod %s: %s", uid_text(&svid->pod).text,
			  err.text);
		return;
	}
	hand_over(svid, told);
	svid->holding = true;
	svid->due = renewal_due(leaf.not_before, leaf.not_after, entropy_u64());
	svid->retry_ms = RENEWAL_RETRY_FIRST_MS;
	check(svid);
}

bool host_svid_found(struct host *host, const struct uid *pod, const Magik__Ipc__PodIdentity *told)
{
	struct host_svid *svid = find(host, pod);

	if (!svid)
		return false;
	if (told->fabric_ms)
		svid->offset_ms = told->fabric_ms - clock_mono().us / US_PER_MS;
	if (!key_is_none(&svid->key) && told->key.len == ID_LEN &&
	    memcmp(told->key.data, svid->key.public_key.byte, ID_LEN) == 0) {
		take(svid, told);
		return true;
	}
	/* What is for the agent may say what time it is. */
	if (svid->holding && svid->retry_ms == RENEWAL_RETRY_FIRST_MS)
		check(svid);
	return false;
}
