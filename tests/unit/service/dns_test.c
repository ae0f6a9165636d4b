/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/dns.h"

enum {
	TTL_S = 5,
	AT_FLAGS = 2,
	AT_ANSWERS = 6,
	AT_AUTHORITIES = 8,
	AT_EXTRAS = 10,
	TRUNCATED = 0x02, /* in the first byte of the flags */
};

static uint16_t read_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* A query as glibc sends it; @udp_max 0: without EDNS. */
static void ask(const char *name, uint16_t type, uint16_t udp_max, struct buf *out)
{
	uint8_t header[DNS_HEADER_LEN] = {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, udp_max > 0};
	uint8_t tail[] = {(uint8_t)(type >> 8), (uint8_t)type, 0, 1};
	uint8_t opt[] = {0, 0, DNS_OPT, (uint8_t)(udp_max >> 8), (uint8_t)udp_max, 0, 0, 0,
			 0, 0, 0};

	buf_append(out, header, sizeof(header));
	while (*name) {
		uint8_t len = (uint8_t)strcspn(name, ".");

		buf_append(out, &len, 1);
		buf_append(out, name, len);
		name += len + (name[len] == '.');
	}
	buf_append(out, "", 1);
	buf_append(out, tail, sizeof(tail));
	if (udp_max > 0)
		buf_append(out, opt, sizeof(opt));
}

static struct dns_question question_of(const char *name, uint16_t type, uint16_t udp_max)
{
	struct dns_question question;
	struct buf packet = {0};

	ask(name, type, udp_max, &packet);
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), 0);
	buf_deinit(&packet);
	return question;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	assert_true(addr_parse_ip(text, 0, &addr));
	return addr;
}

static void test_a_question_is_read(void **state)
{
	struct dns_question question = question_of("Web.shop.svc.cluster.local", DNS_A, 0);

	assert_string_equal(question.name, "Web.shop.svc.cluster.local");
	assert_int_equal(question.id, 0x1234);
	assert_int_equal(question.type, DNS_A);
	assert_true(question.recursion_desired);
	assert_false(question.edns);
	assert_int_equal(question.udp_max, DNS_UDP_MIN);
	question = question_of("_http._tcp.web", DNS_SRV, 4096);
	assert_string_equal(question.name, "_http._tcp.web");
	assert_true(question.edns);
	assert_int_equal(question.udp_max, DNS_UDP_MAX);
	assert_int_equal(question_of("web", DNS_A, 100).udp_max, DNS_UDP_MIN);
	/* The root, and what has no form as text: nobody's name, and yet a question. */
	assert_string_equal(question_of("", DNS_A, 0).name, "");
	assert_string_equal(question_of("a b.c", DNS_A, 0).name, "");
	assert_int_equal(question_of("a b.c", DNS_A, 0).wire_len, 11);
}

static void test_what_is_no_question_is_told_apart(void **state)
{
	struct dns_question question;
	struct buf packet = {0};

	ask("web", DNS_A, 0, &packet);
	for (size_t len = 0; len < packet.len; len++)
		assert_int_equal(dns_question_read(bytes_of(packet.ptr, len), &question),
				 len < DNS_HEADER_LEN ? DNS_E_IGNORE : DNS_E_FORMAT);
	packet.ptr[AT_FLAGS] |= 0x80;
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), DNS_E_IGNORE);
	packet.ptr[AT_FLAGS] = 0x28; /* an update */
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), DNS_E_KIND);
	packet.ptr[AT_FLAGS] = 0x01;
	packet.ptr[packet.len - 1] = 3; /* the class of Chaos */
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), DNS_E_KIND);
	packet.ptr[DNS_HEADER_LEN] = 0xc0; /* a pointer to itself */
	packet.ptr[DNS_HEADER_LEN + 1] = DNS_HEADER_LEN;
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), DNS_E_FORMAT);
	buf_deinit(&packet);
}

static void test_names_end_at_their_limits(void **state)
{
	char label[64], name[300] = "";
	struct dns_question question;
	struct buf packet = {0};

	memset(label, 'a', sizeof(label) - 1);
	label[63] = '\0';
	(void)snprintf(name, sizeof(name), "%s.%s.%s.%.61s", label, label, label, label);
	assert_int_equal(strlen(name), DNS_NAME_MAX);
	assert_string_equal(question_of(name, DNS_A, 0).name, name);
	assert_int_equal(question_of(name, DNS_A, 0).wire_len, DNS_QUESTION_MAX);
	(void)snprintf(name, sizeof(name), "%s.%s.%s.%.62s", label, label, label, label);
	ask(name, DNS_A, 0, &packet);
	assert_int_equal(dns_question_read(bytes_buf(&packet), &question), DNS_E_FORMAT);
	buf_deinit(&packet);
}

static void test_addresses_are_answered(void **state)
{
	static const uint8_t expected[] = {0xc0, 12,    0, DNS_A, 0,   1,  0, 0,
					   0,    TTL_S, 0, 4,     198, 18, 0, 1};
	struct dns_question question = question_of("web", DNS_A, 0);
	struct addr v4 = addr_of("198.18.0.1"), v6 = addr_of("fd6d::1");
	uint8_t space[DNS_UDP_MAX];
	struct dns_answer answer;
	struct bytes packet;

	dns_answer_begin(&answer, &question, DNS_NO_ERROR, space, sizeof(space));
	dns_answer_addr(&answer, TTL_S, &v4);
	dns_answer_addr(&answer, TTL_S, &v6);
	packet = dns_answer_end(&answer);
	assert_int_equal(read_16(packet.ptr), 0x1234);
	assert_int_equal(packet.ptr[AT_FLAGS], 0x85);
	assert_int_equal(packet.ptr[AT_FLAGS + 1], 0x80);
	assert_int_equal(read_16(packet.ptr + AT_ANSWERS), 2);
	assert_int_equal(read_16(packet.ptr + AT_AUTHORITIES), 0);
	assert_memory_equal(packet.ptr + DNS_HEADER_LEN + question.wire_len, expected,
			    sizeof(expected));
	assert_int_equal(packet.len, DNS_HEADER_LEN + question.wire_len + sizeof(expected) +
					     sizeof(expected) + 12);
}

static void test_ports_come_with_the_addresses_of_their_targets(void **state)
{
	static const uint8_t expected[] = {0, 0, 0, 1, 0x1f, 0x90, 3, 'w', 'e', 'b', 0};
	struct dns_question question = question_of("_http._tcp.web", DNS_SRV, 1232);
	struct addr v4 = addr_of("198.18.0.1");
	uint8_t space[DNS_UDP_MAX];
	struct dns_answer answer;
	struct bytes packet;

	dns_answer_begin(&answer, &question, DNS_NO_ERROR, space, sizeof(space));
	dns_answer_srv(&answer, TTL_S, 8080, "web");
	dns_answer_extra(&answer, TTL_S, "web", &v4);
	packet = dns_answer_end(&answer);
	assert_int_equal(read_16(packet.ptr + AT_ANSWERS), 1);
	assert_int_equal(read_16(packet.ptr + AT_EXTRAS), 2); /* with that of EDNS */
	assert_memory_equal(packet.ptr + DNS_HEADER_LEN + question.wire_len + 12, expected,
			    sizeof(expected));
}

static void test_an_absence_says_how_long_it_holds(void **state)
{
	static const enum dns_code codes[] = {DNS_NO_ERROR, DNS_NO_NAME, DNS_SERVER_FAILURE};
	struct dns_question question = question_of("nobody", DNS_A, 0);
	uint8_t space[DNS_UDP_MIN];
	struct dns_answer answer;
	struct bytes packet;

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		dns_answer_begin(&answer, &question, codes[i], space, sizeof(space));
		packet = dns_answer_end(&answer);
		assert_int_equal(packet.ptr[AT_FLAGS + 1] & 0x0f, codes[i]);
		assert_int_equal(read_16(packet.ptr + AT_ANSWERS), 0);
		assert_int_equal(read_16(packet.ptr + AT_AUTHORITIES),
				 codes[i] != DNS_SERVER_FAILURE);
	}
}

static void test_what_does_not_fit_is_said_to_be_cut(void **state)
{
	struct dns_question question = question_of("many", DNS_A, 0);
	struct addr v4 = addr_of("198.18.0.1");
	uint8_t space[DNS_UDP_MIN];
	struct dns_answer answer;
	struct bytes packet;
	uint16_t fitting;

	dns_answer_begin(&answer, &question, DNS_NO_ERROR, space, sizeof(space));
	for (int i = 0; i < 64; i++)
		dns_answer_addr(&answer, TTL_S, &v4);
	dns_answer_ptr(&answer, TTL_S, "a");
	packet = dns_answer_end(&answer);
	fitting = (DNS_UDP_MIN - DNS_HEADER_LEN - 10) / 16;
	assert_int_equal(read_16(packet.ptr + AT_ANSWERS), fitting);
	assert_true(packet.ptr[AT_FLAGS] & TRUNCATED);
	assert_true(packet.len <= DNS_UDP_MIN);
}

static void test_names_that_are_none_are_not_written(void **state)
{
	struct dns_question question = question_of("x", DNS_PTR, 0);
	uint8_t space[DNS_UDP_MIN];
	struct dns_answer answer;
	char longest[300];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	dns_answer_begin(&answer, &question, DNS_NO_ERROR, space, sizeof(space));
	dns_answer_ptr(&answer, TTL_S, longest);
	dns_answer_cname(&answer, TTL_S, "a..b");
	assert_int_equal(read_16(dns_answer_end(&answer).ptr + AT_ANSWERS), 0);
}

static void test_questions_are_put_to_others(void **state)
{
	struct dns_question question = question_of("Example.org", DNS_AAAA, 1232);
	struct buf out = {0}, reply = {0};

	dns_forward(&question, 0xabcd, DNS_UDP_MAX, &out);
	assert_int_equal(read_16(out.ptr), 0xabcd);
	assert_false(dns_forward_answers(&question, 0xabcd, bytes_buf(&out)));
	out.ptr[AT_FLAGS] |= 0x80;
	assert_true(dns_forward_answers(&question, 0xabcd, bytes_buf(&out)));
	assert_false(dns_forward_answers(&question, 0xabce, bytes_buf(&out)));
	assert_false(dns_forward_answers(&question, 0xabcd, bytes_of(out.ptr, 20)));
	out.ptr[DNS_HEADER_LEN + 1] = 'e'; /* as some resolvers write it */
	assert_true(dns_forward_answers(&question, 0xabcd, bytes_buf(&out)));
	dns_forward_reply(&question, bytes_buf(&out), DNS_UDP_MAX, &reply);
	assert_int_equal(reply.len, out.len);
	assert_int_equal(read_16(reply.ptr), 0x1234);
	buf_clear(&reply);
	dns_forward_reply(&question, bytes_buf(&out), out.len - 1, &reply);
	assert_int_equal(reply.len, DNS_HEADER_LEN + question.wire_len);
	assert_true(reply.ptr[AT_FLAGS] & TRUNCATED);
	assert_int_equal(read_16(reply.ptr + AT_EXTRAS), 0);
	out.ptr[DNS_HEADER_LEN + 1] = 'f';
	assert_false(dns_forward_answers(&question, 0xabcd, bytes_buf(&out)));
	buf_deinit(&out);
	buf_deinit(&reply);
}

static void test_aliases_lead_to_addresses(void **state)
{
	struct dns_question question = question_of("db", DNS_A, 0), outside;
	struct addr first = addr_of("192.0.2.1"), second = addr_of("192.0.2.2"), got[4];
	uint8_t space[DNS_UDP_MAX];
	struct dns_answer answer;
	struct bytes packet;

	assert_true(dns_question_make("db.example.org", DNS_A, &outside));
	assert_string_equal(outside.name, "db.example.org");
	assert_int_equal(outside.wire_len, 20);
	assert_false(dns_question_make("", DNS_A, &outside));
	assert_false(dns_question_make("a..b", DNS_A, &outside));
	dns_answer_begin(&answer, &question, DNS_NO_ERROR, space, sizeof(space));
	dns_answer_cname(&answer, TTL_S, "db.example.org");
	dns_answer_addr_of(&answer, "db.example.org", TTL_S, &first);
	dns_answer_addr(&answer, TTL_S, &second);
	packet = dns_answer_end(&answer);
	assert_int_equal(read_16(packet.ptr + AT_ANSWERS), 3);
	assert_int_equal(dns_forward_addrs(packet, DNS_A, got, 4), 2);
	assert_true(addr_equal(&got[0], &first));
	assert_true(addr_equal(&got[1], &second));
	assert_int_equal(dns_forward_addrs(packet, DNS_A, got, 1), 1);
	assert_int_equal(dns_forward_addrs(packet, DNS_AAAA, got, 4), 0);
	for (size_t len = 0; len < packet.len; len++)
		assert_true(dns_forward_addrs(bytes_of(packet.ptr, len), DNS_A, got, 4) < 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_is_read),
		cmocka_unit_test(test_what_is_no_question_is_told_apart),
		cmocka_unit_test(test_names_end_at_their_limits),
		cmocka_unit_test(test_addresses_are_answered),
		cmocka_unit_test(test_ports_come_with_the_addresses_of_their_targets),
		cmocka_unit_test(test_an_absence_says_how_long_it_holds),
		cmocka_unit_test(test_what_does_not_fit_is_said_to_be_cut),
		cmocka_unit_test(test_names_that_are_none_are_not_written),
		cmocka_unit_test(test_questions_are_put_to_others),
		cmocka_unit_test(test_aliases_lead_to_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
