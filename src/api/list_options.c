/* SPDX-License-Identifier: Apache-2.0 */
#include "api/list_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NULL for one that is not there or empty. */
static const char *param(const struct call *call, const char *name)
{
	const char *value = url_param(&call->url, name);

	return value && *value ? value : NULL;
}

bool list_number(const char *text, uint64_t *ret_value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return *end == 0 && errno == 0;
}

static bool refuse(struct call *call, enum kube_reason reason, const char *sentence)
{
	call_fail(call, reason, sentence);
	return false;
}

static bool read_selectors(struct call *call, struct list_options *options)
{
	struct err err = {0};

	if (kube_label_selector_parse(url_param(&call->url, "labelSelector"), &options->labels,
				      &err) == 0 &&
	    kube_field_selector_parse(url_param(&call->url, "fieldSelector"), call->resource,
				      &options->fields, &err) == 0)
		return true;
	call_fail_err(call, &err);
	return false;
}

static bool read_form(struct call *call, struct list_options *options)
{
	const char *accept = http_request_header(&call->exchange->request, "accept");

	options->table = kube_table_is_wanted(accept);
	options->partial = !options->table && kube_partial_is_wanted(accept);
	if (!options->table ||
	    kube_include_parse(url_param(&call->url, "includeObject"), &options->include))
		return true;
	return refuse(call, KUBE_REASON_BAD_REQUEST,
		      "includeObject must be None, Metadata or Object");
}

static bool read_version(struct call *call, struct list_options *options)
{
	const char *version = param(call, "resourceVersion");

	if (version && !list_number(version, &options->version))
		return refuse(call, KUBE_REASON_BAD_REQUEST,
			      "resourceVersion: Invalid value: must be a decimal number");
	return true;
}

/* Why resourceVersionMatch makes no sense; NULL: it does. */
static const char *match_complaint(const struct call *call, bool watch, const char *match)
{
	const char *version = param(call, "resourceVersion");

	if (watch && !param(call, "sendInitialEvents"))
		return "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for "
		       "watch unless sendInitialEvents is provided";
	if (!watch && param(call, "continue"))
		return "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when "
		       "continue is provided";
	if (!watch && !version)
		return "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless "
		       "resourceVersion is provided";
	if (strcmp(match, "NotOlderThan") == 0)
		return NULL;
	if (watch || strcmp(match, "Exact") != 0)
		return watch ? "resourceVersionMatch: Unsupported value: supported values: "
			       "\"NotOlderThan\""
			     : "resourceVersionMatch: Unsupported value: supported values: "
			       "\"Exact\", \"NotOlderThan\"";
	return strcmp(version, "0") != 0 ? NULL
					 : "resourceVersionMatch: Forbidden: "
					   "resourceVersionMatch \"Exact\" is forbidden for "
					   "resourceVersion \"0\"";
}

static bool read_match(struct call *call, bool watch, struct list_options *options)
{
	const char *match = param(call, "resourceVersionMatch");
	const char *initial = param(call, "sendInitialEvents");
	const char *complaint = match ? match_complaint(call, watch, match) : NULL;

	if (complaint)
		return refuse(call, KUBE_REASON_INVALID, complaint);
	if (initial && !watch)
		return refuse(call, KUBE_REASON_INVALID,
			      "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for "
			      "list");
	if (initial && !match)
		return refuse(call, KUBE_REASON_INVALID,
			      "resourceVersionMatch: Forbidden: sendInitialEvents requires "
			      "setting resourceVersionMatch to NotOlderThan");
	options->exact = match && strcmp(match, "Exact") == 0;
	return true;
}

static bool read_page(struct call *call, struct list_options *options)
{
	const char *limit = param(call, "limit");

	options->token = param(call, "continue");
	if (limit && !list_number(limit, &options->limit))
		return refuse(call, KUBE_REASON_BAD_REQUEST, "limit must be a number");
	if (options->token && options->version != 0)
		return refuse(call, KUBE_REASON_BAD_REQUEST,
			      "specifying resource version is not allowed when using continue");
	return true;
}

static void read_watch(const struct call *call, struct list_options *options)
{
	const char *timeout = param(call, "timeoutSeconds");

	options->bookmarks = url_flag(&call->url, "allowWatchBookmarks");
	options->initial = param(call, "sendInitialEvents")
				   ? url_flag(&call->url, "sendInitialEvents")
				   : options->version == 0;
	options->initial_end = options->bookmarks && url_flag(&call->url, "sendInitialEvents");
	if (!timeout || !list_number(timeout, &options->timeout_s))
		options->timeout_s = 0;
}

bool list_options_read(struct call *call, bool watch, struct list_options *ret_options)
{
	struct list_options options = {0};

	if (!read_selectors(call, &options) || !read_form(call, &options) ||
	    !read_version(call, &options) || !read_match(call, watch, &options) ||
	    (!watch && !read_page(call, &options))) {
		list_options_deinit(&options);
		return false;
	}
	if (watch)
		read_watch(call, &options);
	*ret_options = options;
	return true;
}

void list_options_deinit(struct list_options *options)
{
	kube_selector_deinit(&options->labels);
	kube_selector_deinit(&options->fields);
}

bool list_options_has_selectors(const struct list_options *options)
{
	return options->labels.term_count || options->fields.term_count;
}

bool list_options_selects(const struct list_options *options, const json_t *object)
{
	return kube_label_selector_matches(&options->labels, object) &&
	       kube_field_selector_matches(&options->fields, object);
}
