/* SPDX-License-Identifier: Apache-2.0 */
#include "equal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SAME_NUMBER(field) assert_true(a->field == b->field)
#define SAME_TEXT(field) assert_string_equal(a->field, b->field)
#define SAME_ID(field) assert_memory_equal(a->field.byte, b->field.byte, sizeof(a->field.byte))
#define SAME_BYTES(field) assert_true(bytes_equal(bytes_buf(&a->field), bytes_buf(&b->field)))
#define SAME_ADDR(field) assert_true(addr_equal(&a->field, &b->field))

static void assert_object_equal(const struct object_ref *a, const struct object_ref *b)
{
	SAME_TEXT(namespace);
	SAME_TEXT(kind);
	SAME_TEXT(name);
	assert_true(uid_equal(&a->uid, &b->uid));
}

static void assert_labels_equal(const struct label *a, const struct label *b, size_t count)
{
	for (size_t i = 0; i < count; i++, a++, b++) {
		SAME_TEXT(key);
		SAME_TEXT(value);
	}
}

static void assert_sets_equal(const struct term_sets *a, const struct term_sets *b)
{
	SAME_NUMBER(count);
	for (size_t i = 0; i < a->count; i++) {
		SAME_NUMBER(list[i].weight);
		SAME_NUMBER(list[i].term_count);
		for (size_t j = 0; j < a->list[i].term_count; j++) {
			SAME_TEXT(list[i].terms[j].key);
			SAME_NUMBER(list[i].terms[j].operator);
			SAME_NUMBER(list[i].terms[j].value_count);
			for (size_t k = 0; k < a->list[i].terms[j].value_count; k++)
				SAME_TEXT(list[i].terms[j].values[k]);
		}
	}
}

static void assert_resources_equal(const struct resource *a, const struct resource *b, size_t count)
{
	for (size_t i = 0; i < count; i++, a++, b++) {
		SAME_TEXT(name);
		SAME_NUMBER(count);
	}
}

static void assert_constraints_equal(const struct requirements *a, const struct requirements *b)
{
	SAME_NUMBER(toleration_count);
	for (size_t i = 0; i < a->toleration_count; i++) {
		SAME_TEXT(tolerations[i].key);
		SAME_TEXT(tolerations[i].value);
		SAME_NUMBER(tolerations[i].exists);
		SAME_NUMBER(tolerations[i].effect);
		SAME_NUMBER(tolerations[i].limit_s);
	}
	SAME_NUMBER(spread_count);
	for (size_t i = 0; i < a->spread_count; i++) {
		SAME_TEXT(spreads[i].key);
		SAME_NUMBER(spreads[i].max_skew);
		SAME_NUMBER(spreads[i].min_domains);
		SAME_NUMBER(spreads[i].required);
	}
	SAME_NUMBER(port_count);
	for (size_t i = 0; i < a->port_count; i++) {
		SAME_ADDR(ports[i].addr);
		SAME_NUMBER(ports[i].protocol);
	}
}

static void assert_requirements_equal(const struct requirements *a, const struct requirements *b)
{
	SAME_NUMBER(cpu_milli);
	SAME_NUMBER(memory_bytes);
	SAME_TEXT(engine);
	SAME_TEXT(architecture);
	SAME_NUMBER(label_count);
	assert_labels_equal(a->labels, b->labels, a->label_count);
	assert_sets_equal(&a->selector, &b->selector);
	assert_sets_equal(&a->preferred, &b->preferred);
	assert_sets_equal(&a->with, &b->with);
	assert_sets_equal(&a->apart, &b->apart);
	assert_sets_equal(&a->pods_preferred, &b->pods_preferred);
	assert_constraints_equal(a, b);
	SAME_NUMBER(resource_count);
	assert_resources_equal(a->resources, b->resources, a->resource_count);
	SAME_NUMBER(pod_label_count);
	assert_labels_equal(a->pod_labels, b->pod_labels, a->pod_label_count);
}

static void assert_tender_equal(const struct tender *a, const struct tender *b)
{
	SAME_ID(id);
	assert_object_equal(&a->object, &b->object);
	SAME_NUMBER(generation);
	SAME_NUMBER(attempt);
	SAME_NUMBER(slot_count);
	assert_memory_equal(a->slots, b->slots, a->slot_count * sizeof(*a->slots));
	assert_requirements_equal(&a->needs, &b->needs);
	SAME_NUMBER(priority);
	SAME_NUMBER(preemptible);
	SAME_NUMBER(modest);
	SAME_ID(manifest_digest);
	SAME_NUMBER(image_count);
	for (size_t i = 0; i < a->image_count; i++)
		SAME_TEXT(images[i]);
	SAME_NUMBER(excluded_count);
	for (size_t i = 0; i < a->excluded_count; i++)
		SAME_ID(excluded[i]);
}

static void assert_bid_equal(const struct bid *a, const struct bid *b)
{
	SAME_ID(tender_id);
	SAME_NUMBER(copies);
	SAME_NUMBER(resident);
	SAME_NUMBER(hold_ms);
	SAME_NUMBER(fit);
	SAME_NUMBER(images);
	SAME_NUMBER(reliability);
	SAME_NUMBER(penalty);
	assert_memory_equal(a->zones, b->zones, sizeof(a->zones));
}

static void assert_award_equal(const struct award *a, const struct award *b)
{
	SAME_ID(tender_id);
	SAME_ID(winner);
	SAME_BYTES(tender_envelope);
	SAME_BYTES(manifest);
	SAME_NUMBER(assignment_count);
	for (size_t i = 0; i < a->assignment_count; i++) {
		SAME_NUMBER(assignments[i].slot);
		SAME_NUMBER(assignments[i].epoch);
		SAME_ID(assignments[i].pod_uid);
		SAME_TEXT(assignments[i].pod_name);
		SAME_BYTES(assignments[i].warrant);
	}
}

static void assert_reply_equal(const struct award_reply *a, const struct award_reply *b)
{
	SAME_ID(tender_id);
	SAME_NUMBER(answer);
	SAME_TEXT(text);
}

static void assert_cancel_equal(const struct cancel *a, const struct cancel *b)
{
	SAME_ID(tender_id);
	SAME_NUMBER(pod_count);
	for (size_t i = 0; i < a->pod_count; i++)
		SAME_ID(pods[i]);
}

static void assert_event_equal(const struct event *a, const struct event *b)
{
	SAME_ID(tender_id);
	SAME_NUMBER(slot);
	SAME_ID(pod_uid);
	SAME_NUMBER(kind);
	SAME_TEXT(text);
	SAME_NUMBER(seen);
}

static void assert_disposal_equal(const struct disposal *a, const struct disposal *b)
{
	assert_object_equal(&a->object, &b->object);
	SAME_ID(pod_uid);
	SAME_NUMBER(grace_s);
	SAME_NUMBER(evict);
}

static void assert_record_equal(const struct record *a, const struct record *b)
{
	assert_int_equal(record_key_compare(&a->key, &b->key), 0);
	assert_int_equal(record_version_compare(&a->version, &b->version), 0);
	assert_object_equal(&a->object, &b->object);
	SAME_NUMBER(gone);
	SAME_NUMBER(written_ms);
	SAME_NUMBER(created_hlc);
	SAME_BYTES(value);
}

static void assert_ack_equal(const struct record_ack *a, const struct record_ack *b)
{
	assert_int_equal(record_key_compare(&a->key, &b->key), 0);
	assert_int_equal(record_version_compare(&a->version, &b->version), 0);
	SAME_NUMBER(stored);
	SAME_TEXT(text);
}

static void assert_summary_equal(const struct sync_summary *a, const struct sync_summary *b)
{
	SAME_NUMBER(bucket_count);
	for (size_t i = 0; i < a->bucket_count; i++)
		SAME_NUMBER(buckets[i]);
	SAME_NUMBER(complete_ms);
	SAME_NUMBER(apart_ms);
}

static void assert_entries_equal(const struct sync_entry *a, const struct sync_entry *b,
				 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(record_key_compare(&a[i].key, &b[i].key), 0);
		assert_int_equal(record_version_compare(&a[i].version, &b[i].version), 0);
	}
}

static void assert_keys_equal(const struct sync_keys *a, const struct sync_keys *b)
{
	SAME_NUMBER(bucket_count);
	for (size_t i = 0; i < a->bucket_count; i++)
		SAME_NUMBER(buckets[i]);
	SAME_NUMBER(entry_count);
	assert_entries_equal(a->entries, b->entries, a->entry_count);
	SAME_NUMBER(reply);
	SAME_NUMBER(complete_ms);
	SAME_NUMBER(apart_ms);
}

static void assert_offer_equal(const struct sync_offer *a, const struct sync_offer *b)
{
	SAME_NUMBER(entry_count);
	assert_entries_equal(a->entries, b->entries, a->entry_count);
	SAME_NUMBER(apart_ms);
}

static void assert_record_put_equal(const struct record_put *a, const struct record_put *b)
{
	SAME_NUMBER(expected_hlc);
	assert_true(bytes_equal(bytes_buf(&a->envelope), bytes_buf(&b->envelope)));
}

static void assert_fetch_equal(const struct fetch *a, const struct fetch *b)
{
	SAME_NUMBER(request);
	assert_true(uid_equal(&a->home, &b->home));
	SAME_NUMBER(is_next);
	assert_int_equal(record_key_compare(&a->after, &b->after), 0);
	SAME_NUMBER(full);
}

static void assert_fetched_equal(const struct fetched *a, const struct fetched *b)
{
	SAME_NUMBER(request);
	SAME_NUMBER(entry_count);
	assert_entries_equal(a->entries, b->entries, a->entry_count);
	SAME_NUMBER(more);
	SAME_NUMBER(far);
	SAME_NUMBER(complete_ms);
}

static void assert_want_equal(const struct sync_want *a, const struct sync_want *b)
{
	SAME_NUMBER(key_count);
	for (size_t i = 0; i < a->key_count; i++)
		assert_int_equal(record_key_compare(&a->keys[i], &b->keys[i]), 0);
}

static void assert_revocation_equal(const struct revocation *a, const struct revocation *b)
{
	SAME_NUMBER(kind);
	SAME_ID(machine);
	SAME_TEXT(user);
	assert_true(uid_equal(&a->serial, &b->serial));
	SAME_TEXT(reason);
}

static void assert_revoked_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_REVOCATION) {
		assert_revocation_equal(&a->revocation, &b->revocation);
		return;
	}
	SAME_NUMBER(revoked.stage);
	SAME_ID(revoked.fold);
	SAME_NUMBER(revoked.id_count);
	for (size_t i = 0; i < a->revoked.id_count; i++)
		SAME_ID(revoked.ids[i]);
}

static void assert_shard_equal(const struct shard_id *a, const struct shard_id *b)
{
	SAME_TEXT(kind);
	SAME_TEXT(namespace);
	SAME_NUMBER(depth);
	SAME_NUMBER(prefix);
}

static void assert_row_equal(const struct index_row *a, const struct index_row *b)
{
	SAME_TEXT(name);
	assert_true(uid_equal(&a->uid, &b->uid) && uid_equal(&a->sub, &b->sub));
	SAME_NUMBER(hlc);
	SAME_NUMBER(gone);
	SAME_NUMBER(age_s);
}

static void assert_index_rows_equal(const struct index_rows *a, const struct index_rows *b)
{
	SAME_NUMBER(request);
	assert_shard_equal(&a->shard, &b->shard);
	SAME_NUMBER(purpose);
	SAME_NUMBER(row_count);
	for (size_t i = 0; i < a->row_count; i++)
		assert_row_equal(&a->rows[i], &b->rows[i]);
	SAME_NUMBER(made);
	SAME_NUMBER(split);
	SAME_NUMBER(count);
	SAME_NUMBER(fold);
}

static void assert_index_ask_equal(const struct index_ask *a, const struct index_ask *b)
{
	SAME_NUMBER(request);
	assert_shard_equal(&a->shard, &b->shard);
	SAME_TEXT(name);
}

static void assert_index_answer_equal(const struct index_answer *a, const struct index_answer *b)
{
	SAME_NUMBER(request);
	SAME_NUMBER(outcome);
	SAME_NUMBER(row_count);
	for (size_t i = 0; i < a->row_count; i++)
		assert_row_equal(&a->rows[i], &b->rows[i]);
}

static void assert_index_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_INDEX_ROWS)
		assert_index_rows_equal(&a->index_rows, &b->index_rows);
	else if (a->type == MESSAGE_INDEX_ASK)
		assert_index_ask_equal(&a->index_ask, &b->index_ask);
	else
		assert_index_answer_equal(&a->index_answer, &b->index_answer);
}

static void assert_vouch_want_equal(const struct vouch_want *a, const struct vouch_want *b)
{
	SAME_NUMBER(count);
	for (size_t i = 0; i < a->count; i++) {
		assert_true(uid_equal(&a->pods[i].object_uid, &b->pods[i].object_uid));
		assert_true(uid_equal(&a->pods[i].pod_uid, &b->pods[i].pod_uid));
		SAME_NUMBER(pods[i].slot);
	}
}

static void assert_vouch_equal(const struct vouch *a, const struct vouch *b)
{
	SAME_NUMBER(complete);
	SAME_NUMBER(complete_since_ms);
	SAME_NUMBER(placing);
	SAME_NUMBER(count);
	for (size_t i = 0; i < a->count; i++) {
		assert_true(uid_equal(&a->verdicts[i].object_uid, &b->verdicts[i].object_uid));
		assert_true(uid_equal(&a->verdicts[i].pod_uid, &b->verdicts[i].pod_uid));
		SAME_NUMBER(verdicts[i].standing);
	}
}

static void assert_tenure_equal(const struct tenure *a, const struct tenure *b)
{
	SAME_NUMBER(word);
	assert_true(uid_equal(&a->set, &b->set));
	SAME_NUMBER(ordinal);
	SAME_NUMBER(epoch);
	SAME_NUMBER(serial);
	SAME_ID(machine);
	assert_true(addr_equal(&a->addr, &b->addr));
	assert_true(uid_equal(&a->pod_uid, &b->pod_uid));
	assert_true(uid_equal(&a->holder_uid, &b->holder_uid));
	SAME_NUMBER(replace);
	SAME_NUMBER(registrars.epoch);
	SAME_NUMBER(registrars.number);
	SAME_NUMBER(runs);
}

static void assert_registrars_equal(const struct registrars *a, const struct registrars *b)
{
	SAME_NUMBER(id.epoch);
	SAME_NUMBER(id.number);
	SAME_NUMBER(count);
	for (size_t i = 0; i < a->count; i++) {
		SAME_ID(list[i].id);
		SAME_ADDR(list[i].addr);
	}
}

static void assert_college_equal(const struct college *a, const struct college *b)
{
	SAME_NUMBER(word);
	assert_true(uid_equal(&a->set, &b->set));
	assert_registrars_equal(&a->present, &b->present);
	assert_registrars_equal(&a->next, &b->next);
	SAME_NUMBER(ballot);
	SAME_NUMBER(accepted);
	SAME_NUMBER(complete);
	SAME_NUMBER(from);
	SAME_NUMBER(entry_count);
	for (size_t i = 0; i < a->entry_count; i++)
		assert_tenure_equal(&a->entries[i], &b->entries[i]);
}

static void assert_warrant_equal(const struct warrant *a, const struct warrant *b)
{
	assert_true(uid_equal(&a->pod_uid, &b->pod_uid));
	assert_object_equal(&a->object, &b->object);
	SAME_TEXT(pod_name);
	SAME_NUMBER(slot);
	SAME_NUMBER(epoch);
	SAME_ID(machine);
	SAME_TEXT(kind);
	SAME_TEXT(name);
}

static void assert_happening_equal(const struct happening *a, const struct happening *b)
{
	assert_true(uid_equal(&a->about, &b->about));
	SAME_TEXT(kind);
	SAME_TEXT(namespace);
	SAME_TEXT(name);
	SAME_NUMBER(warning);
	SAME_TEXT(reason);
	SAME_TEXT(message);
	SAME_TEXT(host);
	SAME_NUMBER(first_ms);
	SAME_NUMBER(last_ms);
	SAME_NUMBER(count);
}

static void assert_journal_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_JOURNAL_ASK) {
		SAME_NUMBER(journal_ask.request);
		SAME_NUMBER(journal_ask.after);
		assert_true(uid_equal(&a->journal_ask.home, &b->journal_ask.home));
		return;
	}
	SAME_NUMBER(journal_page.request);
	SAME_NUMBER(journal_page.next);
	SAME_NUMBER(journal_page.count);
	for (size_t i = 0; i < a->journal_page.count; i++)
		assert_happening_equal(&a->journal_page.happenings[i],
				       &b->journal_page.happenings[i]);
}

static void assert_pod_leaf_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_POD_LEAF_WANT) {
		SAME_NUMBER(pod_leaf_want.request);
		SAME_BYTES(pod_leaf_want.warrant);
		SAME_ID(pod_leaf_want.key);
		assert_memory_equal(a->pod_leaf_want.proof, b->pod_leaf_want.proof,
				    MESSAGE_PROOF_LEN);
		SAME_NUMBER(pod_leaf_want.application);
		return;
	}
	SAME_NUMBER(pod_leaf.request);
	SAME_TEXT(pod_leaf.text);
	SAME_NUMBER(pod_leaf.chain.cert_count);
	for (size_t i = 0; i < a->pod_leaf.chain.cert_count; i++)
		SAME_BYTES(pod_leaf.chain.certs[i]);
}

static void assert_agents_equal(const struct message *a, const struct message *b)
{
	SAME_NUMBER(agents_heard.count);
	SAME_NUMBER(agents_heard.answer);
	for (size_t i = 0; i < a->agents_heard.count; i++) {
		SAME_ID(agents_heard.list[i].id);
		SAME_NUMBER(agents_heard.list[i].age_s);
		assert_true(
			addr_equal(&a->agents_heard.list[i].addr, &b->agents_heard.list[i].addr));
	}
}

static void assert_missing_equal(const struct sibling_missing *a, const struct sibling_missing *b)
{
	assert_true(uid_equal(&a->object, &b->object));
	assert_string_equal(a->pod, b->pod);
}

static void assert_told_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_JOURNAL_ASK || a->type == MESSAGE_JOURNAL)
		assert_journal_equal(a, b);
	else if (a->type == MESSAGE_TENURE)
		assert_tenure_equal(&a->tenure, &b->tenure);
	else if (a->type == MESSAGE_POD_LEAF_WANT || a->type == MESSAGE_POD_LEAF)
		assert_pod_leaf_equal(a, b);
	else if (a->type == MESSAGE_AGENTS_HEARD)
		assert_agents_equal(a, b);
	else if (a->type == MESSAGE_SIBLING_MISSING)
		assert_missing_equal(&a->sibling_missing, &b->sibling_missing);
	else if (a->type == MESSAGE_WARRANT)
		assert_warrant_equal(&a->warrant, &b->warrant);
	else if (a->type == MESSAGE_COLLEGE)
		assert_college_equal(&a->college, &b->college);
	else if (a->type == MESSAGE_VOUCH)
		assert_vouch_equal(&a->vouch, &b->vouch);
	else
		assert_vouch_want_equal(&a->vouch_want, &b->vouch_want);
}

static void assert_member_equal(const struct member *a, const struct member *b)
{
	SAME_ID(id);
	SAME_ADDR(addr);
	SAME_TEXT(name);
	SAME_NUMBER(incarnation);
	SAME_NUMBER(steward);
}

static void assert_members_equal(const struct members *a, const struct members *b)
{
	SAME_NUMBER(report_count);
	for (size_t i = 0; i < a->report_count; i++) {
		assert_member_equal(&a->reports[i].member, &b->reports[i].member);
		SAME_NUMBER(reports[i].state);
	}
}

static void assert_hello_equal(const struct hello *a, const struct hello *b)
{
	assert_member_equal(&a->self, &b->self);
	SAME_NUMBER(fabric_ms);
	SAME_NUMBER(fabric_settled);
	SAME_NUMBER(version_min);
	SAME_NUMBER(version_max);
	SAME_ID(leaf);
}

static void assert_ping_equal(const struct ping *a, const struct ping *b)
{
	SAME_NUMBER(sequence);
	SAME_NUMBER(fabric_ms);
	SAME_NUMBER(fabric_settled);
	assert_members_equal(&a->gossip, &b->gossip);
}

static void assert_leaf_equal(const struct leaf *a, const struct leaf *b)
{
	SAME_NUMBER(cert_count);
	for (size_t i = 0; i < a->cert_count; i++)
		SAME_BYTES(certs[i]);
}

static void assert_contact_equal(const struct contact *a, const struct contact *b)
{
	SAME_ID(id);
	SAME_ADDR(addr);
	SAME_NUMBER(incarnation);
	SAME_NUMBER(steward);
}

static void assert_contacts_equal(const struct contacts *a, const struct contacts *b)
{
	SAME_NUMBER(count);
	for (size_t i = 0; i < a->count; i++)
		assert_contact_equal(&a->list[i], &b->list[i]);
}

static void assert_referral_equal(const struct referral *a, const struct referral *b)
{
	assert_contact_equal(&a->owner, &b->owner);
	SAME_NUMBER(count);
	SAME_NUMBER(share);
	SAME_BYTES(tender);
}

static void assert_ihave_equal(const struct ihave *a, const struct ihave *b)
{
	SAME_NUMBER(id_count);
	for (size_t i = 0; i < a->id_count; i++)
		SAME_ID(ids[i]);
}

static void assert_view_equal(const struct message *a, const struct message *b)
{
	switch ((int)a->type) {
	case MESSAGE_JOIN:
		return; /* it says nothing */
	case MESSAGE_FORWARD_JOIN:
		assert_contact_equal(&a->forward_join.contact, &b->forward_join.contact);
		SAME_NUMBER(forward_join.ttl);
		return;
	case MESSAGE_NEIGHBOR:
		SAME_NUMBER(neighbor.urgent);
		return;
	case MESSAGE_NEIGHBOR_REPLY:
		SAME_NUMBER(neighbor_reply.accepted);
		return;
	case MESSAGE_DISCONNECT:
		SAME_NUMBER(disconnect.leaving);
		SAME_NUMBER(disconnect.released);
		return;
	case MESSAGE_SHUFFLE:
		assert_contact_equal(&a->shuffle.origin, &b->shuffle.origin);
		SAME_NUMBER(shuffle.ttl);
		return assert_contacts_equal(&a->shuffle.contacts, &b->shuffle.contacts);
	case MESSAGE_SHUFFLE_REPLY:
		return assert_contacts_equal(&a->shuffle_reply.contacts,
					     &b->shuffle_reply.contacts);
	default:
		fail();
	}
}

static void assert_tree_equal(const struct message *a, const struct message *b)
{
	switch ((int)a->type) {
	case MESSAGE_GOSSIP:
		SAME_ID(gossip.id);
		SAME_NUMBER(gossip.hops);
		SAME_BYTES(gossip.payload);
		return;
	case MESSAGE_IHAVE:
		return assert_ihave_equal(&a->ihave, &b->ihave);
	case MESSAGE_GRAFT:
		SAME_ID(graft.id);
		return;
	case MESSAGE_PRUNE:
		return; /* it says nothing */
	default:
		fail();
	}
}

static void assert_lookup_equal(const struct message *a, const struct message *b)
{
	switch ((int)a->type) {
	case MESSAGE_FIND:
		SAME_NUMBER(find.request);
		SAME_ID(find.target);
		SAME_NUMBER(find.providers);
		SAME_NUMBER(find.wide);
		return;
	case MESSAGE_FOUND:
		SAME_NUMBER(found.request);
		assert_contacts_equal(&a->found.nearest, &b->found.nearest);
		return assert_contacts_equal(&a->found.providers, &b->found.providers);
	case MESSAGE_PROVIDE:
	case MESSAGE_WITHDRAW:
		SAME_ID(provide.key);
		SAME_NUMBER(provide.ttl_s);
		return;
	default:
		fail();
	}
}

static void assert_pod_request_equal(const struct pod_request *a, const struct pod_request *b)
{
	SAME_NUMBER(verb);
	SAME_ID(machine);
	assert_true(uid_equal(&a->pod, &b->pod));
	SAME_TEXT(container);
	SAME_ID(command);
	SAME_NUMBER(port);
	assert_leaf_equal(&a->user, &b->user);
}

static void assert_sync_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_RECORD)
		assert_record_equal(&a->record, &b->record);
	else if (a->type == MESSAGE_RECORD_ACK)
		assert_ack_equal(&a->record_ack, &b->record_ack);
	else if (a->type == MESSAGE_SYNC_SUMMARY)
		assert_summary_equal(&a->sync_summary, &b->sync_summary);
	else if (a->type == MESSAGE_SYNC_KEYS)
		assert_keys_equal(&a->sync_keys, &b->sync_keys);
	else if (a->type == MESSAGE_SYNC_WANT)
		assert_want_equal(&a->sync_want, &b->sync_want);
	else if (a->type == MESSAGE_RECORD_PUT)
		assert_record_put_equal(&a->record_put, &b->record_put);
	else if (a->type == MESSAGE_REVOCATION || a->type == MESSAGE_REVOKED)
		assert_revoked_equal(a, b);
	else if (a->type == MESSAGE_POD_REQUEST)
		assert_pod_request_equal(&a->pod_request, &b->pod_request);
	else if (a->type == MESSAGE_FETCH)
		assert_fetch_equal(&a->fetch, &b->fetch);
	else if (a->type == MESSAGE_FETCHED)
		assert_fetched_equal(&a->fetched, &b->fetched);
	else
		assert_offer_equal(&a->sync_offer, &b->sync_offer);
}

static void assert_some_leaf_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_LEAF)
		assert_leaf_equal(&a->leaf, &b->leaf);
	else
		SAME_ID(leaf_want.leaf);
}

static void assert_life_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_HELLO)
		assert_hello_equal(&a->hello, &b->hello);
	else if (a->type == MESSAGE_MEMBERS)
		assert_members_equal(&a->members, &b->members);
	else
		assert_ping_equal(&a->ping, &b->ping);
}

static void assert_end_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_CANCEL)
		assert_cancel_equal(&a->cancel, &b->cancel);
	else if (a->type == MESSAGE_EVENT)
		assert_event_equal(&a->event, &b->event);
	else
		assert_disposal_equal(&a->disposal, &b->disposal);
}

static void assert_placing_equal(const struct message *a, const struct message *b)
{
	if (a->type == MESSAGE_TENDER)
		assert_tender_equal(&a->tender, &b->tender);
	else if (a->type == MESSAGE_BID)
		assert_bid_equal(&a->bid, &b->bid);
	else if (a->type == MESSAGE_AWARD)
		assert_award_equal(&a->award, &b->award);
	else
		assert_reply_equal(&a->award_reply, &b->award_reply);
}

void assert_message_equal(const struct message *a, const struct message *b)
{
	SAME_NUMBER(type);
	switch (a->type) {
	case MESSAGE_TENDER:
	case MESSAGE_BID:
	case MESSAGE_AWARD:
	case MESSAGE_AWARD_REPLY:
		return assert_placing_equal(a, b);
	case MESSAGE_AWARD_CONFIRM: /* one digest each, in the same place */
	case MESSAGE_RELEASE:
		SAME_ID(release.tender_id);
		return;
	case MESSAGE_CANCEL:
	case MESSAGE_EVENT:
	case MESSAGE_DISPOSAL:
		return assert_end_equal(a, b);
	case MESSAGE_RECORD:
	case MESSAGE_RECORD_ACK:
	case MESSAGE_SYNC_SUMMARY:
	case MESSAGE_SYNC_KEYS:
	case MESSAGE_SYNC_WANT:
	case MESSAGE_RECORD_PUT:
	case MESSAGE_SYNC_OFFER:
	case MESSAGE_SYNC_HAVE:
	case MESSAGE_FETCH:
	case MESSAGE_FETCHED:
	case MESSAGE_REVOCATION:
	case MESSAGE_REVOKED:
	case MESSAGE_POD_REQUEST:
		return assert_sync_equal(a, b);
	case MESSAGE_INDEX_ROWS:
	case MESSAGE_INDEX_ASK:
	case MESSAGE_INDEX_ANSWER:
		return assert_index_equal(a, b);
	case MESSAGE_JOURNAL_ASK ... MESSAGE_SIBLING_MISSING:
		return assert_told_equal(a, b);
	case MESSAGE_HELLO:
	case MESSAGE_MEMBERS:
	case MESSAGE_PING:
	case MESSAGE_PONG:
		return assert_life_equal(a, b);
	case MESSAGE_LEAF_WANT:
	case MESSAGE_LEAF:
		return assert_some_leaf_equal(a, b);
	case MESSAGE_REFERRAL:
		return assert_referral_equal(&a->referral, &b->referral);
	case MESSAGE_JOIN:
	case MESSAGE_FORWARD_JOIN:
	case MESSAGE_NEIGHBOR:
	case MESSAGE_NEIGHBOR_REPLY:
	case MESSAGE_DISCONNECT:
	case MESSAGE_SHUFFLE:
	case MESSAGE_SHUFFLE_REPLY:
		return assert_view_equal(a, b);
	case MESSAGE_GOSSIP:
	case MESSAGE_IHAVE:
	case MESSAGE_GRAFT:
	case MESSAGE_PRUNE:
		return assert_tree_equal(a, b);
	case MESSAGE_FIND:
	case MESSAGE_FOUND:
	case MESSAGE_PROVIDE:
	case MESSAGE_WITHDRAW:
		return assert_lookup_equal(a, b);
	case MESSAGE_NONE:
	case MESSAGE_TYPE_COUNT:
		fail();
	}
}

static void assert_container_equal(const struct container_status *a,
				   const struct container_status *b)
{
	SAME_TEXT(name);
	SAME_TEXT(image);
	SAME_TEXT(image_id);
	SAME_TEXT(container_id);
	SAME_NUMBER(init);
	SAME_NUMBER(ready);
	SAME_NUMBER(state);
	SAME_TEXT(reason);
	SAME_TEXT(message);
	SAME_NUMBER(exit_code);
	SAME_NUMBER(restarts);
	SAME_NUMBER(started_ms);
	SAME_NUMBER(finished_ms);
	SAME_TEXT(last_reason);
	SAME_NUMBER(last_exit_code);
	SAME_NUMBER(last_started_ms);
	SAME_NUMBER(last_finished_ms);
}

void assert_presence_equal(const struct presence *a, const struct presence *b)
{
	SAME_ID(pod_uid);
	SAME_TEXT(pod_name);
	assert_object_equal(&a->object, &b->object);
	SAME_NUMBER(generation);
	SAME_NUMBER(slot);
	SAME_NUMBER(epoch);
	SAME_NUMBER(revision);
	SAME_ID(node);
	SAME_ADDR(addr);
	SAME_TEXT(node_name);
	assert_memory_equal(a->zones, b->zones, sizeof(a->zones));
	SAME_NUMBER(phase);
	SAME_NUMBER(ready);
	SAME_NUMBER(terminating);
	SAME_NUMBER(leaving);
	SAME_NUMBER(ready_ms);
	SAME_TEXT(reason);
	SAME_TEXT(message);
	SAME_TEXT(pod_ip);
	SAME_TEXT(host_ip);
	SAME_NUMBER(created_ms);
	SAME_NUMBER(started_ms);
	SAME_BYTES(warrant);
	SAME_NUMBER(container_count);
	for (size_t i = 0; i < a->container_count; i++)
		assert_container_equal(&a->containers[i], &b->containers[i]);
}

void assert_node_facts_equal(const struct node_facts *a, const struct node_facts *b)
{
	SAME_ID(id);
	SAME_TEXT(name);
	SAME_ADDR(addr);
	SAME_TEXT(api_url);
	SAME_NUMBER(label_count);
	assert_labels_equal(a->labels, b->labels, a->label_count);
	SAME_NUMBER(cpu_milli);
	SAME_NUMBER(memory_bytes);
	SAME_NUMBER(cpu_milli_free_max);
	SAME_NUMBER(memory_bytes_free_max);
	SAME_NUMBER(cpu_milli_used);
	SAME_NUMBER(memory_bytes_used);
	SAME_NUMBER(pods_max);
	SAME_NUMBER(pods_used);
	SAME_NUMBER(resource_count);
	assert_resources_equal(a->resources, b->resources, a->resource_count);
	SAME_NUMBER(taint_count);
	for (size_t i = 0; i < a->taint_count; i++) {
		SAME_TEXT(taints[i].key);
		SAME_TEXT(taints[i].value);
		SAME_NUMBER(taints[i].effect);
	}
	SAME_NUMBER(schedulable);
	SAME_NUMBER(steward);
	SAME_NUMBER(admit);
	SAME_NUMBER(worker);
	SAME_TEXT(architecture);
	SAME_TEXT(os_image);
	SAME_TEXT(kernel);
	SAME_TEXT(runtime);
	SAME_TEXT(version);
	SAME_TEXT(boot_id);
	SAME_TEXT(machine_id);
	SAME_NUMBER(created_ms);
}
