/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/discovery.h"
#include "kube/openapi.h"
#include "kube/resource.h"
#include "kube/schema.h"
#include "kube/status.h"
#include "kube/table.h"

#include "kube_fixture.h"

static void test_status_sentences_are_kubernetes_own(void **state)
{
	static const struct {
		enum kube_reason reason;
		enum kube_resource_id id;
		const char *json;
	} rows[] = {
		{KUBE_REASON_NOT_FOUND, KUBE_PODS,
		 "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','message':"
		 "'pods \\\"x\\\" not "
		 "found','reason':'NotFound','details':{'name':'x','kind':'pods'},"
		 "'code':404}"},
		{KUBE_REASON_NOT_FOUND, KUBE_DEPLOYMENTS,
		 "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','message':"
		 "'deployments.apps \\\"x\\\" not found','reason':'NotFound','details':{'name':'x',"
		 "'group':'apps','kind':'deployments'},'code':404}"},
		{KUBE_REASON_ALREADY_EXISTS, KUBE_DEPLOYMENTS,
		 "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','message':"
		 "'deployments.apps \\\"x\\\" already exists','reason':'AlreadyExists','details':"
		 "{'name':'x','group':'apps','kind':'deployments'},'code':409}"},
		{KUBE_REASON_CONFLICT, KUBE_PODS,
		 "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','message':"
		 "'Operation cannot be fulfilled on pods \\\"x\\\": the object has been modified; "
		 "please apply your changes to the latest version and try again',"
		 "'reason':'Conflict','details':{'name':'x','kind':'pods'},'code':409}"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *status =
			kube_status_of_object(rows[i].reason, kube_resource(rows[i].id), "x");
		assert_json_equal(status, rows[i].json);
		json_decref(status);
	}
}

static void test_reasons_and_codes_belong_together(void **state)
{
	(void)state;
	for (int i = 0; i < KUBE_REASON_COUNT; i++) {
		enum kube_reason reason = (enum kube_reason)i;
		json_t *status = kube_status(reason, "text %d", i);
		assert_int_equal(kube_status_code(status), kube_reason_code(reason));
		assert_member(status, "reason", kube_reason_word(reason));
		if (reason != KUBE_REASON_ALREADY_EXISTS)
			assert_int_equal(kube_reason_of_code(kube_reason_code(reason)), reason);
		json_decref(status);
	}
	assert_int_equal(kube_reason_of_code(418), KUBE_REASON_INTERNAL);
}

static void test_an_err_becomes_a_status(void **state)
{
	struct err err;
	(void)state;
	(void)err_set_status(&err, -EINVAL, 415, "what");
	json_t *status = kube_status_of_err(&err);
	assert_member(status, "reason", "UnsupportedMediaType");
	assert_member(status, "message", "what");
	json_decref(status);
	(void)err_set(&err, -EIO, "disk");
	status = kube_status_of_err(&err);
	assert_int_equal(kube_status_code(status), 500);
	json_decref(status);
}

static void test_a_delete_succeeds_with_the_uid(void **state)
{
	json_t *status = kube_status_deleted(kube_resource(KUBE_DEPLOYMENTS), "web", "u-1");
	(void)state;
	assert_json_equal(status, "{'kind':'Status','apiVersion':'v1','metadata':{},"
				  "'status':'Success','details':{'name':'web','group':'apps',"
				  "'kind':'deployments','uid':'u-1'}}");
	assert_int_equal(kube_status_code(status), 200);
	json_decref(status);
}

static void test_resources_are_found_by_url_and_by_kind(void **state)
{
	(void)state;
	assert_ptr_equal(kube_resource_find("apps", "v1", "deployments"),
			 kube_resource(KUBE_DEPLOYMENTS));
	assert_ptr_equal(kube_resource_find("", "v1", "pods"), kube_resource(KUBE_PODS));
	assert_null(kube_resource_find("apps", "v1", "pods"));
	assert_null(kube_resource_find("", "v2", "pods"));
	assert_ptr_equal(kube_resource_of_kind("apps/v1", "Deployment"),
			 kube_resource(KUBE_DEPLOYMENTS));
	assert_null(kube_resource_of_kind("v1", "Deployment"));
	assert_string_equal(kube_subresource_find(KUBE_DEPLOYMENTS, "scale")->kind, "Scale");
	assert_null(kube_subresource_find(KUBE_PODS, "scale"));
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++)
		assert_int_equal(kube_resource((enum kube_resource_id)i)->id, i);
}

static void test_what_can_be_written_has_a_schema(void **state)
{
	(void)state;
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)i);

		if (resource->verbs & KUBE_VERB_CREATE)
			assert_non_null(kube_schema_of(resource->api_version, resource->kind));
		/* What is inert or read only says why. */
		assert_int_equal(resource->stance == KUBE_LIVE, !*resource->reason);
	}
}

static void test_discovery_takes_the_form_the_client_asks_for(void **state)
{
	(void)state;
	assert_int_equal(
		kube_discovery_form("application/json;g=apidiscovery.k8s.io;v=v2;as="
				    "APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;"
				    "v=v2beta1;as=APIGroupDiscoveryList,application/json"),
		KUBE_DISCOVERY_V2);
	assert_int_equal(kube_discovery_form("application/json;g=apidiscovery.k8s.io;v=v2beta1;as="
					     "APIGroupDiscoveryList,application/json"),
			 KUBE_DISCOVERY_V2BETA1);
	assert_int_equal(kube_discovery_form("application/json"), KUBE_DISCOVERY_LEGACY);
	assert_int_equal(kube_discovery_form(NULL), KUBE_DISCOVERY_LEGACY);
	assert_string_equal(kube_discovery_content_type(KUBE_DISCOVERY_V2),
			    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
}

static const json_t *named(const json_t *list, const char *key, const char *name)
{
	size_t index;
	json_t *one;
	json_array_foreach (list, index, one) {
		if (strcmp(kube_member_string(one, key), name) == 0)
			return one;
	}
	fail_msg("no %s %s", key, name);
	return NULL;
}

static void test_aggregated_discovery_holds_every_resource(void **state)
{
	json_t *groups = kube_discovery_groups(KUBE_DISCOVERY_V2);
	json_t *core = kube_discovery_core(KUBE_DISCOVERY_V2BETA1);
	(void)state;
	assert_member(groups, "apiVersion", "apidiscovery.k8s.io/v2");
	assert_member(core, "apiVersion", "apidiscovery.k8s.io/v2beta1");
	assert_int_equal(json_array_size(json_object_get(core, "items")), 1);
	const json_t *apps = element(groups, "items", 0);
	assert_member(apps, "metadata.name", "apps");
	const json_t *resources = json_object_get(element(apps, "versions", 0), "resources");
	assert_json_equal(
		named(resources, "resource", "deployments"),
		"{'resource':'deployments','responseKind':{'group':'apps','version':'v1','kind':"
		"'Deployment'},'scope':'Namespaced','singularResource':'deployment','verbs':['"
		"create',"
		"'delete','get','list','patch','update','watch'],'shortNames':['deploy'],'"
		"categories':"
		"['all'],'subresources':[{'subresource':'scale','responseKind':{'group':"
		"'autoscaling','version':'v1','kind':'Scale'},'verbs':['get','patch','update']},"
		"{'subresource':'status','responseKind':{'group':'apps','version':'v1','kind':"
		"'Deployment'},'verbs':['get']}]}");
	resources = json_object_get(element(element(core, "items", 0), "versions", 0), "resources");
	assert_member(named(resources, "resource", "nodes"), "scope", "Cluster");
	json_decref(groups);
	json_decref(core);
}

static void test_legacy_discovery_holds_the_same(void **state)
{
	json_t *list = kube_discovery_resources("apps", "v1");
	json_t *groups = kube_discovery_groups(KUBE_DISCOVERY_LEGACY);
	json_t *core = kube_discovery_core(KUBE_DISCOVERY_LEGACY);
	json_t *group = kube_discovery_group("apps");
	(void)state;
	assert_member(list, "kind", "APIResourceList");
	assert_member(list, "groupVersion", "apps/v1");
	const json_t *scale =
		named(json_object_get(list, "resources"), "name", "deployments/scale");
	assert_member(scale, "group", "autoscaling");
	assert_member(scale, "kind", "Scale");
	assert_json_equal(core, "{'kind':'APIVersions','versions':['v1']}");
	assert_non_null(named(json_object_get(groups, "groups"), "name", "apps"));
	assert_non_null(named(json_object_get(groups, "groups"), "name", "batch"));
	assert_member(group, "preferredVersion.groupVersion", "apps/v1");
	assert_null(kube_discovery_resources("apps", "v2"));
	assert_null(kube_discovery_group("example.org"));
	assert_null(kube_discovery_group(""));
	json_decref(list);
	list = kube_discovery_resources("", "v1");
	assert_member(list, "groupVersion", "v1");
	assert_non_null(named(json_object_get(list, "resources"), "name", "pods/log"));
	json_decref(list);
	json_decref(groups);
	json_decref(core);
	json_decref(group);
}

static void test_the_version_is_a_semantic_one(void **state)
{
	json_t *version = kube_discovery_version("0.1.0", "linux/amd64");
	(void)state;
	assert_member(version, "gitVersion", "v1.32.0+magik.0.1.0");
	assert_member(version, "minor", "32");
	json_decref(version);
}

/* What kubectl looks for before it trusts the server: patch of the kind with fieldValidation. */
static void test_openapi_offers_field_validation_for_each_kind(void **state)
{
	json_t *index = kube_openapi_index();
	json_t *document = kube_openapi_document("apis/apps/v1");
	(void)state;
	const json_t *paths = json_object_get(index, "paths");
	assert_non_null(json_object_get(paths, "apis/batch/v1"));
	const char *url =
		kube_member_string(json_object_get(paths, "apis/apps/v1"), "serverRelativeURL");
	assert_memory_equal(url, "/openapi/v3/apis/apps/v1?hash=", 30);
	const json_t *patch = json_object_get(
		json_object_get(json_object_get(document, "paths"), "/apis/apps/v1/deployments"),
		"patch");
	assert_json_equal(patch,
			  "{'x-kubernetes-group-version-kind':{'group':'apps','version':'v1',"
			  "'kind':'Deployment'},'parameters':[{'name':'fieldValidation',"
			  "'in':'query'}]}");
	assert_null(kube_openapi_document("apis/batch/v2"));
	json_decref(document);
	document = kube_openapi_document("api/v1");
	assert_non_null(json_object_get(json_object_get(document, "paths"), "/api/v1/pods"));
	json_decref(document);
	json_decref(index);
}

/* Every kind is explained, and whatever a field refers to is there. */
static void assert_references(const json_t *value, const json_t *schemas)
{
	const char *text = kube_member_string(value, "$ref"), *key;
	json_t *member;
	size_t index;
	if (*text)
		assert_non_null(json_object_get(schemas, text + strlen("#/components/schemas/")));
	json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
		assert_references(member, schemas);
	}
	json_array_foreach (value, index, member) {
		assert_references(member, schemas);
	}
}

static void test_every_kind_is_explained(void **state)
{
	(void)state;
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		const struct kube_resource *resource = kube_resource((enum kube_resource_id)i);
		char path[128];
		json_t *document;
		(void)snprintf(path, sizeof(path), "api%s%s/%s", *resource->group ? "s/" : "",
			       resource->group, resource->version);
		document = kube_openapi_document(path);
		assert_references(document, kube_member(document, "components.schemas"));
		json_decref(document);
	}
	json_t *apps = kube_openapi_document("apis/apps/v1");
	const json_t *spec =
		json_object_get(kube_member(apps, "components.schemas"), "apps.v1.DeploymentSpec");
	assert_member(spec, "properties.replicas.type", "integer");
	assert_member(spec, "properties.replicas.description",
		      "Honoured: it does what Kubernetes says.");
	json_decref(apps);
}

static void test_a_table_carries_what_was_asked_for(void **state)
{
	json_t *list = kube_list_new(kube_resource(KUBE_NAMESPACES), 7);
	struct kube_table_view view = {.now = {.ms = 1795285860000}};
	(void)state;
	kube_push(json_object_get(list, "items"),
		  json_of("{'metadata':{'name':'default','creationTimestamp':"
			  "'2026-11-21T18:30:00Z'},'status':{'phase':'Active'}}"));
	json_t *table = kube_table(kube_resource(KUBE_NAMESPACES), list, &view);
	assert_member(table, "kind", "Table");
	assert_member(table, "apiVersion", "meta.k8s.io/v1");
	assert_member(table, "metadata.resourceVersion", "7");
	assert_json_equal(json_object_get(element(table, "rows", 0), "cells"),
			  "['default','Active','60s']");
	assert_member(element(table, "rows", 0), "object.kind", "PartialObjectMetadata");
	assert_member(element(table, "rows", 0), "object.metadata.name", "default");
	assert_json_equal(element(table, "columnDefinitions", 0),
			  "{'name':'Name','type':'string','format':'name','description':'',"
			  "'priority':0}");
	json_decref(table);
	view.include = KUBE_INCLUDE_OBJECT;
	table = kube_table(kube_resource(KUBE_NAMESPACES), list, &view);
	assert_member(element(table, "rows", 0), "object.kind", "Namespace");
	assert_member(element(table, "rows", 0), "object.status.phase", "Active");
	json_decref(table);
	view.include = KUBE_INCLUDE_NONE;
	view.without_columns = true;
	table = kube_table(kube_resource(KUBE_NAMESPACES), list, &view);
	assert_null(json_object_get(element(table, "rows", 0), "object"));
	assert_true(json_is_null(json_object_get(table, "columnDefinitions")));
	json_decref(table);
	json_decref(list);
}

/* The row of @object as kept text, and as kube_table() makes it. */
static void assert_same_row(const struct kube_resource *resource, const json_t *object,
			    const struct kube_table_view *view)
{
	json_t *table = kube_table(resource, object, view), *row;
	char *metadata = json_dumps(json_object_get(object, "metadata"), JSON_COMPACT);
	struct buf cells = {0}, text = {0};
	kube_cells(resource, object, &cells);
	kube_row(bytes_buf(&cells), bytes_str(metadata), view, &text);
	row = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	assert_non_null(row);
	if (!json_equal(row, element(table, "rows", 0)))
		fail_msg("%s: %s", resource->kind, buf_cstr(&text));
	json_decref(row);
	json_decref(table);
	free(metadata);
	buf_deinit(&cells);
	buf_deinit(&text);
}

static void test_a_kept_row_is_that_of_the_table_at_any_time(void **state)
{
	json_t *object = json_of(
		"{'metadata':{'name':'a','labels':{'b':'c'},'creationTimestamp':"
		"'2026-11-21T18:30:00Z'},'lastTimestamp':'2026-11-21T18:31:00Z','message':"
		"'quoted \\\" \\\\u001A1795285860000\\\\u001A \\\\','status':{"
		"'startTime':'2026-11-21T18:30:30Z','lastScheduleTime':'2026-11-21T18:30:10Z',"
		"'containerStatuses':[{'restartCount':2,'ready':true,'state':{'running':{}},"
		"'lastState':{'terminated':{'finishedAt':'2026-11-21T18:30:20Z'}}}]}}");
	static const int64_t moments[] = {1795285800000, 1795285860000, 1795300000000, 1000};
	struct kube_table_view view = {0};
	(void)state;
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		for (size_t k = 0; k < ARRAY_LEN(moments); k++) {
			view.now.ms = moments[k];
			view.include = k % 2 ? KUBE_INCLUDE_NONE : KUBE_INCLUDE_METADATA;
			assert_same_row(kube_resource((enum kube_resource_id)i), object, &view);
		}
	}
	json_decref(object);
}

static void test_every_kind_has_a_table_and_survives_an_empty_object(void **state)
{
	const struct kube_table_view view = {0};
	json_t *empty = json_object();
	(void)state;
	for (int i = 0; i < KUBE_RESOURCE_COUNT; i++) {
		json_t *table = kube_table(kube_resource((enum kube_resource_id)i), empty, &view);
		assert_int_equal(
			json_array_size(json_object_get(table, "columnDefinitions")),
			json_array_size(json_object_get(element(table, "rows", 0), "cells")));
		json_decref(table);
	}
	json_decref(empty);
}

static void test_tables_are_given_to_those_who_ask(void **state)
{
	enum kube_include include;
	(void)state;
	assert_true(kube_table_is_wanted("application/json;as=Table;v=v1;g=meta.k8s.io,"
					 "application/json;as=Table;v=v1beta1;g=meta.k8s.io,"
					 "application/json"));
	assert_false(kube_table_is_wanted("application/json"));
	assert_false(kube_table_is_wanted(NULL));
	assert_true(kube_include_parse("Object", &include));
	assert_int_equal(include, KUBE_INCLUDE_OBJECT);
	assert_true(kube_include_parse(NULL, &include));
	assert_int_equal(include, KUBE_INCLUDE_METADATA);
	assert_false(kube_include_parse("object", &include));
}

static void test_watch_events_and_bookmarks(void **state)
{
	json_t *event =
		kube_watch_event("BOOKMARK", kube_bookmark(kube_resource(KUBE_PODS), 9, true));
	(void)state;
	assert_json_equal(event, "{'type':'BOOKMARK','object':{'kind':'Pod','apiVersion':'v1',"
				 "'metadata':{'resourceVersion':'9','annotations':"
				 "{'k8s.io/initial-events-end':'true'}}}}");
	json_decref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_sentences_are_kubernetes_own),
		cmocka_unit_test(test_reasons_and_codes_belong_together),
		cmocka_unit_test(test_an_err_becomes_a_status),
		cmocka_unit_test(test_a_delete_succeeds_with_the_uid),
		cmocka_unit_test(test_resources_are_found_by_url_and_by_kind),
		cmocka_unit_test(test_what_can_be_written_has_a_schema),
		cmocka_unit_test(test_discovery_takes_the_form_the_client_asks_for),
		cmocka_unit_test(test_aggregated_discovery_holds_every_resource),
		cmocka_unit_test(test_legacy_discovery_holds_the_same),
		cmocka_unit_test(test_the_version_is_a_semantic_one),
		cmocka_unit_test(test_openapi_offers_field_validation_for_each_kind),
		cmocka_unit_test(test_every_kind_is_explained),
		cmocka_unit_test(test_a_table_carries_what_was_asked_for),
		cmocka_unit_test(test_a_kept_row_is_that_of_the_table_at_any_time),
		cmocka_unit_test(test_every_kind_has_a_table_and_survives_an_empty_object),
		cmocka_unit_test(test_tables_are_given_to_those_who_ask),
		cmocka_unit_test(test_watch_events_and_bookmarks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
