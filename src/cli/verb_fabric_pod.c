/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric pod: a key and a certificate for an agent that is run by hand. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/authority.h"
#include "cli/cli.h"
#include "io/entropy.h"

enum {
	PATH_LEN_MAX = 640, /* ns/<63>/<63>/<253>/<253> */
};

struct pod_order {
	const char *state_dir, *root_file, *namespace, *workload, *kind, *pod, *output;
};

static const struct option options[] = {
	{"namespace", required_argument, NULL, 'n'},
	{"workload", required_argument, NULL, 'w'},
	{"kind", required_argument, NULL, 'k'},
	{"pod", required_argument, NULL, 'p'},
	{"root", required_argument, NULL, 'R'},
	{"output", required_argument, NULL, 'o'},
	{"state-dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* 0 or CLI_USAGE; -1 when help was asked for. */
static int order_parse(int argc, char **argv, struct pod_order *order)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'n')
			order->namespace = optarg;
		else if (option == 'w')
			order->workload = optarg;
		else if (option == 'k')
			order->kind = optarg;
		else if (option == 'p')
			order->pod = optarg;
		else if (option == 'R')
			order->root_file = optarg;
		else if (option == 'o')
			order->output = optarg;
		else if (option == 'd')
			order->state_dir = optarg;
		else
			return option == 'h' ? -1 : CLI_USAGE;
	}
	return optind == argc && order->workload && order->pod && order->output ? 0 : CLI_USAGE;
}

/* In certificates one name has one spelling: kinds are in lower case. */
static int make_path(const struct pod_order *order, char path[PATH_LEN_MAX], struct err *err)
{
	char kind[64];
	size_t len = strlen(order->kind);
	int path_len;

	if (len == 0 || len >= sizeof(kind))
		return err_set(err, -EINVAL, "--kind: %.80s is none", order->kind);
	for (size_t i = 0; i <= len; i++) {
		char c = order->kind[i];

		kind[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	path_len = snprintf(path, PATH_LEN_MAX, "ns/%s/%s/%s/%s", order->namespace, kind,
			    order->workload, order->pod);
	return path_len < PATH_LEN_MAX ? 0 : err_set(err, -EINVAL, "these names are too long");
}

static int sign(const struct cert_order *order, const struct signer *signer, struct buf *ret_der,
		struct err *err)
{
	int r = cert_issue(order, signer, ret_der, err);

	return r > 0 ? -EPERM : r;
}

/* A steward of this namespace for this once: its key is forgotten when the command ends. */
static int sign_chain(const struct authority *authority, const struct pod_order *order,
		      const struct node_id *key, struct buf *ret_chain, struct err *err)
{
	struct signer admit = credentials_admit(&authority->own, CERT_FAMILY_WORKLOAD);
	struct cert_order steward = {.kind = CERT_STEWARD,
				     .holder = authority->own.machine.key,
				     .grant = {.roles = ROLE_STEWARD},
				     .now = authority->now,
				     .life_ms = CERT_POD_LIFE_MS};
	struct cert_order pod = {.kind = CERT_POD, .key = *key, .now = authority->now};
	uint8_t seed[KEY_SEED_LEN];
	char path[PATH_LEN_MAX];
	struct buf between = {0};
	struct signer signer;
	struct key steward_key;
	int r = make_path(order, path, err);

	entropy_fill(seed, sizeof(seed));
	entropy_fill(steward.serial, sizeof(steward.serial));
	entropy_fill(pod.serial, sizeof(pod.serial));
	steward_key = key_from_seed(seed);
	steward.key = steward_key.public_key;
	pod.pod_path = path;
	if (r == 0 && !grant_add_namespace(&steward.grant, bytes_str(order->namespace)))
		r = err_set(err, -EINVAL, "--namespace: %.80s is none", order->namespace);
	if (r == 0)
		r = sign(&steward, &admit, &between, err);
	signer = (struct signer){&steward_key, bytes_buf(&between)};
	if (r == 0)
		r = sign(&pod, &signer, ret_chain, err);
	buf_append_bytes(ret_chain, bytes_buf(&between));
	buf_append_bytes(ret_chain, admit.cert);
	key_wipe(&steward_key);
	secret_wipe(seed, sizeof(seed));
	buf_deinit(&between);
	return r;
}

static int put(const struct pod_order *order, const char *ending, const struct buf *text,
	       mode_t mode, struct err *err)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s%s", order->output, ending);
	return cli_put(path, bytes_buf(text), mode, err);
}

static int write_all(const struct pod_order *order, const struct authority *authority,
		     const struct key *key, const struct buf *chain, struct err *err)
{
	struct buf key_text = {0}, chain_text = {0}, root_text = {0};
	int r;

	key_export_pem(key, &key_text);
	chain_to_pem(bytes_buf(chain), &chain_text);
	chain_to_pem(bytes_buf(&authority->own.root[CERT_FAMILY_WORKLOAD - 1]), &root_text);
	r = put(order, ".key", &key_text, 0600, err);
	if (r == 0)
		r = put(order, ".pem", &chain_text, 0644, err);
	if (r == 0)
		r = put(order, "-root.pem", &root_text, 0644, err);
	secret_wipe(key_text.ptr, key_text.len);
	buf_deinit(&key_text);
	buf_deinit(&chain_text);
	buf_deinit(&root_text);
	return r;
}

static int run(int argc, char **argv)
{
	struct pod_order order = {
		.state_dir = CLI_STATE_DIR, .namespace = "default", .kind = "Deployment"};
	static struct authority authority;
	uint8_t seed[KEY_SEED_LEN];
	struct buf chain = {0};
	struct err err = {0};
	struct key key;
	int r = order_parse(argc, argv, &order);

	if (r)
		return cli_usage(&verb_fabric_pod, r < 0);
	entropy_fill(seed, sizeof(seed));
	key = key_from_seed(seed);
	secret_wipe(seed, sizeof(seed));
	r = authority_open(order.state_dir, order.root_file, &key.public_key, &authority, &err);
	if (r == 0)
		r = sign_chain(&authority, &order, &key.public_key, &chain, &err);
	if (r == 0)
		r = write_all(&order, &authority, &key, &chain, &err);
	authority_close(&authority);
	if (r == 0)
		(void)printf("%s\n", node_id_text(&key.public_key).text);
	key_wipe(&key);
	buf_deinit(&chain);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_fabric_pod = {
	"pod",
	"magik fabric pod --workload NAME --pod NAME --output PREFIX [--namespace NS]\n"
	"                        [--kind KIND] [--root FILE] [--state-dir DIR]\n"
	"\n"
	"Make a key and a certificate for an agent that is run by hand, without a machine,\n"
	"and print the agent's identity. Writes PREFIX.key, PREFIX.pem (its chain) and\n"
	"PREFIX-root.pem: what workplane takes as --privkey, --cert and --root. It is good\n"
	"for 30 days; whoever has the key speaks as that pod.\n"
	"\n"
	"  --workload   the workload's name\n"
	"  --pod        the pod's name\n"
	"  --output     how the files' names begin\n"
	"  --namespace  default by default\n"
	"  --kind       of the workload; Deployment by default\n"
	"  --root       sign with the root keys in this file (magik fabric root export), on\n"
	"               any computer; without it, this machine signs as an admitter\n"
	"  --state-dir  of a machine that admits others; " CLI_STATE_DIR " by default\n",
	run,
};
