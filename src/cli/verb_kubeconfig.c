/* SPDX-License-Identifier: Apache-2.0 */
/* magik kubeconfig: the administrator's, which the daemon wrote when it made the fabric; or one for
 * a user of another name, certified here where this machine is an admitter. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/authority.h"
#include "cli/cli.h"
#include "identity/csr.h"
#include "identity/fabric.h"
#include "io/entropy.h"
#include "io/file.h"
#include "kube/access.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"server", required_argument, NULL, 's'},
	{"user", required_argument, NULL, 'u'},
	{"group", required_argument, NULL, 'g'},
	{"role", required_argument, NULL, 'r'},
	{"namespace", required_argument, NULL, 'n'},
	{"output", required_argument, NULL, 'o'},
	{"ttl", required_argument, NULL, 't'},
	{"csr", required_argument, NULL, 'c'},
	{"key", required_argument, NULL, 'k'},
	{"root", required_argument, NULL, 'R'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static const char server_line[] = "    server: https://";

/* The file as it is, but for its server line when another server is asked for. */
static void set_server(struct buf *config, const char *server)
{
	const char *text = buf_cstr(config), *line = server ? strstr(text, server_line) : NULL;
	struct buf changed = {0};

	if (!line)
		return;
	line += strlen(server_line);
	buf_append(&changed, text, (size_t)(line - text));
	buf_append_str(&changed, server);
	buf_append_str(&changed, line + strcspn(line, "\n"));
	secret_wipe(config->ptr, config->len);
	buf_deinit(config);
	*config = changed;
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

/* A path goes into one line. */
static bool path_is_plain(const char *path)
{
	for (; *path; path++)
		if ((unsigned char)*path < ' ')
			return false;
	return true;
}

struct kubeconfig_order {
	const char *state_dir, *server, *output;
	const char *role, *namespaces; /* as given; NULL: none */
	const char *csr, *key_file, *root_file;
	struct user_order user; /* neither name nor csr: the administrator's file */
	const char *groups[CERT_GROUPS_MAX];
	char made[CERT_GROUPS_MAX][KUBE_ACCESS_GROUP_MAX + 1]; /* of role and namespaces */
	char context[NAMESPACE_LEN_MAX + 1];                   /* "": kubectl's default */
};

static bool add_group(struct kubeconfig_order *order, const char *group)
{
	if (order->user.group_count == CERT_GROUPS_MAX)
		return false;
	order->groups[order->user.group_count++] = group;
	return true;
}

/* One group for each namespace of a list with commas. */
static int add_role(struct kubeconfig_order *order, struct err *err)
{
	const char *list = order->namespaces ? order->namespaces : "default";
	size_t count = 0;

	if (!kube_role_parse(order->role))
		return err_set(err, -EINVAL, "--role: %s is none of view, edit, admin",
			       order->role);
	for (size_t len; *list; list += len + (list[len] == ',')) {
		char name[NAMESPACE_LEN_MAX + 1];

		len = strcspn(list, ",");
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, list);
		if (len > NAMESPACE_LEN_MAX || count == CERT_GROUPS_MAX ||
		    !kube_access_group(order->role, name, order->made[count]) ||
		    !add_group(order, order->made[count]))
			return err_set(err, -EINVAL,
				       "--namespace: %.*s is no namespace, too long to stand in a "
				       "certificate beside its role, or one too many (at most %d "
				       "groups; * stands for all namespaces)",
				       (int)len, list, CERT_GROUPS_MAX);
		if (count++ == 0 && strcmp(name, "*") != 0)
			(void)snprintf(order->context, sizeof(order->context), "%s", name);
	}
	return 0;
}

/* What was asked for hangs together; else how to ask is told. */
static bool order_is_sound(const struct kubeconfig_order *order)
{
	bool user = order->user.name || order->csr;

	if ((order->server && !server_is_plain(order->server)) ||
	    (order->key_file && (!order->csr || !path_is_plain(order->key_file))))
		return false;
	return user ? !order->namespaces || order->role
		    : !order->role && !order->namespaces && !order->user.group_count &&
			       !order->user.life_ms && !order->root_file;
}

/* 0, CLI_USAGE or CLI_FAILED; -1 when help was asked for. */
static int order_parse(int argc, char **argv, struct kubeconfig_order *order)
{
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			order->state_dir = optarg;
		else if (option == 's')
			order->server = optarg;
		else if (option == 'o')
			order->output = optarg;
		else if (option == 'u')
			order->user.name = optarg;
		else if (option == 'c')
			order->csr = optarg;
		else if (option == 'k')
			order->key_file = optarg;
		else if (option == 'R')
			order->root_file = optarg;
		else if (option == 'r')
			order->role = optarg;
		else if (option == 'n')
			order->namespaces = optarg;
		else if (option == 'g' && add_group(order, optarg))
			continue;
		else if (option == 't' && (order->user.life_ms = cli_duration_ms(optarg)) == 0) {
			(void)err_set(&err, -EINVAL,
				      "--ttl: %s is no time such as 90s, 30m, 24h, 7d", optarg);
			return cli_fail(&err);
		} else if (option != 't')
			return option == 'h' ? -1 : CLI_USAGE;
	}
	order->user.groups = order->groups;
	if (optind != argc || !order_is_sound(order))
		return CLI_USAGE;
	if (order->role && add_role(order, &err) != 0)
		return cli_fail(&err);
	return 0;
}

static bool is_granted(const struct kubeconfig_order *order, const char *group)
{
	for (size_t i = 0; i < order->user.group_count; i++)
		if (strcmp(order->groups[i], group) == 0)
			return true;
	return false;
}

/* What the request says of itself must be what is given: it is the signer who decides. */
static int order_compare(struct kubeconfig_order *order, const struct csr_user *asked,
			 struct err *err)
{
	if (!order->user.name)
		order->user.name = asked->name;
	if (!*order->user.name)
		return err_set(err, -EINVAL, "%s names nobody: say who it is, with --user",
			       order->csr);
	if (*asked->name && strcmp(order->user.name, asked->name) != 0)
		return err_set(err, -EINVAL, "%s is a request of %s, and not of %s", order->csr,
			       asked->name, order->user.name);
	for (size_t i = 0; i < asked->group_count; i++)
		if (!is_granted(order, asked->groups[i]))
			return err_set(err, -EACCES,
				       "%s asks for the group %s, which was not given: --group or "
				       "--role give groups",
				       order->csr, asked->groups[i]);
	return 0;
}

static int read_csr(struct kubeconfig_order *order, struct csr_user *asked, struct err *err)
{
	struct buf text = {0};
	int r = file_read(order->csr, CSR_TEXT_MAX, &text);

	if (r == -EFBIG)
		r = err_set(err, r, "%s: this file is longer than any request", order->csr);
	else if (r)
		r = err_set(err, r, "%s: %s", order->csr, strerror(-r));
	else if (csr_user_open(bytes_buf(&text), asked, err) != 0)
		r = err_prefix(err, "%s", order->csr);
	else
		r = order_compare(order, asked, err);
	order->user.key = &asked->key;
	buf_deinit(&text);
	return r;
}

/* Their key lies where they keep it: beside the file, under their name, unless told. */
static const char *key_file_of(const struct kubeconfig_order *order, char path[CERT_NAME_MAX + 8])
{
	size_t len;

	if (!order->csr || order->key_file)
		return order->key_file;
	len = (size_t)snprintf(path, CERT_NAME_MAX + 8, "%s.key", order->user.name);
	for (size_t i = 0; i < len; i++)
		if (path[i] == '/')
			path[i] = '_';
	return path;
}

/* Certify the user and render; the server is this machine unless another is asked for. */
static int make_config(const struct kubeconfig_order *order, const struct authority *authority,
		       struct buf *content, struct err *err)
{
	struct signer admit = credentials_admit(&authority->own, CERT_FAMILY_API);
	struct user_order user = order->user;
	char key_path[CERT_NAME_MAX + 8];
	struct user_credential credential;
	struct kubeconfig config = {
		.user = &credential,
		.api_root_der = bytes_buf(&authority->own.root[CERT_FAMILY_API - 1]),
		.server = order->server ? order->server : control_text(authority->status, "rest"),
		.namespace = *order->context ? order->context : NULL,
		.key_file = key_file_of(order, key_path),
	};
	uint8_t random[USER_RANDOM_LEN];
	int r;

	if (!server_is_plain(config.server))
		return err_set(err, -EINVAL,
			       "no daemon says where its API is: give --server HOST:PORT");
	user.now = authority->now;
	entropy_fill(random, sizeof(random));
	r = user_issue(&user, &admit, random, &credential, err);
	if (r)
		return r < 0 ? r : -EINVAL;
	kubeconfig_render(&config, content);
	user_credential_deinit(&credential);
	return 0;
}

static int user_config(struct kubeconfig_order *order, struct buf *content, struct err *err)
{
	static struct authority authority;
	struct csr_user asked = {0};
	struct node_id holder;
	int r = order->csr ? read_csr(order, &asked, err) : 0;

	if (r)
		return r;
	if (strncmp(order->user.name, "system:", strlen("system:")) == 0)
		return err_set(err, -EINVAL,
			       "%s: names that begin with system: are Kubernetes' own",
			       order->user.name);
	/* Intermediates that sign once are no machine's: what they are named after never was one.
	 */
	entropy_fill(holder.byte, sizeof(holder.byte));
	r = authority_open(order->state_dir, order->root_file, &holder, &authority, err);
	if (r == 0)
		r = make_config(order, &authority, content, err);
	authority_close(&authority);
	return r;
}

/* The administrator's; one for a server that is not there would only puzzle. */
static int admin_config(const struct kubeconfig_order *order, struct buf *content, struct err *err)
{
	json_t *status = NULL;
	int r = control_status(order->state_dir, &status, err);

	json_decref(status);
	if (r == 0)
		r = read_config(order->state_dir, content, err);
	if (r == 0)
		set_server(content, order->server);
	return r;
}

static int run(int argc, char **argv)
{
	struct kubeconfig_order order = {.state_dir = CLI_STATE_DIR};
	struct buf content = {0};
	struct err err = {0};
	int r = order_parse(argc, argv, &order);

	if (r < 0 || r == CLI_USAGE)
		return cli_usage(&verb_kubeconfig, r < 0);
	if (r)
		return r;
	r = order.user.name || order.csr ? user_config(&order, &content, &err)
					 : admin_config(&order, &content, &err);
	if (r == 0) {
		r = cli_put(order.output, bytes_buf(&content), 0600, &err);
		secret_wipe(content.ptr, content.len);
	}
	buf_deinit(&content);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_kubeconfig = {
	"kubeconfig",
	"magik kubeconfig [--output FILE] [--server HOST:PORT] [--state-dir DIR]\n"
	"       magik kubeconfig --user NAME [--role ROLE [--namespace NS[,NS...]]]\n"
	"                        [--group GROUP]... [--ttl TIME] [--output FILE]\n"
	"                        [--server HOST:PORT] [--root FILE] [--state-dir DIR]\n"
	"       magik kubeconfig --csr FILE [--user NAME] [--key FILE] ...\n"
	"\n"
	"Print the administrator's kubeconfig, once the daemon answers; or certify a user\n"
	"and print theirs. It holds a private key. The administrator's exists only on the\n"
	"machine that made the fabric; every machine of the fabric honours either.\n"
	"\n"
	"  --user       name of the user; on a machine that admits others\n"
	"  --role       view, edit or admin, as in Kubernetes\n"
	"  --namespace  where the role holds: default when left out; * for all namespaces\n"
	"               and what lies in none. Each takes one of the eight groups\n"
	"  --group      a group the user is in; up to eight\n"
	"  --csr        certify the key in this request (PKCS#10, an Ed25519 key), which its\n"
	"               owner keeps: the file printed holds no secret. The name is the\n"
	"               request's own unless it has none; groups are yours to give\n"
	"  --key        with --csr: where the user has the key, seen from the kubeconfig;\n"
	"               NAME.key by default\n"
	"  --root       sign with the fabric's root keys in this file, on any computer\n"
	"  --ttl        how long the certificate is good for; 90d by default\n"
	"  --output     a file to write, which only its owner can read\n"
	"  --server     the REST address of another machine to put in\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
