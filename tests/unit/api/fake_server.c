/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fake server: the gateway over the fake backend, for real clients.
 *
 *   fake_server DIRECTORY [STORED]
 *
 * writes ca.pem and kubeconfigs there: admin, guest (a user without rights), viewer and editor (of
 * the namespace default), watcher and owner (view and admin of all), and stranger (a certificate of
 * another authority); prints its port, and serves until its standard input ends. STORED: how many
 * of three keepers acknowledge every write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/mem.h"
#include "fake_backend.h"

static struct api *api;
static struct fake_backend *fake;

static void write_file(const char *directory, const char *name, const char *text)
{
	struct buf path = {0};
	FILE *file;

	buf_append_format(&path, "%s/%s", directory, name);
	file = fopen(buf_cstr(&path), "we");
	if (!file || fputs(text, file) < 0 || fclose(file))
		exit(1);
	buf_deinit(&path);
}

static void append_base64(struct buf *out, const char *key, const char *pem)
{
	buf_append_format(out, "%s: ", key);
	base64_encode(bytes_str(pem), out);
	buf_append_str(out, "\n");
}

static void write_kubeconfig(const char *directory, const char *name, const char *ca,
			     const struct fake_credential *user)
{
	struct buf text = {0};

	buf_append_format(&text,
			  "apiVersion: v1\nkind: Config\ncurrent-context: fake\n"
			  "contexts: [{name: fake, context: {cluster: fake, user: fake}}]\n"
			  "clusters:\n- name: fake\n  cluster:\n    server: https://127.0.0.1:%u\n",
			  api_port(api));
	append_base64(&text, "    certificate-authority-data", ca);
	buf_append_str(&text, "users:\n- name: fake\n  user:\n");
	append_base64(&text, "    client-certificate-data", user->cert_pem);
	append_base64(&text, "    client-key-data", user->key_pem);
	write_file(directory, name, buf_cstr(&text));
	buf_deinit(&text);
}

static void write_user(const char *directory, const char *file, const struct fake_pki *pki,
		       struct fake_pki *issuer, const char *group)
{
	struct fake_credential user = fake_pki_issue(issuer, "tester", group, false, false);

	write_kubeconfig(directory, file, fake_pki_ca_pem(pki), &user);
	fake_credential_deinit(&user);
}

static void log_line(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", line);
}

static void on_closed(void *arg)
{
	(void)arg;
	fake_backend_close(fake);
}

static void on_input(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	(void)buf;
	if (len >= 0)
		return;
	uv_close((uv_handle_t *)stream, NULL);
	fake_backend_attach(fake, NULL);
	api_close(api, 500, on_closed, NULL);
}

static void give_space(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char space[256];

	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(space, sizeof(space));
}

int main(int argc, char **argv)
{
	struct fake_pki *pki = fake_pki_new(), *other = fake_pki_new();
	struct fake_credential own = fake_pki_issue(pki, "server", NULL, true, false);
	uv_loop_t *loop = uv_default_loop();
	struct api_backend backend;
	struct api_options options = {
		.host = "127.0.0.1",
		.chain_pem = own.cert_pem,
		.key_pem = own.key_pem,
		.insecure = true,
		.log = log_line,
	};
	struct err err = {0};
	uv_pipe_t input;

	if (argc != 2 && argc != 3)
		return 2;
	fake = fake_backend_new(loop, pki);
	if (argc == 3)
		fake_backend_set_stored(fake, (unsigned)strtoul(argv[2], NULL, 10));
	backend = fake_backend_table(fake);
	if (api_new(loop, &backend, &options, &api, &err)) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	fake_backend_attach(fake, api);
	write_file(argv[1], "ca.pem", fake_pki_ca_pem(pki));
	write_user(argv[1], "admin.kubeconfig", pki, pki, "system:masters");
	write_user(argv[1], "guest.kubeconfig", pki, pki, NULL);
	write_user(argv[1], "viewer.kubeconfig", pki, pki, "magik:view:default");
	write_user(argv[1], "editor.kubeconfig", pki, pki, "magik:edit:default");
	write_user(argv[1], "watcher.kubeconfig", pki, pki, "magik:view:*");
	write_user(argv[1], "owner.kubeconfig", pki, pki, "magik:admin:*");
	write_user(argv[1], "stranger.kubeconfig", pki, other, "system:masters");
	(void)printf("%u\n", api_port(api));
	(void)fflush(stdout);
	(void)uv_pipe_init(loop, &input, 0);
	(void)uv_pipe_open(&input, 0);
	(void)uv_read_start((uv_stream_t *)&input, give_space, on_input);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	fake_credential_deinit(&own);
	fake_pki_free(pki);
	fake_pki_free(other);
	return uv_loop_close(loop) != 0;
}
