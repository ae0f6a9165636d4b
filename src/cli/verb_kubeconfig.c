/* SPDX-License-Identifier: Apache-2.0 */
/* magik kubeconfig: the administrator's, which the daemon wrote when it made the fabric; or one for
 * a user of another name, certified here where this machine is an admitter. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
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

/* To standard output, or to a file that only its owner can read. */
static int put_config(struct buf *config, const char *path, struct err *err)
{
	int r = 0;

	if (path)
		r = file_write(path, bytes_buf(config), 0600);
	else if (fputs(buf_cstr(config), stdout) < 0 || fflush(stdout) != 0)
		r = -EIO;
	return r ? err_set(err, r, "%s: %s", path ? path : "standard output", strerror(-r)) : 0;
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

struct kubeconfig_order {
	const char *state_dir, *server, *output;
	const char *role, *namespaces; /* as given; NULL: none */
	struct user_order user;        /* no name: the administrator's file */
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
	bool user = order->user.name != NULL;

	if (order->server && !server_is_plain(order->server))
		return false;
	return user ? !order->namespaces || order->role
		    : !order->role && !order->namespaces && !order->user.group_count &&
			       !order->user.life_ms;
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
	if (order->user.name && strncmp(order->user.name, "system:", strlen("system:")) == 0)
		(void)err_set(&err, -EINVAL,
			      "--user: names that begin with system: are Kubernetes' own");
	else if (order->role)
		(void)add_role(order, &err);
	return err.code ? cli_fail(&err) : 0;
}

/* Certify the user and render; the server is this machine unless another is asked for. */
static int make_config(const struct kubeconfig_order *order, const struct credentials *own,
		       const json_t *status, struct buf *content, struct err *err)
{
	const char *server = order->server ? order->server : control_text(status, "rest");
	struct user_order user = order->user;
	struct user_credential credential;
	uint8_t random[USER_RANDOM_LEN];
	struct signer admit;
	int r;

	if (!credentials_is_admitter(own))
		return err_set(err, -EPERM, "%s is no admitter and cannot certify users",
			       own->machine.name);
	user.now.ms = json_integer_value(json_object_get(status, "fabric_time_ms"));
	if (user.now.ms <= 0 || !server_is_plain(server))
		return err_set(err, -EBADMSG, "the daemon does not say its time or its address");
	entropy_fill(random, sizeof(random));
	admit = credentials_admit(own, CERT_FAMILY_API);
	r = user_issue(&user, &admit, random, &credential, err);
	if (r)
		return r < 0 ? r : -EINVAL;
	kubeconfig_render(&credential, bytes_buf(&own->root[CERT_FAMILY_API - 1]), server,
			  *order->context ? order->context : NULL, content);
	user_credential_deinit(&credential);
	return 0;
}

static int user_config(const struct kubeconfig_order *order, const json_t *status,
		       struct buf *content, struct err *err)
{
	static struct credentials own;
	int r = cli_credentials(order->state_dir, &own, err);

	if (r)
		return r;
	r = make_config(order, &own, status, content, err);
	credentials_deinit(&own);
	return r;
}

static int run(int argc, char **argv)
{
	struct kubeconfig_order order = {.state_dir = CLI_STATE_DIR};
	struct buf content = {0};
	json_t *status = NULL;
	struct err err = {0};
	int r = order_parse(argc, argv, &order);

	if (r < 0 || r == CLI_USAGE)
		return cli_usage(&verb_kubeconfig, r < 0);
	if (r)
		return r;
	/* A configuration for a server that is not there would only puzzle. */
	r = control_status(order.state_dir, &status, &err);
	if (r == 0)
		r = order.user.name ? user_config(&order, status, &content, &err)
				    : read_config(order.state_dir, &content, &err);
	json_decref(status);
	if (r == 0) {
		set_server(&content, order.server);
		r = put_config(&content, order.output, &err);
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
	"                        [--server HOST:PORT] [--state-dir DIR]\n"
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
	"  --ttl        how long the certificate is good for; 90d by default\n"
	"  --output     a file to write, which only its owner can read\n"
	"  --server     the REST address of another machine to put in\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run,
};
