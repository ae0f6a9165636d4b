/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why no library: ldns builds each record out of many allocated parts, comes in one piece with
 * sockets, clocks and OpenSSL, and would be the largest part of an agent; what is needed here is to
 * read one question and to write five kinds of records.
 */
#include "service/dns.h"

#include <assert.h>
#include <string.h>

enum {
	FLAG_RESPONSE = 0x8000,
	FLAG_AUTHORITATIVE = 0x0400,
	FLAG_TRUNCATED = 0x0200,
	FLAG_RECURSION_DESIRED = 0x0100,
	FLAG_RECURSION_AVAILABLE = 0x0080,
	OPCODE_MASK = 0x7800,
	CLASS_INTERNET = 1,
	LABEL_BYTES_MAX = 63,
	NAME_BYTES_MAX = 255,
	POINTER_TO_QUESTION = 0xc000 | DNS_HEADER_LEN,
	RECORD_FIXED_LEN = 10, /* type, class, TTL, length of the data */
	OPT_LEN = 1 + RECORD_FIXED_LEN,
	TYPE_AND_CLASS_LEN = 4,
	AT_FLAGS = 2,
	AT_QUESTIONS = 4,
	AT_ANSWERS = 6,
	AT_AUTHORITIES = 8,
	AT_EXTRAS = 10,
	AT_OPT_TYPE = 2, /* its lower byte */
	AT_OPT_UDP_MAX = 3,
	BYTE_BITS = 8,
};

/* Who answers for our names, in the record that says how long an absence holds. */
static const char zone[] = "cluster.local";
static const char zone_server[] = "ns.dns.cluster.local";
static const char zone_mailbox[] = "hostmaster.cluster.local";

/* ---- reading ---- */

/* A place in a packet; a read beyond the end is remembered, and reads zeroes. */
struct cursor {
	struct bytes packet;
	size_t at;
	bool failed;
};

static const uint8_t *take(struct cursor *cursor, size_t len)
{
	const uint8_t *from = cursor->packet.ptr + cursor->at;

	if (cursor->failed || cursor->packet.len - cursor->at < len) {
		cursor->failed = true;
		return NULL;
	}
	cursor->at += len;
	return from;
}

static uint16_t take_16(struct cursor *cursor)
{
	const uint8_t *from = take(cursor, sizeof(uint16_t));

	return from ? (uint16_t)(from[0] << BYTE_BITS | from[1]) : 0;
}

static bool is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* A name without pointers. @text is emptied when it holds what cannot be written with dots. */
static void take_name(struct cursor *cursor, char text[DNS_NAME_MAX + 1])
{
	size_t len = 0, start = cursor->at;
	bool plain = true;

	for (;;) {
		const uint8_t *head = take(cursor, 1), *label;

		if (!head || *head > LABEL_BYTES_MAX) {
			cursor->failed = true;
			break;
		}
		if (*head == 0)
			break;
		label = take(cursor, *head);
		if (!label || cursor->at - start >= NAME_BYTES_MAX) {
			cursor->failed = true;
			break;
		}
		if (len > 0)
			text[len++] = '.';
		for (size_t i = 0; i < *head; i++) {
			plain = plain && is_plain(label[i]);
			text[len++] = (char)label[i];
		}
	}
	text[plain && !cursor->failed ? len : 0] = '\0';
}

/* Of the asker's own records only the one matters that says how much it takes (RFC 6891 6.1.2). */
static void take_opt(struct cursor *cursor, struct dns_question *question)
{
	const uint8_t *root = take(cursor, 1);
	uint16_t type = take_16(cursor), udp_max = take_16(cursor);

	if (cursor->failed || *root != 0 || type != DNS_OPT)
		return;
	question->edns = true;
	if (udp_max > question->udp_max)
		question->udp_max = udp_max < DNS_UDP_MAX ? udp_max : DNS_UDP_MAX;
}

int dns_question_read(struct bytes packet, struct dns_question *ret_question)
{
	struct cursor cursor = {.packet = packet};
	struct dns_question question = {.udp_max = DNS_UDP_MIN};
	uint16_t flags, questions, answers, authorities, extras, class;

	question.id = take_16(&cursor);
	flags = take_16(&cursor);
	questions = take_16(&cursor);
	answers = take_16(&cursor);
	authorities = take_16(&cursor);
	extras = take_16(&cursor);
	if (cursor.failed || flags & FLAG_RESPONSE)
		return DNS_E_IGNORE;
	question.recursion_desired = flags & FLAG_RECURSION_DESIRED;
	*ret_question = question;
	if (flags & OPCODE_MASK)
		return DNS_E_KIND;
	if (questions != 1 || answers > 0 || authorities > 0)
		return DNS_E_FORMAT;
	take_name(&cursor, question.name);
	question.type = take_16(&cursor);
	class = take_16(&cursor);
	if (cursor.failed)
		return DNS_E_FORMAT;
	question.wire_len = cursor.at - DNS_HEADER_LEN;
	memcpy(question.wire, packet.ptr + DNS_HEADER_LEN, question.wire_len);
	if (extras > 0)
		take_opt(&cursor, &question);
	*ret_question = question;
	return class == CLASS_INTERNET ? 0 : DNS_E_KIND;
}

/* ---- writing ---- */

static void write_16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> BYTE_BITS);
	to[1] = (uint8_t)value;
}

static void put(struct dns_answer *answer, const void *from, size_t len)
{
	assert(answer->len + len <= answer->max);
	memcpy(answer->at + answer->len, from, len);
	answer->len += len;
}

static void put_16(struct dns_answer *answer, uint16_t value)
{
	uint8_t bytes[sizeof(value)];

	write_16(bytes, value);
	put(answer, bytes, sizeof(bytes));
}

static void put_32(struct dns_answer *answer, uint32_t value)
{
	put_16(answer, (uint16_t)(value >> 2 * BYTE_BITS));
	put_16(answer, (uint16_t)value);
}

/* @name as it travels, in @wire; 0: it is no name. */
static size_t name_encode(const char *name, uint8_t wire[NAME_BYTES_MAX])
{
	size_t len = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		if (label == 0 || label > LABEL_BYTES_MAX || len + label + 2 > NAME_BYTES_MAX)
			return 0;
		wire[len++] = (uint8_t)label;
		memcpy(wire + len, name, label);
		len += label;
		name += label;
		if (*name == '.')
			name++;
	}
	wire[len++] = 0;
	return len;
}

static size_t room(const struct dns_answer *answer)
{
	return answer->max - answer->len - (answer->question->edns ? OPT_LEN : 0);
}

static void put_fixed(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s, size_t len)
{
	put_16(answer, (uint16_t)type);
	put_16(answer, CLASS_INTERNET);
	put_32(answer, ttl_s);
	put_16(answer, (uint16_t)len);
}

/* A record of the question's name. Once one did not fit none follows: a part of an answer must not
 * look like another one. */
static bool put_answer(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s, size_t len)
{
	if (answer->truncated || room(answer) < sizeof(uint16_t) + RECORD_FIXED_LEN + len) {
		answer->truncated = true;
		return false;
	}
	put_16(answer, POINTER_TO_QUESTION);
	put_fixed(answer, type, ttl_s, len);
	answer->answers++;
	return true;
}

static void put_answer_name(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s,
			    const char *target)
{
	uint8_t wire[NAME_BYTES_MAX];
	size_t len = name_encode(target, wire);

	if (len > 0 && put_answer(answer, type, ttl_s, len))
		put(answer, wire, len);
}

void dns_answer_begin(struct dns_answer *answer, const struct dns_question *question,
		      enum dns_code code, uint8_t *space, size_t max)
{
	unsigned flags = FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE;

	assert(max >= DNS_UDP_MIN);
	if (question->recursion_desired)
		flags |= FLAG_RECURSION_DESIRED;
	*answer = (struct dns_answer){.at = space, .max = max, .question = question};
	put_16(answer, question->id);
	put_16(answer, (uint16_t)(flags | code));
	put_16(answer, question->wire_len > 0);
	for (int section = 0; section < 3; section++)
		put_16(answer, 0);
	put(answer, question->wire, question->wire_len);
}

static enum dns_type type_of(const struct addr *addr)
{
	return addr->is_v4 ? DNS_A : DNS_AAAA;
}

void dns_answer_addr(struct dns_answer *answer, uint32_t ttl_s, const struct addr *addr)
{
	struct bytes ip = addr_ip(addr);

	if (put_answer(answer, type_of(addr), ttl_s, ip.len))
		put(answer, ip.ptr, ip.len);
}

void dns_answer_cname(struct dns_answer *answer, uint32_t ttl_s, const char *target)
{
	put_answer_name(answer, DNS_CNAME, ttl_s, target);
}

void dns_answer_addr_of(struct dns_answer *answer, const char *name, uint32_t ttl_s,
			const struct addr *addr)
{
	uint8_t wire[NAME_BYTES_MAX];
	size_t len = name_encode(name, wire);
	struct bytes ip = addr_ip(addr);

	if (len == 0 || answer->truncated || room(answer) < len + RECORD_FIXED_LEN + ip.len) {
		answer->truncated = true;
		return;
	}
	put(answer, wire, len);
	put_fixed(answer, type_of(addr), ttl_s, ip.len);
	put(answer, ip.ptr, ip.len);
	answer->answers++;
}

void dns_answer_ptr(struct dns_answer *answer, uint32_t ttl_s, const char *target)
{
	put_answer_name(answer, DNS_PTR, ttl_s, target);
}

/* All replicas alike: what is nearer or less loaded is not told by names. */
void dns_answer_srv(struct dns_answer *answer, uint32_t ttl_s, uint16_t port, const char *target)
{
	enum {
		FIXED_LEN = 6, /* priority, weight, port */
		PRIORITY = 0,
		WEIGHT = 1,
	};
	uint8_t wire[NAME_BYTES_MAX];
	size_t len = name_encode(target, wire);

	if (len == 0 || !put_answer(answer, DNS_SRV, ttl_s, FIXED_LEN + len))
		return;
	put_16(answer, PRIORITY);
	put_16(answer, WEIGHT);
	put_16(answer, port);
	put(answer, wire, len);
}

void dns_answer_extra(struct dns_answer *answer, uint32_t ttl_s, const char *name,
		      const struct addr *addr)
{
	uint8_t wire[NAME_BYTES_MAX];
	size_t len = name_encode(name, wire);
	struct bytes ip = addr_ip(addr);

	if (len == 0 || answer->truncated || room(answer) < len + RECORD_FIXED_LEN + ip.len)
		return;
	put(answer, wire, len);
	put_fixed(answer, type_of(addr), ttl_s, ip.len);
	put(answer, ip.ptr, ip.len);
	answer->extras++;
}

/* RFC 2308: an absence is cached for as long as the zone's record in the answer says. */
static void put_absence(struct dns_answer *answer)
{
	enum {
		SERIAL = 1,
		REFRESH_S = 3600,
		RETRY_S = 600,
		EXPIRE_S = 86400,
		NUMBERS_LEN = 5 * sizeof(uint32_t),
	};
	uint8_t owner[NAME_BYTES_MAX], server[NAME_BYTES_MAX], mailbox[NAME_BYTES_MAX];
	size_t owner_len = name_encode(zone, owner), server_len = name_encode(zone_server, server);
	size_t mailbox_len = name_encode(zone_mailbox, mailbox);
	size_t len = server_len + mailbox_len + NUMBERS_LEN;

	if (room(answer) < owner_len + RECORD_FIXED_LEN + len)
		return;
	put(answer, owner, owner_len);
	put_fixed(answer, DNS_SOA, DNS_NEGATIVE_TTL_S, len);
	put(answer, server, server_len);
	put(answer, mailbox, mailbox_len);
	put_32(answer, SERIAL);
	put_32(answer, REFRESH_S);
	put_32(answer, RETRY_S);
	put_32(answer, EXPIRE_S);
	put_32(answer, DNS_NEGATIVE_TTL_S);
	answer->authorities++;
}

static void put_opt(struct dns_answer *answer)
{
	put(answer, "", 1);
	put_16(answer, DNS_OPT);
	put_16(answer, DNS_UDP_MAX);
	put_32(answer, 0);
	put_16(answer, 0);
	answer->extras++;
}

static enum dns_code code_of(const struct dns_answer *answer)
{
	return (enum dns_code)(answer->at[AT_FLAGS + 1] & 0x0f);
}

struct bytes dns_answer_end(struct dns_answer *answer)
{
	enum dns_code code = code_of(answer);

	if (answer->answers == 0 && !answer->truncated &&
	    (code == DNS_NO_ERROR || code == DNS_NO_NAME))
		put_absence(answer);
	if (answer->question->edns)
		put_opt(answer);
	if (answer->truncated)
		answer->at[AT_FLAGS] |= FLAG_TRUNCATED >> BYTE_BITS;
	write_16(answer->at + AT_ANSWERS, answer->answers);
	write_16(answer->at + AT_AUTHORITIES, answer->authorities);
	write_16(answer->at + AT_EXTRAS, answer->extras);
	return bytes_of(answer->at, answer->len);
}

bool dns_question_make(const char *name, enum dns_type type, struct dns_question *ret_question)
{
	struct dns_question question = {
		.type = (uint16_t)type, .recursion_desired = true, .udp_max = DNS_UDP_MIN};
	uint8_t *tail;
	size_t len = strlen(name);

	if (len > DNS_NAME_MAX)
		return false;
	question.wire_len = name_encode(name, question.wire);
	if (question.wire_len <= 1)
		return false;
	memcpy(question.name, name, len + 1);
	tail = question.wire + question.wire_len;
	write_16(tail, question.type);
	write_16(tail + sizeof(uint16_t), CLASS_INTERNET);
	question.wire_len += TYPE_AND_CLASS_LEN;
	*ret_question = question;
	return true;
}

/* ---- resolvers outside ---- */

void dns_forward(const struct dns_question *question, uint16_t id, uint16_t udp_max,
		 struct buf *out)
{
	uint8_t header[DNS_HEADER_LEN] = {0};
	uint8_t opt[OPT_LEN] = {[AT_OPT_TYPE] = DNS_OPT};

	assert(question->wire_len > 0);
	write_16(header, id);
	write_16(header + AT_FLAGS, FLAG_RECURSION_DESIRED);
	write_16(header + AT_QUESTIONS, 1);
	write_16(header + AT_EXTRAS, question->edns);
	buf_append(out, header, sizeof(header));
	buf_append(out, question->wire, question->wire_len);
	write_16(opt + AT_OPT_UDP_MAX, udp_max);
	if (question->edns)
		buf_append(out, opt, sizeof(opt));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool dns_forward_answers(const struct dns_question *question, uint16_t id, struct bytes packet)
{
	struct cursor cursor = {.packet = packet};
	uint16_t id_said = take_16(&cursor), flags = take_16(&cursor);
	uint16_t questions = take_16(&cursor);
	const uint8_t *asked;

	(void)take(&cursor, DNS_HEADER_LEN - AT_ANSWERS);
	asked = take(&cursor, question->wire_len);
	if (cursor.failed || id_said != id || !(flags & FLAG_RESPONSE) || flags & OPCODE_MASK ||
	    questions != 1)
		return false;
	/* Some resolvers write names in lower case; no byte of a length is a letter. */
	for (size_t i = 0; i < question->wire_len - TYPE_AND_CLASS_LEN; i++)
		if (lower(asked[i]) != lower(question->wire[i]))
			return false;
	return memcmp(asked + question->wire_len - TYPE_AND_CLASS_LEN,
		      question->wire + question->wire_len - TYPE_AND_CLASS_LEN,
		      TYPE_AND_CLASS_LEN) == 0;
}

/* To the end of a name, or to the pointer with which it ends; where that leads does not matter. */
static void skip_name(struct cursor *cursor)
{
	for (;;) {
		const uint8_t *head = take(cursor, 1);

		if (!head || *head == 0)
			return;
		if (*head > LABEL_BYTES_MAX) {
			(void)take(cursor, 1);
			return;
		}
		(void)take(cursor, *head);
	}
}

size_t dns_forward_addrs(struct bytes packet, enum dns_type type, struct addr *ret_addrs,
			 size_t max)
{
	struct cursor cursor = {.packet = packet};
	size_t count = 0;
	uint16_t answers;

	(void)take(&cursor, AT_ANSWERS);
	answers = take_16(&cursor);
	(void)take(&cursor, DNS_HEADER_LEN - AT_AUTHORITIES);
	skip_name(&cursor);
	(void)take(&cursor, TYPE_AND_CLASS_LEN);
	for (; answers > 0 && !cursor.failed && count < max; answers--) {
		uint16_t of, len;
		const uint8_t *data;

		skip_name(&cursor);
		of = take_16(&cursor);
		(void)take(&cursor, RECORD_FIXED_LEN - 2 * sizeof(uint16_t));
		len = take_16(&cursor);
		data = take(&cursor, len);
		if (data && of == type && len == (type == DNS_A ? ADDR_V4_LEN : ADDR_IP_MAX) &&
		    addr_from_ip(bytes_of(data, len), 0, &ret_addrs[count]))
			count++;
	}
	return count;
}

void dns_forward_reply(const struct dns_question *question, struct bytes packet, size_t max,
		       struct buf *out)
{
	size_t start = out->len;

	assert(packet.len >= DNS_HEADER_LEN + question->wire_len);
	buf_append_bytes(out, packet);
	if (packet.len > max) {
		out->len = start + DNS_HEADER_LEN + question->wire_len;
		out->ptr[start + AT_FLAGS] |= FLAG_TRUNCATED >> BYTE_BITS;
		memset(out->ptr + start + AT_ANSWERS, 0, DNS_HEADER_LEN - AT_ANSWERS);
	}
	write_16(out->ptr + start, question->id);
}
