/* SPDX-License-Identifier: Apache-2.0 */
/* magik kubeconfig: the administrator's, which the daemon wrote when it made the fabric. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "io/file.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"server", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char server_line[] = "    server: https://";

/* The file as it is, but for its server line when another server is asked for. */
static void print_config(const char *text, const char *server)
{
	const char *line = server ? strstr(text, server_line) : NULL;

	if (!line) {
		(void)fputs(text, stdout);
		return;
	}
	line += strlen(server_line);
	(void)printf("%.*s%s%s", (int)(line - text), text, server, line + strcspn(line, "\n"));
}

static int read_config(const char *state_dir, struct buf *content, struct err *err)
{
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/" CREDENTIALS_KUBECONFIG, state_dir);
	r = file_read(path, CREDENTIALS_FILE_LEN_MAX, content);
	if (r == -ENOENT)
		return err_set(err, r,
			       "%s is not there: an administrator's credential exists only where "
			       "the fabric was made",
			       path);
	return r ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

/* Letters, digits and what addresses and names are punctuated with: it goes into YAML as it is. */
static bool server_is_plain(const char *server)
{
	return server[0] &&
	       server[strspn(server, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789.-:[]")] == 0;
}

static int run(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR, *server = NULL;
	struct buf content = {0};
	json_t *status = NULL;
	struct err err = {0};
	int option, r;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			state_dir = optarg;
		else if (option == 's')
			server = optarg;
		else
			return cli_usage(&verb_kubeconfig, option == 'h');
	}
	if (optind != argc || (server && !server_is_plain(server)))
		return cli_usage(&verb_kubeconfig, false);
	/* A configuration for a server that is not there would only puzzle. */
	r = control_status(state_dir, &status, &err);
	json_decref(status);
	if (r == 0)
		r = read_config(state_dir, &content, &err);
	if (r)
		return cli_fail(&err);
	print_config(buf_cstr(&content), server);
	secret_wipe(content.ptr, content.len);
	buf_deinit(&content);
	return CLI_OK;
}

const struct cli_verb verb_kubeconfig = {
	"kubeconfig",
	"magik kubeconfig [--server HOST:PORT] [--state-dir DIR]\n"
	"\n"
	"Print the administrator's kubeconfig, once the daemon answers. It holds a private\n"
	"key. Only the machine that made the fabric has it; every machine honours it.\n"
	"\n"
	"  --server     the REST address of another machine to put in\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
