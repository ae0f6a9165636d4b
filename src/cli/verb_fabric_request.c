/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric request: a machine that no connection leads to makes its keys and asks for their
 * certificates in a file. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "identity/csr.h"
#include "identity/keyring.h"
#include "io/entropy.h"
#include "io/file.h"

struct request_order {
	const char *state_dir, *node_name, *output;
};

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"node-name", required_argument, NULL, 'n'},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void path_of(const char *state_dir, const char *name, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s", state_dir, name);
}

static void make_keys(struct join_keys *keys)
{
	uint8_t random[JOIN_RANDOM_LEN];

	entropy_fill(random, sizeof(random));
	join_keys_make(keys, random);
	secret_wipe(random, sizeof(random));
}

static int write_keys(const char *path, const struct join_keys *keys)
{
	struct key list[JOIN_SEEDS];
	struct buf text = {0};
	int r;

	csr_keys_list(keys, list);
	keyring_write(join_key_names, list, &text);
	r = file_write(path, bytes_buf(&text), 0600);
	secret_wipe(list, sizeof(list));
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r;
}

static int read_keys(const char *path, struct join_keys *keys, struct err *err)
{
	struct key list[JOIN_SEEDS];
	struct buf text = {0};
	int r = file_read(path, KEYRING_LEN_MAX, &text);

	if (r == 0)
		r = keyring_read(bytes_buf(&text), join_key_names, list, err);
	if (r == 0)
		csr_keys_take(list, keys);
	secret_wipe(list, sizeof(list));
	if (text.len > 0)
		secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
	return r;
}

/* The keys of an earlier request are asked for again: its answer may be on its way. */
static int find_keys(const char *state_dir, struct join_keys *keys, struct err *err)
{
	char path[PATH_MAX];
	int r;

	path_of(state_dir, CREDENTIALS_DIR "/machine.pem", path);
	if (access(path, F_OK) == 0)
		return err_set(err, -EEXIST,
			       "%s belongs to a member of a fabric already: magik fabric show",
			       state_dir);
	path_of(state_dir, "", path);
	r = file_make_dir(path, 0755);
	path_of(state_dir, CREDENTIALS_ROOT_DIR, path);
	if (r == 0)
		r = file_make_dir(path, 0700);
	path_of(state_dir, CREDENTIALS_ROOT_DIR "/" CREDENTIALS_REQUEST, path);
	if (r == 0)
		r = read_keys(path, keys, err);
	if (r == -ENOENT) {
		make_keys(keys);
		r = write_keys(path, keys);
	}
	if (r == -EBADMSG)
		return err_prefix(err, "%s", path);
	return r ? err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static int run(int argc, char **argv)
{
	struct request_order order = {.state_dir = CLI_STATE_DIR};
	struct join_keys keys = {0};
	struct buf text = {0};
	struct err err = {0};
	int option, r;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			order.state_dir = optarg;
		else if (option == 'n')
			order.node_name = optarg;
		else if (option == 'o')
			order.output = optarg;
		else
			return cli_usage(&verb_fabric_request, option == 'h');
	}
	if (optind != argc || !order.node_name)
		return cli_usage(&verb_fabric_request, false);
	if (!name_is_dns_label(bytes_str(order.node_name))) {
		(void)err_set(&err, -EINVAL, "--node-name: %s is no DNS label", order.node_name);
		return cli_fail(&err);
	}
	r = find_keys(order.state_dir, &keys, &err);
	if (r == 0) {
		csr_machine_build(&keys, order.node_name, &text);
		r = cli_put(order.output, bytes_buf(&text), 0644, &err);
	}
	join_keys_wipe(&keys);
	buf_deinit(&text);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_fabric_request = {
	"request",
	"magik fabric request --node-name NAME [--output FILE] [--state-dir DIR]\n"
	"\n"
	"On a machine that is to be a member but reaches none: make its keys, and print a\n"
	"request for their certificates. Carry it to a machine that admits others, or to\n"
	"the fabric's roots; magik fabric admit --csr there makes an admission of it. With\n"
	"that, start this machine: machineplane --node-name NAME --join FILE. The keys stay\n"
	"here; neither file holds a secret.\n"
	"\n"
	"  --node-name  what the machine will be called\n"
	"  --output     a file to write\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
