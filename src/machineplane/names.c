/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: what a name of a Service, or an address of one or of a pod, means, for the agents of this
 * machine's pods. Read from the same objects as the API's Endpoints.
 *
 * In a fabric larger than the pool, what is asked about is brought here first. An address is only
 * looked for among what is here: agents hand out no others than those of names that were asked for.
 */
#include "machineplane/fabric.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "kube/member.h"
#include "kube/service.h"
#include "kube/workload.h"

enum {
	LOOKS_MAX = 1024,    /* under way: agents ask again */
	LOOKS_EACH_MAX = 64, /* of one pod's agent */
	PORTS_MAX = 100,     /* of a Service, as the API allows */
	TARGETS_MAX = 16,    /* workloads behind one Service: nearly always one */
	NAME_LEN_MAX = 253,
};

/* Who may have pods of their own; of ReplicaSets and Pods those that nobody controls. */
static const char *const workload_kinds[] = {"Deployment", "StatefulSet", "DaemonSet", "Job",
					     "CronJob",    "ReplicaSet",  "Pod"};

struct names {
	struct fabric *fabric;
	struct list looks;
	size_t count;
};

struct asker {
	uint32_t id; /* of the question */
	struct uid pod;
};

/* A question that waits until what it is about is here. */
struct look {
	struct list link;
	struct names *names;
	struct asker asker;
	char *namespace, *name;
	size_t stage; /* 0: the Service itself, then workload_kinds */
	bool complete;
};

struct names *names_new(struct fabric *fabric)
{
	struct names *names = mem_new(struct names);

	names->fabric = fabric;
	list_init(&names->looks);
	return names;
}

static void look_free(struct look *look)
{
	list_remove(&look->link);
	look->names->count--;
	free(look->namespace);
	free(look->name);
	free(look);
}

void names_free(struct names *names)
{
	if (!names)
		return;
	list_for_each_safe (it, &names->looks)
		look_free(list_entry(it, struct look, link));
	free(names);
}

/* ---- what is told ---- */

/* One answer in the making; strings are owned by @json objects that live as long. */
struct facts {
	Magik__Ipc__ServiceFacts message;
	Magik__Ipc__ServicePort ports[PORTS_MAX], *port_list[PORTS_MAX];
	Magik__Ipc__ServiceTarget targets[TARGETS_MAX], *target_list[TARGETS_MAX];
	struct addr address;
	const struct api_backend *backend;
	json_t *service;
	json_t *kept;       /* array of what strings point into */
	const char *wanted; /* an address as text */
};

static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static struct facts *facts_new(const struct fabric *fabric)
{
	struct facts *facts = mem_new(struct facts);

	magik__ipc__service_facts__init(&facts->message);
	facts->backend = backend_api(fabric->backend);
	facts->kept = json_array();
	facts->message.ports = facts->port_list;
	facts->message.targets = facts->target_list;
	return facts;
}

static void facts_free(struct facts *facts)
{
	json_decref(facts->service);
	json_decref(facts->kept);
	free(facts);
}

static void tell(const struct names *names, const struct asker *asker, bool known,
		 struct facts *facts)
{
	Magik__Ipc__NameFound found;

	magik__ipc__name_found__init(&found);
	found.id = asker->id;
	found.pod.data = (uint8_t *)(uintptr_t)asker->pod.byte;
	found.pod.len = UID_LEN;
	found.known = known;
	found.service = &facts->message;
	host_tell_name(names->fabric->host, &found);
}

static void set_address(struct facts *facts, const char *text)
{
	struct bytes ip;

	if (!addr_parse_ip(text, 0, &facts->address))
		return;
	ip = addr_ip(&facts->address);
	facts->message.address.data = (uint8_t *)(uintptr_t)ip.ptr;
	facts->message.address.len = ip.len;
}

static void add_port(struct facts *facts, const json_t *from)
{
	Magik__Ipc__ServicePort *port = &facts->ports[facts->message.n_ports];
	const json_t *target = json_object_get(from, "targetPort");

	if (facts->message.n_ports == PORTS_MAX)
		return;
	magik__ipc__service_port__init(port);
	port->name = borrow(kube_member_string(from, "name"));
	port->number = (uint32_t)kube_member_int(from, "port", 0);
	port->udp = strcmp(kube_member_string(from, "protocol"), "UDP") == 0;
	if (json_is_string(target))
		port->target_name = borrow(json_string_value(target));
	else
		port->target = target ? (uint32_t)json_integer_value(target) : port->number;
	facts->port_list[facts->message.n_ports++] = port;
}

static void add_target(void *arg, const struct api_object *object)
{
	struct facts *facts = arg;
	Magik__Ipc__ServiceTarget *target = &facts->targets[facts->message.n_targets];
	json_t *json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);

	if (facts->message.n_targets == TARGETS_MAX || !json || kube_controller_of(json) ||
	    !kube_service_selects(facts->service, json)) {
		json_decref(json);
		return;
	}
	kube_push(facts->kept, json);
	magik__ipc__service_target__init(target);
	target->namespace_ = borrow(kube_member_string(json, "metadata.namespace"));
	target->name = borrow(kube_member_string(json, "metadata.name"));
	facts->target_list[facts->message.n_targets++] = target;
}

static void add_targets(struct facts *facts)
{
	const struct api_backend *backend = facts->backend;
	const char *namespace = facts->message.namespace_;

	for (size_t i = 0; i < ARRAY_LEN(workload_kinds); i++) {
		const char *kind = workload_kinds[i];

		if (strcmp(kind, "ReplicaSet") == 0 || strcmp(kind, "Pod") == 0)
			backend->ops->unowned(backend->self, kind, namespace, add_target, facts);
		else
			backend->ops->objects(backend->self, kind, namespace, add_target, facts);
	}
}

static Magik__Ipc__ServiceFacts__Kind kind_of(const json_t *service)
{
	if (strcmp(kube_member_string(service, "spec.type"), "ExternalName") == 0)
		return MAGIK__IPC__SERVICE_FACTS__KIND__EXTERNAL_NAME;
	if (strcmp(kube_member_string(service, "spec.clusterIP"), "None") == 0)
		return MAGIK__IPC__SERVICE_FACTS__KIND__HEADLESS;
	return MAGIK__IPC__SERVICE_FACTS__KIND__CLUSTER_IP;
}

static void fill_service(void *arg, const struct api_object *object)
{
	struct facts *facts = arg;
	json_t *service = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	const json_t *port;
	size_t index;

	if (!service || facts->service) {
		json_decref(service);
		return;
	}
	facts->service = service;
	facts->message.kind = kind_of(service);
	facts->message.namespace_ = borrow(kube_member_string(service, "metadata.namespace"));
	facts->message.name = borrow(kube_member_string(service, "metadata.name"));
	facts->message.external_name = borrow(kube_member_string(service, "spec.externalName"));
	facts->message.not_ready_too = kube_member_true(service, "spec.publishNotReadyAddresses");
	set_address(facts, kube_member_string(service, "spec.clusterIP"));
	json_array_foreach (kube_member(service, "spec.ports"), index, port)
		add_port(facts, port);
	add_targets(facts);
}

static void ignore_object(void *arg, const struct api_object *object)
{
	(void)arg;
	(void)object;
}

/* Without a Service, a workload of that name is meant. */
static void fill_workload(struct facts *facts, const struct look *look)
{
	const struct api_backend *backend = facts->backend;
	Magik__Ipc__ServiceTarget *target = &facts->targets[0];

	for (size_t i = 0; i < ARRAY_LEN(workload_kinds); i++)
		if (backend->ops->object(backend->self, workload_kinds[i], look->namespace,
					 look->name, ignore_object, NULL))
			facts->message.kind = MAGIK__IPC__SERVICE_FACTS__KIND__WORKLOAD;
	if (facts->message.kind != MAGIK__IPC__SERVICE_FACTS__KIND__WORKLOAD)
		return;
	facts->message.namespace_ = look->namespace;
	facts->message.name = look->name;
	magik__ipc__service_target__init(target);
	target->namespace_ = look->namespace;
	target->name = look->name;
	facts->target_list[0] = target;
	facts->message.n_targets = 1;
}

/* ---- by name ---- */

static void look_answer(struct look *look)
{
	struct names *names = look->names;
	struct facts *facts = facts_new(names->fabric);
	bool found = facts->backend->ops->object(facts->backend->self, "Service", look->namespace,
						 look->name, fill_service, facts);

	if (!found)
		fill_workload(facts, look);
	/* That there is none is known only when all who may know have answered. */
	tell(names, &look->asker, found || look->complete, facts);
	facts_free(facts);
	look_free(look);
}

static void look_on(struct look *look);

static void on_refreshed(void *arg, bool complete)
{
	struct look *look = arg;

	if (look->names->fabric->ending) {
		look_free(look);
		return;
	}
	look->complete = look->complete && complete;
	look_on(look);
}

/* One kind after the other; each is at hand already, or is brought here and comes back later. */
static void look_on(struct look *look)
{
	const struct api_backend *backend = backend_api(look->names->fabric->backend);

	while (look->stage <= ARRAY_LEN(workload_kinds)) {
		struct api_scope scope = {.namespace = look->namespace};

		scope.kind = look->stage == 0 ? "Service" : workload_kinds[look->stage - 1];
		scope.name = look->stage == 0 ? look->name : NULL;
		look->stage++;
		if (!backend->ops->refresh(backend->self, &scope, on_refreshed, look))
			return;
	}
	look_answer(look);
}

static void look_by_name(struct names *names, const struct asker *asker,
			 const Magik__Ipc__NameQuestion *question)
{
	struct look *look = mem_new(struct look);

	look->names = names;
	look->asker = *asker;
	look->namespace = mem_strdup(question->namespace_);
	look->name = mem_strdup(question->name);
	look->complete = true;
	list_append(&names->looks, &look->link);
	names->count++;
	look_on(look);
}

/* ---- by address ---- */

static void match_service(void *arg, const struct api_object *object)
{
	struct facts *facts = arg;
	json_t *service;
	bool matches;

	if (facts->service)
		return;
	service = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);
	matches = strcmp(kube_member_string(service, "spec.clusterIP"), facts->wanted) == 0;
	json_decref(service);
	if (matches)
		fill_service(facts, object);
}

static void name_workload(void *arg, const struct api_object *object)
{
	struct facts *facts = arg;
	Magik__Ipc__ServiceTarget *target = &facts->targets[0];
	json_t *json = json_loadb((const char *)object->json.ptr, object->json.len, 0, NULL);

	if (!json)
		return;
	kube_push(facts->kept, json);
	magik__ipc__service_target__init(target);
	target->namespace_ = borrow(kube_member_string(json, "metadata.namespace"));
	target->name = borrow(kube_origin_of(json).name);
	facts->target_list[0] = target;
	facts->message.n_targets = 1;
}

static void match_pod(void *arg, const struct presence *presence, uint64_t version)
{
	struct facts *facts = arg;
	json_t *names;

	(void)version;
	if (facts->message.kind != MAGIK__IPC__SERVICE_FACTS__KIND__NONE ||
	    strcmp(presence->pod_ip, facts->wanted) != 0)
		return;
	names = json_pack("{s:s,s:s}", "namespace", presence->object.namespace, "pod",
			  presence->pod_name);
	kube_push(facts->kept, names);
	facts->message.kind = MAGIK__IPC__SERVICE_FACTS__KIND__POD;
	facts->message.namespace_ = borrow(kube_member_string(names, "namespace"));
	facts->message.pod = borrow(kube_member_string(names, "pod"));
	(void)facts->backend->ops->object_by_uid(facts->backend->self, &presence->object.uid,
						 name_workload, facts);
}

static void look_by_address(const struct names *names, const struct asker *asker,
			    const struct addr *address)
{
	struct facts *facts = facts_new(names->fabric);
	struct addr_text text = addr_ip_text(address);
	const struct api_backend *backend = facts->backend;

	facts->wanted = text.text;
	backend->ops->objects(backend->self, "Service", NULL, match_service, facts);
	if (!facts->service)
		backend->ops->presences(backend->self, NULL, match_pod, facts);
	set_address(facts, text.text);
	tell(names, asker, true, facts);
	facts_free(facts);
}

static bool may_look(const struct names *names, const struct uid *pod)
{
	size_t count = 0;

	list_for_each (it, &names->looks)
		count += uid_equal(&list_entry(it, struct look, link)->asker.pod, pod);
	return names->fabric->node && names->count < LOOKS_MAX && count < LOOKS_EACH_MAX;
}

static bool is_name(const char *text)
{
	return *text && strlen(text) <= NAME_LEN_MAX;
}

void names_look(struct names *names, const Magik__Ipc__NameLook *look)
{
	const Magik__Ipc__NameQuestion *question = look->question;
	struct asker asker = {.id = look->id};
	struct facts *facts;
	struct addr address;

	if (look->pod.len != UID_LEN || !question)
		return; /* a bug of the host process, not to be followed */
	memcpy(asker.pod.byte, look->pod.data, UID_LEN);
	if (!may_look(names, &asker.pod)) {
		facts = facts_new(names->fabric);
		tell(names, &asker, false, facts);
		facts_free(facts);
	} else if (addr_from_ip(bytes_of(question->address.data, question->address.len), 0,
				&address)) {
		look_by_address(names, &asker, &address);
	} else if (is_name(question->namespace_) && is_name(question->name)) {
		look_by_name(names, &asker, question);
	}
}
