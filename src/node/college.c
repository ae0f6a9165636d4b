/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the registrars of StatefulSets are: this machine as one of them (market/college.h), and what
 * the StatefulSet says, which is what everybody else goes by.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "kube/lost.h"
#include "kube/member.h"
#include "market/college.h"

enum {
	LOOK_MS = 1000, /* between two fetches of StatefulSets that are not kept here */
};

/* ---- what a StatefulSet says ---- */

static json_t *stored_set(const struct node *node, const struct uid *set, uint64_t *ret_hlc)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *set};
	const struct record_item *item = records_get(node->records, &key);

	if (!item || strcmp(item->record.object.kind, "StatefulSet") != 0)
		return NULL;
	*ret_hlc = item->record.version.hlc;
	return json_loadb((const char *)item->record.value.ptr, item->record.value.len, 0, NULL);
}

/* Of two the newer ones. */
static void take_newer(struct registrars *mine, const struct registrars *other)
{
	if (other && other->count > 0 && registrars_compare(&other->id, &mine->id) > 0)
		*mine = *other;
}

void node_registrars_newest(const struct node *node, const struct uid *set,
			    struct registrars *registrars)
{
	uint64_t hlc;
	json_t *json = stored_set(node, set, &hlc);
	struct registrars said = kube_registrars(json);

	json_decref(json);
	take_newer(registrars, &said);
	take_newer(registrars, colleges_find(node->colleges, set));
}

void node_college_record(struct node *node, const struct record *record)
{
	struct registrars registrars;
	json_t *json;

	if (record->key.kind != RECORD_OBJECT || strcmp(record->object.kind, "StatefulSet") != 0)
		return;
	json = json_loadb((const char *)record->value.ptr, record->value.len, 0, NULL);
	registrars = kube_registrars(json);
	json_decref(json);
	if (registrars.count == 0)
		return;
	if (node->config.steward)
		colleges_learn(node->colleges, node->last, &record->key.uid, &registrars);
	node_tenures_follow(node, node->last, &record->key.uid, &registrars);
}

void node_college_look(struct node *node, struct mono now, const struct uid *set)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *set};
	const struct record_item *item = records_get(node->records, &key);
	uint64_t token;

	if (item)
		node_college_record(node, &item->record);
	if (!mono_reached(now, node->college_look_at))
		return;
	node->college_look_at = mono_add_ms(now, LOOK_MS);
	/* What comes is heard of as a change; what does not come is looked for again. */
	(void)!records_fetch(node->records, now, set, &token);
}

/* An odd number: one more would have to agree, and save nobody. */
static void choose(const struct node *node, const struct uid *set, struct registrars *ret)
{
	struct contact near[MESSAGE_REGISTRARS_MAX];
	size_t count = records_nearest(node->records, set, near, MESSAGE_REGISTRARS_MAX);

	ret->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct addr_peer peer = {near[i].id, near[i].addr};

		if (node_id_equal(&peer.id, &node->config.self.id))
			peer.addr = node->config.self.addr;
		else
			(void)!overlay_find_addr(node->overlay, &peer.id, &peer.addr);
		/* Far from the set's home those that are nearest need not be known well. */
		if (addr_can_be_dialled(&peer.addr) && node_machine_alive(node, &peer.id) &&
		    !node_is_revoked(node, &peer.id))
			ret->list[ret->count++] = peer;
	}
	ret->count -= ret->count % 2 == 0 && ret->count > 0;
}

json_t *node_with_registrars(const struct node *node, const struct node_put *put,
			     const struct record_item *known)
{
	struct registrars registrars = {0};
	uint64_t reset;
	json_t *json;

	if (strcmp(put->object->kind, "StatefulSet") != 0)
		return NULL;
	json = json_loadb((const char *)put->json.ptr, put->json.len, 0, NULL);
	if (!json || (!known && put->expected_hlc != 0))
		return json; /* whoever reads it will say so; of what it replaces we know nothing */
	reset = kube_registrars_reset(json);
	if (known)
		node_registrars_newest(node, &put->object->uid, &registrars);
	if (!known || (reset > registrars.id.epoch && registrars.count > 0)) {
		registrars.id = (struct registrars_id){reset, 1};
		choose(node, &put->object->uid, &registrars);
	}
	kube_set_registrars(json, &registrars);
	return json;
}

/* ---- what a registrar knows of the fabric ---- */

static bool is_alive(void *arg, const struct addr_peer *machine)
{
	struct node *node = arg;
	struct overlay_peer peer;

	if (node_is_revoked(node, &machine->id))
		return false;
	/* Its life matters to us, whether it is near or not. */
	if (overlay_is_large(node->overlay) &&
	    !overlay_find_peer(node->overlay, &machine->id, &peer))
		(void)overlay_watch(node->overlay, node->last,
				    &(struct contact){.id = machine->id, .addr = machine->addr});
	return node_machine_alive(node, &machine->id);
}

static bool pick(void *arg, const struct uid *set, const struct registrars *present,
		 struct addr_peer *ret_peer)
{
	struct node *node = arg;
	struct contact near[RECORDS_KEEPERS];
	size_t count = records_nearest(node->records, set, near, RECORDS_KEEPERS);

	for (size_t i = 0; i < count; i++) {
		*ret_peer = (struct addr_peer){near[i].id, near[i].addr};
		if (registrars_index(present, &near[i].id) != SIZE_MAX)
			continue;
		(void)!overlay_find_addr(node->overlay, &ret_peer->id, &ret_peer->addr);
		if (is_alive(node, ret_peer) && addr_can_be_dialled(&ret_peer->addr))
			return true;
	}
	return false;
}

/* Only that has changed: node_with_registrars() writes it in. */
static void show(void *arg, const struct uid *set, const struct registrars *present)
{
	struct node *node = arg;
	struct record_key key = {.kind = RECORD_OBJECT, .uid = *set};
	const struct record_item *item = records_get(node->records, &key);
	struct node_put put = {0};
	struct object_ref ref;
	struct registrars said;
	uint64_t hlc, token;
	json_t *json;
	char *text;

	if (!item) {
		if (present->id.number > 1)
			node_college_look(node, node->last, set);
		return;
	}
	json = stored_set(node, set, &hlc);
	said = kube_registrars(json);
	if (!json || registrars_compare(&said.id, &present->id) >= 0) {
		json_decref(json);
		return;
	}
	kube_set_line(json, kube_member_string(json, "metadata.resourceVersion"), hlc);
	text = json_dumps(json, JSON_COMPACT);
	object_ref_copy(&item->record.object, &ref);
	put = (struct node_put){
		.object = &ref,
		.generation = item->record.version.generation,
		.json = bytes_str(text),
		.expected_hlc = hlc,
	};
	/* Refused: somebody else wrote it, and may have said it; it is looked at again. */
	(void)!node_object_put(node, node->last, &put, &token, &hlc);
	object_ref_deinit(&ref);
	free(text);
	json_decref(json);
}

/* ---- words and the disk ---- */

struct record_key node_college_disk_key(const struct uid *set)
{
	struct record_key key = {.uid = *set};

	memset(key.sub.byte, 0xff, sizeof(key.sub.byte)); /* no ordinal's: tenure.c */
	return key;
}

bool node_college_is_disk_key(const struct record_key *key)
{
	struct record_key own = node_college_disk_key(&key->uid);

	return uid_equal(&key->sub, &own.sub);
}

static void write_down(struct node *node, struct mono now, const struct college *what)
{
	struct message message = {.type = MESSAGE_COLLEGE, .college = *what}; /* borrowed */
	struct queued_effect *queued = node_queue(node, NODE_PERSIST);

	queued->effect.key = node_college_disk_key(&what->set);
	queued->effect.version.hlc = records_clock_next(node->records, node_fabric_time(node, now));
	node_seal(node, now, &message, &queued->packet);
	colleges_writing(node->colleges, &what->set, queued->effect.version.hlc);
}

static void speak(struct node *node, struct mono now, const struct college_effect *effect)
{
	struct message message = {.type = MESSAGE_COLLEGE, .college = effect->message};
	struct node_destination to = {effect->to.id, effect->to.addr};

	if (!overlay_find_addr(node->overlay, &to.id, &to.addr))
		(void)!node_facts_addr(node, &to.id, &to.addr);
	node_send_signed(node, now, &to, &message);
}

bool node_drain_colleges(struct node *node, struct mono now)
{
	const struct college_effect *effect;
	bool any = false;

	while ((effect = colleges_next_effect(node->colleges)) != NULL) {
		struct uid set = effect->message.set; /* it may go while it is carried out */

		any = true;
		switch (effect->type) {
		case COLLEGE_SEND:
			speak(node, now, effect);
			break;
		case COLLEGE_WRITE:
			write_down(node, now, &effect->message);
			break;
		case COLLEGE_CLAIM:
			node_tenure_write(node, now, &set, effect->ordinal);
			break;
		case COLLEGE_DROP:
			node_tenures_drop_book(node, &set);
			break;
		case COLLEGE_LOOK:
			node_college_look(node, now, &set);
			break;
		}
	}
	return any;
}

void node_college_later(struct node *node, struct mono now, const struct node_destination *to,
			const struct uid *set)
{
	const struct registrars *present = colleges_find(node->colleges, set);
	struct message message = {.type = MESSAGE_COLLEGE,
				  .college = {.word = COLLEGE_LATER, .set = *set}};

	if (!present)
		return;
	message.college.present = *present;
	node_send_signed(node, now, to, &message);
}

void node_college_arrived(struct node *node, struct mono now, const struct node_id *from,
			  const struct college *college)
{
	if (!node_tenure_may_speak(node, now, from))
		return;
	if (college->word == COLLEGE_LATER)
		node_tenures_told(node, now, from, college);
	if (node->config.steward)
		colleges_hear(node->colleges, now, from, college);
}

void node_college_restore(struct node *node, struct mono now, const struct college *written)
{
	if (written->word == COLLEGE_WRITTEN)
		colleges_restore(node->colleges, now, written);
	for (size_t i = 0; i < written->entry_count && written->word == COLLEGE_CLAIMS; i++)
		node_tenure_restore(node, &written->entries[i]);
}

void node_college_tick(struct node *node, struct mono now)
{
	const struct college_view view = {node, is_alive, pick, show};

	colleges_tick(node->colleges, now, &view);
}
