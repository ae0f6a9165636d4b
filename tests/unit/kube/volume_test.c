/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps, Secrets, and pods that name them, at admission. */
#include "kube/admit.h"
#include "kube/reference.h"

#include "kube_fixture.h"

#include "kube/status.h"

static const char pod_format[] =
	"{'apiVersion':'v1','kind':'Pod','metadata':{'name':'one'},'spec':{'volumes':[%s],"
	"'containers':[{'name':'c','image':'busybox'%s}]}}";

struct admitted {
	json_t *object;
	struct kube_admission admission;
	int result;
};

static struct admitted admit(enum kube_resource_id id, const char *text)
{
	struct admitted out = {.object = json_of(text)};

	out.result = kube_admit(out.object, kube_resource(id), "default", KUBE_VALIDATION_STRICT,
				&out.admission);
	return out;
}

static struct admitted admit_pod(const char *volume, const char *container)
{
	char text[2048];

	snprintf(text, sizeof(text), pod_format, volume, container);
	return admit(KUBE_PODS, text);
}

static void admitted_deinit(struct admitted *admitted)
{
	kube_admission_deinit(&admitted->admission);
	json_decref(admitted->object);
}

static void accept(struct admitted admitted)
{
	if (admitted.result)
		fail_msg("%s", kube_member_string(admitted.admission.status, "message"));
	assert_int_equal(json_array_size(admitted.admission.warnings), 0);
	admitted_deinit(&admitted);
}

static void refuse(struct admitted admitted, const char *word)
{
	const char *message = kube_member_string(admitted.admission.status, "message");

	assert_int_equal(admitted.result, KUBE_ADMIT_E_REFUSED);
	if (!strstr(message, word))
		fail_msg("\"%s\" does not say %s", message, word);
	admitted_deinit(&admitted);
}

static void test_pods_may_name_configuration_everywhere(void **state)
{
	(void)state;
	accept(admit_pod("{'name':'v','configMap':{'name':'c','items':[{'key':'a','path':'b/c'}]}}",
			 ",'volumeMounts':[{'name':'v','mountPath':'/v','subPath':'b'}]"));
	accept(admit_pod("{'name':'v','secret':{'secretName':'s','optional':true}}", ""));
	accept(admit_pod("{'name':'v','projected':{'sources':[{'secret':{'name':'s'}},{"
			 "'downwardAPI':{'items':[{'path':'l','fieldRef':{'fieldPath':"
			 "'metadata.labels'}}]}}]}}",
			 ""));
	accept(admit_pod("", ",'envFrom':[{'configMapRef':{'name':'c'},'prefix':'P_'}],'env':["
			     "{'name':'A','valueFrom':{'secretKeyRef':{'name':'s','key':'k'}}},"
			     "{'name':'B','valueFrom':{'resourceFieldRef':{'resource':"
			     "'limits.cpu','divisor':'1m'}}},{'name':'C','valueFrom':{'fieldRef':"
			     "{'fieldPath':'status.hostIP'}}}]"));
}

static void test_defaults_are_kubernetes(void **state)
{
	struct admitted admitted = admit_pod("{'name':'v','secret':{'secretName':'s'}}", "");

	(void)state;
	assert_json_equal(element(admitted.object, "spec.volumes", 0),
			  "{'name':'v','secret':{'secretName':'s','defaultMode':420}}");
	admitted_deinit(&admitted);
}

static void test_mistakes_are_named(void **state)
{
	(void)state;
	refuse(admit_pod("{'name':'v','configMap':{}}", ""), "spec.volumes[0].configMap.name");
	refuse(admit_pod("{'name':'v','configMap':{'name':'c','items':[{'key':'a','path':'../x'}]}"
			 "}",
			 ""),
	       "items[0].path");
	refuse(admit_pod("{'name':'v','downwardAPI':{'items':[{'path':'x','fieldRef':{'fieldPath':"
			 "'status.podIP'}}]}}",
			 ""),
	       "field is not supported");
	refuse(admit_pod("", ",'env':[{'name':'A','valueFrom':{'configMapKeyRef':{'name':'c'}}}]"),
	       "configMapKeyRef.key");
	refuse(admit_pod("", ",'envFrom':[{'prefix':'x'}]"), "envFrom[0]");
	refuse(admit_pod("{'name':'v','projected':{'sources':[{'serviceAccountToken':{'path':'t'}}"
			 "]}}",
			 ""),
	       "serviceAccountToken");
}

static void test_string_data_of_a_secret_becomes_data(void **state)
{
	struct admitted admitted =
		admit(KUBE_SECRETS, "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'s'},"
				    "'data':{'a':'eA=='},'stringData':{'a':'new','b':'two'}}");

	(void)state;
	assert_int_equal(admitted.result, 0);
	assert_json_equal(json_object_get(admitted.object, "data"), "{'a':'bmV3','b':'dHdv'}");
	assert_member(admitted.object, "type", "Opaque");
	assert_null(json_object_get(admitted.object, "stringData"));
	admitted_deinit(&admitted);
}

static void test_keys_become_file_names(void **state)
{
	(void)state;
	refuse(admit(KUBE_CONFIGMAPS, "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':"
				      "'c'},'data':{'a/b':'x'}}"),
	       "valid config key");
}

static void test_what_is_immutable_stays(void **state)
{
	json_t *old = json_of("{'metadata':{'name':'c'},'data':{'a':'1'},'immutable':true}");
	json_t *new = json_of("{'metadata':{'name':'c'},'data':{'a':'2'},'immutable':true}");
	struct kube_admission admission;

	(void)state;
	assert_int_equal(kube_admit_update(old, new, kube_resource(KUBE_CONFIGMAPS), &admission),
			 KUBE_ADMIT_E_REFUSED);
	kube_admission_deinit(&admission);
	assert_int_equal(kube_admit_update(old, old, kube_resource(KUBE_CONFIGMAPS), &admission),
			 0);
	kube_admission_deinit(&admission);
	json_decref(old);
	json_decref(new);
}

static void append(void *ctx, const struct kube_reference *reference)
{
	buf_append_format(ctx, "%s%s%s ", reference->kind, reference->optional ? "?" : "/",
			  reference->name);
}

static void test_all_references_are_found(void **state)
{
	json_t *spec = json_of(
		"{'volumes':[{'configMap':{'name':'a'}},{'secret':{'secretName':'b','optional':"
		"true}},{'persistentVolumeClaim':{'claimName':'c'}},{'projected':{'sources':[{"
		"'configMap':{'name':'d'}},{'secret':{'name':'e'}}]}},{'emptyDir':{}}],"
		"'initContainers':[{'envFrom':[{'secretRef':{'name':'f'}}]}],'containers':[{'env':["
		"{'valueFrom':{'configMapKeyRef':{'name':'g','optional':true}}},{'value':'x'}]}]}");
	struct buf text = {0};

	(void)state;
	kube_references(spec, append, &text);
	assert_string_equal(buf_cstr(&text), "Secret/f ConfigMap?g ConfigMap/a Secret?b "
					     "PersistentVolumeClaim/c ConfigMap/d Secret/e ");
	buf_deinit(&text);
	json_decref(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pods_may_name_configuration_everywhere),
		cmocka_unit_test(test_defaults_are_kubernetes),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_string_data_of_a_secret_becomes_data),
		cmocka_unit_test(test_keys_become_file_names),
		cmocka_unit_test(test_what_is_immutable_stays),
		cmocka_unit_test(test_all_references_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
