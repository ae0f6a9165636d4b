/* SPDX-License-Identifier: Apache-2.0 */
/* The directory's events and effects, and the questions that it answers. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "workplane/mesh_internal.h"

/* ---- questions ---- */

static struct mesh_lookup *lookup_of(struct mesh *mesh, const char *namespace, const char *name)
{
	list_for_each (it, &mesh->lookups) {
		struct mesh_lookup *lookup = list_entry(it, struct mesh_lookup, link);

		if (strcmp(lookup->name.namespace, namespace) == 0 &&
		    strcmp(lookup->name.name, name) == 0)
			return lookup;
	}
	return NULL;
}

static void lookup_free(struct mesh_lookup *lookup)
{
	list_remove(&lookup->link);
	free(lookup);
}

/* Token 0: not asked yet: who knows nobody finds nothing, so it waits for that. */
static bool lookup_ask(struct mesh *mesh, struct mesh_lookup *lookup)
{
	if (!mesh->joined)
		return true;
	if (directory_lookup(mesh->directory, clock_mono(), mesh_time(mesh), lookup->name.namespace,
			     lookup->name.name, &lookup->token) != 0)
		return false;
	mesh_soon(mesh);
	return true;
}

static struct mesh_lookup *lookup_new(struct mesh *mesh, const char *namespace, const char *name)
{
	struct mesh_lookup *lookup;
	size_t namespace_len = strlen(namespace), name_len = strlen(name);

	if (namespace_len > MESSAGE_NAMESPACE_MAX || name_len > MESSAGE_NAME_MAX)
		return NULL;
	lookup = mem_new(struct mesh_lookup);
	list_init(&lookup->questions);
	memcpy(lookup->name.namespace, namespace, namespace_len);
	memcpy(lookup->name.name, name, name_len);
	list_append(&mesh->lookups, &lookup->link);
	if (lookup_ask(mesh, lookup))
		return lookup;
	lookup_free(lookup);
	return NULL;
}

struct mesh_question *mesh_resolve(struct mesh *mesh, const char *namespace, const char *name,
				   mesh_resolve_fn *fn, void *user)
{
	struct mesh_lookup *lookup = lookup_of(mesh, namespace, name);
	struct mesh_question *question;

	if (mesh->question_count >= MESH_QUESTIONS_MAX + MESH_CALLS_MAX + MESH_FLOWS_MAX)
		return NULL;
	if (!lookup)
		lookup = lookup_new(mesh, namespace, name);
	if (!lookup)
		return NULL;
	question = mem_new(struct mesh_question);
	*question = (struct mesh_question){.mesh = mesh, .lookup = lookup, .fn = fn, .user = user};
	list_append(&lookup->questions, &question->link);
	mesh->question_count++;
	return question;
}

void mesh_question_free(struct mesh_question *question)
{
	if (!question)
		return;
	list_remove(&question->link);
	question->mesh->question_count--;
	free(question);
}

/* Whoever is told may ask anew, which begins another lookup, or take other questions back. */
static void lookup_answer(struct mesh *mesh, struct mesh_lookup *lookup, bool complete)
{
	list_remove(&lookup->link);
	while (!list_is_empty(&lookup->questions)) {
		const struct service_record *records[MESH_REPLICAS_MAX];
		struct mesh_question *question =
			list_first(&lookup->questions, struct mesh_question, link);
		mesh_resolve_fn *fn = question->fn;
		void *user = question->user;
		size_t count =
			directory_records(mesh->directory, clock_mono(), lookup->name.namespace,
					  lookup->name.name, records, MESH_REPLICAS_MAX);

		mesh_question_free(question);
		fn(user, records, count, complete);
	}
	free(lookup);
}

static void on_found(struct mesh *mesh, uint64_t token, bool complete)
{
	list_for_each (it, &mesh->lookups) {
		struct mesh_lookup *lookup = list_entry(it, struct mesh_lookup, link);

		if (lookup->token != token)
			continue;
		lookup_answer(mesh, lookup, complete);
		return;
	}
}

void mesh_join(void *user)
{
	struct mesh *mesh = user;

	if (mesh->joined)
		return;
	mesh->joined = true;
	list_for_each_safe (it, &mesh->lookups) {
		struct mesh_lookup *lookup = list_entry(it, struct mesh_lookup, link);

		if (!lookup_ask(mesh, lookup))
			lookup_answer(mesh, lookup, false);
	}
}

void mesh_lookups_free(struct mesh *mesh)
{
	list_for_each_safe (it, &mesh->lookups) {
		struct mesh_lookup *lookup = list_entry(it, struct mesh_lookup, link);

		list_for_each_safe (other, &lookup->questions)
			mesh_question_free(list_entry(other, struct mesh_question, link));
		lookup_free(lookup);
	}
}

/* ---- effects ---- */

void mesh_on_missing(struct mesh *mesh, mesh_missing_fn *fn, void *user)
{
	mesh->missing_fn = fn;
	mesh->missing_user = user;
}

static void carry_out(struct mesh *mesh, const struct directory_effect *effect)
{
	switch (effect->type) {
	case DIRECTORY_SEND:
		mesh_send(mesh, &effect->to, &effect->message);
		return;
	case DIRECTORY_FOUND:
		on_found(mesh, effect->token, effect->complete);
		return;
	case DIRECTORY_MISSING:
		log_event(LOG_LEVEL_INFO, "replica-missing", "%s is silent", effect->name);
		pick_failed(mesh->pick, clock_mono(), &effect->to.id);
		if (mesh->missing_fn)
			mesh->missing_fn(mesh->missing_user, effect->name);
		return;
	case DIRECTORY_BACK:
		log_event(LOG_LEVEL_INFO, "replica-back", "%s is heard again", effect->name);
		return;
	case DIRECTORY_CHANGED: /* whoever is interested looks up before each connection */
		return;
	}
}

/* What is carried out may make the directory want more, and call here again. */
void mesh_settle(struct mesh *mesh)
{
	const struct directory_effect *effect;

	if (mesh->settling || !mesh->directory)
		return;
	mesh->settling = true;
	while ((effect = directory_next_effect(mesh->directory)))
		carry_out(mesh, effect);
	mesh->settling = false;
	loop_timer_set(mesh->turn_timer, directory_deadline(mesh->directory));
	mesh_look_drained(mesh);
}

void mesh_soon(struct mesh *mesh)
{
	if (!mesh->settling)
		loop_timer_set(mesh->turn_timer, clock_mono());
}

void mesh_tick(void *user)
{
	struct mesh *mesh = user;

	if (!mesh->directory)
		return;
	directory_tick(mesh->directory, clock_mono(), mesh_time(mesh));
	mesh_settle(mesh);
}

/* ---- events ---- */

void mesh_received(struct mesh *mesh, struct mesh_link *link, const struct work_message *message)
{
	struct directory_peer from = {mesh_link_contact(link), &link->peer->name};

	directory_receive(mesh->directory, clock_mono(), mesh_time(mesh), &from, message);
	mesh_settle(mesh);
}

void mesh_unreachable(struct mesh *mesh, const struct node_id *id)
{
	directory_unreachable(mesh->directory, clock_mono(), id);
	mesh_soon(mesh);
}
