/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/pod_account.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "io/entropy.h"
#include "runtime/account_cert.h"
#include "runtime/files.h"

enum {
	TOKEN_LEN = 32, /* random bytes; in hex, as tokens are text */
};

static struct path agent_path(const char *pod_dir)
{
	return path_format("%s/account/agent", pod_dir);
}

/* On the heap: paths on the stack add up. */
char *pod_account_files(const char *pod_dir)
{
	return mem_strdup(path_format("%s/account/files", pod_dir).text);
}

bool pod_account_exists(const char *pod_dir)
{
	return path_exists(agent_path(pod_dir).text);
}

static int write_files(const char *pod_dir, const char *namespace, const char *token,
		       const struct account_cert *cert)
{
	const struct {
		const char *name;
		struct bytes content;
	} files[] = {
		{"token", bytes_str(token)},
		{"ca.crt", bytes_buf(&cert->ca)},
		{"namespace", bytes_str(namespace)},
	};
	char *dir = pod_account_files(pod_dir);
	int r = dir_make(dir, 0755);

	/* Whoever a container runs as may read them, as in Kubernetes. */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++)
		r = file_replace(path_format("%s/%s", dir, files[i].name).text, files[i].content,
				 0644);
	free(dir);
	return r;
}

static int write_agent(const char *pod_dir, const char *token, const struct account_cert *cert)
{
	struct buf text = {0};
	int r;

	buf_append_format(&text, "%s\n", token);
	buf_append_bytes(&text, bytes_buf(&cert->key));
	buf_append_bytes(&text, bytes_buf(&cert->cert));
	r = file_replace(agent_path(pod_dir).text, bytes_buf(&text), 0600);
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r;
}

/* The agent's part last: where that is, the rest is too, and belongs to it. */
int pod_account_make(const char *pod_dir, const char *namespace, struct err *err)
{
	uint8_t random[TOKEN_LEN];
	char token[2 * TOKEN_LEN + 1];
	struct account_cert cert;
	int r;

	if (pod_account_exists(pod_dir))
		return 0;
	r = account_cert_make(&cert, err);
	if (r < 0)
		return r;
	entropy_fill(random, sizeof(random));
	hex_encode(bytes_of(random, sizeof(random)), token);
	r = write_files(pod_dir, namespace, token, &cert);
	if (r == 0)
		r = write_agent(pod_dir, token, &cert);
	secret_wipe(random, sizeof(random));
	secret_wipe(token, sizeof(token));
	account_cert_deinit(&cert);
	return r < 0 ? err_set(err, r, "write %s/account: %s", pod_dir, strerror(-r)) : 0;
}

int pod_account_open(const char *pod_dir, int *ret_fd, struct err *err)
{
	struct path path = agent_path(pod_dir);

	*ret_fd = open(path.text, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? err_set(err, -errno, "open %s: %s", path.text, strerror(errno)) : 0;
}
