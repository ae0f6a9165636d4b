/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of pods. The agent of each pod here makes a key and asks; stewards sign, one of them
 * may be this machine itself. An ask goes from steward to steward until one has signed, or a round
 * is over: then the agent is told why not, and asks again when it sees fit.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "machineplane/fabric.h"
#include "machineplane/pod_leaf.h"

enum {
	ATTEMPT_MS = 1500,       /* a dial and an answer, on a busy machine */
	ATTEMPTS_MAX = 6,        /* a round */
	ASKS_MAX = 1024,         /* at a time: agents ask again */
	CONTACTS_MS = 200,       /* what is new is told together */
	ASKS_OF_ONE_POD_MAX = 4, /* its agent may have been started again meanwhile */
};

struct pod_leaves {
	struct fabric *fabric;
	struct list asks;
	size_t count;
	uint64_t last_request;
	struct loop_timer *contacts; /* agents are to be told of others */
	bool contacts_wait;
};

struct ask {
	struct list link;
	struct pod_leaves *leaves;
	struct node_pod_leaf_ask what;
	uint16_t port; /* of its socket; 0: none */
	struct loop_timer *timer;
	char *refusal; /* the last one heard; NULL: none yet */
};

int pod_leaf_issue(const struct credentials *credentials, const struct warrant *warrant,
		   const struct pod_leaf_terms *terms, struct pod_leaf *ret_leaf, struct err *err)
{
	struct signer signer = credentials_steward(credentials);
	struct buf path = {0};
	struct cert_order order = {
		.kind = terms->application ? CERT_APPLICATION : CERT_POD,
		.key = terms->key,
		.now = terms->now,
		.machine = warrant->machine,
		.life_ms = terms->life_ms,
	};
	struct chain chain;
	int r;

	if (!chain_split(bytes_buf(&credentials->steward_chain), &chain) ||
	    chain.count >= MESSAGE_CHAIN_MAX)
		return err_set(err, -EBADMSG, "this steward's own chain is damaged");
	buf_append_format(&path, "ns/%s/", warrant->object.namespace);
	/* One name has one spelling (identity/form.h): of a kind it is lower case. */
	for (const char *c = warrant->kind; *c; c++)
		buf_append(&path, (const char[]){(char)(*c | (*c >= 'A' && *c <= 'Z' ? 0x20 : 0))},
			   1);
	buf_append_format(&path, "/%s/%s", warrant->name, warrant->pod_name);
	order.pod_path = buf_cstr(&path);
	entropy_fill(order.serial, sizeof(order.serial));
	*ret_leaf = (struct pod_leaf){0};
	r = cert_issue(&order, &signer, &ret_leaf->chain.certs[0], err);
	buf_deinit(&path);
	if (r)
		return r;
	ret_leaf->chain.cert_count = 1;
	for (size_t i = 0; i < chain.count; i++)
		buf_append_bytes(&ret_leaf->chain.certs[ret_leaf->chain.cert_count++],
				 chain.cert[i]);
	return 0;
}

/* ---- this machine signs ---- */

static void wanted_here(struct fabric *fabric, const struct node_effect *wanted)
{
	struct pod_leaf_terms terms = {
		.key = wanted->key_of_pod,
		.application = wanted->of_application,
		.now = node_fabric_time(fabric->node, clock_mono()),
		.life_ms = fabric->settings.options.pod_certificate_ms,
	};
	struct pod_leaf answer;
	struct err err = {0};

	if (pod_leaf_issue(&fabric->credentials, wanted->warrant, &terms, &answer, &err) != 0) {
		answer = (struct pod_leaf){.text = mem_strdup(err.text)};
		log_event(LOG_LEVEL_WARN, "pod-not-certified", "pod %s of %s: %s",
			  wanted->warrant->pod_name, wanted->warrant->object.namespace, err.text);
	}
	if (!answer.text)
		answer.text = mem_strdup("");
	answer.request = wanted->token;
	node_pod_leaf_answer(fabric->node, clock_mono(), &wanted->to, &answer);
	for (size_t i = 0; i < answer.chain.cert_count; i++)
		buf_deinit(&answer.chain.certs[i]);
	free(answer.text);
}

/* ---- a pod here asks ---- */

static void ask_free(struct ask *ask)
{
	list_remove(&ask->link);
	ask->leaves->count--;
	loop_timer_free(ask->timer);
	free(ask->refusal);
	free(ask);
}

/* protobuf-c has no const: what is sent is only read. */
static ProtobufCBinaryData binary(struct bytes bytes)
{
	return (ProtobufCBinaryData){.len = bytes.len, .data = (uint8_t *)(uintptr_t)bytes.ptr};
}

/* @key NULL: nothing was asked, only where others are is told. */
static void tell(struct pod_leaves *leaves, const struct uid *pod, const struct node_id *key,
		 struct bytes chain, const char *error)
{
	struct fabric *fabric = leaves->fabric;
	struct agent_heard agents[MESSAGE_AGENTS_MAX];
	Magik__Ipc__AgentContact contacts[MESSAGE_AGENTS_MAX], *list[MESSAGE_AGENTS_MAX];
	Magik__Ipc__PodIdentity identity;
	Magik__Ipc__LeafFound found;

	magik__ipc__pod_identity__init(&identity);
	magik__ipc__leaf_found__init(&found);
	identity.n_contacts = node_agents(fabric->node, clock_mono(), pod, agents);
	identity.contacts = list;
	for (size_t i = 0; i < identity.n_contacts; i++) {
		list[i] = &contacts[i];
		magik__ipc__agent_contact__init(list[i]);
		contacts[i].id = binary(bytes_of(agents[i].id.byte, ID_LEN));
		contacts[i].ip = binary(addr_ip(&agents[i].addr));
		contacts[i].port = agents[i].addr.port;
	}
	if (key)
		identity.key = binary(bytes_of(key->byte, ID_LEN));
	identity.chain = binary(chain);
	identity.root = binary(bytes_buf(&fabric->credentials.root[CERT_FAMILY_WORKLOAD - 1]));
	identity.fabric_ms = node_fabric_time(fabric->node, clock_mono()).ms;
	identity.error = (char *)(uintptr_t)error;
	found.pod = binary(bytes_of(pod->byte, UID_LEN));
	found.identity = &identity;
	host_tell_leaf(fabric->host, &found);
}

static void ask_end(struct ask *ask, struct bytes chain, const char *error)
{
	tell(ask->leaves, &ask->what.pod_uid, &ask->what.key, chain, error);
	ask_free(ask);
}

/* The next steward that can be asked. */
static void ask_next(void *user)
{
	struct ask *ask = user;
	struct fabric *fabric = ask->leaves->fabric;
	int r = NODE_E_ROLE;

	while (r == NODE_E_ROLE && ask->what.attempt < ATTEMPTS_MAX) {
		r = node_pod_leaf_ask(fabric->node, clock_mono(), &ask->what);
		ask->what.attempt++;
	}
	if (r == 0)
		loop_timer_set(ask->timer, mono_add_ms(clock_mono(), ATTEMPT_MS));
	else
		ask_end(ask, (struct bytes){0},
			r == NODE_E_NOT_FOUND ? "the pod has no warrant"
			: ask->refusal        ? ask->refusal
					      : "no steward of the namespace was reached");
}

/* The oldest ask for what @ask is for, if there are as many as there may be. */
static struct ask *oldest_beyond(const struct pod_leaves *leaves, const struct ask *like)
{
	struct ask *oldest = NULL;
	size_t count = 0;

	list_for_each (it, &leaves->asks) {
		struct ask *ask = list_entry(it, struct ask, link);

		if (!uid_equal(&ask->what.pod_uid, &like->what.pod_uid) ||
		    ask->what.application != like->what.application)
			continue;
		if (!oldest)
			oldest = ask;
		count++;
	}
	return count >= ASKS_OF_ONE_POD_MAX ? oldest : NULL;
}

void pod_leaves_look(struct pod_leaves *leaves, const Magik__Ipc__LeafLook *look)
{
	const Magik__Ipc__LeafAsk *from = look->ask;
	struct ask *ask, *old;

	if (!leaves || !from || look->pod.len != UID_LEN || from->key.len != ID_LEN ||
	    from->proof.len != MESSAGE_PROOF_LEN || leaves->count >= ASKS_MAX)
		return;
	ask = mem_new(struct ask);
	ask->leaves = leaves;
	memcpy(ask->what.pod_uid.byte, look->pod.data, UID_LEN);
	memcpy(ask->what.key.byte, from->key.data, ID_LEN);
	memcpy(ask->what.proof, from->proof.data, MESSAGE_PROOF_LEN);
	ask->what.application = from->application;
	ask->port = (uint16_t)from->port;
	ask->what.request = ++leaves->last_request;
	ask->timer = loop_timer_new(leaves->fabric->loop, ask_next, ask);
	old = oldest_beyond(leaves, ask);
	if (old)
		ask_free(old);
	list_append(&leaves->asks, &ask->link);
	leaves->count++;
	ask_next(ask);
}

/* Is it what was asked for? The agent judges the rest, whose root is as pinned as ours. */
static bool is_for(const struct ask *ask, const struct pod_leaf *leaf)
{
	struct cert cert;

	return cert_parse(bytes_buf(&leaf->chain.certs[0]), &cert, NULL) == 0 &&
	       cert.kind == (ask->what.application ? CERT_APPLICATION : CERT_POD) &&
	       node_id_equal(&cert.key, &ask->what.key);
}

/* Others may find it from now on, at our own address. */
static void agent_is_here(const struct ask *ask)
{
	struct fabric *fabric = ask->leaves->fabric;
	struct addr addr = fabric->address;

	if (ask->port == 0 || ask->what.application)
		return;
	addr.port = ask->port;
	node_agent_here(fabric->node, clock_mono(), &ask->what.pod_uid, &ask->what.key, &addr);
}

static void came(struct ask *ask, const struct pod_leaf *leaf)
{
	struct id_text uid = uid_text(&ask->what.pod_uid);
	struct buf chain = {0};

	if (leaf->chain.cert_count == 0 || !is_for(ask, leaf)) {
		free(ask->refusal);
		ask->refusal = mem_strdup(leaf->chain.cert_count ? "another certificate was sent"
								 : leaf->text);
		loop_timer_set(ask->timer, clock_mono());
		return;
	}
	for (size_t i = 0; i < leaf->chain.cert_count; i++)
		buf_append_bytes(&chain, bytes_buf(&leaf->chain.certs[i]));
	agent_is_here(ask);
	log_event(LOG_LEVEL_INFO, "pod-certified", "pod %s has a certificate%s", uid.text,
		  ask->what.application ? " for its application" : "");
	ask_end(ask, bytes_buf(&chain), "");
	buf_deinit(&chain);
}

static void answered(struct pod_leaves *leaves, const struct node_effect *effect)
{
	list_for_each (it, &leaves->asks) {
		struct ask *ask = list_entry(it, struct ask, link);

		if (ask->what.request != effect->token)
			continue;
		came(ask, effect->leaf);
		return;
	}
}

/* ---- agents find each other ---- */

static void tell_contacts(void *user)
{
	struct pod_leaves *leaves = user;
	size_t position = 0;
	struct uid pod;

	leaves->contacts_wait = false;
	while (node_next_agent_here(leaves->fabric->node, &position, &pod))
		tell(leaves, &pod, NULL, (struct bytes){0}, "");
}

static void contacts_soon(struct pod_leaves *leaves)
{
	if (!leaves || leaves->contacts_wait)
		return;
	leaves->contacts_wait = true;
	loop_timer_set(leaves->contacts, mono_add_ms(clock_mono(), CONTACTS_MS));
}

void pod_sibling_missed(struct fabric *fabric, const Magik__Ipc__SiblingMissed *missed)
{
	struct uid pod;

	if (!fabric->node || missed->pod.len != UID_LEN || !missed->silent || !missed->silent->pod)
		return;
	memcpy(pod.byte, missed->pod.data, UID_LEN);
	log_event(LOG_LEVEL_INFO, "replica-missed", "pod %s hears nothing of %.253s",
		  uid_text(&pod).text, missed->silent->pod);
	node_sibling_missing(fabric->node, clock_mono(), &pod, missed->silent->pod);
}

/* Agents go by the monotonic clock and what they were told: a clock that was set, or a night
 * asleep, which that clock does not count, is theirs as well. */
void pod_leaves_stepped(struct fabric *fabric)
{
	if (fabric->pod_leaves)
		tell_contacts(fabric->pod_leaves);
}

void pod_leaves_effect(struct fabric *fabric, const struct node_effect *effect)
{
	if (effect->type == NODE_LEAF_WANTED)
		wanted_here(fabric, effect);
	else if (effect->type == NODE_AGENTS)
		contacts_soon(fabric->pod_leaves);
	else
		answered(fabric->pod_leaves, effect);
}

struct pod_leaves *pod_leaves_new(struct fabric *fabric)
{
	struct pod_leaves *leaves = mem_new(struct pod_leaves);

	leaves->fabric = fabric;
	/* An answer to the process before this one is not taken for one to this. */
	leaves->last_request = entropy_u64() >> 1;
	list_init(&leaves->asks);
	leaves->contacts = loop_timer_new(fabric->loop, tell_contacts, leaves);
	return leaves;
}

void pod_leaves_free(struct pod_leaves *leaves)
{
	if (!leaves)
		return;
	list_for_each_safe (it, &leaves->asks)
		ask_free(list_entry(it, struct ask, link));
	loop_timer_free(leaves->contacts);
	free(leaves);
}
