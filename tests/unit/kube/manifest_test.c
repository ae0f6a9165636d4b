/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/manifest.h"

#include "kube_fixture.h"

#include "kube/admit.h"
#include "kube/yaml.h"

/* Bodies as kubectl 1.33 sent them, base64. */

/* kubectl create deployment web --image=nginx:1.25 --replicas=3 --port=80 -- sleep 10 */
static const char deployment_body[] =
	"azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EsgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2Fw"
	"cBIDd2ViEpYBCAMSDAoKCgNhcHASA3dlYhp8ChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2Vi"
	"ElwSPgoFbmdpbngSCm5naW54OjEuMjUaBXNsZWVwGgIxMCoAMgoKABAAGFAiACoAQgBqAHIAgAEA"
	"iAEAkAEAogEAGgAyAEIASgBSAFgAYABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgA"
	"OAAaACIA";

/* kubectl create namespace foo */
static const char namespace_body[] =
	"azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhsKEwoDZm9vEgAaACIAKgAyADgAQgASABoCCgAaACIA";

/* kubectl auth can-i get pods */
static const char review_body[] =
	"azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcS"
	"PAoQCgASABoAIgAqADIAOABCABIeChwKB2RlZmF1bHQSA2dldBoAIgAqBHBvZHMyADoAGggIABIA"
	"GgAgABoAIgA=";

static int parse(const char *text, const char *content_type, enum kube_validation validation,
		 json_t **ret, struct err *err)
{
	const struct kube_body body = {
		.bytes = bytes_str(text),
		.content_type = content_type,
		.validation = validation,
	};
	return kube_manifest_parse(&body, NULL, ret, err);
}

static void assert_yaml(const char *text, const char *expected)
{
	json_t *object;
	struct err err;
	if (parse(text, "application/yaml", KUBE_VALIDATION_STRICT, &object, &err) != 0)
		fail_msg("%s", err.text);
	assert_json_equal(object, expected);
	json_decref(object);
}

static void assert_refused(const char *text, const char *content_type, uint16_t status,
			   const char *sentence)
{
	json_t *object;
	struct err err;
	assert_true(parse(text, content_type, KUBE_VALIDATION_STRICT, &object, &err) < 0);
	assert_int_equal(err.status, status);
	assert_string_equal(err.text, sentence);
}

static void test_a_body_without_content_type_is_json(void **state)
{
	static const char *const types[] = {NULL, "", "application/json",
					    "Application/JSON; charset=utf-8"};
	json_t *object;
	struct err err;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_int_equal(
			parse("{\"a\":1}\n", types[i], KUBE_VALIDATION_STRICT, &object, &err), 0);
		assert_json_equal(object, "{'a':1}");
		json_decref(object);
	}
}

static void test_other_content_types_are_refused(void **state)
{
	json_t *object;
	struct err err;
	(void)state;
	assert_true(parse("{}", "application/x-www-form-urlencoded", KUBE_VALIDATION_STRICT,
			  &object, &err) < 0);
	assert_int_equal(err.status, 415);
}

static void test_malformed_json_is_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\":", NULL, 400,
		       "invalid JSON: line 1: unexpected token near end of file");
	assert_refused("", NULL, 400, "invalid JSON: line 1: '[' or '{' expected near end of file");
	assert_refused("[]", NULL, 400, "the request body is not an object");
	assert_refused("{\"a\":\"\\u0000\"}", NULL, 400,
		       "invalid JSON: line 1: \\u0000 is not allowed without JSON_ALLOW_NUL near "
		       "'\"\\u0000\"'");
}

static void test_nulls_mean_not_set(void **state)
{
	json_t *object;
	struct err err;
	(void)state;
	assert_int_equal(parse("{\"a\":null,\"b\":{\"c\":null},\"d\":[{\"e\":null}]}", NULL,
			       KUBE_VALIDATION_STRICT, &object, &err),
			 0);
	assert_json_equal(object, "{'b':{},'d':[{}]}");
	json_decref(object);
}

static void test_a_duplicate_key_is_refused_or_reported_or_ignored(void **state)
{
	static const struct {
		const char *text, *type;
	} rows[] = {
		{"{\"a\":1,\"a\":2}", "application/json"},
		{"a: 1\na: 2\n", "application/yaml"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kube_body body = {.bytes = bytes_str(rows[i].text),
					 .content_type = rows[i].type,
					 .validation = KUBE_VALIDATION_STRICT};
		json_t *object, *warnings = json_array();
		struct err err;
		assert_true(kube_manifest_parse(&body, warnings, &object, &err) < 0);
		assert_int_equal(err.status, 400);
		body.validation = KUBE_VALIDATION_WARN;
		assert_int_equal(kube_manifest_parse(&body, warnings, &object, &err), 0);
		assert_json_equal(object, "{'a':2}");
		assert_int_equal(json_array_size(warnings), 1);
		json_decref(object);
		body.validation = KUBE_VALIDATION_IGNORE;
		assert_int_equal(kube_manifest_parse(&body, warnings, &object, &err), 0);
		assert_int_equal(json_array_size(warnings), 1);
		json_decref(object);
		json_decref(warnings);
	}
}

static void test_limits_hold(void **state)
{
	struct buf text = {0};
	json_t *object;
	struct err err;
	(void)state;
	for (int i = 0; i < 100; i++)
		buf_append_str(&text, "{\"a\":");
	buf_append_str(&text, "1");
	for (int i = 0; i < 100; i++)
		buf_append_str(&text, "}");
	assert_true(parse(buf_cstr(&text), NULL, KUBE_VALIDATION_STRICT, &object, &err) < 0);
	assert_int_equal(err.status, 413);
	buf_clear(&text);
	for (int i = 0; i < 100; i++)
		buf_append_str(&text, "[");
	assert_true(parse(buf_cstr(&text), "application/yaml", KUBE_VALIDATION_STRICT, &object,
			  &err) < 0);
	assert_int_equal(err.status, 400);
	buf_clear(&text);
	buf_append_str(&text, "{\"a\":[1");
	for (int i = 0; i < KUBE_MANIFEST_NODES_MAX; i++)
		buf_append_str(&text, ",1");
	buf_append_str(&text, "]}");
	assert_true(parse(buf_cstr(&text), NULL, KUBE_VALIDATION_STRICT, &object, &err) < 0);
	assert_int_equal(err.status, 413);
	while (text.len <= KUBE_MANIFEST_MAX)
		buf_append_str(&text, "          ");
	assert_true(parse(buf_cstr(&text), NULL, KUBE_VALIDATION_STRICT, &object, &err) < 0);
	assert_int_equal(err.status, 413);
	buf_deinit(&text);
}

static void test_a_yaml_deployment_is_read(void **state)
{
	(void)state;
	assert_yaml(
		"# a comment\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n"
		"  name: web\n  labels: {app: web}\nspec:\n  replicas: 3\n  template:\n"
		"    spec:\n      containers:\n      - name: nginx\n        image: nginx:1.25\n"
		"        args:\n        - \"-c\"\n        - 'true'\n        - |\n          line\n",
		"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web',"
		"'labels':{'app':'web'}},'spec':{'replicas':3,'template':{'spec':{'containers':"
		"[{'name':'nginx','image':'nginx:1.25','args':['-c','true','line\\n']}]}}}}");
}

static void test_plain_yaml_scalars_mean_what_kubernetes_reads(void **state)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{"true", "true"},
		{"Yes", "true"},
		{"off", "false"},
		{"~", "null"},
		{"", "null"},
		{"12", "12"},
		{"-7", "-7"},
		{"+7", "7"},
		{"0644", "420"},
		{"0x1F", "31"},
		{"0b101", "5"},
		{"0o17", "15"},
		{"1_000", "1000"},
		{"1.5", "1.5"},
		{"1e3", "1000.0"},
		{".5", "0.5"},
		{"1.2.3", "'1.2.3'"},
		{"100m", "'100m'"},
		{"0x", "'0x'"},
		{"_1", "'_1'"},
		{"-", "'-'"},
		{".inf", "'.inf'"},
		{"nan", "'nan'"},
		{"1e", "'1e'"},
		{"1:30", "'1:30'"},
		{"0abc", "'0abc'"},
		{"abc", "'abc'"},
		{"9223372036854775807", "9223372036854775807"},
		{"2026-11-21", "'2026-11-21'"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *value = kube_yaml_scalar(rows[i].text);
		assert_json_equal(value, rows[i].json);
		json_decref(value);
	}
}

static void test_quoted_and_tagged_scalars_are_strings(void **state)
{
	(void)state;
	assert_yaml("a: '12'\nb: \"true\"\nc: !!str 12\nd: !!int '12'\n",
		    "{'a':'12','b':'true','c':'12','d':12}");
}

static void test_anchors_and_merge_keys_are_followed(void **state)
{
	(void)state;
	assert_yaml("base: &b {x: 1, y: 2}\nuse: *b\nmerged:\n  <<: *b\n  y: 3\n",
		    "{'base':{'x':1,'y':2},'use':{'x':1,'y':2},'merged':{'x':1,'y':3}}");
	assert_refused("a: *nothing\n", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 1: unknown anchor: nothing");
}

static void test_aliases_cannot_grow_a_document_beyond_its_limit(void **state)
{
	struct buf text = {0};
	json_t *object;
	struct err err;
	(void)state;
	buf_append_str(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++) {
		buf_append_format(&text, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_append_format(&text, "%s*a%d", k ? "," : "", i - 1);
		buf_append_str(&text, "]\n");
	}
	assert_true(parse(buf_cstr(&text), "application/yaml", KUBE_VALIDATION_STRICT, &object,
			  &err) < 0);
	assert_int_equal(err.status, 400);
	assert_non_null(strstr(err.text, "excessive aliasing"));
	buf_deinit(&text);
}

static void test_aliases_cannot_nest_a_document_beyond_its_limit(void **state)
{
	struct buf text = {0};
	json_t *object;
	struct err err;
	(void)state;
	buf_append_str(&text, "a0: &a0 [x]\n");
	for (int i = 1; i < 100; i++)
		buf_append_format(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
	assert_true(parse(buf_cstr(&text), "application/yaml", KUBE_VALIDATION_STRICT, &object,
			  &err) < 0);
	assert_non_null(strstr(err.text, "nested too deeply"));
	buf_deinit(&text);
}

static void test_malformed_yaml_is_refused(void **state)
{
	(void)state;
	assert_refused("a: 1\n---\nb: 2\n", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 2: more than one document");
	assert_refused("", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 1: no document");
	assert_refused("{a: 1}: b\n", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 1: a key must be a scalar");
	assert_refused("a: \"\\0\"\n", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 1: a zero byte in a string");
	assert_refused("- a\n", "application/yaml", 400, "the request body is not an object");
	assert_refused("a: [1\n", "application/yaml", 400,
		       "error converting YAML to JSON: yaml: line 2: did not find expected ',' or "
		       "']'");
}

static int parse_protobuf(struct bytes bytes, json_t **ret, struct err *err)
{
	const struct kube_body body = {
		.bytes = bytes,
		.content_type = "application/vnd.kubernetes.protobuf",
		.validation = KUBE_VALIDATION_STRICT,
	};
	return kube_manifest_parse(&body, NULL, ret, err);
}

static json_t *decode(const char *base64)
{
	struct buf body = {0};
	json_t *object;
	struct err err;
	assert_true(base64_decode(bytes_str(base64), &body));
	if (parse_protobuf(bytes_buf(&body), &object, &err) != 0)
		fail_msg("%s", err.text);
	buf_deinit(&body);
	return object;
}

static void test_a_protobuf_deployment_of_kubectl_is_read(void **state)
{
	struct kube_admission admission;
	json_t *object = decode(deployment_body);
	(void)state;
	assert_json_equal(
		object,
		"{'apiVersion':'apps/v1','kind':'Deployment',"
		"'metadata':{'name':'web','labels':{'app':'web'}},"
		"'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}},'strategy':{},"
		"'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':["
		"{'name':'nginx','image':'nginx:1.25','command':['sleep','10'],"
		"'ports':[{'containerPort':80}],'resources':{}}]}}},'status':{}}");
	assert_int_equal(kube_admit(object, kube_resource(KUBE_DEPLOYMENTS), "default",
				    KUBE_VALIDATION_STRICT, &admission),
			 0);
	assert_int_equal(json_array_size(admission.warnings), 0);
	kube_admission_deinit(&admission);
	json_decref(object);
}

static void test_other_protobuf_bodies_of_kubectl_are_read(void **state)
{
	json_t *object = decode(namespace_body);
	(void)state;
	assert_json_equal(object, "{'apiVersion':'v1','kind':'Namespace','metadata':"
				  "{'name':'foo'},'spec':{},'status':{}}");
	json_decref(object);
	object = decode(review_body);
	assert_member(object, "kind", "SelfSubjectAccessReview");
	assert_member(object, "spec.resourceAttributes.verb", "get");
	assert_member(object, "spec.resourceAttributes.resource", "pods");
	json_decref(object);
}

static void test_a_damaged_protobuf_body_is_refused_and_never_overread(void **state)
{
	struct buf body = {0};
	json_t *object;
	struct err err;
	(void)state;
	assert_true(base64_decode(bytes_str(deployment_body), &body));
	for (size_t len = 0; len < body.len; len++) {
		/* A copy of its own size, so that the sanitizer sees a read past the end. */
		uint8_t *copy = malloc(len + 1);
		assert_non_null(copy);
		memcpy(copy, body.ptr, len);
		if (parse_protobuf(bytes_of(copy, len), &object, &err) == 0)
			json_decref(object);
		else
			assert_true(err.status == 400 || err.status == 415);
		free(copy);
	}
	for (size_t at = 0; at < body.len; at++) {
		body.ptr[at] ^= 0x55;
		if (parse_protobuf(bytes_buf(&body), &object, &err) == 0)
			json_decref(object);
		body.ptr[at] ^= 0x55;
	}
	buf_deinit(&body);
}

static void test_a_protobuf_kind_without_a_table_is_refused(void **state)
{
	/* The envelope of a v1 Widget. */
	static const uint8_t body[] = {'k',  '8', 's', 0,   0x0a, 12,  0x0a, 2,   'v',  '1',
				       0x12, 6,   'W', 'i', 'd',  'g', 'e',  't', 0x12, 0};
	json_t *object;
	struct err err;
	(void)state;
	assert_true(parse_protobuf(bytes_of(body, sizeof(body)), &object, &err) < 0);
	assert_int_equal(err.status, 415);
	assert_string_equal(err.text, "a Widget of v1 is not accepted as protobuf; send JSON");
}

static void test_an_unknown_protobuf_field_is_refused_unless_it_is_zero(void **state)
{
	/* A v1 Namespace whose message holds field 15 as a varint. */
	uint8_t body[] = {'k', '8', 's', 0,   0x0a, 15,  0x0a, 2,   'v',  '1', 0x12, 9,   'N',
			  'a', 'm', 'e', 's', 'p',  'a', 'c',  'e', 0x12, 2,   0x78, 0x00};
	json_t *object;
	struct err err;
	(void)state;
	assert_int_equal(parse_protobuf(bytes_of(body, sizeof(body)), &object, &err), 0);
	json_decref(object);
	body[sizeof(body) - 1] = 1;
	assert_true(parse_protobuf(bytes_of(body, sizeof(body)), &object, &err) < 0);
	assert_string_equal(err.text, "the protobuf body cannot be decoded: an unknown field in "
				      "core/v1.Namespace");
}

static void test_field_validation_is_read_from_the_query(void **state)
{
	enum kube_validation validation;
	(void)state;
	assert_true(kube_validation_parse(NULL, &validation));
	assert_int_equal(validation, KUBE_VALIDATION_WARN);
	assert_true(kube_validation_parse("Strict", &validation));
	assert_int_equal(validation, KUBE_VALIDATION_STRICT);
	assert_true(kube_validation_parse("Ignore", &validation));
	assert_int_equal(validation, KUBE_VALIDATION_IGNORE);
	assert_false(kube_validation_parse("strict", &validation));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_body_without_content_type_is_json),
		cmocka_unit_test(test_other_content_types_are_refused),
		cmocka_unit_test(test_malformed_json_is_refused),
		cmocka_unit_test(test_nulls_mean_not_set),
		cmocka_unit_test(test_a_duplicate_key_is_refused_or_reported_or_ignored),
		cmocka_unit_test(test_limits_hold),
		cmocka_unit_test(test_a_yaml_deployment_is_read),
		cmocka_unit_test(test_plain_yaml_scalars_mean_what_kubernetes_reads),
		cmocka_unit_test(test_quoted_and_tagged_scalars_are_strings),
		cmocka_unit_test(test_anchors_and_merge_keys_are_followed),
		cmocka_unit_test(test_aliases_cannot_grow_a_document_beyond_its_limit),
		cmocka_unit_test(test_aliases_cannot_nest_a_document_beyond_its_limit),
		cmocka_unit_test(test_malformed_yaml_is_refused),
		cmocka_unit_test(test_a_protobuf_deployment_of_kubectl_is_read),
		cmocka_unit_test(test_other_protobuf_bodies_of_kubectl_are_read),
		cmocka_unit_test(test_a_damaged_protobuf_body_is_refused_and_never_overread),
		cmocka_unit_test(test_a_protobuf_kind_without_a_table_is_refused),
		cmocka_unit_test(test_an_unknown_protobuf_field_is_refused_unless_it_is_zero),
		cmocka_unit_test(test_field_validation_is_read_from_the_query),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
