/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refresh: what others keep is brought here before it is read.
 *
 *	names of the scope --index--> uids --fetch of each home--> records, here --> NODE_REFRESHED
 *
 * Of Events the homes are those of all objects that they may be about; once a home is here, its
 * keepers are asked what they have noted there (journal_read.c).
 *
 * Beside what the index names, what is here of the scope already is fetched again, so that a
 * deletion is noticed. A pod has no row: its name begins with that of what made it.
 */
#include "node/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	REFRESHES_MAX = 256, /* at a time; more are answered with what is here */
	FETCHES_MAX = 64,    /* of one refresh, at a time: each asks three machines, which together
			      * are fewer than stay connected for that (OVERLAY_TRANSIENT_MAX) */
	TRIES_MAX = 3,       /* of one home; one that was not had then may be missing */
	LOOKUPS_MAX = 32,    /* of one refresh: Events are looked for by 17 */
	REFRESH_MS = 10 * 1000,
};

/* Kinds whose pods machines report; ReplicaSets lie with their Deployment. */
static const char *const makers[] = {"ReplicaSet", "StatefulSet", "DaemonSet",
				     "Job",        "Deployment",  "Pod"};

/* Other kinds whose objects things happen to. */
static const char *const actors[] = {"CronJob", "ConfigMap", "Secret", "Service",
				     "PersistentVolumeClaim"};

/* A home that is to be fetched, or is being fetched; then its journals are read. */
struct fetching {
	uint64_t token;
	uint64_t position; /* of its home: neighbours are looked up together */
	struct uid uid;    /* of the object that it is fetched for */
	bool facts;        /* it is fetched for what a machine says of itself */
	bool reading;
	unsigned tries;
};

struct node_refresh {
	struct list link;
	uint64_t token;
	uint64_t lookups[LOOKUPS_MAX];
	struct fetching fetches[FETCHES_MAX];
	size_t lookup_count, fetch_count;
	bool events;
	struct map homes; /* home -> struct uid: seen; those not yet fetched are in @waiting */
	struct fetching *waiting;
	size_t waiting_count, waiting_cap;
	bool complete;
	struct mono deadline;
};

static void refresh_free(struct node *node, struct node_refresh *refresh)
{
	list_remove(&refresh->link);
	node->refresh_count--;
	map_for_each (entry, &refresh->homes)
		free(entry->value);
	map_deinit(&refresh->homes);
	free(refresh->waiting);
	free(refresh);
}

void node_refreshes_deinit(struct node *node)
{
	list_for_each_safe (it, &node->refreshes)
		refresh_free(node, list_entry(it, struct node_refresh, link));
}

static void refreshed(struct node *node, uint64_t token, bool complete)
{
	struct queued_effect *queued;

	if (node_collect_refreshed(node, token, complete))
		return;
	queued = node_queue(node, NODE_REFRESHED);
	queued->effect.token = token;
	queued->effect.complete = complete;
}

static void refresh_end(struct node *node, struct node_refresh *refresh)
{
	refreshed(node, refresh->token, refresh->complete);
	refresh_free(node, refresh);
}

static void fetch_later(struct node_refresh *refresh, const struct fetching *fetching)
{
	if (refresh->waiting_count == refresh->waiting_cap) {
		refresh->waiting_cap = 2 * refresh->waiting_cap + 16;
		refresh->waiting = mem_resize(refresh->waiting, refresh->waiting_cap,
					      sizeof(*refresh->waiting));
	}
	refresh->waiting[refresh->waiting_count++] = *fetching;
}

static void want(const struct node *node, struct node_refresh *refresh, const struct uid *uid,
		 bool facts)
{
	struct bytes home = bytes_of(uid->byte, UID_HOME_LEN);
	bool here = records_keeps(node->records, uid);

	if ((here && !refresh->events) || map_get(&refresh->homes, home))
		return;
	(void)map_put(&refresh->homes, home, mem_copy(uid->byte, UID_LEN));
	fetch_later(refresh, &(struct fetching){.uid = *uid,
						.position = records_home_position(uid),
						.facts = facts,
						.reading = here});
}

static void read_journals(struct node *node, struct mono now, struct fetching *fetching)
{
	fetching->reading = true;
	fetching->token = node_reading_begin(node, now, &fetching->uid);
}

/* Fetch more, or end. */
static void advance(struct node *node, struct mono now, struct node_refresh *refresh)
{
	while (refresh->waiting_count && refresh->fetch_count < FETCHES_MAX) {
		struct fetching *fetching = &refresh->fetches[refresh->fetch_count];

		*fetching = refresh->waiting[--refresh->waiting_count];
		fetching->tries++;
		if (fetching->reading) {
			read_journals(node, now, fetching);
			refresh->fetch_count++;
		} else if (records_fetch(node->records, now, &fetching->uid, &fetching->token) ==
			   0) {
			refresh->fetch_count++;
		} else {
			refresh->complete = false;
		}
	}
	if (!refresh->lookup_count && !refresh->fetch_count)
		refresh_end(node, refresh);
}

/* What of the scope is here without being kept here may have changed, or be gone. */
static void want_known(const struct node *node, struct node_refresh *refresh, const char *kind,
		       const struct node_scope *scope, const char *name)
{
	const struct record_item *item;
	size_t position = 0;

	if (scope->namespace && name) {
		item = records_find(node->records, scope->namespace, kind, name);
		if (item)
			want(node, refresh, &item->record.object.uid, false);
		return;
	}
	while ((item = records_next(node->records, RECORD_OBJECT, kind, NULL, &position))) {
		if (!scope->namespace ||
		    strcmp(scope->namespace, item->record.object.namespace) == 0)
			want(node, refresh, &item->record.object.uid, false);
	}
}

static void look_up(struct node *node, struct mono now, struct node_refresh *refresh,
		    const char *kind, const struct node_scope *scope, const char *name)
{
	uint64_t *token = &refresh->lookups[refresh->lookup_count];
	int outcome;

	want_known(node, refresh, kind, scope, name);
	if (name && scope->namespace)
		outcome = shards_find(node->shards, now, kind, scope->namespace, name, token);
	else
		outcome = shards_walk(node->shards, now, kind, scope->namespace, token);
	if (outcome == 0)
		refresh->lookup_count++;
	else
		refresh->complete = false;
}

/* @name without its last @parts words, which '-' separates; NULL when there are not so many. */
static char *shortened(const char *name, unsigned parts)
{
	char *text = mem_strdup(name), *dash;

	for (; parts; parts--) {
		dash = strrchr(text, '-');
		if (!dash || dash == text) {
			free(text);
			return NULL;
		}
		*dash = 0;
	}
	return text;
}

static void look_up_pods(struct node *node, struct mono now, struct node_refresh *refresh,
			 const struct node_scope *scope)
{
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		unsigned parts = strcmp(makers[i], "Pod") == 0          ? 0
				 : strcmp(makers[i], "Deployment") == 0 ? 2
									: 1;
		char *name = scope->name ? shortened(scope->name, parts) : NULL;

		if (name || !scope->name)
			look_up(node, now, refresh, makers[i], scope, name);
		free(name);
	}
}

static void look_up_events(struct node *node, struct mono now, struct node_refresh *refresh,
			   const struct node_scope *scope)
{
	refresh->events = true;
	if (scope->about && strcmp(scope->about, "Pod") != 0) {
		look_up(node, now, refresh, scope->about, scope, scope->name);
		return;
	}
	look_up_pods(node, now, refresh, scope);
	if (scope->about)
		return;
	for (size_t i = 0; i < ARRAY_LEN(actors); i++)
		look_up(node, now, refresh, actors[i], scope, scope->name);
	for (size_t i = 0; scope->name && i < ARRAY_LEN(makers); i++)
		look_up(node, now, refresh, makers[i], scope, scope->name);
}

void node_refresh_begin(struct node *node, struct mono now, const struct node_scope *scope,
			uint64_t *ret_token)
{
	struct node_refresh *refresh;

	*ret_token = ++node->refresh_token;
	if (!node_index_is_used(node) || node->refresh_count >= REFRESHES_MAX) {
		refreshed(node, *ret_token, !node_index_is_used(node));
		return;
	}
	refresh = mem_new(struct node_refresh);
	refresh->token = *ret_token;
	refresh->complete = true;
	refresh->deadline = mono_add_ms(now, REFRESH_MS);
	map_init(&refresh->homes, node->config.seed);
	list_append(&node->refreshes, &refresh->link);
	node->refresh_count++;
	if (strcmp(scope->kind, "Pod") == 0)
		look_up_pods(node, now, refresh, scope);
	else if (strcmp(scope->kind, "Event") == 0)
		look_up_events(node, now, refresh, scope);
	else
		look_up(node, now, refresh, scope->kind, scope, scope->name);
	advance(node, now, refresh);
}

int node_refresh(struct node *node, struct mono now, const struct node_scope *scope,
		 uint64_t *ret_token)
{
	node_refresh_begin(node, now, scope, ret_token);
	node_pump(node, now);
	return 0;
}

/* Take @token out of @list, if it is there. */
static bool take(uint64_t *list, size_t *count, uint64_t token)
{
	for (size_t i = 0; i < *count; i++) {
		if (list[i] != token)
			continue;
		list[i] = list[--*count];
		return true;
	}
	return false;
}

static int position_order(const void *a, const void *b)
{
	const struct fetching *left = a, *right = b;

	return (left->position > right->position) - (left->position < right->position);
}

static void sort_waiting(struct node_refresh *refresh)
{
	if (refresh->waiting_count)
		qsort(refresh->waiting, refresh->waiting_count, sizeof(*refresh->waiting),
		      position_order);
}

void node_refresh_found(struct node *node, struct mono now, const struct shards_effect *effect)
{
	list_for_each (it, &node->refreshes) {
		struct node_refresh *refresh = list_entry(it, struct node_refresh, link);

		if (!take(refresh->lookups, &refresh->lookup_count, effect->token))
			continue;
		refresh->complete = refresh->complete && effect->complete;
		for (size_t i = 0; i < effect->row_count; i++)
			want(node, refresh, &effect->rows[i].row.uid,
			     !uid_is_none(&effect->rows[i].row.sub));
		sort_waiting(refresh);
		advance(node, now, refresh);
		return;
	}
}

/* Of what the index named we have the object, or its end. */
static bool is_had(const struct node *node, const struct fetching *fetching)
{
	struct record_key key = {.kind = RECORD_OBJECT, .uid = fetching->uid};

	/* The row of a machine that is gone for good outlives what it said of itself. */
	return fetching->facts || records_get(node->records, &key) ||
	       records_is_deleted(node->records, &fetching->uid);
}

/* What the index names and enough keepers do not know may have been deleted long ago, or they do
 * not have it yet: they are asked again, and then nobody knows. */
static void fetched(struct node *node, struct mono now, struct node_refresh *refresh, size_t at,
		    bool all)
{
	struct fetching fetching = refresh->fetches[at];

	if (all && is_had(node, &fetching) && refresh->events && !fetching.facts) {
		read_journals(node, now, &refresh->fetches[at]);
		return;
	}
	refresh->fetches[at] = refresh->fetches[--refresh->fetch_count];
	if (!all || !is_had(node, &fetching)) {
		if (fetching.tries < TRIES_MAX)
			fetch_later(refresh, &fetching);
		else
			refresh->complete = false;
	}
	advance(node, now, refresh);
}

bool node_refresh_fetched(struct node *node, struct mono now, const struct records_effect *effect)
{
	list_for_each (it, &node->refreshes) {
		struct node_refresh *refresh = list_entry(it, struct node_refresh, link);

		for (size_t i = 0; i < refresh->fetch_count; i++) {
			if (refresh->fetches[i].token != effect->token ||
			    refresh->fetches[i].reading)
				continue;
			fetched(node, now, refresh, i, effect->quorum);
			return true;
		}
	}
	return false;
}

void node_refresh_read(struct node *node, struct mono now, uint64_t token, bool complete)
{
	list_for_each (it, &node->refreshes) {
		struct node_refresh *refresh = list_entry(it, struct node_refresh, link);

		for (size_t i = 0; i < refresh->fetch_count; i++) {
			if (refresh->fetches[i].token != token || !refresh->fetches[i].reading)
				continue;
			refresh->complete = refresh->complete && complete;
			refresh->fetches[i] = refresh->fetches[--refresh->fetch_count];
			advance(node, now, refresh);
			return;
		}
	}
}

void node_refresh_tick(struct node *node, struct mono now)
{
	list_for_each_safe (it, &node->refreshes) {
		struct node_refresh *refresh = list_entry(it, struct node_refresh, link);

		if (!mono_reached(now, refresh->deadline))
			continue;
		refresh->complete = false;
		refresh_end(node, refresh);
	}
}

struct mono node_refresh_deadline(const struct node *node)
{
	const struct node_refresh *first = list_first(&node->refreshes, struct node_refresh, link);

	return first ? first->deadline : MONO_NEVER;
}
