/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every limit of message.h, broken one at a time: a valid message is unpacked into the generated
 * struct, one field is changed, and the result must be refused for the right reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "machine.pb-c.h"
#include "samples.h"

enum {
	POOL_MAX = 65536,
};

/* What a mutation needs lives until the end of its test. */
static void *pool[POOL_MAX];
static size_t pool_count;

static void *pool_alloc(void *unused, size_t size)
{
	(void)unused;
	assert_true(pool_count < POOL_MAX);
	return pool[pool_count++] = mem_alloc(1, size);
}

static void pool_keep(void *unused, void *memory)
{
	(void)unused;
	(void)memory;
}

static void pool_free(void)
{
	while (pool_count > 0)
		free(pool[--pool_count]);
}

static ProtobufCAllocator pool_allocator = {pool_alloc, pool_keep, NULL};

static ProtobufCBinaryData filled(size_t len, char c)
{
	uint8_t *data = pool_alloc(NULL, len + 1);

	memset(data, c, len);
	return (ProtobufCBinaryData){.len = len, .data = data};
}

static ProtobufCBinaryData text(const char *string)
{
	ProtobufCBinaryData data = filled(strlen(string), 0);

	memcpy(data.data, string, data.len);
	return data;
}

/* Make a repeated field @count long by repeating what is its first element. */
#define REPEAT(message, field, count)                                                          \
	do {                                                                                   \
		size_t repeat_len = sizeof(*(message)->field);                                 \
		char *repeat = pool_alloc(NULL, (count)*repeat_len);                           \
		for (size_t repeat_at = 0; repeat_at < (count); repeat_at++)                   \
			memcpy(repeat + repeat_at * repeat_len, (message)->field, repeat_len); \
		(message)->field = (void *)repeat;                                             \
		(message)->n_##field = (count);                                                \
	} while (0)

typedef void (*mutate_fn)(Magik__Message *message);

struct mutation {
	const char *name;
	enum message_type type;
	mutate_fn mutate;
	int expected;
};

#define MUTATION(mutation_name, code)                      \
	static void mutation_name(Magik__Message *message) \
	{                                                  \
		code;                                      \
	}

MUTATION(version_none, message->version = 0)
MUTATION(version_later, message->version = MESSAGE_VERSION + 1)
MUTATION(body_none, message->body_case = MAGIK__MESSAGE__BODY__NOT_SET)

MUTATION(tender_id_short, message->tender->id.len--)
MUTATION(tender_id_none, message->tender->id.len = 0)
MUTATION(tender_digest_long, message->tender->manifest_digest = filled(33, 1))
MUTATION(tender_object_none, message->tender->object = NULL)
MUTATION(tender_needs_none, message->tender->needs = NULL)
MUTATION(tender_uid_short, message->tender->object->uid.len--)
MUTATION(tender_uid_none, message->tender->object->uid.len = 0)
MUTATION(tender_slots_fall, message->tender->slots[0] = 1000)
MUTATION(tender_slots_twice, message->tender->slots[0] = message->tender->slots[1])
MUTATION(tender_cpu_negative, message->tender->needs->cpu_milli = -1)
MUTATION(tender_memory_negative, message->tender->needs->memory_bytes = INT64_MIN)
MUTATION(tender_key_none, message->tender->needs->labels[0]->key.len = 0)
MUTATION(tender_key_long, message->tender->needs->labels[0]->key = filled(318, 'k'))
MUTATION(tender_value_long, message->tender->needs->labels[0]->value = filled(64, 'v'))
MUTATION(tender_labels_many, REPEAT(message->tender->needs, labels, 65))
MUTATION(tender_images_many, REPEAT(message->tender, images, 33))
MUTATION(tender_image_long, message->tender->images[0] = filled(513, 'i'))
MUTATION(tender_excluded_many, REPEAT(message->tender, excluded, 65))
MUTATION(tender_excluded_short, message->tender->excluded[1].len = 31)
MUTATION(tender_engine_long, message->tender->needs->engine = filled(64, 'e'))
MUTATION(tender_name_long, message->tender->object->name = filled(254, 'n'))
MUTATION(tender_namespace_long, message->tender->object->namespace_ = filled(64, 'n'))
MUTATION(tender_kind_long, message->tender->object->kind = filled(64, 'K'))
MUTATION(tender_name_zero, message->tender->object->name = filled(2, 0))
MUTATION(tender_name_newline, message->tender->object->name = text("we\nb"))
MUTATION(tender_name_escape, message->tender->object->name = text("\x1b[2J"))
MUTATION(tender_name_delete, message->tender->object->name = text("\x7f"))
MUTATION(tender_name_c1, message->tender->object->name = text("\xc2\x9b"))
MUTATION(tender_name_overlong, message->tender->object->name = text("\xc0\xaf"))
MUTATION(tender_name_surrogate, message->tender->object->name = text("\xed\xa0\x80"))
MUTATION(tender_name_cut, message->tender->object->name = text("web\xe2\x82"))
MUTATION(tender_name_beyond, message->tender->object->name = text("\xf4\x90\x80\x80"))

static void tender_slots_many(Magik__Message *message)
{
	REPEAT(message->tender, slots, 65);
	for (uint32_t i = 0; i < 65; i++)
		message->tender->slots[i] = i;
}

MUTATION(bid_copies, message->bid->copies = 65)
MUTATION(bid_fit, message->bid->fit = 1001)
MUTATION(bid_images, message->bid->images = 33)
MUTATION(bid_reliability, message->bid->reliability = 1001)
MUTATION(award_winner_none, message->award->winner.len = 0)
MUTATION(award_manifest_long, message->award->manifest = filled((1 << 20) + 1, ' '))
MUTATION(award_envelope_long, message->award->tender_envelope = filled((160 << 10) + 1, 1))
MUTATION(award_slot_twice, REPEAT(message->award, assignments, 2))
MUTATION(award_slots_many, REPEAT(message->award, assignments, 65))
MUTATION(award_pod_none, message->award->assignments[0]->pod_uid.len = 0)
MUTATION(award_pod_name_long, message->award->assignments[0]->pod_name = filled(254, 'p'))
MUTATION(reply_answer, message->award_reply->answer = AWARD_REFUSED_DELETED + 1)
MUTATION(reply_text_long, message->award_reply->text = filled(1025, 't'))
MUTATION(reply_text_escape, message->award_reply->text = text("\x1b"))
MUTATION(confirm_id_none, message->award_confirm->tender_id.len = 0)
MUTATION(release_id_short, message->release->tender_id.len--)
MUTATION(cancel_pods_many, REPEAT(message->cancel, pods, 65))
MUTATION(cancel_pod_long, message->cancel->pods[0] = filled(17, 1))
MUTATION(event_kind, message->event->kind = EVENT_ROOM + 1)
MUTATION(event_pod_none, message->event->pod_uid.len = 0)
MUTATION(disposal_object_none, message->disposal->object = NULL)
MUTATION(disposal_pod_short, message->disposal->pod_uid.len--)

MUTATION(record_kind_none, message->record->key->kind = RECORD_NONE)
MUTATION(record_kind_later, message->record->key->kind = RECORD_NODE + 1)
MUTATION(record_key_none, message->record->key = NULL)
MUTATION(record_uid_none, message->record->key->uid.len = 0)
MUTATION(record_sub_short, message->record->key->sub.len--)
MUTATION(record_version_none, message->record->version = NULL)
MUTATION(record_digest_short, message->record->version->digest.len--)
MUTATION(record_written_negative, message->record->written_ms = -1)
MUTATION(record_value_long, message->record->value = filled((1 << 20) + 1, 1))
MUTATION(ack_key_none, message->record_ack->key = NULL)
MUTATION(ack_version_none, message->record_ack->version = NULL)
MUTATION(ack_text_long, message->record_ack->text = filled(1025, 't'))
MUTATION(summary_short, message->sync_summary->n_buckets--)
MUTATION(summary_long, REPEAT(message->sync_summary, buckets, SYNC_BUCKETS + 1))
MUTATION(keys_bucket_beyond, message->sync_keys->buckets[1] = SYNC_BUCKETS)
MUTATION(keys_bucket_twice, message->sync_keys->buckets[0] = SYNC_BUCKETS - 1)
MUTATION(keys_many, REPEAT(message->sync_keys, entries, 1025))
MUTATION(keys_version_none, message->sync_keys->entries[0]->version = NULL)
MUTATION(want_many, REPEAT(message->sync_want, keys, 1025))
MUTATION(put_envelope_long, message->record_put->envelope = filled((1 << 20) + (64 << 10) + 1, 1))
MUTATION(offer_many, REPEAT(message->sync_offer, entries, 1025))
MUTATION(have_key_none, message->sync_have->entries[0]->key = NULL)
MUTATION(fetch_home_none, message->fetch->home.len = 0)
MUTATION(fetch_after_short, message->fetch->after->uid.len--)
MUTATION(fetched_many, REPEAT(message->fetched, entries, 1025))
MUTATION(fetched_since_negative, message->fetched->complete_ms = -1)
MUTATION(vouch_want_many, REPEAT(message->vouch_want, pods, 129))
MUTATION(vouch_want_object_none, message->vouch_want->pods[0]->object_uid.len = 0)
MUTATION(vouch_since_negative, message->vouch->complete_since_ms = -1)
MUTATION(vouch_many, REPEAT(message->vouch, verdicts, 129))
MUTATION(vouch_standing_high, message->vouch->verdicts[0]->standing = 4)
MUTATION(want_kind_none, message->sync_want->keys[0]->kind = RECORD_NONE)

MUTATION(revocation_kind, message->revocation->kind = 4)
MUTATION(revocation_of_nothing, message->revocation->kind = REVOCATION_NONE)
MUTATION(revocation_of_another, message->revocation->kind = REVOCATION_MACHINE)
MUTATION(revocation_of_two, message->revocation->serial = filled(16, 1))
MUTATION(revocation_machine_short, message->revocation->machine = filled(31, 1))
MUTATION(revocation_user_long, message->revocation->user = filled(254, 'u'))
MUTATION(revoked_stage, message->revoked->stage = 3)
MUTATION(revoked_fold_short, message->revoked->fold.len--)
MUTATION(revoked_id_short, message->revoked->ids[1].len--)
MUTATION(pod_request_of_nothing, message->pod_request->verb = POD_VERB_NONE)
MUTATION(pod_request_no_command, message->pod_request->command.len = 0)
MUTATION(pod_request_of_another, message->pod_request->verb = POD_VERB_ATTACH)
MUTATION(pod_request_of_two, message->pod_request->port = 80)
MUTATION(pod_request_machine_short, message->pod_request->machine.len--)
MUTATION(pod_request_user_many, REPEAT(message->pod_request->user, certs, 5))
MUTATION(revoked_many, REPEAT(message->revoked, ids, MESSAGE_REVOKED_MAX + 1))

MUTATION(rows_shard_none, message->index_rows->shard = NULL)
MUTATION(rows_depth, message->index_rows->shard->depth = 33)
MUTATION(rows_prefix, message->index_rows->shard->prefix |= 1)
MUTATION(rows_purpose, message->index_rows->purpose = INDEX_REPORT + 1)
MUTATION(rows_many, REPEAT(message->index_rows, rows, 2049))
MUTATION(rows_name_long, message->index_rows->rows[0]->name = filled(254, 'n'))
MUTATION(rows_uid_none, message->index_rows->rows[0]->uid.len = 0)
MUTATION(ask_shard_none, message->index_ask->shard = NULL)
MUTATION(ask_name_long, message->index_ask->name = filled(254, 'n'))
MUTATION(answer_outcome, message->index_answer->outcome = INDEX_MERGED + 1)
MUTATION(answer_many, REPEAT(message->index_answer, rows, 2049))

MUTATION(hello_self_none, message->hello->self = NULL)
MUTATION(hello_id_short, message->hello->self->id.len--)
MUTATION(hello_ip_odd, message->hello->self->addr->ip = filled(5, 1))
MUTATION(hello_port_high, message->hello->self->addr->port = 65536)
MUTATION(hello_name_long, message->hello->self->name = filled(254, 'n'))
MUTATION(hello_versions_cross, message->hello->version_min = 3)
MUTATION(hello_time_negative, message->hello->fabric_ms = -1)
MUTATION(hello_leaf_none, message->hello->leaf.len = 0)
MUTATION(members_many, REPEAT(message->members, reports, 65))
MUTATION(members_state, message->members->reports[0]->state = MEMBER_LEFT + 1)
MUTATION(members_member_none, message->members->reports[0]->member = NULL)
MUTATION(ping_gossip_many, REPEAT(message->ping->gossip, reports, 65))
MUTATION(pong_time_negative, message->pong->fabric_ms = INT64_MIN)
MUTATION(leaf_want_short, message->leaf_want->leaf.len--)
MUTATION(leaf_many, REPEAT(message->leaf, certs, 5))
MUTATION(leaf_cert_long, message->leaf->certs[0] = filled(4097, 1))
MUTATION(leaf_cert_none, message->leaf->certs[1].len = 0)

MUTATION(join_contact_none, message->forward_join->contact = NULL)
MUTATION(join_id_short, message->forward_join->contact->id.len--)
MUTATION(join_addr_none, message->forward_join->contact->addr = NULL)
MUTATION(join_addr_wildcard, message->forward_join->contact->addr->ip = filled(4, 0))
MUTATION(join_port_none, message->forward_join->contact->addr->port = 0)
MUTATION(join_port_high, message->forward_join->contact->addr->port = 65536)
MUTATION(join_ttl, message->forward_join->ttl = MESSAGE_TTL_MAX + 1)
MUTATION(shuffle_origin_none, message->shuffle->origin = NULL)
MUTATION(shuffle_ttl, message->shuffle->ttl = UINT32_MAX)
MUTATION(shuffle_many, REPEAT(message->shuffle, contacts, MESSAGE_CONTACTS_MAX + 1))
MUTATION(shuffle_addr_none, message->shuffle->contacts[1]->addr = NULL)
MUTATION(shuffle_reply_many, REPEAT(message->shuffle_reply, contacts, MESSAGE_CONTACTS_MAX + 1))
MUTATION(shuffle_reply_ip_odd, message->shuffle_reply->contacts[0]->addr->ip = filled(17, 1))
MUTATION(gossip_id_none, message->gossip->id.len = 0)
MUTATION(gossip_hops, message->gossip->hops = MESSAGE_HOPS_MAX + 1)
MUTATION(gossip_payload_long, message->gossip->payload = filled(MESSAGE_GOSSIP_MAX + 1, 1))
MUTATION(ihave_many, REPEAT(message->ihave, ids, MESSAGE_IHAVE_MAX + 1))
MUTATION(ihave_id_none, message->ihave->ids[1].len = 0)
MUTATION(graft_id_short, message->graft->id.len--)
MUTATION(find_target_none, message->find->target.len = 0)
MUTATION(found_nearest_many, REPEAT(message->found, nearest, MESSAGE_NEAREST_MAX + 1))
MUTATION(found_providers_many, REPEAT(message->found, providers, MESSAGE_CONTACTS_MAX + 1))
MUTATION(found_provider_id_long, message->found->providers[0]->id = filled(33, 1))
MUTATION(provide_key_short, message->provide->key.len--)
MUTATION(withdraw_key_none, message->withdraw->key.len = 0)
MUTATION(referral_owner_none, message->referral->owner = NULL)
MUTATION(referral_owner_nowhere, message->referral->owner->addr = NULL)
MUTATION(referral_count, message->referral->count = MESSAGE_REFERRAL_MAX + 1)
MUTATION(referral_share, message->referral->share = MESSAGE_SHARE_MAX + 1)
MUTATION(referral_tender_long, message->referral->tender = filled((160 << 10) + 1, 1))

MUTATION(terms_key_none, message->tender->needs->selector[0]->terms[0]->key.len = 0)
MUTATION(terms_key_long, message->tender->needs->apart[0]->terms[0]->key = filled(318, 1))
MUTATION(terms_operator, message->tender->needs->with[0]->terms[0]->operator_ = TERM_LESS + 1)
MUTATION(terms_in_nothing, message->tender->needs->selector[0]->terms[TERM_IN]->n_values = 0)
MUTATION(terms_exists_value,
	 message->tender->needs->selector[0]->terms[TERM_EXISTS]->operator_ = TERM_NOT_IN)
MUTATION(terms_greater_two,
	 message->tender->needs->selector[0]->terms[TERM_IN]->operator_ = TERM_GREATER)
MUTATION(terms_value_long,
	 message->tender->needs->preferred[0]->terms[0]->values[0] = filled(64, 1))
MUTATION(terms_many, message->tender->needs->preferred[0]->terms[0] =
			     message->tender->needs->selector[0]->terms[2];
	 REPEAT(message->tender->needs->preferred[0], terms, MESSAGE_TERMS_MAX + 1))
MUTATION(terms_many_in_all, REPEAT(message->tender->needs->apart[0], terms, MESSAGE_TERMS_MAX))
MUTATION(terms_values_many,
	 REPEAT(message->tender->needs->with[0]->terms[0], values, MESSAGE_VALUES_MAX + 1))
MUTATION(terms_values_many_in_all,
	 REPEAT(message->tender->needs->pods_preferred[0]->terms[0], values, MESSAGE_VALUES_MAX))
MUTATION(sets_many, REPEAT(message->tender->needs, selector, MESSAGE_SETS_MAX + 1))
MUTATION(sets_weight, message->tender->needs->preferred[0]->weight = MESSAGE_WEIGHT_MAX + 1)
MUTATION(sets_weight_low, message->tender->needs->pods_preferred[0]->weight = INT32_MIN)
MUTATION(tolerations_many, REPEAT(message->tender->needs, tolerations, MESSAGE_TOLERATIONS_MAX + 1))
MUTATION(toleration_effect, message->tender->needs->tolerations[0]->effect = TAINT_NO_EXECUTE + 1)
MUTATION(toleration_value_long, message->tender->needs->tolerations[0]->value = filled(64, 1))
MUTATION(spreads_many, REPEAT(message->tender->needs, spreads, MESSAGE_SPREADS_MAX + 1))
MUTATION(spread_key_none, message->tender->needs->spreads[0]->key.len = 0)
MUTATION(spread_skew_none, message->tender->needs->spreads[0]->max_skew = 0)
MUTATION(resources_many, REPEAT(message->tender->needs, resources, MESSAGE_RESOURCES_MAX + 1))
MUTATION(resource_name_none, message->tender->needs->resources[0]->name.len = 0)
MUTATION(resource_negative, message->tender->needs->resources[0]->count = -1)
MUTATION(ports_many, REPEAT(message->tender->needs, ports, MESSAGE_PORTS_MAX + 1))
MUTATION(port_none, message->tender->needs->ports[0]->port = 0)
MUTATION(port_high, message->tender->needs->ports[0]->port = 65536)
MUTATION(port_ip_odd, message->tender->needs->ports[1]->ip = filled(3, 1))
MUTATION(port_protocol, message->tender->needs->ports[0]->protocol = PORT_SCTP + 1)
MUTATION(pod_labels_many, REPEAT(message->tender->needs, pod_labels, MESSAGE_LABELS_MAX + 1))
MUTATION(bid_penalty, message->bid->penalty = 1001)
MUTATION(bid_zones, REPEAT(message->bid, zones, MESSAGE_SPREADS_MAX + 1))

#define BROKEN(TYPE, mutation)                                           \
	{                                                                \
#mutation, MESSAGE_##TYPE, mutation, MESSAGE_E_MALFORMED \
	}
#define BIG(TYPE, mutation)                                            \
	{                                                              \
#mutation, MESSAGE_##TYPE, mutation, MESSAGE_E_TOO_BIG \
	}

static const struct mutation mutations[] = {
	BROKEN(BID, version_none),
	{"version_later", MESSAGE_BID, version_later, MESSAGE_E_UNKNOWN},
	BROKEN(BID, body_none),
	BROKEN(TENDER, tender_id_short),
	BROKEN(TENDER, tender_id_none),
	BROKEN(TENDER, tender_digest_long),
	BROKEN(TENDER, tender_object_none),
	BROKEN(TENDER, tender_needs_none),
	BROKEN(TENDER, tender_uid_short),
	BROKEN(TENDER, tender_uid_none),
	BROKEN(TENDER, tender_slots_fall),
	BROKEN(TENDER, tender_slots_twice),
	BIG(TENDER, tender_slots_many),
	BROKEN(TENDER, tender_cpu_negative),
	BROKEN(TENDER, tender_memory_negative),
	BROKEN(TENDER, tender_key_none),
	BIG(TENDER, tender_key_long),
	BIG(TENDER, tender_value_long),
	BIG(TENDER, tender_labels_many),
	BIG(TENDER, tender_images_many),
	BIG(TENDER, tender_image_long),
	BIG(TENDER, tender_excluded_many),
	BROKEN(TENDER, tender_excluded_short),
	BIG(TENDER, tender_engine_long),
	BIG(TENDER, tender_name_long),
	BIG(TENDER, tender_namespace_long),
	BIG(TENDER, tender_kind_long),
	BROKEN(TENDER, tender_name_zero),
	BROKEN(TENDER, tender_name_newline),
	BROKEN(TENDER, tender_name_escape),
	BROKEN(TENDER, tender_name_delete),
	BROKEN(TENDER, tender_name_c1),
	BROKEN(TENDER, tender_name_overlong),
	BROKEN(TENDER, tender_name_surrogate),
	BROKEN(TENDER, tender_name_cut),
	BROKEN(TENDER, tender_name_beyond),
	BROKEN(TENDER, terms_key_none),
	BIG(TENDER, terms_key_long),
	BROKEN(TENDER, terms_operator),
	BROKEN(TENDER, terms_in_nothing),
	BROKEN(TENDER, terms_exists_value),
	BROKEN(TENDER, terms_greater_two),
	BIG(TENDER, terms_value_long),
	BIG(TENDER, terms_many),
	BIG(TENDER, terms_many_in_all),
	BIG(TENDER, terms_values_many),
	BIG(TENDER, terms_values_many_in_all),
	BIG(TENDER, sets_many),
	BROKEN(TENDER, sets_weight),
	BROKEN(TENDER, sets_weight_low),
	BIG(TENDER, tolerations_many),
	BROKEN(TENDER, toleration_effect),
	BIG(TENDER, toleration_value_long),
	BIG(TENDER, spreads_many),
	BROKEN(TENDER, spread_key_none),
	BROKEN(TENDER, spread_skew_none),
	BIG(TENDER, resources_many),
	BROKEN(TENDER, resource_name_none),
	BROKEN(TENDER, resource_negative),
	BIG(TENDER, ports_many),
	BROKEN(TENDER, port_none),
	BROKEN(TENDER, port_high),
	BROKEN(TENDER, port_ip_odd),
	BROKEN(TENDER, port_protocol),
	BIG(TENDER, pod_labels_many),
	BROKEN(BID, bid_copies),
	BROKEN(BID, bid_penalty),
	BIG(BID, bid_zones),
	BROKEN(BID, bid_fit),
	BROKEN(BID, bid_images),
	BROKEN(BID, bid_reliability),
	BROKEN(AWARD, award_winner_none),
	BIG(AWARD, award_manifest_long),
	BIG(AWARD, award_envelope_long),
	BROKEN(AWARD, award_slot_twice),
	BIG(AWARD, award_slots_many),
	BROKEN(AWARD, award_pod_none),
	BIG(AWARD, award_pod_name_long),
	BROKEN(AWARD_REPLY, reply_answer),
	BIG(AWARD_REPLY, reply_text_long),
	BROKEN(AWARD_REPLY, reply_text_escape),
	BROKEN(AWARD_CONFIRM, confirm_id_none),
	BROKEN(RELEASE, release_id_short),
	BIG(CANCEL, cancel_pods_many),
	BROKEN(CANCEL, cancel_pod_long),
	BROKEN(EVENT, event_kind),
	BROKEN(EVENT, event_pod_none),
	BROKEN(DISPOSAL, disposal_object_none),
	BROKEN(DISPOSAL, disposal_pod_short),
	BROKEN(RECORD, record_kind_none),
	BROKEN(RECORD, record_kind_later),
	BROKEN(RECORD, record_key_none),
	BROKEN(RECORD, record_uid_none),
	BROKEN(RECORD, record_sub_short),
	BROKEN(RECORD, record_version_none),
	BROKEN(RECORD, record_digest_short),
	BROKEN(RECORD, record_written_negative),
	BIG(RECORD, record_value_long),
	BROKEN(RECORD_ACK, ack_key_none),
	BROKEN(RECORD_ACK, ack_version_none),
	BIG(RECORD_ACK, ack_text_long),
	BROKEN(SYNC_SUMMARY, summary_short),
	BIG(SYNC_SUMMARY, summary_long),
	BROKEN(SYNC_KEYS, keys_bucket_beyond),
	BROKEN(SYNC_KEYS, keys_bucket_twice),
	BIG(SYNC_KEYS, keys_many),
	BROKEN(SYNC_KEYS, keys_version_none),
	BIG(SYNC_WANT, want_many),
	BROKEN(SYNC_WANT, want_kind_none),
	BIG(RECORD_PUT, put_envelope_long),
	BIG(SYNC_OFFER, offer_many),
	BROKEN(SYNC_HAVE, have_key_none),
	BROKEN(FETCH, fetch_home_none),
	BROKEN(FETCH, fetch_after_short),
	BIG(FETCHED, fetched_many),
	BROKEN(FETCHED, fetched_since_negative),
	BROKEN(REVOCATION, revocation_kind),
	BROKEN(REVOCATION, revocation_of_nothing),
	BROKEN(REVOCATION, revocation_of_another),
	BROKEN(REVOCATION, revocation_of_two),
	BROKEN(REVOCATION, revocation_machine_short),
	BIG(REVOCATION, revocation_user_long),
	BROKEN(POD_REQUEST, pod_request_of_nothing),
	BROKEN(POD_REQUEST, pod_request_no_command),
	BROKEN(POD_REQUEST, pod_request_of_another),
	BROKEN(POD_REQUEST, pod_request_of_two),
	BROKEN(POD_REQUEST, pod_request_machine_short),
	BIG(POD_REQUEST, pod_request_user_many),
	BROKEN(REVOKED, revoked_stage),
	BROKEN(REVOKED, revoked_fold_short),
	BROKEN(REVOKED, revoked_id_short),
	BIG(REVOKED, revoked_many),
	BROKEN(INDEX_ROWS, rows_shard_none),
	BROKEN(INDEX_ROWS, rows_depth),
	BROKEN(INDEX_ROWS, rows_prefix),
	BROKEN(INDEX_ROWS, rows_purpose),
	BIG(INDEX_ROWS, rows_many),
	BIG(INDEX_ROWS, rows_name_long),
	BROKEN(INDEX_ROWS, rows_uid_none),
	BROKEN(INDEX_ASK, ask_shard_none),
	BIG(INDEX_ASK, ask_name_long),
	BROKEN(INDEX_ANSWER, answer_outcome),
	BIG(INDEX_ANSWER, answer_many),
	BIG(VOUCH_WANT, vouch_want_many),
	BROKEN(VOUCH_WANT, vouch_want_object_none),
	BROKEN(VOUCH, vouch_since_negative),
	BIG(VOUCH, vouch_many),
	BROKEN(VOUCH, vouch_standing_high),
	BROKEN(HELLO, hello_self_none),
	BROKEN(HELLO, hello_id_short),
	BROKEN(HELLO, hello_ip_odd),
	BROKEN(HELLO, hello_port_high),
	BIG(HELLO, hello_name_long),
	BROKEN(HELLO, hello_versions_cross),
	BROKEN(HELLO, hello_time_negative),
	BROKEN(HELLO, hello_leaf_none),
	BIG(MEMBERS, members_many),
	BROKEN(MEMBERS, members_state),
	BROKEN(MEMBERS, members_member_none),
	BIG(PING, ping_gossip_many),
	BROKEN(PONG, pong_time_negative),
	BROKEN(LEAF_WANT, leaf_want_short),
	BIG(LEAF, leaf_many),
	BIG(LEAF, leaf_cert_long),
	BROKEN(LEAF, leaf_cert_none),
	BROKEN(FORWARD_JOIN, join_contact_none),
	BROKEN(FORWARD_JOIN, join_id_short),
	BROKEN(FORWARD_JOIN, join_addr_none),
	BROKEN(FORWARD_JOIN, join_addr_wildcard),
	BROKEN(FORWARD_JOIN, join_port_none),
	BROKEN(FORWARD_JOIN, join_port_high),
	BROKEN(FORWARD_JOIN, join_ttl),
	BROKEN(SHUFFLE, shuffle_origin_none),
	BROKEN(SHUFFLE, shuffle_ttl),
	BIG(SHUFFLE, shuffle_many),
	BROKEN(SHUFFLE, shuffle_addr_none),
	BIG(SHUFFLE_REPLY, shuffle_reply_many),
	BROKEN(SHUFFLE_REPLY, shuffle_reply_ip_odd),
	BROKEN(GOSSIP, gossip_id_none),
	BROKEN(GOSSIP, gossip_hops),
	BIG(GOSSIP, gossip_payload_long),
	BIG(IHAVE, ihave_many),
	BROKEN(IHAVE, ihave_id_none),
	BROKEN(GRAFT, graft_id_short),
	BROKEN(FIND, find_target_none),
	BIG(FOUND, found_nearest_many),
	BIG(FOUND, found_providers_many),
	BROKEN(FOUND, found_provider_id_long),
	BROKEN(PROVIDE, provide_key_short),
	BROKEN(WITHDRAW, withdraw_key_none),
	BROKEN(REFERRAL, referral_owner_none),
	BROKEN(REFERRAL, referral_owner_nowhere),
	BROKEN(REFERRAL, referral_count),
	BROKEN(REFERRAL, referral_share),
	BIG(REFERRAL, referral_tender_long),
};

static Magik__Message *unpack(struct bytes bytes)
{
	return magik__message__unpack(&pool_allocator, bytes.len, bytes.ptr);
}

static void pack(const Magik__Message *message, struct buf *out)
{
	buf_clear(out);
	buf_reserve(out, magik__message__get_packed_size(message));
	out->len = magik__message__pack(message, out->ptr);
}

static void what_breaks_a_limit_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(mutations); i++) {
		const struct mutation *mutation = &mutations[i];
		struct message message = sample_message(mutation->type), untouched = {0};
		Magik__Message *packed;
		struct buf bytes = {0};
		int outcome;

		message_encode(&message, &bytes);
		packed = unpack(bytes_buf(&bytes));
		assert_non_null(packed);
		mutation->mutate(packed);
		pack(packed, &bytes);
		outcome = message_decode(bytes_buf(&bytes), &untouched);
		if (outcome != mutation->expected)
			fail_msg("%s: %d instead of %d", mutation->name, outcome,
				 mutation->expected);
		assert_int_equal(untouched.type, MESSAGE_NONE);
		message_deinit(&message);
		buf_deinit(&bytes);
		pool_free();
	}
}

/* Field number 99, length-delimited, "later". */
static const char later_field[] = "\x9a\x06\x05later";

static void a_message_of_a_later_version_is_told_from_a_broken_one(void **state)
{
	struct buf bytes = {0};
	struct message message;

	(void)state;
	buf_append_str(&bytes, "\x08\x01"); /* version 1 */
	buf_append_str(&bytes, later_field);
	assert_int_equal(message_decode(bytes_buf(&bytes), &message), MESSAGE_E_UNKNOWN);
	assert_int_equal(message_decode(bytes_str("\xff"), &message), MESSAGE_E_MALFORMED);
	assert_int_equal(message_decode(bytes_of(NULL, 0), &message), MESSAGE_E_MALFORMED);
	buf_deinit(&bytes);
}

static void a_field_of_a_later_version_is_ignored(void **state)
{
	struct message message = sample_message(MESSAGE_BID), decoded;
	struct buf bytes = {0};

	(void)state;
	message_encode(&message, &bytes);
	buf_append_str(&bytes, later_field);
	assert_int_equal(message_decode(bytes_buf(&bytes), &decoded), 0);
	assert_int_equal(decoded.bid.copies, message.bid.copies);
	message_deinit(&decoded);
	message_deinit(&message);
	buf_deinit(&bytes);
}

static void a_truncated_message_is_refused(void **state)
{
	(void)state;
	for (int type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
		struct message message = sample_message((enum message_type)type), decoded;
		struct buf bytes = {0};

		message_encode(&message, &bytes);
		bytes.len--;
		assert_int_equal(message_decode(bytes_buf(&bytes), &decoded), MESSAGE_E_MALFORMED);
		message_deinit(&message);
		buf_deinit(&bytes);
	}
}

/* Two bytes each on the wire, a hundred in memory. */
static void empty_parts_cannot_multiply_in_memory(void **state)
{
	struct buf bytes = {0};
	struct message message;

	(void)state;
	buf_append_str(&bytes, "\x08\x01");            /* version 1 */
	buf_append(&bytes, "\x9a\x03\x80\x89\x7a", 5); /* members, 2,000,000 bytes */
	for (size_t i = 0; i < 1000000; i++)
		buf_append(&bytes, "\x0a\x00", 2); /* an empty report */
	assert_int_equal(message_decode(bytes_buf(&bytes), &message), MESSAGE_E_TOO_BIG);
	buf_deinit(&bytes);
}

static void a_message_of_any_length_is_bounded(void **state)
{
	struct buf bytes = {0};
	struct message message;

	(void)state;
	buf_reserve(&bytes, MESSAGE_LEN_MAX + 1);
	memset(bytes.ptr, 0, MESSAGE_LEN_MAX + 1);
	bytes.len = MESSAGE_LEN_MAX + 1;
	assert_int_equal(message_decode(bytes_buf(&bytes), &message), MESSAGE_E_TOO_BIG);
	buf_deinit(&bytes);
}

static char *long_name(size_t len)
{
	ProtobufCBinaryData name = filled(len, 'x');

	return (char *)name.data;
}

static void expect_round_trip(const struct message *message)
{
	struct message decoded;
	struct buf bytes = {0}, again = {0};

	message_encode(message, &bytes);
	assert_int_equal(message_decode(bytes_buf(&bytes), &decoded), 0);
	message_encode(&decoded, &again);
	assert_true(bytes_equal(bytes_buf(&bytes), bytes_buf(&again)));
	message_deinit(&decoded);
	buf_deinit(&bytes);
	buf_deinit(&again);
	pool_free();
}

/* Every list of a requirement but the labels at its limit; MESSAGE_SETS_MAX sets share the terms.
 */
static void needs_at_limits(struct requirements *needs, size_t key_len, size_t value_len)
{
	static struct term_set sets[MESSAGE_SETS_MAX];
	static struct label_term terms[MESSAGE_TERMS_MAX];
	static char *values[MESSAGE_VALUES_MAX];
	static struct toleration tolerations[MESSAGE_TOLERATIONS_MAX];
	static struct spread spreads[MESSAGE_SPREADS_MAX];
	static struct resource resources[MESSAGE_RESOURCES_MAX];
	static struct host_port ports[MESSAGE_PORTS_MAX];
	const size_t per_set = MESSAGE_TERMS_MAX / MESSAGE_SETS_MAX;
	const size_t per_term = MESSAGE_VALUES_MAX / MESSAGE_TERMS_MAX;

	for (size_t i = 0; i < MESSAGE_VALUES_MAX; i++)
		values[i] = long_name(value_len);
	for (size_t i = 0; i < MESSAGE_TERMS_MAX; i++)
		terms[i] = (struct label_term){long_name(key_len), TERM_IN, &values[i * per_term],
					       per_term};
	for (size_t i = 0; i < MESSAGE_SETS_MAX; i++)
		sets[i] = (struct term_set){&terms[i * per_set], per_set, 100};
	for (size_t i = 0; i < MESSAGE_TOLERATIONS_MAX; i++)
		tolerations[i] = (struct toleration){long_name(key_len), long_name(value_len), true,
						     TAINT_NO_EXECUTE};
	for (size_t i = 0; i < MESSAGE_SPREADS_MAX; i++)
		spreads[i] = (struct spread){long_name(key_len), 1, 1, true};
	for (size_t i = 0; i < MESSAGE_RESOURCES_MAX; i++)
		resources[i] = (struct resource){long_name(key_len), INT64_MAX};
	for (size_t i = 0; i < MESSAGE_PORTS_MAX; i++)
		assert_true(
			addr_parse(value_len ? "[fd00::2]:65535" : "0.0.0.0:1", &ports[i].addr));
	needs->preferred = (struct term_sets){sets, MESSAGE_SETS_MAX};
	needs->tolerations = tolerations;
	needs->toleration_count = MESSAGE_TOLERATIONS_MAX;
	needs->spreads = spreads;
	needs->spread_count = MESSAGE_SPREADS_MAX;
	needs->resources = resources;
	needs->resource_count = MESSAGE_RESOURCES_MAX;
	needs->ports = ports;
	needs->port_count = MESSAGE_PORTS_MAX;
	needs->pod_labels = needs->labels;
	needs->pod_label_count = needs->label_count;
}

static void a_tender_at_all_its_limits_is_accepted(void **state)
{
	static uint32_t slots[MESSAGE_SLOTS_MAX];
	static struct label labels[MESSAGE_LABELS_MAX];
	static char *images[MESSAGE_IMAGES_MAX];
	static struct node_id excluded[MESSAGE_NODES_MAX];
	struct message message = {.type = MESSAGE_TENDER};
	struct tender *tender = &message.tender;
	struct buf bytes = {0};

	(void)state;
	for (uint32_t i = 0; i < MESSAGE_SLOTS_MAX; i++)
		slots[i] = UINT32_MAX - MESSAGE_SLOTS_MAX + i;
	for (size_t i = 0; i < MESSAGE_LABELS_MAX; i++)
		labels[i] = (struct label){long_name(MESSAGE_LABEL_KEY_MAX),
					   long_name(MESSAGE_LABEL_VALUE_MAX)};
	for (size_t i = 0; i < MESSAGE_IMAGES_MAX; i++)
		images[i] = long_name(MESSAGE_REF_MAX);
	tender->object.namespace = long_name(MESSAGE_NAMESPACE_MAX);
	tender->object.name = long_name(MESSAGE_NAME_MAX);
	tender->slots = slots;
	tender->slot_count = MESSAGE_SLOTS_MAX;
	tender->needs.labels = labels;
	tender->needs.label_count = MESSAGE_LABELS_MAX;
	tender->images = images;
	tender->image_count = MESSAGE_IMAGES_MAX;
	tender->excluded = excluded;
	tender->excluded_count = MESSAGE_NODES_MAX;
	needs_at_limits(&tender->needs, MESSAGE_LABEL_KEY_MAX, MESSAGE_LABEL_VALUE_MAX);
	message_encode(&message, &bytes);
	assert_in_range(bytes.len, 100 << 10, 150 << 10); /* so that its envelope fits an award */
	buf_deinit(&bytes);
	expect_round_trip(&message);

	/* Short texts cost the most memory for their bytes. */
	for (size_t i = 0; i < MESSAGE_LABELS_MAX; i++)
		labels[i] = (struct label){long_name(1), long_name(0)};
	tender->needs.label_count = MESSAGE_LABELS_MAX;
	tender->object.namespace = tender->object.name = NULL;
	tender->slot_count = tender->image_count = tender->excluded_count = 0;
	needs_at_limits(&tender->needs, 1, 0);
	expect_round_trip(&message);
}

static void a_usual_tender_is_small(void **state)
{
	struct message message = {.type = MESSAGE_TENDER};
	struct label label = {long_name(3), long_name(20)};
	uint32_t slots[] = {0, 1, 2};
	struct buf bytes = {0};
	char *image = long_name(30);

	(void)state;
	message.tender = (struct tender){
		.object = {.namespace = long_name(10),
			   .kind = long_name(10),
			   .name = long_name(20)},
		.generation = 1,
		.slots = slots,
		.slot_count = ARRAY_LEN(slots),
		.needs = {.cpu_milli = 100,
			  .memory_bytes = 1 << 28,
			  .architecture = long_name(5),
			  .pod_labels = &label,
			  .pod_label_count = 1},
		.images = &image,
		.image_count = 1,
	};
	message_encode(&message, &bytes);
	assert_in_range(bytes.len, 1, 300);
	buf_deinit(&bytes);
	pool_free();
}

static void lists_of_records_and_members_at_their_limits_are_accepted(void **state)
{
	static struct sync_entry entries[MESSAGE_SYNC_KEYS_MAX];
	static struct record_key keys[MESSAGE_SYNC_KEYS_MAX];
	static struct member_report reports[MESSAGE_NODES_MAX];
	struct message message = {.type = MESSAGE_SYNC_KEYS};

	(void)state;
	for (size_t i = 0; i < MESSAGE_SYNC_KEYS_MAX; i++) {
		keys[i] = (struct record_key){RECORD_OBJECT, sample_uid(1), {{0}}};
		entries[i].key = keys[i];
	}
	message.sync_keys.entries = entries;
	message.sync_keys.entry_count = MESSAGE_SYNC_KEYS_MAX;
	expect_round_trip(&message);

	message = (struct message){.type = MESSAGE_SYNC_WANT,
				   .sync_want = {keys, MESSAGE_SYNC_KEYS_MAX}};
	expect_round_trip(&message);

	message =
		(struct message){.type = MESSAGE_MEMBERS, .members = {reports, MESSAGE_NODES_MAX}};
	expect_round_trip(&message);
}

static void an_index_message_at_its_limit_is_accepted(void **state)
{
	static struct index_row rows[MESSAGE_ROWS_MAX];
	static char name[] = "a";
	struct message message = {.type = MESSAGE_INDEX_ANSWER};

	(void)state;
	for (size_t i = 0; i < MESSAGE_ROWS_MAX; i++)
		rows[i] = (struct index_row){.name = name, .uid = sample_uid(1)};
	message.index_answer.rows = rows;
	message.index_answer.row_count = MESSAGE_ROWS_MAX;
	expect_round_trip(&message);
}

static void lists_of_contacts_and_broadcasts_at_their_limits_are_accepted(void **state)
{
	static struct contact list[MESSAGE_CONTACTS_MAX];
	static struct uid ids[MESSAGE_IHAVE_MAX];
	struct message message = {.type = MESSAGE_FOUND};

	(void)state;
	for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++)
		assert_true(addr_parse("[fd00::2]:65535", &list[i].addr));
	message.found.nearest = (struct contacts){list, MESSAGE_CONTACTS_MAX};
	message.found.providers = message.found.nearest;
	expect_round_trip(&message);

	/* The shortest encoding, so the smallest budget: IPv4, and nothing else that is not 0. */
	for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++)
		assert_true(addr_parse("10.0.0.2:1", &list[i].addr));
	message = (struct message){.type = MESSAGE_SHUFFLE};
	message.shuffle.origin = list[0];
	message.shuffle.contacts = (struct contacts){list, MESSAGE_CONTACTS_MAX};
	expect_round_trip(&message);

	message = (struct message){.type = MESSAGE_IHAVE, .ihave = {ids, MESSAGE_IHAVE_MAX}};
	expect_round_trip(&message);

	message = (struct message){.type = MESSAGE_GOSSIP};
	message.gossip.payload =
		(struct buf){filled(MESSAGE_GOSSIP_MAX, 1).data, MESSAGE_GOSSIP_MAX, 0};
	expect_round_trip(&message);
}

/* A datagram carries at most 1,200 bytes or so; an answer takes one or two. */
static void twenty_contacts_fit_into_two_datagrams(void **state)
{
	static struct contact list[MESSAGE_CONTACTS_MAX];
	struct message message = {.type = MESSAGE_FOUND};
	struct buf bytes = {0};

	(void)state;
	for (size_t i = 0; i < MESSAGE_CONTACTS_MAX; i++) {
		assert_true(addr_parse("[fd00::2]:65535", &list[i].addr));
		list[i].incarnation = 1700000000000;
		list[i].steward = true;
	}
	message.found.request = UINT64_MAX;
	message.found.nearest = (struct contacts){list, MESSAGE_CONTACTS_MAX};
	message_encode(&message, &bytes);
	assert_in_range(bytes.len, 1, 2 * 1100);
	buf_deinit(&bytes);
}

static void an_award_with_the_largest_manifest_is_accepted(void **state)
{
	static struct assignment assignments[MESSAGE_SLOTS_MAX];
	struct message message = {.type = MESSAGE_AWARD};

	(void)state;
	message.award.manifest =
		(struct buf){filled(MESSAGE_MANIFEST_MAX, ' ').data, MESSAGE_MANIFEST_MAX, 0};
	message.award.assignments = assignments;
	message.award.assignment_count = MESSAGE_SLOTS_MAX;
	for (uint32_t i = 0; i < MESSAGE_SLOTS_MAX; i++)
		assignments[i].slot = i;
	expect_round_trip(&message);
}

typedef void (*presence_fn)(Magik__Presence *presence);

static int presence_outcome(presence_fn mutate)
{
	struct presence presence = sample_presence();
	struct buf bytes = {0};
	Magik__Presence *packed;
	int outcome;

	presence_encode(&presence, &bytes);
	presence_deinit(&presence);
	packed = magik__presence__unpack(&pool_allocator, bytes.len, bytes.ptr);
	mutate(packed);
	buf_clear(&bytes);
	buf_reserve(&bytes, magik__presence__get_packed_size(packed));
	bytes.len = magik__presence__pack(packed, bytes.ptr);
	outcome = presence_decode(bytes_buf(&bytes), &presence);
	buf_deinit(&bytes);
	pool_free();
	return outcome;
}

#define PRESENCE(mutation_name, code)                        \
	static void mutation_name(Magik__Presence *presence) \
	{                                                    \
		code;                                        \
	}

PRESENCE(presence_version_none, presence->version = 0)
PRESENCE(presence_version_later, presence->version = 2)
PRESENCE(presence_phase, presence->phase = POD_GONE + 1)
PRESENCE(presence_state, presence->containers[0]->state = CONTAINER_TERMINATED + 1)
PRESENCE(presence_containers, REPEAT(presence, containers, 33))
PRESENCE(presence_node_short, presence->node.len--)
PRESENCE(presence_object_none, presence->object = NULL)
PRESENCE(presence_created, presence->created_ms = -1)
PRESENCE(presence_finished, presence->containers[0]->finished_ms = -1)
PRESENCE(presence_ip, presence->pod_ip = filled(64, '1'))
PRESENCE(presence_warrant, presence->warrant = filled(1537, 'w'))
PRESENCE(presence_image, presence->containers[0]->image = filled(513, 'i'))

static void a_presence_beyond_its_limits_is_refused(void **state)
{
	(void)state;
	assert_int_equal(presence_outcome(presence_version_none), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_version_later), MESSAGE_E_UNKNOWN);
	assert_int_equal(presence_outcome(presence_phase), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_state), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_containers), MESSAGE_E_TOO_BIG);
	assert_int_equal(presence_outcome(presence_node_short), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_object_none), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_created), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_finished), MESSAGE_E_MALFORMED);
	assert_int_equal(presence_outcome(presence_ip), MESSAGE_E_TOO_BIG);
	assert_int_equal(presence_outcome(presence_image), MESSAGE_E_TOO_BIG);
	assert_int_equal(presence_outcome(presence_warrant), MESSAGE_E_TOO_BIG);
}

typedef void (*facts_fn)(Magik__NodeFacts *facts);

static int facts_outcome(facts_fn mutate)
{
	struct node_facts facts = sample_node_facts();
	struct buf bytes = {0};
	Magik__NodeFacts *packed;
	int outcome;

	node_facts_encode(&facts, &bytes);
	node_facts_deinit(&facts);
	packed = magik__node_facts__unpack(&pool_allocator, bytes.len, bytes.ptr);
	mutate(packed);
	buf_clear(&bytes);
	buf_reserve(&bytes, magik__node_facts__get_packed_size(packed));
	bytes.len = magik__node_facts__pack(packed, bytes.ptr);
	outcome = node_facts_decode(bytes_buf(&bytes), &facts);
	buf_deinit(&bytes);
	pool_free();
	return outcome;
}

#define FACTS(mutation_name, code)                         \
	static void mutation_name(Magik__NodeFacts *facts) \
	{                                                  \
		code;                                      \
	}

FACTS(facts_taints, REPEAT(facts, taints, MESSAGE_TAINTS_MAX + 1))
FACTS(facts_taint_effect, facts->taints[0]->effect = TAINT_ANY)
FACTS(facts_taint_later, facts->taints[0]->effect = TAINT_NO_EXECUTE + 1)
FACTS(facts_taint_key, facts->taints[0]->key.len = 0)
FACTS(facts_resources, REPEAT(facts, resources, MESSAGE_RESOURCES_MAX + 1))
FACTS(facts_resource, facts->resources[0]->count = INT64_MIN)
FACTS(facts_labels, REPEAT(facts, labels, MESSAGE_LABELS_MAX + 1))
PRESENCE(presence_zones, REPEAT(presence, zones, MESSAGE_SPREADS_MAX + 1))

static void machines_and_presences_beyond_their_limits_are_refused(void **state)
{
	(void)state;
	assert_int_equal(facts_outcome(facts_taints), MESSAGE_E_TOO_BIG);
	assert_int_equal(facts_outcome(facts_taint_effect), MESSAGE_E_MALFORMED);
	assert_int_equal(facts_outcome(facts_taint_later), MESSAGE_E_MALFORMED);
	assert_int_equal(facts_outcome(facts_taint_key), MESSAGE_E_MALFORMED);
	assert_int_equal(facts_outcome(facts_resources), MESSAGE_E_TOO_BIG);
	assert_int_equal(facts_outcome(facts_resource), MESSAGE_E_MALFORMED);
	assert_int_equal(facts_outcome(facts_labels), MESSAGE_E_TOO_BIG);
	assert_int_equal(presence_outcome(presence_zones), MESSAGE_E_TOO_BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_breaks_a_limit_is_refused),
		cmocka_unit_test(a_message_of_a_later_version_is_told_from_a_broken_one),
		cmocka_unit_test(a_field_of_a_later_version_is_ignored),
		cmocka_unit_test(a_truncated_message_is_refused),
		cmocka_unit_test(empty_parts_cannot_multiply_in_memory),
		cmocka_unit_test(a_message_of_any_length_is_bounded),
		cmocka_unit_test(a_tender_at_all_its_limits_is_accepted),
		cmocka_unit_test(a_usual_tender_is_small),
		cmocka_unit_test(machines_and_presences_beyond_their_limits_are_refused),
		cmocka_unit_test(lists_of_records_and_members_at_their_limits_are_accepted),
		cmocka_unit_test(an_index_message_at_its_limit_is_accepted),
		cmocka_unit_test(lists_of_contacts_and_broadcasts_at_their_limits_are_accepted),
		cmocka_unit_test(twenty_contacts_fit_into_two_datagrams),
		cmocka_unit_test(an_award_with_the_largest_manifest_is_accepted),
		cmocka_unit_test(a_presence_beyond_its_limits_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
