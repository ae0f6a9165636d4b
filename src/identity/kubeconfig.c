/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/fabric.h"

#include <assert.h>

static void append_base64(struct buf *yaml, const char *indent, const char *field, struct buf *pem)
{
	buf_append_format(yaml, "%s%s: ", indent, field);
	base64_encode(bytes_buf(pem), yaml);
	buf_append_str(yaml, "\n");
	secret_wipe(pem->ptr, pem->len);
	buf_clear(pem);
}

/* A path may hold anything: in single quotes, YAML escapes nothing but the quote itself. */
static void append_quoted(struct buf *yaml, const char *indent, const char *field, const char *text)
{
	buf_append_format(yaml, "%s%s: '", indent, field);
	for (; *text; text++)
		buf_append_str(yaml, *text == '\'' ? "''" : (char[2]){*text, 0});
	buf_append_str(yaml, "'\n");
}

/* The entries are named after the fabric, so that several fabrics go into one file, and because a
 * user's name may hold what YAML would have to quote. */
void kubeconfig_render(const struct kubeconfig *config, struct buf *ret_yaml)
{
	const struct user_credential *user = config->user;
	char rest_name[CERT_DNS_MAX];
	struct chain chain;
	struct buf pem = {0};
	struct cert leaf;
	bool sound;

	sound = chain_split(bytes_buf(&user->chain), &chain) &&
		cert_parse(chain.cert[0], &leaf, NULL) == 0;
	assert(sound);
	fabric_rest_name(leaf.fabric, rest_name);
	buf_append_format(ret_yaml,
			  "apiVersion: v1\n"
			  "kind: Config\n"
			  "clusters:\n"
			  "- name: magik-%s\n"
			  "  cluster:\n"
			  "    server: https://%s\n"
			  "    tls-server-name: %s\n",
			  leaf.fabric, config->server, rest_name);
	chain_to_pem(config->api_root_der, &pem);
	append_base64(ret_yaml, "    ", "certificate-authority-data", &pem);
	buf_append_format(ret_yaml,
			  "contexts:\n"
			  "- name: magik-%s\n"
			  "  context:\n"
			  "    cluster: magik-%s\n"
			  "    user: magik-%s\n",
			  leaf.fabric, leaf.fabric, leaf.fabric);
	if (config->namespace)
		buf_append_format(ret_yaml, "    namespace: %s\n", config->namespace);
	buf_append_format(ret_yaml,
			  "current-context: magik-%s\n"
			  "users:\n"
			  "- name: magik-%s\n"
			  "  user:\n",
			  leaf.fabric, leaf.fabric);
	chain_to_pem(bytes_buf(&user->chain), &pem);
	append_base64(ret_yaml, "    ", "client-certificate-data", &pem);
	if (config->key_file) {
		append_quoted(ret_yaml, "    ", "client-key", config->key_file);
	} else {
		key_export_pem(&user->key, &pem);
		append_base64(ret_yaml, "    ", "client-key-data", &pem);
	}
	buf_deinit(&pem);
}
