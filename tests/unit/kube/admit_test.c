/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/admit.h"

#include "kube_fixture.h"

#include "kube/schema.h"
#include "kube/status.h"
#include "kube/support.h"
#include "kube/workload.h"

/* As `kubectl create deployment web --image=nginx:1.25 -o yaml` writes it. */
static const char deployment[] =
	"{'apiVersion':'apps/"
	"v1','kind':'Deployment','metadata':{'name':'web','labels':{'app':'web'}},"
	"'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}},'strategy':{},"
	"'template':{'metadata':{'labels':{'app':'web'}},"
	"'spec':{'containers':[{'name':'nginx','image':'nginx:1.25',"
	"'ports':[{'containerPort':80}],'resources':{'requests':{'cpu':'100m','memory':'64Mi'},"
	"'limits':{'memory':'128Mi'}}}]}}},'status':{}}";

static const char pod[] = "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'one'},"
			  "'spec':{'containers':[{'name':'c','image':'busybox'}]}}";

struct admitted {
	json_t *object;
	struct kube_admission admission;
	int result;
};

/* Admit @base after setting the member at @path (its parent must exist) to the JSON @value. */
static struct admitted admit_with(const char *base, const char *path, const char *value)
{
	struct admitted out = {.object = json_of(base)};
	enum kube_resource_id id = base == pod ? KUBE_PODS : KUBE_DEPLOYMENTS;
	if (path) {
		char parent[256];
		const char *dot = strrchr(path, '.');
		size_t len = dot ? (size_t)(dot - path) : 0;
		memcpy(parent, path, len);
		parent[len] = 0;
		json_t *object = dot ? kube_member(out.object, parent) : out.object;
		assert_non_null(object);
		kube_set(object, dot ? dot + 1 : path, json_of(value));
	}
	out.result = kube_admit(out.object, kube_resource(id), "default", KUBE_VALIDATION_STRICT,
				&out.admission);
	return out;
}

static json_t *container_of_object(const struct admitted *admitted)
{
	return json_array_get(json_object_get(kube_pod_spec(admitted->object), "containers"), 0);
}

static void admitted_deinit(struct admitted *admitted)
{
	kube_admission_deinit(&admitted->admission);
	json_decref(admitted->object);
}

/* The member makes admission fail with this code and this sentence. */
static void assert_refused(const char *base, const char *path, const char *value, uint16_t code,
			   const char *message)
{
	struct admitted admitted = admit_with(base, path, value);
	assert_int_equal(admitted.result, KUBE_ADMIT_E_REFUSED);
	assert_member(admitted.admission.status, "message", message);
	assert_int_equal(kube_status_code(admitted.admission.status), code);
	admitted_deinit(&admitted);
}

/* One container with the member set. */
static void assert_container_refused(const char *container, const char *message)
{
	char list[1024];
	snprintf(list, sizeof(list), "[%s]", container);
	assert_refused(deployment, "spec.template.spec.containers", list, 422, message);
}

static void test_a_deployment_gets_kubernetes_defaults(void **state)
{
	struct admitted admitted = admit_with(deployment, NULL, NULL);
	(void)state;
	if (admitted.admission.status)
		fail_msg("%s", kube_member_string(admitted.admission.status, "message"));
	assert_int_equal(admitted.result, 0);
	assert_int_equal(json_array_size(admitted.admission.warnings), 0);
	assert_member(admitted.object, "metadata.namespace", "default");
	assert_null(kube_member(admitted.object, "status"));
	assert_json_equal(kube_member(admitted.object, "spec.strategy"),
			  "{'type':'RollingUpdate',"
			  "'rollingUpdate':{'maxSurge':'25%','maxUnavailable':'25%'}}");
	assert_int_equal(kube_member_int(admitted.object, "spec.revisionHistoryLimit", 0), 10);
	assert_int_equal(kube_member_int(admitted.object, "spec.progressDeadlineSeconds", 0), 600);
	const json_t *spec = kube_pod_spec(admitted.object);
	assert_member(spec, "restartPolicy", "Always");
	assert_member(spec, "dnsPolicy", "ClusterFirst");
	assert_member(spec, "schedulerName", "default-scheduler");
	assert_int_equal(kube_member_int(spec, "terminationGracePeriodSeconds", 0), 30);
	const json_t *container = container_of_object(&admitted);
	assert_member(container, "imagePullPolicy", "IfNotPresent");
	assert_member(element(container, "ports", 0), "protocol", "TCP");
	admitted_deinit(&admitted);
}

static void test_admitting_twice_changes_nothing(void **state)
{
	static const char *const bases[] = {deployment, pod};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct admitted admitted = admit_with(bases[i], NULL, NULL);
		struct kube_admission again;
		json_t *before = json_deep_copy(admitted.object);
		enum kube_resource_id id = i ? KUBE_PODS : KUBE_DEPLOYMENTS;
		assert_int_equal(kube_admit(admitted.object, kube_resource(id), "default",
					    KUBE_VALIDATION_STRICT, &again),
				 0);
		assert_true(json_equal(before, admitted.object));
		assert_int_equal(json_array_size(again.warnings), 0);
		kube_admission_deinit(&again);
		json_decref(before);
		admitted_deinit(&admitted);
	}
}

static void test_images_without_a_fixed_tag_are_pulled_always(void **state)
{
	static const struct {
		const char *image, *policy;
	} rows[] = {
		{"nginx", "Always"},
		{"nginx:latest", "Always"},
		{"localhost:5000/nginx", "Always"},
		{"localhost:5000/nginx:1", "IfNotPresent"},
		{"nginx@sha256:00", "IfNotPresent"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char list[200];
		snprintf(list, sizeof(list), "[{'name':'c','image':'%s'}]", rows[i].image);
		struct admitted admitted = admit_with(pod, "spec.containers", list);
		assert_int_equal(admitted.result, 0);
		assert_member(container_of_object(&admitted), "imagePullPolicy", rows[i].policy);
		admitted_deinit(&admitted);
	}
}

static void test_a_pods_requests_follow_its_limits(void **state)
{
	struct admitted admitted =
		admit_with(pod, "spec.containers",
			   "[{'name':'c','image':'a:1','resources':{'limits':{'cpu':0.5}}}]");
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_json_equal(json_object_get(container_of_object(&admitted), "resources"),
			  "{'limits':{'cpu':'0.5'},'requests':{'cpu':'0.5'}}");
	admitted_deinit(&admitted);
}

static void test_an_unknown_field_is_refused_with_kubernetes_sentence(void **state)
{
	(void)state;
	assert_refused(deployment, "spec.bogusField", "1", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: strict "
		       "decoding error: unknown field \"spec.bogusField\"");
	assert_refused(deployment, "spec.template.spec.containers",
		       "[{'name':'c','image':'a:1','imag':'b','port':1}]", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: strict "
		       "decoding error: unknown field \"spec.template.spec.containers[0].imag\", "
		       "unknown field \"spec.template.spec.containers[0].port\"");
}

static void test_an_unknown_field_is_a_warning_or_nothing_when_asked(void **state)
{
	static const struct {
		enum kube_validation validation;
		const char *warnings;
	} rows[] = {
		{KUBE_VALIDATION_WARN, "['unknown field \\\"spec.bogusField\\\"']"},
		{KUBE_VALIDATION_IGNORE, "[]"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kube_admission admission;
		json_t *object = json_of(deployment);
		kube_set_int(json_object_get(object, "spec"), "bogusField", 1);
		assert_int_equal(kube_admit(object, kube_resource(KUBE_DEPLOYMENTS), "default",
					    rows[i].validation, &admission),
				 0);
		assert_json_equal(admission.warnings, rows[i].warnings);
		assert_null(kube_member(object, "spec.bogusField"));
		kube_admission_deinit(&admission);
		json_decref(object);
	}
}

static void test_a_value_of_the_wrong_type_is_refused(void **state)
{
	(void)state;
	assert_refused(deployment, "spec.replicas", "'three'", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: "
		       "spec.replicas must be an integer, not a string");
	assert_refused(deployment, "spec.template.spec.containers", "{}", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: "
		       "spec.template.spec.containers must be a list, not an object");
	assert_refused(deployment, "metadata.labels", "{'a':1}", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: "
		       "metadata.labels must be a string, not an integer");
	assert_refused(deployment, "metadata", "[]", 400,
		       "Deployment in version \"v1\" cannot be handled as a Deployment: metadata "
		       "must be an object, not a list");
}

static void test_kind_version_and_namespace_must_fit_the_url(void **state)
{
	(void)state;
	assert_refused(deployment, "kind", "'Pod'", 400,
		       "Pod in version \"apps/v1\" cannot be handled as a Deployment");
	assert_refused(deployment, "apiVersion", "'apps/v1beta1'", 400,
		       "the API version in the data (apps/v1beta1) does not match the expected API "
		       "version (apps/v1)");
	assert_refused(deployment, "kind", "''", 400,
		       "Object 'Kind' is missing in the request body");
	assert_refused(deployment, "metadata.namespace", "'other'", 400,
		       "the namespace of the provided object does not match the namespace sent on "
		       "the request");
}

static void test_names_are_checked(void **state)
{
	(void)state;
	assert_refused(pod, "metadata.name", "'Bad_Name'", 422,
		       "Pod \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a "
		       "lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
		       "characters, '-' or '.', and must start and end with an alphanumeric "
		       "character");
	assert_refused(
		pod, "metadata", "{}", 422,
		"Pod \"\" is invalid: metadata.name: Required value: name or generateName is "
		"required");
	struct admitted admitted = admit_with(pod, "metadata", "{'generateName':'job-'}");
	assert_int_equal(admitted.result, 0);
	admitted_deinit(&admitted);
}

static void test_a_selector_must_match_the_template(void **state)
{
	(void)state;
	assert_refused(deployment, "spec.selector.matchLabels", "{'app':'other'}", 422,
		       "Deployment.apps \"web\" is invalid: spec.template.metadata.labels: Invalid "
		       "value: {\"app\":\"web\"}: `selector` does not match template `labels`");
	assert_refused(
		deployment, "spec.selector", "{}", 422,
		"Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {}: empty "
		"selector is invalid for deployment");
}

static void test_several_causes_are_listed_together(void **state)
{
	struct admitted admitted = {
		.object = json_of("{'kind':'Deployment','apiVersion':'apps/v1',"
				  "'metadata':{'name':'web'},'spec':{'replicas':-1}}")};
	(void)state;
	admitted.result = kube_admit(admitted.object, kube_resource(KUBE_DEPLOYMENTS), "default",
				     KUBE_VALIDATION_STRICT, &admitted.admission);
	assert_int_equal(admitted.result, KUBE_ADMIT_E_REFUSED);
	assert_member(admitted.admission.status, "message",
		      "Deployment.apps \"web\" is invalid: [spec.replicas: Invalid value: -1: must "
		      "be greater than or equal to 0, spec.selector: Required value, "
		      "spec.template.spec.containers: Required value]");
	assert_json_equal(element(admitted.admission.status, "details.causes", 1),
			  "{'reason':'FieldValueRequired','message':'Required value',"
			  "'field':'spec.selector'}");
	admitted_deinit(&admitted);
}

static void test_containers_are_validated(void **state)
{
#define INVALID "Deployment.apps \"web\" is invalid: spec.template.spec.containers"
	(void)state;
	assert_container_refused("{'image':'a:1'}", INVALID "[0].name: Required value");
	assert_container_refused("{'name':'c'}", INVALID "[0].image: Required value");
	assert_container_refused("{'name':'c','image':'a:1'},{'name':'c','image':'a:1'}",
				 INVALID "[1].name: Duplicate value: \"c\"");
	assert_container_refused("{'name':'c','image':'a:1','ports':[{'containerPort':0}]}",
				 INVALID "[0].ports[0].containerPort: Invalid value: 0: must be "
					 "between 1 and 65535, inclusive");
	assert_container_refused("{'name':'c','image':'a:1','imagePullPolicy':'Sometimes'}", INVALID
				 "[0].imagePullPolicy: Unsupported value: \"Sometimes\": "
				 "supported values: \"Always\", \"IfNotPresent\", \"Never\"");
	assert_container_refused(
		"{'name':'c','image':'a:1','volumeMounts':[{'name':'v','mountPath':'/v'}]}",
		INVALID "[0].volumeMounts[0].name: Not found: \"v\"");
	assert_container_refused(
		"{'name':'c','image':'a:1','resources':{'requests':{'cpu':'2'},'limits':{'cpu':'1'}"
		"}}",
		INVALID "[0].resources.requests.cpu: Invalid value: \"2\": must be less than or "
			"equal to the limit");
	assert_container_refused(
		"{'name':'c','image':'a:1','resources':{'limits':{'memory':'lots'}}}", INVALID
		"[0].resources.limits.memory: Invalid value: \"lots\": quantities must match "
		"the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	assert_container_refused(
		"{'name':'c','image':'a:1','resources':{'limits':{'hugepages-2Mi':1}}}", INVALID
		"[0].resources.limits.hugepages-2Mi: Invalid value: \"1\": unsupported "
		"field: only cpu, memory and extended resources (vendor/thing) can be requested");
	assert_container_refused(
		"{'name':'c','image':'a:1','env':[{'name':'A','valueFrom':{'fieldRef':"
		"{'fieldPath':'spec.volumes'}}}]}",
		INVALID "[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.volumes\": "
			"field is not supported");
}

/* What every machine would refuse is refused before anything is stored. */
static void test_what_no_machine_would_start_is_refused(void **state)
{
	(void)state;
	assert_container_refused(
		"{'name':'c','image':'a:1','resources':{'limits':{'memory':'1Mi'}}}",
		INVALID "[0].resources.limits.memory: Invalid value: \"1Mi\": must be "
			"at least 4Mi");
	assert_container_refused("{'name':'c','image':'a:1','workingDir':'tmp'}", INVALID
				 "[0].workingDir: Invalid value: \"tmp\": must be an absolute "
				 "path without '..' and ':'");
	assert_container_refused(
		"{'name':'c','image':'a:1','securityContext':{'seccompProfile':{'type':'Localhost'}"
		"}}",
		INVALID
		"[0].securityContext.seccompProfile.type: Unsupported value: \"Localhost\": "
		"supported values: \"RuntimeDefault\", \"Unconfined\"");
	assert_refused(pod, "spec.volumes", "[{'name':'v','hostPath':{'path':'/a/..'}}]", 422,
		       "Pod \"one\" is invalid: spec.volumes[0].hostPath.path: Invalid value: "
		       "\"/a/..\": must be an absolute path without '..' and ':'");
	assert_refused(pod, "spec.terminationGracePeriodSeconds", "-1", 422,
		       "Pod \"one\" is invalid: spec.terminationGracePeriodSeconds: Invalid value: "
		       "-1: must be greater than or equal to 0");
}

static void test_long_lists_are_refused(void **state)
{
	json_t *containers = json_array();
	(void)state;
	for (int i = 0; i < 33; i++) {
		json_t *container = json_of("{'image':'a:1'}");
		kube_set(container, "name", kube_text("c%d", i));
		kube_push(containers, container);
	}
	char *text = json_dumps(containers, 0);
	assert_refused(
		pod, "spec.containers", text, 422,
		"Pod \"one\" is invalid: [spec.containers: Forbidden: must be at most 32, init "
		"containers included, spec.containers: Forbidden: must have at most 32 "
		"elements]");
	free(text);
	json_decref(containers);
}

static void test_requests_of_storage_are_a_warning(void **state)
{
	struct admitted admitted = admit_with(
		deployment, "spec.template.spec.containers",
		"[{'name':'c','image':'a:1','resources':{'limits':{'ephemeral-storage':'1Gi'}}}]");
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_json_equal(
		admitted.admission.warnings,
		"['spec.template.spec.containers[0].resources.limits.ephemeral-storage: has "
		"no effect here: the use of storage is not limited']");
	admitted_deinit(&admitted);
}

static void test_a_deployment_restarts_always(void **state)
{
	(void)state;
	assert_refused(deployment, "spec.template.spec.restartPolicy", "'Never'", 422,
		       "Deployment.apps \"web\" is invalid: spec.template.spec.restartPolicy: "
		       "Unsupported value: \"Never\": supported values: \"Always\"");
	struct admitted admitted = admit_with(pod, "spec.restartPolicy", "'Never'");
	assert_int_equal(admitted.result, 0);
	admitted_deinit(&admitted);
}

static void test_what_would_be_unsafe_to_ignore_is_refused(void **state)
{
	(void)state;
	assert_refused(
		pod, "spec.hostPID", "true", 422,
		"Pod \"one\" is invalid: spec.hostPID: unsupported field: pods have their own "
		"process namespace");
	assert_refused(pod, "spec.volumes", "[{'name':'v','nfs':{'server':'s','path':'/'}}]", 422,
		       "Pod \"one\" is invalid: spec.volumes[0].nfs: unsupported field: volumes of "
		       "this kind are not supported");
	assert_refused(
		pod, "spec.shareProcessNamespace", "true", 422,
		"Pod \"one\" is invalid: spec.shareProcessNamespace: unsupported field: each "
		"container has its own process namespace");
}

static void test_what_has_no_effect_is_a_warning(void **state)
{
	struct admitted admitted =
		admit_with(deployment, "spec.template.spec.containers",
			   "[{'name':'c','image':'a:1','terminationMessagePolicy':"
			   "'FallbackToLogsOnError'}]");
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_json_equal(
		admitted.admission.warnings,
		"['spec.template.spec.containers[0].terminationMessagePolicy: has no effect "
		"here: termination messages are not read']");
	admitted_deinit(&admitted);
}

static void test_probes_get_their_defaults(void **state)
{
	struct admitted admitted =
		admit_with(deployment, "spec.template.spec.containers",
			   "[{'name':'c','image':'a:1','readinessProbe':{'httpGet':{'port':80}}}]");
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_int_equal(json_array_size(admitted.admission.warnings), 0);
	assert_json_equal(json_object_get(container_of_object(&admitted), "readinessProbe"),
			  "{'httpGet':{'port':80,'path':'/','scheme':'HTTP'},'timeoutSeconds':1,"
			  "'periodSeconds':10,'successThreshold':1,'failureThreshold':3}");
	admitted_deinit(&admitted);
}

static void test_probes_that_cannot_be_carried_out_are_refused(void **state)
{
#define AT "Pod \"one\" is invalid: spec.containers[0]."
#define WITH(probe) "[{'name':'c','image':'a:1'," probe "}]"
	(void)state;
	assert_refused(pod, "spec.containers", WITH("'livenessProbe':{}"), 422,
		       AT "livenessProbe: Required value: must specify a handler type");
	assert_refused(pod, "spec.containers",
		       WITH("'livenessProbe':{'tcpSocket':{'port':1},'exec':{'command':['a']}}"),
		       422,
		       AT "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler "
			  "type");
	assert_refused(pod, "spec.containers",
		       WITH("'livenessProbe':{'exec':{'command':['a']},'successThreshold':2}"), 422,
		       AT "livenessProbe.successThreshold: Invalid value: 2: must be 1");
	assert_refused(pod, "spec.containers",
		       WITH("'readinessProbe':{'tcpSocket':{'port':'web'}}"), 422,
		       AT "readinessProbe.tcpSocket.port: Not found: \"web\"");
	assert_refused(pod, "spec.containers",
		       WITH("'readinessProbe':{'tcpSocket':{'port':1,'host':'a.example'}}"), 422,
		       AT "readinessProbe.tcpSocket.host: Invalid value: \"a.example\": must be an "
			  "IP address or localhost: it is asked from inside the pod");
	assert_refused(pod, "spec.containers",
		       WITH("'startupProbe':{'httpGet':{'port':1,'httpHeaders':[{'name':'a b',"
			    "'value':'c'}]}}"),
		       422,
		       AT "startupProbe.httpGet.httpHeaders[0].name: Invalid value: \"a b\": must "
			  "be the name of an HTTP header");
	assert_refused(
		pod, "spec.initContainers",
		"[{'name':'i','image':'a:1','startupProbe':{'exec':{'command':['a']}}}]", 422,
		"Pod \"one\" is invalid: spec.initContainers[0].startupProbe: Forbidden: may "
		"not be set for init containers");
	assert_refused(pod, "spec.containers",
		       WITH("'lifecycle':{'preStop':{'sleep':{'seconds':-1}}}"), 422,
		       AT "lifecycle.preStop.sleep.seconds: Invalid value: -1: must be greater "
			  "than or equal to 0");
	assert_refused(pod, "spec.containers", WITH("'lifecycle':{'postStart':{}}"), 422,
		       AT "lifecycle.postStart: Required value: must specify a handler type");
#undef AT
#undef WITH
}

static void test_fields_at_zero_ask_for_nothing(void **state)
{
	struct admitted admitted = admit_with(pod, "spec.hostNetwork", "false");
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_int_equal(json_array_size(admitted.admission.warnings), 0);
	admitted_deinit(&admitted);
}

static void test_the_servers_fields_are_dropped_and_stamped(void **state)
{
	struct admitted admitted =
		admit_with(pod, "metadata",
			   "{'name':'one','uid':'forged','resourceVersion':'1','generation':9,"
			   "'creationTimestamp':'2020-01-01T00:00:00Z','managedFields':[]}");
	struct kube_stamp stamp = {
		.resource_version = 18446744073709551615U,
		.generation = 1,
		.created = {.ms = 1000},
	};
	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_json_equal(json_object_get(admitted.object, "metadata"),
			  "{'name':'one','namespace':'default'}");
	assert_true(uid_parse("11111111-1111-4111-8111-111111111111", &stamp.uid));
	kube_stamp(admitted.object, &stamp);
	assert_json_equal(json_object_get(admitted.object, "metadata"),
			  "{'name':'one','namespace':'default','generation':1,"
			  "'uid':'11111111-1111-4111-8111-111111111111',"
			  "'resourceVersion':'18446744073709551615',"
			  "'creationTimestamp':'1970-01-01T00:00:01Z'}");
	admitted_deinit(&admitted);
}

static void test_a_selector_and_a_pods_spec_stay_as_they_are(void **state)
{
	struct admitted old = admit_with(deployment, NULL, NULL);
	struct admitted new = admit_with(deployment, "spec.replicas", "5");
	struct kube_admission admission;
	(void)state;
	assert_int_equal(kube_admit_update(old.object, new.object, kube_resource(KUBE_DEPLOYMENTS),
					   &admission),
			 0);
	kube_admission_deinit(&admission);
	assert_true(kube_spec_differs(old.object, new.object));
	kube_set(json_object_get(new.object, "spec"), "selector",
		 json_of("{'matchLabels':{'a':'b'}}"));
	assert_int_equal(kube_admit_update(old.object, new.object, kube_resource(KUBE_DEPLOYMENTS),
					   &admission),
			 KUBE_ADMIT_E_REFUSED);
	assert_member(admission.status, "message",
		      "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: "
		      "{\"matchLabels\":{\"a\":\"b\"}}: field is immutable");
	kube_admission_deinit(&admission);
	admitted_deinit(&old);
	admitted_deinit(&new);
}

/* Follow every honoured field: each must have a row, so that no field is ever passed in silence. */
static void assert_covered(const struct kube_message *message, int depth)
{
	assert_true(depth < 20);
	for (size_t i = 0; i < message->field_count; i++) {
		const struct kube_field *field = &message->fields[i];
		const struct kube_message *inner = &kube_messages[field->message];
		if (field->flags & KUBE_FIELD_INLINE) {
			assert_covered(inner, depth + 1);
			continue;
		}
		const struct kube_support *row = kube_support_find(message->name, field->name);
		if (!row)
			fail_msg("no row for %s.%s", message->name, field->name);
		bool ours = strcmp(field->name, "status") == 0 ||
			    strcmp(field->name, "managedFields") == 0;
		if (row->level == KUBE_SUPPORT_HONOURED && field->type == KUBE_TYPE_MESSAGE &&
		    !ours)
			assert_covered(inner, depth + 1);
	}
}

/* A chart must install although nothing here would carry it out; whoever installs it is told. */
static void test_an_inert_kind_is_admitted_with_a_warning(void **state)
{
	json_t *role = json_of("{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'ClusterRole',"
			       "'metadata':{'name':'system:reader'},'rules':[{'verbs':['get'],"
			       "'apiGroups':[''],'resources':['pods']}]}");
	struct kube_admission admission;
	(void)state;
	assert_int_equal(kube_admit(role, kube_resource(KUBE_CLUSTERROLES), NULL,
				    KUBE_VALIDATION_STRICT, &admission),
			 0);
	assert_json_equal(admission.warnings,
			  "['ClusterRole: has no effect here: who may do what follows from "
			  "certificates']");
	kube_admission_deinit(&admission);
	json_decref(role);
}

static void test_every_field_that_can_be_sent_has_a_row_of_support(void **state)
{
	(void)state;
	assert_covered(kube_schema_of("apps/v1", "Deployment"), 0);
	assert_covered(kube_schema_of("v1", "Pod"), 0);
	assert_covered(kube_schema_of("v1", "Namespace"), 0);
}

/* A misspelt row would never apply. */
static void test_every_row_of_support_names_a_field(void **state)
{
	const struct kube_support *row;
	(void)state;
	for (size_t i = 0; (row = kube_support_at(i)); i++) {
		bool found = strcmp(row->field, "*") == 0;
		for (size_t k = 0; k < kube_message_count; k++) {
			const struct kube_message *owner;
			if (strcmp(kube_messages[k].name, row->message) == 0)
				found |= kube_schema_field(&kube_messages[k], row->field, &owner) !=
					 NULL;
		}
		if (!found)
			fail_msg("%s has no field %s", row->message, row->field);
		assert_true((row->level == KUBE_SUPPORT_HONOURED) == !*row->reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deployment_gets_kubernetes_defaults),
		cmocka_unit_test(test_admitting_twice_changes_nothing),
		cmocka_unit_test(test_images_without_a_fixed_tag_are_pulled_always),
		cmocka_unit_test(test_a_pods_requests_follow_its_limits),
		cmocka_unit_test(test_an_unknown_field_is_refused_with_kubernetes_sentence),
		cmocka_unit_test(test_an_unknown_field_is_a_warning_or_nothing_when_asked),
		cmocka_unit_test(test_a_value_of_the_wrong_type_is_refused),
		cmocka_unit_test(test_kind_version_and_namespace_must_fit_the_url),
		cmocka_unit_test(test_names_are_checked),
		cmocka_unit_test(test_a_selector_must_match_the_template),
		cmocka_unit_test(test_several_causes_are_listed_together),
		cmocka_unit_test(test_containers_are_validated),
		cmocka_unit_test(test_what_no_machine_would_start_is_refused),
		cmocka_unit_test(test_long_lists_are_refused),
		cmocka_unit_test(test_requests_of_storage_are_a_warning),
		cmocka_unit_test(test_a_deployment_restarts_always),
		cmocka_unit_test(test_what_would_be_unsafe_to_ignore_is_refused),
		cmocka_unit_test(test_what_has_no_effect_is_a_warning),
		cmocka_unit_test(test_probes_get_their_defaults),
		cmocka_unit_test(test_probes_that_cannot_be_carried_out_are_refused),
		cmocka_unit_test(test_fields_at_zero_ask_for_nothing),
		cmocka_unit_test(test_the_servers_fields_are_dropped_and_stamped),
		cmocka_unit_test(test_a_selector_and_a_pods_spec_stay_as_they_are),
		cmocka_unit_test(test_an_inert_kind_is_admitted_with_a_warning),
		cmocka_unit_test(test_every_field_that_can_be_sent_has_a_row_of_support),
		cmocka_unit_test(test_every_row_of_support_names_a_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
