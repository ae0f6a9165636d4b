/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents of pods ask, the fabric process knows: both are believed no further than it takes. Which
 * pod asks is what the socket says on which it was heard; whom an answer is for is said with it,
 * and one that was not asked for is dropped by the agent. So nothing is remembered here.
 */
#include "machineplane/host_core.h"

#include <string.h>

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

void host_agent_message(struct host *host, const struct uid *pod, const struct ipc_message *message)
{
	if (message->type == IPC_NAME_ASK)
		pass_name_ask(host, pod, (const Magik__Ipc__NameAsk *)message->body);
	if (message->type == IPC_LEAF_ASK)
		pass_leaf_ask(host, pod, (const Magik__Ipc__LeafAsk *)message->body);
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
