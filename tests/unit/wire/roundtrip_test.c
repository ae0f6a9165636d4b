/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "equal.h"
#include "samples.h"

static void every_message_survives_the_wire(void **state)
{
	(void)state;
	for (int type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
		struct message message = sample_message((enum message_type)type), decoded;
		struct buf encoded = {0}, again = {0};

		message_encode(&message, &encoded);
		assert_int_equal(message_decode(bytes_buf(&encoded), &decoded), 0);
		assert_message_equal(&message, &decoded);
		message_encode(&decoded, &again);
		assert_true(bytes_equal(bytes_buf(&encoded), bytes_buf(&again)));
		buf_deinit(&encoded);
		buf_deinit(&again);
		message_deinit(&message);
		message_deinit(&decoded);
	}
}

static void a_copy_owns_all_it_points_to(void **state)
{
	(void)state;
	for (int type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
		struct message message = sample_message((enum message_type)type), copy;
		struct message fresh = sample_message((enum message_type)type);

		message_copy(&message, &copy);
		message_deinit(&message); /* a shared pointer would now dangle */
		assert_message_equal(&fresh, &copy);
		message_deinit(&copy);
		message_deinit(&fresh);
	}
}

/* What has to be there for @message to be one. */
static void fill_the_required(struct message *message)
{
	struct contact contact = {0};

	assert_true(addr_parse("10.0.0.2:1", &contact.addr));
	if (message->type == MESSAGE_RECORD || message->type == MESSAGE_RECORD_ACK)
		message->record.key.kind = RECORD_OBJECT; /* the same place in both */
	else if (message->type == MESSAGE_TENURE)
		message->tenure.set.byte[0] = message->tenure.pod_uid.byte[0] = 1;
	else if (message->type == MESSAGE_SIBLING_MISSING)
		message->sibling_missing.object.byte[0] = 1;
	else if (message->type == MESSAGE_COLLEGE)
		message->college.set.byte[0] = 1;
	else if (message->type == MESSAGE_FORWARD_JOIN)
		message->forward_join.contact = contact;
	else if (message->type == MESSAGE_SHUFFLE)
		message->shuffle.origin = contact;
	else if (message->type == MESSAGE_REFERRAL)
		message->referral.owner = contact;
}

static void a_message_with_nothing_in_it_is_valid(void **state)
{
	(void)state;
	for (int type = MESSAGE_NONE + 1; type < MESSAGE_TYPE_COUNT; type++) {
		struct message message = {.type = (enum message_type)type}, decoded;
		struct buf encoded = {0};

		if (type == MESSAGE_SYNC_SUMMARY || type == MESSAGE_REVOCATION ||
		    type == MESSAGE_POD_REQUEST)
			continue; /* it has all its buckets, is of somebody, or it is none */
		fill_the_required(&message);
		message_encode(&message, &encoded);
		assert_int_equal(message_decode(bytes_buf(&encoded), &decoded), 0);
		assert_int_equal(decoded.type, type);
		message_deinit(&decoded);
		buf_deinit(&encoded);
	}
}

static void presence_survives_the_wire(void **state)
{
	struct presence presence = sample_presence(), copy, decoded;
	struct buf encoded = {0};

	(void)state;
	presence_copy(&presence, &copy);
	presence_encode(&presence, &encoded);
	presence_deinit(&presence);
	assert_int_equal(presence_decode(bytes_buf(&encoded), &decoded), 0);
	presence = sample_presence();
	assert_presence_equal(&presence, &decoded);
	assert_presence_equal(&presence, &copy);
	presence_deinit(&presence);
	presence_deinit(&copy);
	presence_deinit(&decoded);
	buf_deinit(&encoded);
}

static void facts_of_a_machine_survive_the_wire(void **state)
{
	struct node_facts facts = sample_node_facts(), copy, decoded;
	struct buf encoded = {0};

	(void)state;
	node_facts_copy(&facts, &copy);
	node_facts_encode(&facts, &encoded);
	node_facts_deinit(&facts);
	assert_int_equal(node_facts_decode(bytes_buf(&encoded), &decoded), 0);
	facts = sample_node_facts();
	assert_node_facts_equal(&facts, &decoded);
	assert_node_facts_equal(&facts, &copy);
	node_facts_deinit(&facts);
	node_facts_deinit(&copy);
	node_facts_deinit(&decoded);
	buf_deinit(&encoded);
}

static void prose_is_made_to_fit(void **state)
{
	struct message message = sample_message(MESSAGE_EVENT), decoded;
	struct buf encoded = {0};
	char *text;

	(void)state;
	text = mem_alloc(MESSAGE_TEXT_MAX + 100, 1);
	memset(text, 'x', MESSAGE_TEXT_MAX + 99);
	memcpy(text, "\x1b[2J\xff\n", 6);
	memcpy(text + MESSAGE_TEXT_MAX - 1, "\xc3\xa4", 2); /* would be cut in half */
	free(message.event.text);
	message.event.text = text;
	message_encode(&message, &encoded);
	assert_int_equal(message_decode(bytes_buf(&encoded), &decoded), 0);
	assert_int_equal(strlen(decoded.event.text), MESSAGE_TEXT_MAX - 1);
	assert_memory_equal(decoded.event.text, "?[2J?\nx", 7);
	message_deinit(&message);
	message_deinit(&decoded);
	buf_deinit(&encoded);
}

static void packets_carry_messages_and_envelopes(void **state)
{
	struct packet packet = {.is_envelope = true, .body = bytes_str("body")}, decoded;
	struct buf encoded = {0};

	(void)state;
	packet_encode(&packet, &encoded);
	assert_int_equal(packet_decode(bytes_buf(&encoded), &decoded), 0);
	assert_true(decoded.is_envelope);
	assert_true(bytes_equal(decoded.body, packet.body));
	buf_clear(&encoded);
	packet.is_envelope = false;
	packet_encode(&packet, &encoded);
	assert_int_equal(packet_decode(bytes_buf(&encoded), &decoded), 0);
	assert_false(decoded.is_envelope);
	assert_int_equal(packet_decode(bytes_str("\x03more"), &decoded), MESSAGE_E_UNKNOWN);
	assert_int_equal(packet_decode(bytes_str("\x01"), &decoded), MESSAGE_E_MALFORMED);
	assert_int_equal(packet_decode(bytes_of(NULL, 0), &decoded), MESSAGE_E_MALFORMED);
	buf_clear(&encoded);
	buf_append_str(&encoded, "\x01");
	buf_reserve(&encoded, MESSAGE_LEN_MAX + 1);
	memset(encoded.ptr + 1, 0, MESSAGE_LEN_MAX + 1);
	encoded.len += MESSAGE_LEN_MAX;
	assert_int_equal(packet_decode(bytes_buf(&encoded), &decoded), 0);
	encoded.len++;
	assert_int_equal(packet_decode(bytes_buf(&encoded), &decoded), MESSAGE_E_TOO_BIG);
	buf_deinit(&encoded);
}

static void only_what_is_relayed_or_binding_is_signed(void **state)
{
	(void)state;
	for (int type = MESSAGE_TENDER; type <= MESSAGE_DISPOSAL; type++)
		assert_true(message_is_signed((enum message_type)type));
	assert_false(message_is_signed(MESSAGE_REFERRAL)); /* what it carries is */
	assert_true(message_is_signed(MESSAGE_RECORD));
	assert_true(message_is_signed(MESSAGE_REVOCATION));
	assert_true(message_is_signed(MESSAGE_POD_REQUEST));
	for (int type = MESSAGE_RECORD_ACK; type < MESSAGE_TYPE_COUNT; type++)
		assert_true(message_is_signed((enum message_type)type) ==
			    (type == MESSAGE_VOUCH || type == MESSAGE_TENURE ||
			     type == MESSAGE_WARRANT || type == MESSAGE_COLLEGE));
	assert_string_equal(message_type_name(MESSAGE_AWARD_REPLY), "award_reply");
	assert_string_equal(message_type_name(MESSAGE_PONG), "pong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_survives_the_wire),
		cmocka_unit_test(a_copy_owns_all_it_points_to),
		cmocka_unit_test(a_message_with_nothing_in_it_is_valid),
		cmocka_unit_test(presence_survives_the_wire),
		cmocka_unit_test(facts_of_a_machine_survive_the_wire),
		cmocka_unit_test(prose_is_made_to_fit),
		cmocka_unit_test(packets_carry_messages_and_envelopes),
		cmocka_unit_test(only_what_is_relayed_or_binding_is_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
