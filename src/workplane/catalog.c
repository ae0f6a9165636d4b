/* SPDX-License-Identifier: Apache-2.0 */
#include "workplane/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/entropy.h"

struct entry {
	struct list link; /* on catalog->order, least recently used first */
	char *namespace, *name;
	struct addr address; /* instead of a name */
	bool known;          /* @service has been told, at @told_at */
	struct mono told_at;
	struct catalog_service service;
	uint32_t asked;       /* the question under way; 0: none */
	struct mono deadline; /* of those who wait for its answer */
	struct list waiting;
	size_t waiting_count;
};

struct catalog {
	struct loop *loop;
	struct loop_timer *timer;
	catalog_ask_fn *ask;
	void *user;
	struct map entries; /* "namespace/name" or an address */
	struct list order;
	uint32_t last_id;
};

struct catalog_question {
	struct list link;
	struct entry *entry;
	catalog_fn *fn;
	void *user;
};

static void on_time(void *user);

struct catalog *catalog_new(struct loop *loop, catalog_ask_fn *ask, void *user)
{
	struct catalog *catalog = mem_new(struct catalog);

	catalog->loop = loop;
	catalog->ask = ask;
	catalog->user = user;
	catalog->timer = loop_timer_new(loop, on_time, catalog);
	map_init(&catalog->entries, entropy_u64());
	list_init(&catalog->order);
	return catalog;
}

void catalog_question_free(struct catalog_question *question)
{
	if (!question)
		return;
	list_remove(&question->link);
	question->entry->waiting_count--;
	free(question);
}

static void entry_free(struct entry *entry)
{
	list_for_each_safe (it, &entry->waiting)
		catalog_question_free(list_entry(it, struct catalog_question, link));
	list_remove(&entry->link);
	free(entry->service.ports);
	free(entry->namespace);
	free(entry->name);
	free(entry);
}

void catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	list_for_each_safe (it, &catalog->order)
		entry_free(list_entry(it, struct entry, link));
	map_deinit(&catalog->entries);
	loop_timer_free(catalog->timer);
	free(catalog);
}

/* ---- what is told ---- */

static void copy_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static void read_ports(const Magik__Ipc__ServiceFacts *facts, struct catalog_service *service)
{
	size_t count = facts->n_ports < CATALOG_PORTS_MAX ? facts->n_ports : CATALOG_PORTS_MAX;

	service->ports = mem_alloc(count + 1, sizeof(*service->ports));
	for (size_t i = 0; i < count; i++) {
		const Magik__Ipc__ServicePort *from = facts->ports[i];
		struct names_port *port = &service->ports[service->port_count++];

		copy_text(port->name, sizeof(port->name), from->name);
		copy_text(port->target_name, sizeof(port->target_name), from->target_name);
		port->number = (uint16_t)from->number;
		port->target_number = (uint16_t)from->target;
		port->protocol = from->udp ? SERVICE_UDP : SERVICE_TCP;
	}
}

static void read_facts(const Magik__Ipc__ServiceFacts *facts, struct catalog_service *service)
{
	*service = (struct catalog_service){.kind = (enum catalog_kind)facts->kind};
	copy_text(service->namespace, sizeof(service->namespace), facts->namespace_);
	copy_text(service->name, sizeof(service->name), facts->name);
	copy_text(service->external_name, sizeof(service->external_name), facts->external_name);
	copy_text(service->pod, sizeof(service->pod), facts->pod);
	service->not_ready_too = facts->not_ready_too;
	if (!addr_from_ip(bytes_of(facts->address.data, facts->address.len), 0, &service->address))
		service->address = (struct addr){0};
	read_ports(facts, service);
	for (size_t i = 0; i < facts->n_targets && i < MESH_TARGETS_MAX; i++) {
		struct mesh_name *target = &service->targets[service->target_count++];

		copy_text(target->namespace, sizeof(target->namespace),
			  facts->targets[i]->namespace_);
		copy_text(target->name, sizeof(target->name), facts->targets[i]->name);
	}
}

/* Those who wait are answered; each may ask again, or free another question, within its call. */
static void answer_waiting(struct entry *entry)
{
	struct mono now = clock_mono();
	bool holds =
		entry->known && !mono_reached(now, mono_add_ms(entry->told_at, CATALOG_STALE_MS));
	struct list answered;

	list_init(&answered);
	entry->waiting_count++; /* so that it does not give way to what they ask for */
	list_for_each_safe (it, &entry->waiting) {
		list_remove(it);
		list_append(&answered, it);
	}
	while (!list_is_empty(&answered)) {
		struct catalog_question *question =
			list_first(&answered, struct catalog_question, link);
		catalog_fn *fn = question->fn;
		void *user = question->user;

		catalog_question_free(question);
		fn(user, holds ? &entry->service : NULL);
	}
	entry->waiting_count--;
}

static struct entry *entry_asked(const struct catalog *catalog, uint32_t id)
{
	list_for_each (it, &catalog->order) {
		struct entry *entry = list_entry(it, struct entry, link);

		if (entry->asked == id)
			return entry;
	}
	return NULL;
}

void catalog_told(struct catalog *catalog, const Magik__Ipc__NameTold *told)
{
	struct entry *entry = told->id ? entry_asked(catalog, told->id) : NULL;

	if (!entry)
		return;
	entry->asked = 0;
	if (told->known && told->service) {
		free(entry->service.ports);
		read_facts(told->service, &entry->service);
		entry->known = true;
		entry->told_at = clock_mono();
	}
	answer_waiting(entry);
}

/* ---- asking ---- */

static void set_timer(struct catalog *catalog)
{
	struct mono next = MONO_NEVER;

	list_for_each (it, &catalog->order) {
		const struct entry *entry = list_entry(it, struct entry, link);

		if (entry->asked)
			next = mono_min(next, entry->deadline);
	}
	loop_timer_set(catalog->timer, next);
}

static void on_time(void *user)
{
	struct catalog *catalog = user;
	struct mono now = clock_mono();

	list_for_each (it, &catalog->order) {
		struct entry *entry = list_entry(it, struct entry, link);

		if (!entry->asked || !mono_reached(now, entry->deadline))
			continue;
		entry->asked = 0;
		answer_waiting(entry);
		/* Whoever was answered may have asked for something else, for which this entry gave
		 * way: from the beginning, at once. */
		loop_timer_set(catalog->timer, now);
		return;
	}
	set_timer(catalog);
}

static void send_question(const struct catalog *catalog, const struct entry *entry)
{
	Magik__Ipc__NameQuestion question;
	Magik__Ipc__NameAsk ask;
	struct bytes ip = addr_ip(&entry->address);

	magik__ipc__name_question__init(&question);
	magik__ipc__name_ask__init(&ask);
	ask.id = entry->asked;
	ask.question = &question;
	if (entry->name) {
		question.namespace_ = entry->namespace;
		question.name = entry->name;
	} else {
		question.address.data = (uint8_t *)(uintptr_t)ip.ptr;
		question.address.len = ip.len;
	}
	(void)!catalog->ask(catalog->user, &ask);
}

static void entry_ask(struct catalog *catalog, struct entry *entry)
{
	if (entry->asked)
		return;
	if (++catalog->last_id == 0)
		catalog->last_id = 1;
	entry->asked = catalog->last_id;
	entry->deadline = mono_add_ms(clock_mono(), CATALOG_PATIENCE_MS);
	set_timer(catalog);
	send_question(catalog, entry);
}

void catalog_relink(struct catalog *catalog)
{
	list_for_each (it, &catalog->order) {
		const struct entry *entry = list_entry(it, struct entry, link);

		if (entry->asked)
			send_question(catalog, entry);
	}
}

static struct bytes key_of(const struct entry *entry, struct buf *space)
{
	if (entry->name)
		buf_append_format(space, "%s/%s", entry->namespace, entry->name);
	else
		buf_append_str(space, addr_ip_text(&entry->address).text);
	return bytes_buf(space);
}

static void give_way(struct catalog *catalog)
{
	list_for_each (it, &catalog->order) {
		struct entry *entry = list_entry(it, struct entry, link);
		struct buf key = {0};

		if (entry->waiting_count > 0)
			continue;
		(void)map_remove(&catalog->entries, key_of(entry, &key));
		buf_deinit(&key);
		entry_free(entry);
		return;
	}
}

/* The entry like @model, made if there is none; NULL: there is no room for it. */
static struct entry *entry_get(struct catalog *catalog, const struct entry *model)
{
	struct buf space = {0};
	struct bytes key = key_of(model, &space);
	struct entry *entry = map_get(&catalog->entries, key);

	if (!entry) {
		if (catalog->entries.count >= CATALOG_ENTRIES_MAX)
			give_way(catalog);
		if (catalog->entries.count < CATALOG_ENTRIES_MAX) {
			entry = mem_new(struct entry);
			entry->namespace = mem_strdup(model->namespace);
			entry->name = mem_strdup(model->name);
			entry->address = model->address;
			list_init(&entry->waiting);
			list_init(&entry->link);
			(void)map_put(&catalog->entries, key, entry);
		}
	}
	buf_deinit(&space);
	if (entry) {
		list_remove(&entry->link);
		list_append(&catalog->order, &entry->link);
	}
	return entry;
}

/* Is what was told good for an answer now? If it is in use for long it is asked for again. */
static bool is_fresh(struct catalog *catalog, struct entry *entry)
{
	struct mono now = clock_mono();
	bool absent = entry->service.kind == CATALOG_NONE;

	if (!entry->known ||
	    mono_reached(now, mono_add_ms(entry->told_at,
					  absent ? CATALOG_ABSENT_TTL_MS : CATALOG_TTL_MS)))
		return false;
	if (!absent && mono_reached(now, mono_add_ms(entry->told_at, CATALOG_REFRESH_MS)))
		entry_ask(catalog, entry);
	return true;
}

static struct catalog_question *get(struct catalog *catalog, const struct entry *model,
				    catalog_fn *fn, void *user)
{
	static const struct catalog_service none = {.kind = CATALOG_NONE};
	struct catalog_question *question;
	struct entry *entry = catalog->ask ? entry_get(catalog, model) : NULL;

	if (!entry || entry->waiting_count >= CATALOG_WAITING_MAX) {
		fn(user, catalog->ask ? NULL : &none);
		return NULL;
	}
	if (is_fresh(catalog, entry)) {
		entry->waiting_count++;
		fn(user, &entry->service);
		entry->waiting_count--;
		return NULL;
	}
	question = mem_new(struct catalog_question);
	question->entry = entry;
	question->fn = fn;
	question->user = user;
	list_append(&entry->waiting, &question->link);
	entry->waiting_count++;
	entry_ask(catalog, entry);
	return question;
}

struct catalog_question *catalog_get(struct catalog *catalog, const char *namespace,
				     const char *name, catalog_fn *fn, void *user)
{
	const struct entry model = {.namespace = (char *)(uintptr_t) namespace,
				    .name = (char *)(uintptr_t)name};

	return get(catalog, &model, fn, user);
}

struct catalog_question *catalog_get_address(struct catalog *catalog, const struct addr *address,
					     catalog_fn *fn, void *user)
{
	const struct entry model = {.address = *address};

	return get(catalog, &model, fn, user);
}

const struct names_port *catalog_port(const struct catalog_service *service, uint16_t number,
				      enum service_protocol protocol)
{
	for (size_t i = 0; i < service->port_count; i++)
		if (service->ports[i].number == number && service->ports[i].protocol == protocol)
			return &service->ports[i];
	return NULL;
}
