/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/needs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/member.h"
#include "kube/name.h"
#include "kube/quantity.h"
#include "kube/workload.h"
#include "wire/message.h"

enum {
	SKEW_MAX = 1000000, /* more than there are replicas asks for nothing */
};

static int refuse(struct err *err, const char *what)
{
	return err_set_status(err, -EINVAL, 422, "%s", what);
}

/* ---- cpu, memory, extended resources ---- */

/* What one container asks for: its request, else its limit, else nothing. */
static int64_t container_amount(const json_t *container, const char *name)
{
	const json_t *resources = json_object_get(container, "resources");
	const json_t *value = json_object_get(json_object_get(resources, "requests"), name);
	int64_t amount = 0;
	if (!value)
		value = json_object_get(json_object_get(resources, "limits"), name);
	if (!value)
		return 0;
	int r = strcmp(name, "cpu") == 0 ? kube_quantity_json_milli(value, &amount)
					 : kube_quantity_json_units(value, &amount);
	return r == 0 ? amount : 0;
}

/* Init containers run one after another before the others: the pod needs the larger of both. */
static int64_t pod_amount(const json_t *spec, const char *name)
{
	int64_t sum = 0, init_max = 0;
	size_t index;
	json_t *container;
	json_array_foreach (json_object_get(spec, "containers"), index, container) {
		if (__builtin_add_overflow(sum, container_amount(container, name), &sum))
			sum = INT64_MAX;
	}
	json_array_foreach (json_object_get(spec, "initContainers"), index, container) {
		int64_t amount = container_amount(container, name);
		init_max = amount > init_max ? amount : init_max;
	}
	return sum > init_max ? sum : init_max;
}

/* "vendor/thing"; Kubernetes' own have no slash. */
static bool is_extended(const char *name)
{
	return strchr(name, '/') && kube_name_is_label_key(name);
}

static bool has_resource(const struct requirements *needs, const char *name)
{
	for (size_t i = 0; i < needs->resource_count; i++)
		if (strcmp(needs->resources[i].name, name) == 0)
			return true;
	return false;
}

static int resources_of(const json_t *spec, const json_t *container, struct requirements *needs,
			struct err *err)
{
	const char *name;
	json_t *value;
	json_object_foreach (kube_member(container, "resources.limits"), name, value) {
		if (!is_extended(name) || has_resource(needs, name))
			continue;
		if (needs->resource_count >= MESSAGE_RESOURCES_MAX)
			return refuse(err, "too many extended resources");
		needs->resources = mem_resize(needs->resources, needs->resource_count + 1,
					      sizeof(*needs->resources));
		needs->resources[needs->resource_count++] = (struct resource){
			.name = mem_strdup(name),
			.count = pod_amount(spec, name),
		};
	}
	return 0;
}

/* ---- ports of the machine ---- */

static bool read_protocol(const char *name, enum port_protocol *ret_protocol)
{
	static const char *const names[] = {
		[PORT_TCP] = "TCP",
		[PORT_UDP] = "UDP",
		[PORT_SCTP] = "SCTP",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_protocol = (enum port_protocol)i;
		return true;
	}
	return *name == 0; /* TCP */
}

static int ports_of(const json_t *container, struct requirements *needs, struct err *err)
{
	json_t *port;
	size_t index;
	json_array_foreach (json_object_get(container, "ports"), index, port) {
		int64_t number = kube_member_int(port, "hostPort", 0);
		const char *ip = kube_member_string(port, "hostIP");
		struct host_port to = {.protocol = PORT_TCP};
		if (number == 0)
			continue;
		if (number < 0 || number > UINT16_MAX ||
		    !addr_parse_ip(*ip ? ip : "0.0.0.0", (uint16_t)number, &to.addr) ||
		    !read_protocol(kube_member_string(port, "protocol"), &to.protocol))
			return refuse(err, "a hostPort that is none");
		if (needs->port_count >= MESSAGE_PORTS_MAX)
			return refuse(err, "too many host ports");
		needs->ports =
			mem_resize(needs->ports, needs->port_count + 1, sizeof(*needs->ports));
		needs->ports[needs->port_count++] = to;
	}
	return 0;
}

static int containers_read(const json_t *spec, struct requirements *needs, struct err *err)
{
	static const char *const lists[] = {"containers", "initContainers"};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		json_t *container;
		size_t index;
		json_array_foreach (json_object_get(spec, lists[i]), index, container) {
			int r = resources_of(spec, container, needs, err);
			if (r == 0)
				r = ports_of(container, needs, err);
			if (r)
				return r;
		}
	}
	return 0;
}

/* ---- labels ---- */

static void label_push(struct label **labels, size_t *count, const char *key, const char *value)
{
	*labels = mem_resize(*labels, *count + 1, sizeof(**labels));
	(*labels)[(*count)++] = (struct label){mem_strdup(key), mem_strdup(value)};
}

static bool is_label(const char *key, const json_t *value)
{
	const char *text = json_string_value(value);
	return text && kube_name_is_label_key(key) && kube_name_is_label_value(text);
}

static int node_selector_read(const json_t *spec, struct requirements *needs, struct err *err)
{
	/* The label by which Kubernetes names an architecture; the market matches it on its own. */
	static const char architecture_label[] = "kubernetes.io/arch";
	const char *key;
	json_t *value;
	json_object_foreach (json_object_get(spec, "nodeSelector"), key, value) {
		if (!is_label(key, value))
			return refuse(err, "nodeSelector: not a label");
		if (strcmp(key, architecture_label) == 0 && *json_string_value(value))
			needs->architecture = mem_strdup(json_string_value(value));
		else if (needs->label_count >= KUBE_NODE_SELECTOR_MAX)
			return refuse(err, "nodeSelector: too many terms");
		else
			label_push(&needs->labels, &needs->label_count, key,
				   json_string_value(value));
	}
	/* An ordinal of a StatefulSet is bound to its machine by its name. */
	const char *bound = kube_member_string(spec, "nodeName");
	if (*bound && needs->label_count >= KUBE_NODE_SELECTOR_MAX)
		return refuse(err, "nodeName: too many terms beside it");
	if (*bound)
		label_push(&needs->labels, &needs->label_count, "kubernetes.io/hostname", bound);
	return 0;
}

/* What other pods' terms see of the replicas. */
static int pod_labels_read(const json_t *object, struct requirements *needs, struct err *err)
{
	const char *key;
	json_t *value;
	json_object_foreach (json_object_get(kube_pod_metadata(object), "labels"), key, value) {
		if (!is_label(key, value))
			return refuse(err, "metadata.labels: not a label");
		if (needs->pod_label_count >= MESSAGE_LABELS_MAX)
			return refuse(err, "metadata.labels: too many labels");
		label_push(&needs->pod_labels, &needs->pod_label_count, key,
			   json_string_value(value));
	}
	return 0;
}

/* ---- tolerations and spreads ---- */

static bool read_effect(const char *name, enum taint_effect *ret_effect)
{
	static const char *const names[] = {
		[TAINT_ANY] = "",
		[TAINT_NO_SCHEDULE] = "NoSchedule",
		[TAINT_PREFER_NO_SCHEDULE] = "PreferNoSchedule",
		[TAINT_NO_EXECUTE] = "NoExecute",
	};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_effect = (enum taint_effect)i;
		return true;
	}
	return false;
}

/* How long a taint is borne, as struct toleration has it. */
static uint32_t limit_read(const json_t *from)
{
	int64_t seconds;

	if (!json_is_integer(json_object_get(from, "tolerationSeconds")))
		return 0;
	seconds = kube_member_int(from, "tolerationSeconds", 0);
	if (seconds < 0) /* as Kubernetes: at once */
		seconds = 0;
	return (uint32_t)(seconds < INT32_MAX ? seconds : INT32_MAX) + 1;
}

static int toleration_read(const json_t *from, struct requirements *needs, struct err *err)
{
	const char *key = kube_member_string(from, "key");
	const char *value = kube_member_string(from, "value");
	const char *operator= kube_member_string(from, "operator");
	bool exists = strcmp(operator, "Exists") == 0;
	enum taint_effect effect;
	if ((!exists && *operator&& strcmp(operator, "Equal") != 0) ||
	    (*key ? !kube_name_is_label_key(key) : !exists) || !kube_name_is_label_value(value) ||
	    !read_effect(kube_member_string(from, "effect"), &effect))
		return refuse(err, "not a toleration");
	if (needs->toleration_count >= MESSAGE_TOLERATIONS_MAX)
		return refuse(err, "too many tolerations");
	needs->tolerations = mem_resize(needs->tolerations, needs->toleration_count + 1,
					sizeof(*needs->tolerations));
	needs->tolerations[needs->toleration_count++] = (struct toleration){
		.key = mem_strdup(key),
		.value = mem_strdup(exists ? "" : value),
		.exists = exists,
		.effect = effect,
		.limit_s = limit_read(from),
	};
	return 0;
}

static int spread_read(const json_t *from, struct requirements *needs, struct err *err)
{
	const char *key = kube_member_string(from, "topologyKey");
	const char *otherwise = kube_member_string(from, "whenUnsatisfiable");
	int64_t skew = kube_member_int(from, "maxSkew", 0);
	int64_t domains = kube_member_int(from, "minDomains", 1);
	bool required = strcmp(otherwise, "DoNotSchedule") == 0;
	if (!kube_name_is_label_key(key) || skew < 1 || domains < 1 ||
	    (!required && strcmp(otherwise, "ScheduleAnyway") != 0))
		return refuse(err, "not a topology spread constraint");
	if (needs->spread_count >= MESSAGE_SPREADS_MAX)
		return refuse(err, "too many topology spread constraints");
	needs->spreads =
		mem_resize(needs->spreads, needs->spread_count + 1, sizeof(*needs->spreads));
	needs->spreads[needs->spread_count++] = (struct spread){
		.key = mem_strdup(key),
		.max_skew = (uint32_t)(skew < SKEW_MAX ? skew : SKEW_MAX),
		.min_domains = (uint32_t)(domains < SKEW_MAX ? domains : SKEW_MAX),
		.required = required,
	};
	return 0;
}

static int lists_read(const json_t *spec, struct requirements *needs, struct err *err)
{
	json_t *element;
	size_t index;
	int r = 0;
	json_array_foreach (json_object_get(spec, "tolerations"), index, element) {
		r = r ? r : toleration_read(element, needs, err);
	}
	json_array_foreach (json_object_get(spec, "topologySpreadConstraints"), index, element) {
		r = r ? r : spread_read(element, needs, err);
	}
	return r;
}

/* ---- all of it ---- */

/* On the pod's template first, then on the object as a whole. */
static const json_t *annotation(const json_t *object, const char *key)
{
	const json_t *value =
		json_object_get(json_object_get(kube_pod_metadata(object), "annotations"), key);
	return value ? value : json_object_get(kube_member(object, "metadata.annotations"), key);
}

static int engine_read(const json_t *object, const json_t *spec, struct requirements *needs,
		       struct err *err)
{
	const json_t *value = annotation(object, "magik.io/runtime");
	if (!value)
		value = json_object_get(spec, "runtimeClassName");
	const char *engine = json_string_value(value);
	if (!engine || !*engine)
		return 0;
	if (!kube_name_is_label(engine))
		return refuse(err, "not an engine");
	needs->engine = mem_strdup(engine);
	return 0;
}

static void fill_words(struct requirements *needs)
{
	if (!needs->engine)
		needs->engine = mem_strdup("");
	if (!needs->architecture)
		needs->architecture = mem_strdup("");
}

/* ---- ordinals ---- */

static bool is_ordinal(const json_t *object)
{
	const json_t *owner;
	size_t i;

	json_array_foreach (kube_member(object, "metadata.ownerReferences"), i, owner)
		if (json_is_true(json_object_get(owner, "controller")) &&
		    strcmp(kube_member_string(owner, "kind"), "StatefulSet") == 0)
			return true;
	return false;
}

/* What all ordinals of a set are labelled with. */
static json_t *labels_of_siblings(const json_t *object)
{
	static const char *const own[] = {
		"apps.kubernetes.io/pod-index",
		"controller-revision-hash",
		"statefulset.kubernetes.io/pod-name",
	};
	json_t *labels = json_copy((json_t *)(uintptr_t)kube_member(object, "metadata.labels"));

	for (size_t i = 0; labels && i < ARRAY_LEN(own); i++)
		(void)json_object_del(labels, own[i]);
	return labels;
}

/* The ordinals of a set are workloads of their own: that they are replicas of one thing, and so
 * better apart, the machines learn from this. */
static int siblings_read(const json_t *object, struct requirements *needs, struct err *err)
{
	json_t *labels = is_ordinal(object) ? labels_of_siblings(object) : NULL, *affinity;
	int r;

	if (json_object_size(labels) == 0) {
		json_decref(labels);
		return 0;
	}
	affinity = json_pack("{s:{s:[{s:i, s:{s:s, s:{s:o}}}]}}", "podAntiAffinity",
			     "preferredDuringSchedulingIgnoredDuringExecution", "weight",
			     MESSAGE_WEIGHT_MAX, "podAffinityTerm", "topologyKey",
			     "kubernetes.io/hostname", "labelSelector", "matchLabels", labels);
	r = kube_affinity_read(affinity, needs, err);
	json_decref(affinity);
	return r;
}

int kube_needs_read(const json_t *object, struct requirements *ret_needs, struct err *err)
{
	const json_t *spec = kube_pod_spec(object);
	struct requirements needs = {
		.cpu_milli = pod_amount(spec, "cpu"),
		.memory_bytes = pod_amount(spec, "memory"),
	};
	int r = engine_read(object, spec, &needs, err);
	if (r == 0)
		r = node_selector_read(spec, &needs, err);
	if (r == 0)
		r = pod_labels_read(object, &needs, err);
	if (r == 0)
		r = containers_read(spec, &needs, err);
	if (r == 0)
		r = lists_read(spec, &needs, err);
	if (r == 0)
		r = kube_affinity_read(json_object_get(spec, "affinity"), &needs, err);
	if (r == 0)
		r = siblings_read(object, &needs, err);
	if (r == 0 && !requirements_within_limits(&needs))
		r = refuse(err, "affinity: too many expressions or values");
	if (r) {
		requirements_deinit(&needs);
		return r;
	}
	fill_words(&needs);
	*ret_needs = needs;
	return 0;
}

/* ---- priority ---- */

/* The number of a class of the user's stands beside its name since the pod was written. */
static int class_read(const json_t *spec, struct kube_priority *priority, struct err *err)
{
	const char *name = kube_member_string(spec, "priorityClassName");
	const json_t *number = json_object_get(spec, "priority");
	json_int_t value = json_integer_value(number);
	if (strcmp(name, "system-node-critical") == 0)
		priority->value = KUBE_PRIORITY_NODE;
	else if (strcmp(name, "system-cluster-critical") == 0)
		priority->value = KUBE_PRIORITY_CLUSTER;
	else if (*name && (!json_is_integer(number) || value < -KUBE_PRIORITY_MAX ||
			   value > KUBE_PRIORITY_MAX))
		return refuse(err, "priorityClassName: no such class");
	else if (*name)
		priority->value = (int32_t)value;
	return 0;
}

static int number_read(const json_t *value, struct kube_priority *priority, struct err *err)
{
	const char *text = json_string_value(value);
	char none[] = "", *end = none;
	long long number;
	if (!value)
		return 0;
	errno = 0;
	number = text ? strtoll(text, &end, 10) : 0;
	if (!text || !*text || strspn(text, "-0123456789") != strlen(text) || *end || errno ||
	    number < -KUBE_PRIORITY_MAX || number > KUBE_PRIORITY_MAX)
		return refuse(err, "magik.io/priority: must be an integer from -1000000000 to "
				   "1000000000");
	if (priority->value != 0)
		return refuse(err, "magik.io/priority: the pod has a priorityClassName");
	priority->value = (int32_t)number;
	return 0;
}

static int preemption_read(const json_t *object, const json_t *spec, struct kube_priority *priority,
			   struct err *err)
{
	const char *policy = kube_member_string(spec, "preemptionPolicy");
	const json_t *value = annotation(object, "magik.io/preemptible");
	const char *text = json_string_value(value);
	if (*policy && strcmp(policy, "Never") != 0 && strcmp(policy, "PreemptLowerPriority") != 0)
		return refuse(err, "preemptionPolicy: must be Never or PreemptLowerPriority");
	if (value && (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)))
		return refuse(err, "magik.io/preemptible: must be true or false");
	priority->preempts = strcmp(policy, "Never") != 0;
	priority->preemptible = !text || strcmp(text, "true") == 0;
	return 0;
}

int kube_priority_read(const json_t *object, struct kube_priority *ret_priority, struct err *err)
{
	const json_t *spec = kube_pod_spec(object);
	struct kube_priority priority = {0};
	int r = class_read(spec, &priority, err);
	if (r == 0)
		r = number_read(annotation(object, "magik.io/priority"), &priority, err);
	if (r == 0)
		r = preemption_read(object, spec, &priority, err);
	if (r == 0)
		*ret_priority = priority;
	return r;
}
