/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/clock.h"

enum {
	NAME_TEXT_MAX = 3 * (LABEL_MAX + 1) + sizeof(".svc." NAMES_DOMAIN),
	KEY_MAX = 3 * (MESSAGE_NAME_MAX + 1),
};

/* A replica that is to be named. */
struct named {
	char pod[MESSAGE_NAME_MAX + 1];
	uint16_t port; /* of a question after one */
};

struct resolver {
	struct resolver_config config;
	struct list questions;
	size_t count;
};

struct resolver_question {
	struct list link;
	struct resolver *resolver;
	resolver_fn *fn;
	void *user;
	bool tcp;
	struct dns_question dns;
	struct names_readings readings;
	size_t at;      /* the reading that is looked at */
	bool uncertain; /* of one before it nobody could tell */
	/* What is waited for: at most one of them. */
	struct catalog_question *catalog;
	struct mesh_question *mesh;
	struct forward_question *forward;
	/* The Service of the present reading, as far as it is needed when its replicas are known.
	 */
	struct catalog_service service;
	size_t target_at;
	bool any; /* a replica was found, ready or not */
	struct named *found;
	size_t found_count;
};

struct resolver *resolver_new(const struct resolver_config *config)
{
	struct resolver *resolver = mem_new(struct resolver);

	resolver->config = *config;
	list_init(&resolver->questions);
	return resolver;
}

static void question_free(struct resolver_question *question)
{
	list_remove(&question->link);
	question->resolver->count--;
	catalog_question_free(question->catalog);
	if (question->mesh)
		mesh_question_free(question->mesh);
	forward_question_free(question->forward);
	free(question->service.ports);
	free(question->found);
	free(question);
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	list_for_each_safe (it, &resolver->questions)
		question_free(list_entry(it, struct resolver_question, link));
	free(resolver);
}

void resolver_forget(struct resolver *resolver, const void *user)
{
	list_for_each_safe (it, &resolver->questions) {
		struct resolver_question *question = list_entry(it, struct resolver_question, link);

		if (question->user == user)
			question_free(question);
	}
}

/* ---- answers ---- */

struct reply {
	struct dns_answer answer;
	uint8_t *space;
};

static void reply_begin(struct resolver_question *question, enum dns_code code, struct reply *reply)
{
	size_t max = question->tcp ? (size_t)DNS_TCP_MAX : question->dns.udp_max;

	reply->space = mem_alloc(max, 1);
	dns_answer_begin(&reply->answer, &question->dns, code, reply->space, max);
}

/* The question is gone afterwards. */
static void reply_send(struct resolver_question *question, struct reply *reply)
{
	struct bytes packet = dns_answer_end(&reply->answer);
	resolver_fn *fn = question->fn;
	void *user = question->user;
	uint8_t *space = reply->space;

	question_free(question);
	fn(user, packet);
	free(space);
}

static void answer_code(struct resolver_question *question, enum dns_code code)
{
	struct reply reply;

	reply_begin(question, code, &reply);
	reply_send(question, &reply);
}

static bool wants_v4(const struct resolver_question *question)
{
	return question->dns.type == DNS_A || question->dns.type == DNS_ANY;
}

static bool wants_v6(const struct resolver_question *question)
{
	return question->resolver->config.has_v6 &&
	       (question->dns.type == DNS_AAAA || question->dns.type == DNS_ANY);
}

static bool has_address(const struct resolver_question *question)
{
	return wants_v4(question) || wants_v6(question);
}

/* The virtual address behind which @key is found: "namespace/service" or "namespace/service/pod".
 */
static bool address_of(const struct resolver_question *question, const char *key,
		       struct addr *ret_addr)
{
	return vip_get(question->resolver->config.vip, clock_mono(), key,
		       (int64_t)RESOLVER_TTL_S * MS_PER_S, ret_addr) == 0;
}

static void service_key(const char *namespace, const char *service, char key[KEY_MAX])
{
	(void)snprintf(key, KEY_MAX, "%s/%s", namespace, service);
}

static void pod_key(const char *namespace, const char *service, const char *pod, char key[KEY_MAX])
{
	(void)snprintf(key, KEY_MAX, "%s/%s/%s", namespace, service, pod);
}

static const struct names_reading *reading_of(const struct resolver_question *question)
{
	return &question->readings.list[question->at];
}

/* One address for all replicas; by IPv6 the Service's own, if it has one. */
static void answer_service(struct resolver_question *question)
{
	const struct names_reading *reading = reading_of(question);
	struct addr own = question->service.address, addr;
	struct reply reply;
	char key[KEY_MAX];

	service_key(reading->namespace, reading->service, key);
	if (wants_v4(question) || (wants_v6(question) && addr_is_none(&own))) {
		if (!address_of(question, key, &addr)) {
			answer_code(question, DNS_SERVER_FAILURE);
			return;
		}
		own = addr_is_none(&own) ? vip_as_v6(&addr) : own;
	}
	reply_begin(question, DNS_NO_ERROR, &reply);
	if (wants_v4(question))
		dns_answer_addr(&reply.answer, RESOLVER_TTL_S, &addr);
	if (wants_v6(question))
		dns_answer_addr(&reply.answer, RESOLVER_TTL_S, &own);
	reply_send(question, &reply);
}

/* Each replica by itself. */
static void answer_pods(struct resolver_question *question)
{
	const struct names_reading *reading = reading_of(question);
	struct reply reply;
	struct addr addr;
	char key[KEY_MAX];

	reply_begin(question, DNS_NO_ERROR, &reply);
	for (size_t i = 0; has_address(question) && i < question->found_count; i++) {
		struct addr six;

		pod_key(reading->namespace, reading->service, question->found[i].pod, key);
		if (!address_of(question, key, &addr))
			continue;
		six = vip_as_v6(&addr);
		if (wants_v4(question))
			dns_answer_addr(&reply.answer, RESOLVER_TTL_S, &addr);
		if (wants_v6(question))
			dns_answer_addr(&reply.answer, RESOLVER_TTL_S, &six);
	}
	reply_send(question, &reply);
}

static void service_name(const struct names_reading *reading, const char *pod,
			 char name[NAME_TEXT_MAX])
{
	(void)snprintf(name, NAME_TEXT_MAX, "%.63s%s%.63s.%.63s.svc." NAMES_DOMAIN, pod,
		       *pod ? "." : "", reading->service, reading->namespace);
}

static void answer_port(struct resolver_question *question, uint16_t number)
{
	const struct names_reading *reading = reading_of(question);
	struct reply reply;
	struct addr addr;
	char key[KEY_MAX], name[NAME_TEXT_MAX];
	bool asked = question->dns.type == DNS_SRV || question->dns.type == DNS_ANY;

	service_name(reading, "", name);
	service_key(reading->namespace, reading->service, key);
	reply_begin(question, DNS_NO_ERROR, &reply);
	if (asked)
		dns_answer_srv(&reply.answer, RESOLVER_TTL_S, number, name);
	if (asked && address_of(question, key, &addr))
		dns_answer_extra(&reply.answer, RESOLVER_TTL_S, name, &addr);
	reply_send(question, &reply);
}

static void answer_ports_of_pods(struct resolver_question *question)
{
	const struct names_reading *reading = reading_of(question);
	bool asked = question->dns.type == DNS_SRV || question->dns.type == DNS_ANY;
	struct reply reply;
	struct addr addr;
	char key[KEY_MAX], name[NAME_TEXT_MAX];

	reply_begin(question, DNS_NO_ERROR, &reply);
	for (size_t i = 0; asked && i < question->found_count; i++) {
		service_name(reading, question->found[i].pod, name);
		dns_answer_srv(&reply.answer, RESOLVER_TTL_S, question->found[i].port, name);
	}
	for (size_t i = 0; asked && i < question->found_count; i++) {
		service_name(reading, question->found[i].pod, name);
		pod_key(reading->namespace, reading->service, question->found[i].pod, key);
		if (address_of(question, key, &addr))
			dns_answer_extra(&reply.answer, RESOLVER_TTL_S, name, &addr);
	}
	reply_send(question, &reply);
}

/* ---- names outside ---- */

static void on_forwarded(void *user, struct bytes packet)
{
	struct resolver_question *question = user;
	resolver_fn *fn = question->fn;
	void *fn_user = question->user;
	struct buf out = {0};

	question->forward = NULL;
	if (packet.len == 0) {
		answer_code(question, DNS_SERVER_FAILURE);
		return;
	}
	dns_forward_reply(&question->dns, packet,
			  question->tcp ? (size_t)DNS_TCP_MAX : question->dns.udp_max, &out);
	question_free(question);
	fn(fn_user, bytes_buf(&out));
	buf_deinit(&out);
}

static void forward(struct resolver_question *question)
{
	question->forward = forward_ask(question->resolver->config.forward, &question->dns,
					question->tcp, on_forwarded, question);
	if (!question->forward)
		answer_code(question, DNS_SERVER_FAILURE);
}

static void answer_alias(struct resolver_question *question, const struct addr *addrs, size_t count)
{
	struct reply reply;

	reply_begin(question, DNS_NO_ERROR, &reply);
	dns_answer_cname(&reply.answer, RESOLVER_TTL_S, question->service.external_name);
	for (size_t i = 0; i < count; i++)
		dns_answer_addr_of(&reply.answer, question->service.external_name, RESOLVER_TTL_S,
				   &addrs[i]);
	reply_send(question, &reply);
}

static void on_alias(void *user, struct bytes packet)
{
	struct resolver_question *question = user;
	struct addr addrs[RESOLVER_PODS_MAX];

	question->forward = NULL;
	if (packet.len == 0) {
		answer_code(question, DNS_SERVER_FAILURE);
		return;
	}
	answer_alias(question, addrs,
		     dns_forward_addrs(packet, (enum dns_type)question->dns.type, addrs,
				       RESOLVER_PODS_MAX));
}

/* Resolvers of applications do not follow an alias by themselves: what it leads to is in the answer
 * as well. It may lead to another Service here. */
static void follow_alias(struct resolver_question *question)
{
	const char *to = question->service.external_name;
	struct names_readings inside = names_read(to, question->resolver->config.namespace);
	enum dns_type type = (enum dns_type)question->dns.type;
	struct dns_question outside;
	struct addr addr;
	char key[KEY_MAX];

	if (inside.ours && inside.count > 0 && inside.list[0].what == NAMES_SERVICE) {
		service_key(inside.list[0].namespace, inside.list[0].service, key);
		answer_alias(question, &addr,
			     wants_v4(question) && address_of(question, key, &addr));
	} else if (type != DNS_A && type != DNS_AAAA) {
		answer_alias(question, NULL, 0);
	} else {
		if (dns_question_make(to, type, &outside))
			question->forward = forward_ask(question->resolver->config.forward,
							&outside, true, on_alias, question);
		if (!question->forward)
			answer_code(question, DNS_SERVER_FAILURE);
	}
}

/* ---- one reading after the other ---- */

static void look(struct resolver_question *question);

static void next_reading(struct resolver_question *question)
{
	question->at++;
	look(question);
}

static void conclude(struct resolver_question *question)
{
	if (question->uncertain)
		answer_code(question, DNS_SERVER_FAILURE);
	else if (question->readings.ours)
		answer_code(question, DNS_NO_NAME);
	else
		forward(question);
}

static bool is_named(const struct resolver_question *question, const struct service_record *record)
{
	const struct names_reading *reading = reading_of(question);

	if (record->leaving ||
	    (!question->service.not_ready_too && !(record->ready && record->healthy)))
		return false;
	return reading->what != NAMES_POD || strcmp(record->pod, reading->pod) == 0;
}

/* The port of that name: as the Service has it, else as the pod itself. */
static uint16_t port_of(const struct resolver_question *question,
			const struct service_record *record)
{
	const struct names_reading *reading = reading_of(question);
	struct names_port own = {.protocol = reading->protocol};

	for (size_t i = 0; i < question->service.port_count; i++) {
		const struct names_port *port = &question->service.ports[i];

		if (port->protocol == reading->protocol && strcmp(port->name, reading->port) == 0)
			return names_target(port, record);
	}
	memcpy(own.target_name, reading->port, sizeof(own.target_name));
	return question->service.kind == CATALOG_WORKLOAD ? names_target(&own, record) : 0;
}

static void note_record(struct resolver_question *question, const struct service_record *record)
{
	struct named *found = &question->found[question->found_count];

	question->any = true;
	if (question->found_count == RESOLVER_PODS_MAX || !is_named(question, record))
		return;
	*found = (struct named){0};
	(void)snprintf(found->pod, sizeof(found->pod), "%s", record->pod);
	if (reading_of(question)->what == NAMES_PORT) {
		found->port = port_of(question, record);
		if (found->port == 0)
			return;
	}
	question->found_count++;
}

static void records_known(struct resolver_question *question)
{
	enum names_what what = reading_of(question)->what;
	bool exists = question->service.kind == CATALOG_HEADLESS || question->any;

	if (what == NAMES_SERVICE && !exists)
		next_reading(question);
	else if (what == NAMES_SERVICE && question->service.kind == CATALOG_HEADLESS)
		answer_pods(question);
	else if (what == NAMES_SERVICE)
		answer_service(question);
	else if (question->found_count == 0)
		next_reading(question);
	else if (what == NAMES_POD)
		answer_pods(question);
	else
		answer_ports_of_pods(question);
}

static void resolve_targets(struct resolver_question *question);

static void on_records(void *user, const struct service_record *const *records, size_t count,
		       bool complete)
{
	struct resolver_question *question = user;

	question->mesh = NULL;
	for (size_t i = 0; i < count; i++)
		note_record(question, records[i]);
	question->uncertain = question->uncertain || (count == 0 && !complete);
	question->target_at++;
	resolve_targets(question);
}

static void resolve_targets(struct resolver_question *question)
{
	if (!question->found)
		question->found = mem_alloc(RESOLVER_PODS_MAX, sizeof(*question->found));
	for (; question->target_at < question->service.target_count; question->target_at++) {
		const struct mesh_name *target = &question->service.targets[question->target_at];

		if (!question->resolver->config.mesh) {
			question->uncertain = true;
			break;
		}
		question->mesh = mesh_resolve(question->resolver->config.mesh, target->namespace,
					      target->name, on_records, question);
		if (question->mesh)
			return;
		question->uncertain = true;
	}
	records_known(question);
}

/* Without a word of the machine, a workload of that name is looked for among the agents. */
static void look_for_workload(struct resolver_question *question)
{
	const struct names_reading *reading = reading_of(question);

	question->service.kind = CATALOG_WORKLOAD;
	question->service.target_count = 1;
	question->service.targets[0] = (struct mesh_name){0};
	(void)snprintf(question->service.targets[0].namespace,
		       sizeof(question->service.targets[0].namespace), "%s", reading->namespace);
	(void)snprintf(question->service.targets[0].name, sizeof(question->service.targets[0].name),
		       "%s", reading->service);
	resolve_targets(question);
}

static void keep_service(struct resolver_question *question, const struct catalog_service *service)
{
	free(question->service.ports);
	question->service = *service;
	question->service.ports = mem_alloc(service->port_count + 1, sizeof(*service->ports));
	if (service->port_count > 0)
		memcpy(question->service.ports, service->ports,
		       service->port_count * sizeof(*service->ports));
}

static void answer_port_of_service(struct resolver_question *question)
{
	const struct names_reading *reading = reading_of(question);

	for (size_t i = 0; i < question->service.port_count; i++) {
		const struct names_port *port = &question->service.ports[i];

		if (port->protocol == reading->protocol && strcmp(port->name, reading->port) == 0) {
			answer_port(question, port->number);
			return;
		}
	}
	next_reading(question);
}

/* The name exists; what of it is asked? */
static void use_service(struct resolver_question *question)
{
	enum names_what what = reading_of(question)->what;

	switch (question->service.kind) {
	case CATALOG_EXTERNAL_NAME:
		if (what == NAMES_SERVICE)
			follow_alias(question);
		else
			next_reading(question);
		break;
	case CATALOG_CLUSTER_IP:
		if (what == NAMES_SERVICE)
			answer_service(question);
		else if (what == NAMES_PORT)
			answer_port_of_service(question);
		else
			resolve_targets(question);
		break;
	case CATALOG_WORKLOAD:
		if (what == NAMES_SERVICE)
			answer_service(question);
		else
			resolve_targets(question);
		break;
	case CATALOG_HEADLESS:
		resolve_targets(question);
		break;
	case CATALOG_NONE:
	case CATALOG_POD:
	default:
		next_reading(question);
		break;
	}
}

static void on_service(void *user, const struct catalog_service *service)
{
	struct resolver_question *question = user;

	question->catalog = NULL;
	question->target_at = 0;
	question->found_count = 0;
	question->any = false;
	if (question->resolver->config.by_hand || !service) {
		question->uncertain = question->uncertain || !question->resolver->config.by_hand;
		look_for_workload(question);
		return;
	}
	keep_service(question, service);
	use_service(question);
}

/* ---- addresses ---- */

static void answer_pointer(struct resolver_question *question, const char *name)
{
	struct reply reply;

	reply_begin(question, DNS_NO_ERROR, &reply);
	if (question->dns.type == DNS_PTR || question->dns.type == DNS_ANY)
		dns_answer_ptr(&reply.answer, RESOLVER_TTL_S, name);
	reply_send(question, &reply);
}

static void on_address(void *user, const struct catalog_service *service)
{
	struct resolver_question *question = user;
	struct names_reading reading = {.what = NAMES_SERVICE};
	char name[NAME_TEXT_MAX];
	const char *of;

	question->catalog = NULL;
	if (!service || service->kind == CATALOG_NONE ||
	    (service->kind == CATALOG_POD && service->target_count == 0)) {
		answer_code(question, service ? DNS_NO_NAME : DNS_SERVER_FAILURE);
		return;
	}
	of = service->kind == CATALOG_POD ? service->targets[0].name : service->name;
	(void)snprintf(reading.namespace, sizeof(reading.namespace), "%.63s", service->namespace);
	(void)snprintf(reading.service, sizeof(reading.service), "%.63s", of);
	service_name(&reading, service->pod, name);
	answer_pointer(question, name);
}

/* "shop/web" and "shop/db/db-0" as they are asked for. */
static void answer_virtual(struct resolver_question *question, const char *key)
{
	struct names_reading reading = {.what = NAMES_SERVICE};
	const char *service = strchr(key, '/') + 1, *pod = strchr(service, '/');
	int service_len = pod ? (int)(pod - service) : (int)strlen(service);
	char name[NAME_TEXT_MAX];

	(void)snprintf(reading.namespace, sizeof(reading.namespace), "%.*s",
		       (int)(service - 1 - key), key);
	(void)snprintf(reading.service, sizeof(reading.service), "%.*s", service_len, service);
	service_name(&reading, pod ? pod + 1 : "", name);
	answer_pointer(question, name);
}

/* Both prefixes, of Services and of pods, begin with fd6d:6167. */
static bool is_ours(const struct addr *addr)
{
	static const uint8_t v6[] = {0xfd, 0x6d, 0x61, 0x67};

	if (addr->is_v4)
		return addr->ip[0] == 198 && (addr->ip[1] & 0xfe) == 18;
	return memcmp(addr->ip, v6, sizeof(v6)) == 0;
}

static void look_up_address(struct resolver_question *question, const struct addr *addr)
{
	struct catalog_question *asked =
		catalog_get_address(question->resolver->config.catalog, addr, on_address, question);

	/* NULL: it has been answered, and the question is gone. */
	if (asked)
		question->catalog = asked;
}

static void look_at_address(struct resolver_question *question)
{
	const struct addr *addr = &reading_of(question)->addr;
	const struct resolver_config *config = &question->resolver->config;
	const char *key = vip_name(config->vip, addr);

	if (key)
		answer_virtual(question, key);
	else if (!is_ours(addr))
		forward(question);
	else if (addr->is_v4)
		answer_code(question, DNS_NO_NAME);
	else
		look_up_address(question, addr);
}

/* ---- questions ---- */

static void look(struct resolver_question *question)
{
	const struct names_reading *reading;
	struct catalog_question *asked;

	if (question->at >= question->readings.count) {
		conclude(question);
		return;
	}
	reading = reading_of(question);
	if (reading->what == NAMES_BRANCH) {
		answer_code(question, DNS_NO_ERROR);
		return;
	}
	if (reading->what == NAMES_ADDRESS) {
		look_at_address(question);
		return;
	}
	asked = catalog_get(question->resolver->config.catalog, reading->namespace,
			    reading->service, on_service, question);
	/* NULL: it has been answered, and the question may be gone. */
	if (asked)
		question->catalog = asked;
}

void resolver_ask(struct resolver *resolver, struct bytes packet, bool tcp, resolver_fn *fn,
		  void *user)
{
	struct resolver_question *question;
	struct dns_question dns;
	int r = dns_question_read(packet, &dns);

	if (r == DNS_E_IGNORE) {
		fn(user, (struct bytes){0});
		return;
	}
	question = mem_new(struct resolver_question);
	question->resolver = resolver;
	question->fn = fn;
	question->user = user;
	question->tcp = tcp;
	question->dns = dns;
	question->readings = names_read(dns.name, resolver->config.namespace);
	list_append(&resolver->questions, &question->link);
	resolver->count++;
	if (r != 0)
		answer_code(question, r == DNS_E_FORMAT ? DNS_FORMAT_ERROR : DNS_NOT_IMPLEMENTED);
	else if (resolver->count > RESOLVER_MAX)
		answer_code(question, DNS_SERVER_FAILURE);
	else
		look(question);
}
