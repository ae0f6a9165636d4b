/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_ref.h"

#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_made_of(const char *text, size_t len, const char *set)
{
	return len > 0 && strspn(text, set) >= len;
}

static bool is_domain(const char *text, size_t len)
{
	if (len == strlen("localhost") && strncmp(text, "localhost", len) == 0)
		return true;
	/* Neither "." nor ".." nor anything else that starts or ends with punctuation. */
	if (len == 0 || !strchr(LOWER UPPER DIGITS "[", text[0]) ||
	    !strchr(LOWER UPPER DIGITS "]", text[len - 1]))
		return false;
	return memchr(text, '.', len) != NULL || memchr(text, ':', len) != NULL;
}

/* Every part starts and ends with a letter or digit; between them also "._-". */
static bool is_path(const char *text, size_t len)
{
	size_t start = 0;

	if (!is_made_of(text, len, LOWER DIGITS "._-/"))
		return false;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && text[i] != '/')
			continue;
		if (i == start || !strchr(LOWER DIGITS, text[start]) ||
		    !strchr(LOWER DIGITS, text[i - 1]))
			return false;
		start = i + 1;
	}
	return true;
}

static bool is_tag(const char *text)
{
	size_t len = strlen(text);

	return len <= IMAGE_TAG_MAX && is_made_of(text, len, LOWER UPPER DIGITS "._-") &&
	       text[0] != '.' && text[0] != '-';
}

static bool is_digest(const char *text)
{
	const char *prefix = "sha256:";

	return strncmp(text, prefix, strlen(prefix)) == 0 && strlen(text) == strlen(prefix) + 64 &&
	       is_made_of(text + strlen(prefix), 64, DIGITS "abcdef");
}

static int invalid(struct err *err, const char *text)
{
	return err_set_status(err, -EINVAL, 400, "invalid image reference \"%.100s\"", text);
}

int image_ref_parse(const char *text, struct image_ref *ret_ref, struct err *err)
{
	const char *digest = strchr(text, '@'), *slash, *path = text, *tag = NULL;
	size_t len = strlen(text), name_len, domain_len = 0;
	struct image_ref ref = {0};
	int written;
	const char *domain = "docker.io", *library = "";

	if (len == 0 || len >= IMAGE_REF_MAX - sizeof("docker.io/library/:latest"))
		return invalid(err, text);
	name_len = digest ? (size_t)(digest - text) : len;
	slash = memchr(text, '/', name_len);
	if (slash && is_domain(text, (size_t)(slash - text))) {
		domain = text;
		domain_len = (size_t)(slash - text);
		path = slash + 1;
	}
	name_len -= (size_t)(path - text);
	tag = memchr(path, ':', name_len);
	if (tag) {
		char copy[IMAGE_REF_MAX];

		(void)snprintf(copy, sizeof(copy), "%.*s",
			       (int)(name_len - (size_t)(tag - path)) - 1, tag + 1);
		if (!is_tag(copy))
			return invalid(err, text);
		ref.is_latest = !digest && strcmp(copy, "latest") == 0;
		(void)snprintf(ref.text, sizeof(ref.text), ":%s", copy);
		name_len = (size_t)(tag - path);
	}
	if (!is_path(path, name_len) || (digest && !is_digest(digest + 1)))
		return invalid(err, text);
	if (domain_len == 0) {
		domain_len = strlen(domain);
		library = memchr(path, '/', name_len) ? "" : "library/";
	}
	if (!is_made_of(domain, domain_len, LOWER UPPER DIGITS ".-:[]"))
		return invalid(err, text);
	(void)snprintf(ref.domain, sizeof(ref.domain), "%.*s", (int)domain_len, domain);
	if (!digest && !tag) {
		(void)snprintf(ref.text, sizeof(ref.text), ":latest");
		ref.is_latest = true;
	}
	if (digest)
		(void)snprintf(ref.text, sizeof(ref.text), "%s", digest);
	*ret_ref = ref;
	written = snprintf(ret_ref->text, sizeof(ret_ref->text), "%s/%s%.*s%s", ref.domain, library,
			   (int)name_len, path, ref.text);
	if (written < 0 || (size_t)written >= sizeof(ret_ref->text))
		return invalid(err, text);
	return 0;
}

bool image_ref_is_loopback(const struct image_ref *ref)
{
	const char *domain = ref->domain;

	return strncmp(domain, "127.", 4) == 0 || strncmp(domain, "[::1]", 5) == 0 ||
	       strcmp(domain, "localhost") == 0 || strncmp(domain, "localhost:", 10) == 0;
}
