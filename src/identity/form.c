/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/form.h"

#include <stdio.h>
#include <string.h>

enum {
	POD_PATH_PARTS = 5, /* "ns", namespace, kind, name, pod */
	POD_NAME_MAX = 253, /* a DNS subdomain */
};

bool form_is_name(struct bytes text)
{
	if (text.len == 0 || text.len > CERT_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < 0x20 || text.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

void form_name_make(enum cert_kind kind, const char *fabric, const struct node_id *key,
		    const char *pod_path, char ret_uri[CERT_URI_MAX])
{
	ret_uri[0] = 0;
	if (kind == CERT_MACHINE)
		(void)snprintf(ret_uri, CERT_URI_MAX, "magik://%s/machine/%s", fabric,
			       node_id_text(key).text);
	else if (cert_forms[kind].name == FORM_POD_URI)
		(void)snprintf(ret_uri, CERT_URI_MAX, "spiffe://%s/%s", fabric, pod_path);
	else if (kind == CERT_REST)
		fabric_rest_name(fabric, ret_uri);
}

static bool pod_part_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

static bool pod_part_fits(struct bytes part)
{
	if (part.len == 0 || part.len > POD_NAME_MAX || part.ptr[0] == '.' || part.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < part.len; i++) {
		if (!pod_part_char(part.ptr[i]))
			return false;
	}
	return true;
}

/* Split @path at its slashes: true when there are exactly POD_PATH_PARTS of the right characters.
 * No dots-only segments, empty segments or escapes: SPIFFE-ID 2.2, and one name has one spelling.
 */
static bool pod_path_split(const char *path, struct bytes part[POD_PATH_PARTS])
{
	for (size_t i = 0; i < POD_PATH_PARTS; i++) {
		size_t len = strcspn(path, "/");

		part[i] = bytes_of(path, len);
		if (!pod_part_fits(part[i]) || (path[len] == 0) != (i == POD_PATH_PARTS - 1))
			return false;
		path += len + 1;
	}
	return bytes_equal(part[0], bytes_str("ns")) && name_is_dns_label(part[1]);
}

struct bytes form_pod_namespace(const struct cert *cert)
{
	struct bytes part[POD_PATH_PARTS];
	char prefix[CERT_URI_MAX];
	int len = snprintf(prefix, sizeof(prefix), "spiffe://%s/", cert->fabric);

	if (strncmp(cert->uri, prefix, (size_t)len) != 0 || !pod_path_split(cert->uri + len, part))
		return (struct bytes){0};
	return part[1];
}

bool form_name_fits(const struct cert *cert)
{
	char expected[CERT_URI_MAX];

	if (cert_forms[cert->kind].name == FORM_POD_URI)
		return form_pod_namespace(cert).len > 0;
	if (cert->kind == CERT_MACHINE && !name_is_dns_label(bytes_str(cert->name)))
		return false;
	form_name_make(cert->kind, cert->fabric, &cert->key, NULL, expected);
	return strcmp(cert->uri, expected) == 0;
}

bool form_grant_fits(enum cert_kind kind, const struct grant *grant)
{
	bool named = grant->all_namespaces || grant->namespace_count > 0;

	if (grant->all_namespaces && grant->namespace_count > 0)
		return false;
	if (kind == CERT_REST || kind == CERT_USER || kind == CERT_POD || kind == CERT_APPLICATION)
		return grant->roles == 0 && !named;
	if (kind == CERT_STEWARD)
		return grant->roles == ROLE_STEWARD && named;
	/* A steward of nothing, or namespaces without a steward, would be a misunderstanding. */
	return grant->roles != 0 && grant_has(grant, ROLE_STEWARD) == named;
}
