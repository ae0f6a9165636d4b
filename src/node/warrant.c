/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warrants: who says that a pod runs here must show that it was awarded to it.
 *
 * The owner of a tender signs one for each pod it awards; the award carries it to the winner, and
 * each presence of the pod to everybody else. It is judged at the time it was signed, like a
 * record: an owner whose certificate has run out since, or who was revoked later, has awarded
 * nevertheless.
 */
#include "node/internal.h"

#include <string.h>

#include "base/fault.h"
#include "base/mem.h"

void node_warrants_write(struct node *node, struct mono now, const struct workload *workload,
			 struct award *award)
{
	for (size_t i = 0; i < award->assignment_count; i++) {
		struct assignment *assignment = &award->assignments[i];
		struct message message = {
			.type = MESSAGE_WARRANT,
			.warrant =
				{
					.pod_uid = assignment->pod_uid,
					.object = workload->object,
					.pod_name = assignment->pod_name,
					.slot = assignment->slot,
					.epoch = assignment->epoch,
					.machine = award->winner,
					.kind = workload->origin_kind,
					.name = workload->origin_name,
				},
		}; /* borrowed */

		buf_clear(&assignment->warrant);
		node_seal(node, now, &message, &assignment->warrant);
	}
}

int node_warrant_open(struct node *node, struct mono now, struct bytes envelope,
		      struct node_id *ret_issuer, struct warrant *ret_warrant)
{
	struct node_signed opened = {0};
	struct message message;
	int outcome = node_open(node, now, envelope, &opened);

	if (outcome == NODE_TRUST_E_LEAF)
		node->missing_leaf = opened.leaf;
	if (outcome)
		return outcome;
	if (message_decode(opened.payload, &message) != 0)
		return NODE_TRUST_E_MALFORMED;
	if (message.type != MESSAGE_WARRANT ||
	    !node_signer_is_steward(node, &opened, message.warrant.object.namespace)) {
		message_deinit(&message);
		return NODE_TRUST_E_REFUSED;
	}
	*ret_issuer = opened.issuer;
	*ret_warrant = message.warrant;
	return 0;
}

static bool same_object(const struct object_ref *a, const struct object_ref *b)
{
	return uid_equal(&a->uid, &b->uid) && strcmp(a->namespace, b->namespace) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && strcmp(a->name, b->name) == 0;
}

static bool is_for(const struct warrant *warrant, const struct assignment *assignment)
{
	return uid_equal(&warrant->pod_uid, &assignment->pod_uid) &&
	       strcmp(warrant->pod_name, assignment->pod_name) == 0 &&
	       warrant->slot == assignment->slot && warrant->epoch == assignment->epoch;
}

bool node_award_is_warranted(struct node *node, struct mono now, const struct node_id *issuer,
			     const struct award *award, const struct object_ref *object)
{
	for (size_t i = 0; i < award->assignment_count; i++) {
		struct warrant warrant;
		struct node_id owner;
		bool fits;

		if (node_warrant_open(node, now, bytes_buf(&award->assignments[i].warrant), &owner,
				      &warrant) != 0)
			return false;
		fits = node_id_equal(&owner, issuer) &&
		       node_id_equal(&warrant.machine, &award->winner) &&
		       same_object(&warrant.object, object) &&
		       is_for(&warrant, &award->assignments[i]);
		warrant_deinit(&warrant);
		if (!fits)
			return false;
	}
	return true;
}

/* Registrars raise the epoch of an ordinal after it was awarded (tenure.c). */
static bool epoch_fits(const struct warrant *warrant, const struct presence *presence)
{
	return presence->epoch == warrant->epoch ||
	       (presence->revision && presence->epoch > warrant->epoch);
}

static bool is_of(const struct warrant *warrant, const struct presence *presence,
		  const struct node_id *writer)
{
	return uid_equal(&warrant->pod_uid, &presence->pod_uid) &&
	       (node_id_equal(&warrant->machine, writer) || fault_is_planted(FAULT_CLAIM)) &&
	       same_object(&warrant->object, &presence->object) &&
	       strcmp(warrant->pod_name, presence->pod_name) == 0 &&
	       warrant->slot == presence->slot && epoch_fits(warrant, presence);
}

/* Was it judged before? A presence is written again and again in the life of a pod. */
static bool is_known(const struct node *node, const struct record *record,
		     const struct presence *presence)
{
	const struct record_item *item = records_get(node->records, &record->key);
	struct presence known;
	bool same;

	if (!item || item->record.gone ||
	    presence_decode(bytes_buf(&item->record.value), &known) != 0)
		return false;
	same = bytes_equal(bytes_buf(&known.warrant), bytes_buf(&presence->warrant)) &&
	       known.slot == presence->slot && known.epoch == presence->epoch &&
	       strcmp(known.pod_name, presence->pod_name) == 0 &&
	       same_object(&known.object, &presence->object);
	presence_deinit(&known);
	return same;
}

static int judge(struct node *node, struct mono now, const struct record *record,
		 const struct node_id *writer, const struct presence *presence)
{
	struct warrant warrant;
	struct node_id owner;
	int outcome;

	if (!uid_equal(&presence->pod_uid, &record->key.sub) ||
	    !same_object(&presence->object, &record->object) ||
	    !uid_equal(&presence->object.uid, &record->key.uid))
		return NODE_TRUST_E_REFUSED;
	if (is_known(node, record, presence))
		return 0;
	outcome = node_warrant_open(node, now, bytes_buf(&presence->warrant), &owner, &warrant);
	if (outcome)
		return outcome;
	if (!is_of(&warrant, presence, writer))
		outcome = NODE_TRUST_E_REFUSED;
	warrant_deinit(&warrant);
	return outcome;
}

int node_presence_judge(struct node *node, struct mono now, const struct record *record,
			const struct node_id *writer)
{
	struct presence presence;
	int outcome;

	/* Who says that a pod is gone claims no slot. */
	if (record->key.kind != RECORD_PRESENCE || record->gone || fault_is_planted(FAULT_WARRANT))
		return 0;
	if (presence_decode(bytes_buf(&record->value), &presence) != 0)
		return NODE_TRUST_E_MALFORMED;
	outcome = judge(node, now, record, writer, &presence);
	presence_deinit(&presence);
	return outcome;
}
