/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery routes: /version, /api, /apis and below, /openapi. The documents are kube's. */
#include <string.h>
#include <sys/utsname.h>

#include "api/gateway.h"
#include "kube/discovery.h"
#include "kube/openapi.h"

static bool segments_are(const struct call *call, size_t count)
{
	return call->url.segment_count == count;
}

static bool segment_is(const struct call *call, size_t i, const char *text)
{
	return i < call->url.segment_count && strcmp(call->url.segments[i], text) == 0;
}

/* "linux/amd64", in Go's words, which kubectl prints. */
static void respond_version(struct call *call)
{
	struct utsname machine = {0};
	struct buf platform = {0};
	const char *arch;

	(void)uname(&machine);
	arch = machine.machine;
	if (strcmp(arch, "x86_64") == 0)
		arch = "amd64";
	else if (strcmp(arch, "aarch64") == 0)
		arch = "arm64";
	buf_append_format(&platform, "linux/%s", arch);
	call_respond_json(call, 200, kube_discovery_version(API_RELEASE, buf_cstr(&platform)));
	buf_deinit(&platform);
}

static void respond_form(struct call *call, enum kube_discovery_form form, json_t *document)
{
	struct exchange *exchange = call->exchange;
	char *text = json_dumps(document, JSON_COMPACT);

	json_decref(document);
	exchange_header(exchange, "Vary", "Accept");
	call->exchange = NULL;
	/* The content type's parameters tell the client which form it got. */
	exchange_respond(exchange, 200, kube_discovery_content_type(form), bytes_str(text));
	free(text);
	call_free(call);
}

static void respond_or_404(struct call *call, json_t *document)
{
	if (document)
		call_respond_json(call, 200, document);
	else
		call_respond_status(call, kube_status_no_resource());
}

static void respond_groups(struct call *call)
{
	enum kube_discovery_form form =
		kube_discovery_form(http_request_header(&call->exchange->request, "accept"));

	respond_form(call, form,
		     segment_is(call, 0, "api") ? kube_discovery_core(form)
						: kube_discovery_groups(form));
}

/* /openapi/v3/api/v1, /openapi/v3/apis/<group>/<version>: what stands behind v3. */
static void respond_openapi_document(struct call *call)
{
	struct buf path = {0};
	json_t *document;

	for (size_t i = 2; i < call->url.segment_count; i++)
		buf_append_format(&path, "%s%s", i > 2 ? "/" : "", call->url.segments[i]);
	document = kube_openapi_document(buf_cstr(&path));
	buf_deinit(&path);
	if (document)
		exchange_header(call->exchange, "Cache-Control", KUBE_OPENAPI_CACHE_CONTROL);
	respond_or_404(call, document);
}

static void respond_openapi(struct call *call)
{
	struct exchange *exchange = call->exchange;

	if (segment_is(call, 1, "v2") && segments_are(call, 2)) {
		exchange_header(exchange, "Cache-Control", KUBE_OPENAPI_CACHE_CONTROL);
		call->exchange = NULL;
		exchange_respond(exchange, 200, KUBE_OPENAPI_V2_CONTENT_TYPE, bytes_str(""));
		call_free(call);
	} else if (segment_is(call, 1, "v3") && segments_are(call, 2)) {
		exchange_header(exchange, "Cache-Control", KUBE_OPENAPI_CACHE_CONTROL);
		call_respond_json(call, 200, kube_openapi_index());
	} else if (segment_is(call, 1, "v3")) {
		respond_openapi_document(call);
	} else {
		call_respond_status(call, kube_status_no_resource());
	}
}

bool discovery_route(struct call *call)
{
	const struct url *url = &call->url;
	bool core = segment_is(call, 0, "api"), groups = segment_is(call, 0, "apis");

	if (strcmp(call->verb, "get") != 0)
		return false;
	if (segment_is(call, 0, "version") && segments_are(call, 1))
		respond_version(call);
	else if ((core || groups) && segments_are(call, 1))
		respond_groups(call);
	else if (core && segments_are(call, 2))
		respond_or_404(call, kube_discovery_resources("", url->segments[1]));
	else if (groups && segments_are(call, 2))
		respond_or_404(call, kube_discovery_group(url->segments[1]));
	else if (groups && segments_are(call, 3))
		respond_or_404(call, kube_discovery_resources(url->segments[1], url->segments[2]));
	else if (segment_is(call, 0, "openapi"))
		respond_openapi(call);
	else
		return false;
	return true;
}
