/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents of pods ask, the fabric process knows: both are believed no further than it takes. Which
 * pod asks is what the socket says on which it was heard; whom an answer is for is said with it,
 * and one that was not asked for is dropped by the agent. So nothing is remembered here.
 */
#include "machineplane/host_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"

enum {
	REVOKED_SOON_MS = 100,   /* a machine that has just joined is told of many, one by one */
	REVOKED_EACH_MAX = 1024, /* in one message */
};

static void pass_name_ask(struct host *host, const struct uid *pod, const Magik__Ipc__NameAsk *ask)
{
	Magik__Ipc__NameLook look;

	magik__ipc__name_look__init(&look);
	look.id = ask->id;
	look.question = ask->question;
	look.pod.data = (uint8_t *)(uintptr_t)pod->byte;
	look.pod.len = UID_LEN;
	/* Without a fabric process nobody knows; the agent's patience ends by itself. */
	if (host->link && ask->question)
		(void)!ipc_link_send(host->link, IPC_NAME_LOOK, &look.base, -1);
}

static void pass_leaf_ask(struct host *host, const struct uid *pod, const Magik__Ipc__LeafAsk *ask)
{
	Magik__Ipc__LeafLook look;

	magik__ipc__leaf_look__init(&look);
	look.pod.data = (uint8_t *)(uintptr_t)pod->byte;
	look.pod.len = UID_LEN;
	look.ask = (Magik__Ipc__LeafAsk *)(uintptr_t)ask;
	/* Without a fabric process nobody signs; the agent asks again. */
	if (host->link)
		(void)!ipc_link_send(host->link, IPC_LEAF_LOOK, &look.base, -1);
}

static void pass_silent(struct host *host, const struct uid *pod,
			const Magik__Ipc__SiblingSilent *silent)
{
	Magik__Ipc__SiblingMissed missed;

	magik__ipc__sibling_missed__init(&missed);
	missed.pod.data = (uint8_t *)(uintptr_t)pod->byte;
	missed.pod.len = UID_LEN;
	missed.silent = (Magik__Ipc__SiblingSilent *)(uintptr_t)silent;
	/* Without a fabric process the silence of machines has to do. */
	if (host->link)
		(void)!ipc_link_send(host->link, IPC_SIBLING_MISSED, &missed.base, -1);
}

void host_agent_message(struct host *host, const struct uid *pod, const struct ipc_message *message)
{
	if (message->type == IPC_NAME_ASK)
		pass_name_ask(host, pod, (const Magik__Ipc__NameAsk *)message->body);
	if (message->type == IPC_LEAF_ASK)
		pass_leaf_ask(host, pod, (const Magik__Ipc__LeafAsk *)message->body);
	if (message->type == IPC_SIBLING_SILENT)
		pass_silent(host, pod, (const Magik__Ipc__SiblingSilent *)message->body);
}

void host_name_found(struct host *host, const Magik__Ipc__NameFound *found)
{
	Magik__Ipc__NameTold told;
	struct uid pod;

	if (found->pod.len != UID_LEN)
		return;
	memcpy(pod.byte, found->pod.data, UID_LEN);
	magik__ipc__name_told__init(&told);
	told.id = found->id;
	told.known = found->known;
	told.service = found->service;
	/* The pod may be gone by now, and its agent being started again. */
	(void)!pods_tell_agent(host->pods, &pod, IPC_NAME_TOLD, &told.base);
}

void host_leaf_found(struct host *host, const Magik__Ipc__LeafFound *found)
{
	struct uid pod;

	if (found->pod.len != UID_LEN || !found->identity)
		return;
	memcpy(pod.byte, found->pod.data, UID_LEN);
	if (!host_svid_found(host, &pod, found->identity))
		(void)!pods_tell_agent(host->pods, &pod, IPC_POD_IDENTITY, &found->identity->base);
}

/* ---- whom agents are not to trust ---- */

struct revocation_page {
	Magik__Ipc__AgentRevocation parts[REVOKED_EACH_MAX], *list[REVOKED_EACH_MAX];
	size_t count;
};

/* protobuf-c has no const: what is sent is only read. */
static ProtobufCBinaryData binary(const uint8_t *ptr, size_t len)
{
	return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)ptr};
}

static void page_add(struct revocation_page *page, const struct revocation_entry *entry)
{
	Magik__Ipc__AgentRevocation *part = &page->parts[page->count];

	if (entry->what.kind == REVOCATION_USER)
		return;
	magik__ipc__agent_revocation__init(part);
	part->kind = entry->what.kind;
	part->subject = entry->what.kind == REVOCATION_MACHINE
				? binary(entry->what.machine.byte, ID_LEN)
				: binary(entry->what.serial.byte, UID_LEN);
	part->signer = binary(entry->signer.byte, ID_LEN);
	part->at_ms = entry->at.ms;
	page->list[page->count++] = part;
}

static void page_send(struct host *host, const struct uid *pod, struct revocation_page *page)
{
	Magik__Ipc__AgentRevocations message;

	magik__ipc__agent_revocations__init(&message);
	message.n_list = page->count;
	message.list = page->list;
	/* An agent that is not there now is told when it is. */
	if (page->count > 0)
		(void)!pods_tell_agent(host->pods, pod, IPC_AGENT_REVOCATIONS, &message.base);
	page->count = 0;
}

void host_agent_new(struct host *host, const struct uid *pod)
{
	const struct host_hooks *hooks = &host->config->hooks;
	const struct revocation_entry *entry = NULL;
	struct revocation_page *page = mem_new(struct revocation_page);

	while (hooks->next_revocation &&
	       (entry = hooks->next_revocation(hooks->ctx, entry)) != NULL) {
		page_add(page, entry);
		if (page->count == REVOKED_EACH_MAX)
			page_send(host, pod, page);
	}
	page_send(host, pod, page);
	free(page);
}

static void tell_one(void *ctx, const struct presence *presence, struct bytes manifest, bool kept)
{
	(void)manifest;
	if (!kept)
		host_agent_new(ctx, &presence->pod_uid);
}

static void on_revoked(void *user)
{
	struct host *host = user;

	pods_each(host->pods, tell_one, host);
}

void host_agents_revoked(struct host *host)
{
	if (!host->revoked_timer)
		host->revoked_timer = loop_timer_new(host->loop, on_revoked, host);
	loop_timer_set(host->revoked_timer, mono_add_ms(clock_mono(), REVOKED_SOON_MS));
}
