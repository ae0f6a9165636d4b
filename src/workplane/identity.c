/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "identity/cert.h"
#include "identity/pod_key.h"
#include "identity/renewal.h"
#include "io/clock.h"
#include "io/entropy.h"

struct identity {
	struct loop *loop;
	struct serve *serve;
	struct loop_timer *timer;
	char *namespace, *pod;
	uint16_t port;
	identity_fn *fn;
	void *user;
	struct key key;
	bool holding;
	struct wall due; /* fabric time; holding */
	int64_t offset_ms;
	int64_t retry_ms;
};

static struct wall fabric_now(const struct identity *identity)
{
	return (struct wall){clock_mono().us / US_PER_MS + identity->offset_ms};
}

static void wait_ms(struct identity *identity, int64_t ms)
{
	loop_timer_set(identity->timer, mono_add_ms(clock_mono(), ms));
}

static void ask(struct identity *identity)
{
	const struct pod_key_name pod = {identity->namespace, identity->pod};
	uint8_t proof[KEY_SIGNATURE_LEN];
	Magik__Ipc__LeafAsk message;

	pod_key_prove(&identity->key, POD_KEY_AGENT, &pod, proof);
	magik__ipc__leaf_ask__init(&message);
	message.key.data = identity->key.public_key.byte;
	message.key.len = ID_LEN;
	message.proof.data = proof;
	message.proof.len = sizeof(proof);
	message.port = identity->port;
	/* Without a host process it is asked as soon as there is one again: on_link(). */
	(void)!serve_say(identity->serve, IPC_LEAF_ASK, &message.base);
	wait_ms(identity, identity->retry_ms);
	identity->retry_ms = renewal_retry_ms(identity->retry_ms);
}

static bool is_due(const struct identity *identity)
{
	return !identity->holding || fabric_now(identity).ms >= identity->due.ms;
}

static void check(void *user)
{
	struct identity *identity = user;
	int64_t left_ms;

	if (is_due(identity)) {
		ask(identity);
		return;
	}
	left_ms = identity->due.ms - fabric_now(identity).ms;
	wait_ms(identity, left_ms < IDENTITY_CHECK_MS ? left_ms : IDENTITY_CHECK_MS);
}

static void on_link(void *user)
{
	struct identity *identity = user;

	identity->retry_ms = RENEWAL_RETRY_FIRST_MS;
	if (is_due(identity))
		ask(identity);
}

static size_t read_contacts(const Magik__Ipc__PodIdentity *from,
			    struct addr_peer contacts[IDENTITY_CONTACTS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < from->n_contacts && count < IDENTITY_CONTACTS_MAX; i++) {
		const Magik__Ipc__AgentContact *contact = from->contacts[i];
		struct addr_peer *to = &contacts[count];

		if (contact->id.len != ID_LEN || contact->port > UINT16_MAX ||
		    !addr_from_ip(bytes_of(contact->ip.data, contact->ip.len),
				  (uint16_t)contact->port, &to->addr))
			continue;
		memcpy(to->id.byte, contact->id.data, ID_LEN);
		count++;
	}
	return count;
}

static bool is_ours(const struct identity *identity, const Magik__Ipc__PodIdentity *told)
{
	return told->key.len == ID_LEN &&
	       memcmp(told->key.data, identity->key.public_key.byte, ID_LEN) == 0;
}

/* When the next one is to be asked for; false: it is none of ours. */
static bool read_due(const struct identity *identity, struct bytes chain, struct wall *ret_due)
{
	struct chain split;
	struct cert leaf;

	if (!chain_split(chain, &split) || cert_parse(split.cert[0], &leaf, NULL) != 0 ||
	    !node_id_equal(&leaf.key, &identity->key.public_key))
		return false;
	*ret_due = renewal_due(leaf.not_before, leaf.not_after, entropy_u64());
	return true;
}

static void take(struct identity *identity, const Magik__Ipc__PodIdentity *told)
{
	struct addr_peer contacts[IDENTITY_CONTACTS_MAX];
	struct identity_news news = {
		.key = &identity->key,
		.root = bytes_of(told->root.data, told->root.len),
		.offset_ms = identity->offset_ms,
		.contacts = contacts,
		.contact_count = read_contacts(told, contacts),
	};
	struct err err = {0};
	struct wall due = {0};

	if (is_ours(identity, told) && told->chain.len)
		news.chain = bytes_of(told->chain.data, told->chain.len);
	if (news.chain.len && !read_due(identity, news.chain, &due))
		news.chain = (struct bytes){0};
	if (identity->fn(identity->user, &news, &err) < 0) {
		(void)fprintf(stderr, "workplane: %s\n", err.text);
		return; /* the timer asks again */
	}
	if (!news.chain.len)
		return;
	identity->holding = true;
	identity->due = due;
	identity->retry_ms = RENEWAL_RETRY_FIRST_MS;
	check(identity);
}

static void on_message(void *user, const struct ipc_message *message)
{
	struct identity *identity = user;
	const Magik__Ipc__PodIdentity *told = (const Magik__Ipc__PodIdentity *)message->body;

	if (message->type != IPC_POD_IDENTITY)
		return;
	if (told->fabric_ms)
		identity->offset_ms = told->fabric_ms - clock_mono().us / US_PER_MS;
	take(identity, told);
	/* Time may have come nearer than the timer knows. */
	if (identity->holding && is_due(identity) && identity->retry_ms == RENEWAL_RETRY_FIRST_MS)
		check(identity);
}

struct identity *identity_new(struct loop *loop, struct serve *serve, const char *namespace,
			      const char *pod, uint16_t port, identity_fn *fn, void *user)
{
	struct identity *identity = mem_new(struct identity);
	uint8_t seed[KEY_SEED_LEN];

	identity->loop = loop;
	identity->serve = serve;
	identity->namespace = mem_strdup(namespace);
	identity->pod = mem_strdup(pod);
	identity->port = port;
	identity->fn = fn;
	identity->user = user;
	identity->retry_ms = RENEWAL_RETRY_FIRST_MS;
	entropy_fill(seed, sizeof(seed));
	identity->key = key_from_seed(seed);
	secret_wipe(seed, sizeof(seed));
	identity->timer = loop_timer_new(loop, check, identity);
	serve_listen(serve, &(struct serve_listener){.on_link = on_link,
						     .on_message = on_message,
						     .user = identity});
	return identity;
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	loop_timer_free(identity->timer);
	key_wipe(&identity->key);
	free(identity->namespace);
	free(identity->pod);
	free(identity);
}
