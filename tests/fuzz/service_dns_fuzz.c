/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod's resolver sends, and what resolvers outside answer: read, answered in every way, put
 * to others and handed on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/dns.h"
#include "service/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void answer_all(const struct dns_question *question, enum dns_code code)
{
	static const struct addr addr = {.ip = {198, 18, 0, 1}, .is_v4 = true};
	uint8_t space[DNS_UDP_MAX];
	struct dns_answer answer;
	struct bytes packet;

	dns_answer_begin(&answer, question, code, space, question->udp_max);
	for (int i = 0; i < 8; i++) {
		dns_answer_addr(&answer, 1, &addr);
		dns_answer_srv(&answer, 1, 80, question->name);
		dns_answer_cname(&answer, 1, question->name);
	}
	dns_answer_extra(&answer, 1, question->name, &addr);
	packet = dns_answer_end(&answer);
	assert(packet.len <= question->udp_max);
	assert(question->wire_len == 0 || dns_forward_answers(question, question->id, packet));
}

static void forward(const struct dns_question *question, struct bytes packet)
{
	struct buf out = {0};
	struct dns_question again;
	struct addr addrs[4];
	int r;

	dns_forward(question, 7, DNS_UDP_MAX, &out);
	r = dns_question_read(bytes_buf(&out), &again);
	assert(r == 0 && again.id == 7 && again.type == question->type &&
	       strcmp(again.name, question->name) == 0);
	assert(dns_forward_addrs(packet, DNS_A, addrs, 4) <= 4);
	assert(dns_forward_addrs(packet, DNS_AAAA, addrs, 4) <= 4);
	buf_clear(&out);
	if (dns_forward_answers(question, question->id, packet)) {
		dns_forward_reply(question, packet, DNS_UDP_MIN, &out);
		assert(out.len <= DNS_UDP_MIN);
	}
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes packet = bytes_of(data, len);
	struct dns_question question;
	int r = dns_question_read(packet, &question);
	uint8_t *reply;

	if (r == DNS_E_IGNORE)
		return 0;
	answer_all(&question, DNS_NO_ERROR);
	answer_all(&question, DNS_NO_NAME);
	(void)names_read(question.name, "shop");
	if (r != 0)
		return 0;
	reply = (uint8_t *)mem_copy(data, len);
	reply[2] |= 0x80;
	forward(&question, bytes_of(reply, len));
	free(reply);
	return 0;
}
