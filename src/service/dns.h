/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dns: questions of a pod's resolver and the answers to them, as bytes (RFC 1035, 2308, 2782,
 *6891).
 *
 *	0   2       4         6         8         10
 *	| id | flags | questions | answers | authority | additional |  then the sections
 *
 * Exactly one question is answered at a time, which is all that resolvers send. Answers name the
 * question's own name by a pointer to it and write all other names in full, so that reading them
 * takes no care; of what others have written, only questions are read, and these may hold no
 * pointers: there is nothing before them to point to.
 *
 * What a resolver outside has answered is compared with the question that it was asked (id and
 * question), and handed on as it is; at most the addresses in it are taken out.
 */
#pragma once

#include <stdbool.h>

#include "base/addr.h"
#include "base/attr.h"
#include "base/bytes.h"

enum {
	DNS_HEADER_LEN = 12,
	DNS_NAME_MAX = 253,     /* as text, without a last dot */
	DNS_QUESTION_MAX = 259, /* a name of 255 bytes, type and class */
	DNS_PORT = 53,
	DNS_UDP_MIN = 512,  /* what a resolver takes that says nothing of it (RFC 1035 4.2.1) */
	DNS_UDP_MAX = 1232, /* passes everywhere in one piece (DNS flag day 2020) */
	DNS_TCP_MAX = 16 * 1024, /* 64 addresses with the longest names are 5 KiB */
	DNS_NEGATIVE_TTL_S = 5,  /* what does not exist may come to exist */
};

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_ANY = 255,
};

enum dns_code {
	DNS_NO_ERROR = 0, /* without records: the name exists, but has none of the type */
	DNS_FORMAT_ERROR = 1,
	DNS_SERVER_FAILURE = 2,
	DNS_NO_NAME = 3,
	DNS_NOT_IMPLEMENTED = 4,
	DNS_REFUSED = 5,
};

enum dns_result {
	_DNS_E_OK,
	DNS_E_IGNORE, /* no question at all: answer nothing, or two servers would talk for ever */
	DNS_E_FORMAT, /* answer DNS_FORMAT_ERROR */
	DNS_E_KIND,   /* neither a query nor of the Internet's class: DNS_NOT_IMPLEMENTED */
};

struct dns_question {
	uint16_t id;
	uint16_t type;                  /* enum dns_type, or any other */
	bool recursion_desired;         /* comes back in the answer */
	bool edns;                      /* the asker has said how much it takes */
	uint16_t udp_max;               /* at least DNS_UDP_MIN, at most DNS_UDP_MAX */
	char name[DNS_NAME_MAX + 1];    /* as it was asked; "" also when it has characters that no
					 * name of ours has */
	uint8_t wire[DNS_QUESTION_MAX]; /* the question section */
	size_t wire_len;                /* 0 when that could not be read */
};

/* Read a question. 0 or DNS_E_*; but for DNS_E_IGNORE @ret_question is good for
 * dns_answer_begin(). */
_must_use_ int dns_question_read(struct bytes packet, struct dns_question *ret_question);

/* The question of our own for @name. False: it is no name. */
_must_use_ bool dns_question_make(const char *name, enum dns_type type,
				  struct dns_question *ret_question);

/* An answer that is being written; values only, nothing to free. */
struct dns_answer {
	uint8_t *at; /* borrowed */
	size_t len, max;
	const struct dns_question *question;
	uint16_t answers, authorities, extras;
	bool truncated; /* there was no room for a record: ask again over TCP */
};

/* Begin an answer to @question in @space, of which at most @max bytes are used, at least
 * DNS_UDP_MIN. Both stay where they are until dns_answer_end(). */
void dns_answer_begin(struct dns_answer *answer, const struct dns_question *question,
		      enum dns_code code, uint8_t *space, size_t max);

/* Records of the answer section, of the name that was asked for. */
void dns_answer_addr(struct dns_answer *answer, uint32_t ttl_s, const struct addr *addr);
void dns_answer_cname(struct dns_answer *answer, uint32_t ttl_s, const char *target);
/* An address of another name, to which an alias before it leads. */
void dns_answer_addr_of(struct dns_answer *answer, const char *name, uint32_t ttl_s,
			const struct addr *addr);
void dns_answer_ptr(struct dns_answer *answer, uint32_t ttl_s, const char *target);
void dns_answer_srv(struct dns_answer *answer, uint32_t ttl_s, uint16_t port, const char *target);

/* The address of a target, in the additional section: left out when there is no room. Behind all
 * answers. */
void dns_answer_extra(struct dns_answer *answer, uint32_t ttl_s, const char *name,
		      const struct addr *addr);

/* The answer, in the space given. One without records says for how long that holds. */
struct bytes dns_answer_end(struct dns_answer *answer);

/* ---- resolvers outside ---- */

/* The question as it is put to a resolver outside, under the number @id, appended to @out; with the
 * word that @udp_max is taken if the asker has said something of the kind. */
void dns_forward(const struct dns_question *question, uint16_t id, uint16_t udp_max,
		 struct buf *out);

/* Is @packet an answer to what dns_forward() has put? */
bool dns_forward_answers(const struct dns_question *question, uint16_t id, struct bytes packet);

/* The addresses of @type in that answer, whatever names they are of: an alias was followed. Returns
 * how many were written. What is malformed ends the list. */
size_t dns_forward_addrs(struct bytes packet, enum dns_type type, struct addr *ret_addrs,
			 size_t max);

/* Append that answer as the asker gets it: under its own number, and when it takes no more than
 * @max, cut down to the question with the sign to ask over TCP. */
void dns_forward_reply(const struct dns_question *question, struct bytes packet, size_t max,
		       struct buf *out);
