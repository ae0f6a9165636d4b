/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaims: what is admitted, how they are bound, and what follows from that. */
#include "kube/claim.h"

#include "kube_fixture.h"

#include "kube/admit.h"
#include "kube/status.h"

static const char claim_format[] =
	"{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'disk'},'spec':{%s}}";
static const char plain[] =
	"'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'5Gi'}}";

static int admit(const char *spec, json_t **ret_claim, char message[512])
{
	struct kube_admission admission;
	char text[1024];
	int result;

	snprintf(text, sizeof(text), claim_format, spec);
	*ret_claim = json_of(text);
	result = kube_admit(*ret_claim, kube_resource(KUBE_PERSISTENTVOLUMECLAIMS), "default",
			    KUBE_VALIDATION_STRICT, &admission);
	snprintf(message, 512, "%s", kube_member_string(admission.status, "message"));
	kube_admission_deinit(&admission);
	return result;
}

static void refuse(const char *spec, const char *word)
{
	char message[512];
	json_t *claim;

	assert_int_equal(admit(spec, &claim, message), KUBE_ADMIT_E_REFUSED);
	if (!strstr(message, word))
		fail_msg("\"%s\" does not say %s", message, word);
	json_decref(claim);
}

static json_t *stored(void)
{
	char message[512];
	json_t *claim;

	assert_int_equal(admit(plain, &claim, message), 0);
	kube_set_string(json_object_get(claim, "metadata"), "uid",
			"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01");
	return claim;
}

static void test_a_claim_gets_the_class_that_there_is(void **state)
{
	json_t *claim = stored();

	assert_member(claim, "spec.storageClassName", KUBE_CLAIM_CLASS);
	assert_member(claim, "spec.volumeMode", "Filesystem");
	assert_true(kube_claim_read(claim).ours);
	assert_int_equal(kube_claim_read(claim).storage_bytes, INT64_C(5) << 30);
	json_decref(claim);
}

static void test_what_cannot_be_had_is_refused(void **state)
{
	refuse("'resources':{'requests':{'storage':'1Gi'}}", "accessModes");
	refuse("'accessModes':['ReadWriteOnce']", "storage");
	refuse("'accessModes':['ReadWriteMany'],'resources':{'requests':{'storage':'1Gi'}}",
	       "one machine");
	refuse("'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'0'}}",
	       "greater than zero");
	refuse("'accessModes':['ReadWriteOnce','ReadWriteOncePod'],'resources':{'requests':{"
	       "'storage':'1Gi'}}",
	       "ReadWriteOncePod");
	refuse("'volumeMode':'Block','accessModes':['ReadWriteOnce'],'resources':{'requests':{"
	       "'storage':'1Gi'}}",
	       "volumeMode");
	refuse("'volumeName':'mine','accessModes':['ReadWriteOnce'],'resources':{'requests':{"
	       "'storage':'1Gi'}}",
	       "volumeName");
	refuse("'dataSource':{'kind':'VolumeSnapshot','name':'s'},'accessModes':['ReadWriteOnce'],"
	       "'resources':{'requests':{'storage':'1Gi'}}",
	       "dataSource");
}

static void test_another_class_is_nobodys(void **state)
{
	char message[512];
	json_t *claim;

	assert_int_equal(admit("'storageClassName':'fast','accessModes':['ReadWriteOnce'],"
			       "'resources':{'requests':{'storage':'1Gi'}}",
			       &claim, message),
			 0);
	assert_false(kube_claim_read(claim).ours);
	kube_claim_show(claim);
	assert_member(claim, "status.phase", "Pending");
	json_decref(claim);
}

static void test_a_bound_claim_has_a_volume(void **state)
{
	json_t *claim = stored(), *volume;

	assert_null(kube_claim_volume(claim));
	kube_claim_bind(claim, "m2");
	assert_string_equal(kube_claim_read(claim).machine, "m2");
	kube_claim_show(claim);
	assert_member(claim, "status.phase", "Bound");
	assert_member(claim, "status.capacity.storage", "5Gi");
	assert_member(claim, "spec.volumeName", "pvc-0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01");
	volume = kube_claim_volume(claim);
	assert_member(volume, "metadata.name", "pvc-0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01");
	assert_member(volume, "spec.claimRef.name", "disk");
	assert_member(volume, "status.phase", "Bound");
	json_decref(volume);
	json_decref(claim);
}

/* kubectl replace brings neither the annotation nor the name of the volume. */
static void test_an_update_does_not_move_the_data(void **state)
{
	json_t *old = stored(), *new = stored(), *other;
	struct kube_admission admission;
	const struct kube_resource *claims = kube_resource(KUBE_PERSISTENTVOLUMECLAIMS);

	kube_claim_bind(old, "m2");
	kube_set(json_object_get(new, "metadata"), "annotations",
		 json_pack("{s:s}", KUBE_CLAIM_MACHINE, "m3"));
	kube_claim_keep(old, new);
	assert_string_equal(kube_claim_read(new).machine, "m2");
	assert_int_equal(kube_admit_update(old, new, claims, &admission), 0);
	kube_admission_deinit(&admission);
	other = json_deep_copy(new);
	kube_set_string(kube_member(other, "spec.resources.requests"), "storage", "6Gi");
	assert_int_equal(kube_admit_update(old, other, claims, &admission), KUBE_ADMIT_E_REFUSED);
	kube_admission_deinit(&admission);
	json_decref(other);
	json_decref(old);
	json_decref(new);
}

/* Foreign JSON is read without harm. */
static void test_nonsense_claims_nothing(void **state)
{
	static const char *const texts[] = {
		"null",
		"[]",
		"{'metadata':7,'spec':[]}",
		"{'metadata':{'annotations':'x'},'spec':{'accessModes':{},'resources':[]}}",
		"{'spec':{'accessModes':[7],'resources':{'requests':{'storage':'many'}}}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *claim = json_of(texts[i]);
		const struct kube_claim read = kube_claim_read(claim);

		assert_false(read.ours || read.one_pod || read.ending || *read.machine ||
			     read.storage_bytes);
		json_decref(claim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_claim_gets_the_class_that_there_is),
		cmocka_unit_test(test_what_cannot_be_had_is_refused),
		cmocka_unit_test(test_another_class_is_nobodys),
		cmocka_unit_test(test_a_bound_claim_has_a_volume),
		cmocka_unit_test(test_an_update_does_not_move_the_data),
		cmocka_unit_test(test_nonsense_claims_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
