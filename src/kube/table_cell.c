/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/table_cell.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "kube/member.h"
#include "kube/table_row.h"
#include "kube/time.h"

enum {
	PATH_SIZE = 128,     /* of a path of columns.def */
	ADDRESSES_SHOWN = 3, /* of endpoints, as kubectl: the rest is counted */
};

static json_t *text_or(const char *text, const char *otherwise)
{
	return json_string(*text ? text : otherwise);
}

/* The text of @buf, which is freed; @otherwise when it is empty. */
static json_t *buf_cell(struct buf *buf, const char *otherwise)
{
	json_t *cell = text_or(buf_cstr(buf), otherwise);

	buf_deinit(buf);
	return cell;
}

/* Cut @path at @separator into @out; what follows it, or NULL. */
static const char *path_cut(const char *path, char separator, char out[PATH_SIZE])
{
	const char *at = strchr(path, separator);
	size_t len = at ? (size_t)(at - path) : strlen(path);

	if (len >= PATH_SIZE)
		len = PATH_SIZE - 1;
	memcpy(out, path, len);
	out[len] = 0;
	return at ? at + 1 : NULL;
}

json_t *kube_cell_text(const json_t *object, const char *path, _unused_ struct wall now)
{
	return text_or(kube_member_string(object, path), "<none>");
}

json_t *kube_cell_bare(const json_t *object, const char *path, _unused_ struct wall now)
{
	return json_string(kube_member_string(object, path));
}

/* A scalar as text; @otherwise when there is none. */
static json_t *scalar_or(const json_t *value, const char *otherwise)
{
	if (json_is_integer(value))
		return kube_text("%" PRId64, (int64_t)json_integer_value(value));
	return json_string(json_is_string(value) ? json_string_value(value) : otherwise);
}

json_t *kube_cell_unset(const json_t *object, const char *path, _unused_ struct wall now)
{
	return scalar_or(kube_member(object, path), "<unset>");
}

json_t *kube_cell_portion(const json_t *object, const char *path, _unused_ struct wall now)
{
	return scalar_or(kube_member(object, path), "N/A");
}

json_t *kube_cell_unknown(_unused_ const json_t *object, _unused_ const char *path,
			  _unused_ struct wall now)
{
	return json_string("<unknown>");
}

json_t *kube_cell_count(const json_t *object, const char *path, _unused_ struct wall now)
{
	return kube_text("%" PRId64, kube_member_int(object, path, 0));
}

json_t *kube_cell_flag(const json_t *object, const char *path, _unused_ struct wall now)
{
	return json_string(kube_member_true(object, path) ? "true" : "false");
}

json_t *kube_cell_ratio(const json_t *object, const char *path, _unused_ struct wall now)
{
	char part[PATH_SIZE];
	const char *whole = path_cut(path, ',', part);

	return kube_text("%" PRId64 "/%" PRId64, kube_member_int(object, part, 0),
			 kube_member_int(object, whole, 1));
}

json_t *kube_cell_sizes(const json_t *object, const char *path, _unused_ struct wall now)
{
	size_t sum = 0;

	while (path) {
		char one[PATH_SIZE];
		const json_t *value;

		path = path_cut(path, ',', one);
		value = kube_member(object, one);
		sum += json_object_size(value) + json_array_size(value);
	}
	return kube_text("%zu", sum);
}

json_t *kube_cell_age(const json_t *object, const char *path, struct wall now)
{
	const char *since = json_string_value(kube_member(object, path));

	return json_string(kube_age_of(since, now).text);
}

json_t *kube_cell_last(const json_t *object, const char *path, struct wall now)
{
	const char *since = json_string_value(kube_member(object, path));

	return json_string(since ? kube_age_of(since, now).text : "<none>");
}

static void append_label(struct buf *text, const char *key, const json_t *value)
{
	const char *word = json_string_value(value);

	buf_append_format(text, "%s%s=%s", text->len ? "," : "", key, word ? word : "");
}

json_t *kube_cell_labels(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};
	const char *key;
	json_t *value;

	json_object_foreach (kube_member(object, path), key, value) {
		append_label(&text, key, value);
	}
	return buf_cell(&text, "<none>");
}

/* One expression as one would type it: "tier in (a,b)", "!old". */
static void append_expression(struct buf *text, const json_t *expression)
{
	const char *operator= kube_member_string(expression, "operator");
	const json_t *values = json_object_get(expression, "values");
	bool absent = strcmp(operator, "DoesNotExist") == 0;
	char word[16];

	kube_row_lower(operator, word, sizeof(word));
	buf_append_format(text, "%s%s%s", text->len ? "," : "", absent ? "!" : "",
			  kube_member_string(expression, "key"));
	if (absent || strcmp(operator, "Exists") == 0)
		return;
	buf_append_format(text, " %s (", word);
	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *one = json_string_value(json_array_get(values, i));

		buf_append_format(text, "%s%s", i ? "," : "", one ? one : "");
	}
	buf_append_str(text, ")");
}

json_t *kube_cell_selector(const json_t *object, const char *path, _unused_ struct wall now)
{
	const json_t *selector = kube_member(object, path);
	struct buf text = {0};
	const char *key;
	size_t index;
	json_t *value;

	json_object_foreach (json_object_get(selector, "matchLabels"), key, value) {
		append_label(&text, key, value);
	}
	json_array_foreach (json_object_get(selector, "matchExpressions"), index, value) {
		append_expression(&text, value);
	}
	return buf_cell(&text, "<none>");
}

static void append_joined(struct buf *text, const json_t *object, const char *path)
{
	char list[PATH_SIZE];
	const char *key = path_cut(path, ':', list);
	size_t index;
	json_t *element;

	json_array_foreach (kube_member(object, list), index, element) {
		json_t *one = scalar_or(json_object_get(element, key), "");

		buf_append_format(text, "%s%s", text->len ? "," : "", json_string_value(one));
		json_decref(one);
	}
}

json_t *kube_cell_joined(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};

	append_joined(&text, object, path);
	return buf_cell(&text, "<none>");
}

json_t *kube_cell_class_name(const json_t *object, const char *path, _unused_ struct wall now)
{
	const json_t *is_default = json_object_get(kube_member(object, "metadata.annotations"),
						   "storageclass.kubernetes.io/is-default-class");
	bool marked =
		json_is_string(is_default) && strcmp(json_string_value(is_default), "true") == 0;

	return kube_text("%s%s", kube_member_string(object, path), marked ? " (default)" : "");
}

json_t *kube_cell_claim(const json_t *object, const char *path, _unused_ struct wall now)
{
	const json_t *claim = kube_member(object, path);

	return claim ? kube_text("%s/%s", kube_member_string(claim, "namespace"),
				 kube_member_string(claim, "name"))
		     : json_string("");
}

json_t *kube_cell_hosts(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};

	append_joined(&text, object, path);
	return buf_cell(&text, "*");
}

json_t *kube_cell_reference(const json_t *object, const char *path, _unused_ struct wall now)
{
	const json_t *reference = kube_member(object, path);

	return kube_text("%s/%s", kube_member_string(reference, "kind"),
			 kube_member_string(reference, "name"));
}

json_t *kube_cell_owner(const json_t *object, const char *path, _unused_ struct wall now)
{
	size_t index;
	json_t *owner;

	json_array_foreach (kube_member(object, path), index, owner) {
		const char *version = kube_member_string(owner, "apiVersion");
		const char *slash = strchr(version, '/');
		char kind[64];

		if (!kube_member_true(owner, "controller"))
			continue;
		kube_row_lower(kube_member_string(owner, "kind"), kind, sizeof(kind));
		return kube_text("%s%s%.*s/%s", kind, slash ? "." : "",
				 slash ? (int)(slash - version) : 0, version,
				 kube_member_string(owner, "name"));
	}
	return json_string("<none>");
}

json_t *kube_cell_access_modes(const json_t *object, const char *path, _unused_ struct wall now)
{
	static const struct {
		const char *mode, *word;
	} words[] = {
		{"ReadWriteOnce", "RWO"},
		{"ReadOnlyMany", "ROX"},
		{"ReadWriteMany", "RWX"},
		{"ReadWriteOncePod", "RWOP"},
	};
	struct buf text = {0};
	size_t index;
	json_t *mode;

	json_array_foreach (kube_member(object, path), index, mode) {
		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			const char *own = json_string_value(mode);

			if (own && strcmp(own, words[i].mode) == 0)
				buf_append_format(&text, "%s%s", text.len ? "," : "",
						  words[i].word);
		}
	}
	return buf_cell(&text, "");
}

/* Services and what they reach. */

json_t *kube_cell_external_ip(const json_t *object, const char *path, _unused_ struct wall now)
{
	const json_t *spec = kube_member(object, path);
	const char *type = kube_member_string(spec, "type");
	struct buf text = {0};
	size_t index;
	json_t *address;

	if (strcmp(type, "ExternalName") == 0)
		return text_or(kube_member_string(spec, "externalName"), "<none>");
	json_array_foreach (json_object_get(spec, "externalIPs"), index, address) {
		const char *one = json_string_value(address);

		buf_append_format(&text, "%s%s", index ? "," : "", one ? one : "");
	}
	return buf_cell(&text, strcmp(type, "LoadBalancer") == 0 ? "<pending>" : "<none>");
}

json_t *kube_cell_service_ports(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};
	size_t index;
	json_t *port;

	json_array_foreach (kube_member(object, path), index, port) {
		int64_t outside = kube_member_int(port, "nodePort", 0);

		buf_append_format(&text, "%s%" PRId64, index ? "," : "",
				  kube_member_int(port, "port", 0));
		if (outside)
			buf_append_format(&text, ":%" PRId64, outside);
		buf_append_format(&text, "/%s", kube_member_string(port, "protocol"));
	}
	return buf_cell(&text, "<none>");
}

json_t *kube_cell_ingress_ports(const json_t *object, const char *path, _unused_ struct wall now)
{
	return json_string(json_array_size(kube_member(object, path)) ? "80, 443" : "80");
}

/* As kubectl: the first few, and how many more there are. */
static json_t *addresses_cell(struct buf *text, size_t count)
{
	if (count > ADDRESSES_SHOWN)
		buf_append_format(text, " + %zu more...", count - ADDRESSES_SHOWN);
	return buf_cell(text, "<none>");
}

/* Each address of a subset with each of its ports. */
static void append_subset(struct buf *text, const json_t *subset, size_t *count)
{
	const json_t *ports = json_object_get(subset, "ports");
	size_t index;
	json_t *address;

	json_array_foreach (json_object_get(subset, "addresses"), index, address) {
		for (size_t i = 0; i < json_array_size(ports); i++) {
			if ((*count)++ >= ADDRESSES_SHOWN)
				continue;
			buf_append_format(text, "%s%s:%" PRId64, text->len ? "," : "",
					  kube_member_string(address, "ip"),
					  kube_member_int(json_array_get(ports, i), "port", 0));
		}
	}
}

json_t *kube_cell_subsets(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};
	size_t count = 0, index;
	json_t *subset;

	json_array_foreach (kube_member(object, path), index, subset) {
		append_subset(&text, subset, &count);
	}
	return addresses_cell(&text, count);
}

json_t *kube_cell_slice_addresses(const json_t *object, const char *path, _unused_ struct wall now)
{
	struct buf text = {0};
	size_t count = 0, index;
	json_t *endpoint;

	json_array_foreach (kube_member(object, path), index, endpoint) {
		const json_t *addresses = json_object_get(endpoint, "addresses");
		const char *first = json_string_value(json_array_get(addresses, 0));

		if (first && count++ < ADDRESSES_SHOWN)
			buf_append_format(&text, "%s%s", text.len ? "," : "", first);
	}
	return addresses_cell(&text, count);
}

/* Jobs. */

static bool has_condition(const json_t *conditions, const char *type)
{
	size_t index;
	json_t *condition;

	json_array_foreach (conditions, index, condition) {
		if (strcmp(kube_member_string(condition, "type"), type) == 0 &&
		    strcmp(kube_member_string(condition, "status"), "True") == 0)
			return true;
	}
	return false;
}

json_t *kube_cell_job_status(const json_t *object, const char *path, _unused_ struct wall now)
{
	static const char *const words[] = {"Complete", "Failed", "Suspended", "FailureTarget"};
	const json_t *conditions = kube_member(object, path);

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (has_condition(conditions, words[i]))
			return json_string(words[i]);
	}
	return json_string(kube_member(object, "metadata.deletionTimestamp") ? "Terminating"
									     : "Running");
}

json_t *kube_cell_job_completions(const json_t *object, _unused_ const char *path,
				  _unused_ struct wall now)
{
	int64_t succeeded = kube_member_int(object, "status.succeeded", 0);
	int64_t parallelism = kube_member_int(object, "spec.parallelism", 1);

	if (kube_member(object, "spec.completions"))
		return kube_text("%" PRId64 "/%" PRId64, succeeded,
				 kube_member_int(object, "spec.completions", 1));
	if (parallelism > 1)
		return kube_text("%" PRId64 "/1 of %" PRId64, succeeded, parallelism);
	return kube_text("%" PRId64 "/1", succeeded);
}

json_t *kube_cell_job_duration(const json_t *object, const char *path, struct wall now)
{
	const json_t *status = kube_member(object, path);
	struct wall start, end = now;

	if (!kube_time_parse(kube_member_string(status, "startTime"), &start))
		return json_string("");
	if (!kube_time_parse(kube_member_string(status, "completionTime"), &end))
		end = now;
	return json_string(kube_age(start, end).text);
}

/* Bindings. */

static json_t *subjects_of(const json_t *subjects, const char *kind)
{
	struct buf text = {0};
	size_t index;
	json_t *subject;

	json_array_foreach (subjects, index, subject) {
		const char *namespace = kube_member_string(subject, "namespace");

		if (strcmp(kube_member_string(subject, "kind"), kind) == 0)
			buf_append_format(&text, "%s%s%s%s", text.len ? ", " : "", namespace,
					  *namespace ? "/" : "",
					  kube_member_string(subject, "name"));
	}
	return buf_cell(&text, "");
}

json_t *kube_cell_users(const json_t *object, const char *path, _unused_ struct wall now)
{
	return subjects_of(kube_member(object, path), "User");
}

json_t *kube_cell_groups(const json_t *object, const char *path, _unused_ struct wall now)
{
	return subjects_of(kube_member(object, path), "Group");
}

json_t *kube_cell_service_accounts(const json_t *object, const char *path, _unused_ struct wall now)
{
	return subjects_of(kube_member(object, path), "ServiceAccount");
}
