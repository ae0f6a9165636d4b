/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric token: a voucher, signed with this machine's own intermediate. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "identity/voucher.h"
#include "io/entropy.h"

struct token_order {
	const char *state_dir;
	struct grant grant;
	bool plain;
	int64_t ttl_ms;
};

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"role", required_argument, NULL, 'r'},
	{"namespace", required_argument, NULL, 'n'},
	{"ttl", required_argument, NULL, 't'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* 0, CLI_USAGE or CLI_FAILED; -1 when help was asked for. */
static int order_parse(int argc, char **argv, struct token_order *order)
{
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			order->state_dir = optarg;
		else if (option == 'r' && !cli_add_roles(&order->grant, optarg, &err))
			return cli_fail(&err);
		else if (option == 'n' && !cli_add_namespaces(&order->grant, optarg, &err))
			return cli_fail(&err);
		else if (option == 't' && (order->ttl_ms = cli_duration_ms(optarg)) == 0) {
			(void)err_set(&err, -EINVAL,
				      "--ttl: %s is no time such as 90s, 30m, 24h, 7d", optarg);
			return cli_fail(&err);
		} else if (option == 'h')
			return -1;
		else if (option == '?')
			return CLI_USAGE;
	}
	order->plain = order->grant.roles == 0 && order->grant.namespace_count == 0;
	return optind == argc && cli_grant_complete(&order->grant) ? 0 : CLI_USAGE;
}

static void add_addresses(const json_t *status, struct voucher *voucher)
{
	const json_t *addresses = json_object_get(status, "addresses");

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));

		/* The first ones count: this machine, then others for the day it is gone. */
		if (!address || !voucher_add_address(voucher, address))
			return;
	}
}

static int add_roots(const struct credentials *own, struct voucher *voucher, struct err *err)
{
	for (size_t i = 0; i < CERT_FAMILY_COUNT; i++) {
		struct cert root;

		if (cert_parse(bytes_buf(&own->root[i]), &root, err) != 0)
			return -EBADMSG;
		voucher->root[i] = root.key;
	}
	return 0;
}

static int token_make(const struct token_order *order, const struct credentials *own,
		      const json_t *status, struct voucher *ret_voucher, struct err *err)
{
	struct voucher_order make = {
		.grant = order->grant, .plain = order->plain, .ttl_ms = order->ttl_ms};
	struct signer admit;
	int r;

	if (!credentials_is_admitter(own))
		return err_set(err, -EPERM,
			       "%s is no admitter and cannot let machines in; ask one that is",
			       own->machine.name);
	make.now.ms = json_integer_value(json_object_get(status, "fabric_time_ms"));
	if (make.now.ms <= 0)
		return err_set(err, -EBADMSG, "the daemon does not say what time it is");
	entropy_fill(make.seed, sizeof(make.seed));
	entropy_fill(make.serial, sizeof(make.serial));
	admit = credentials_admit(own, CERT_FAMILY_MACHINE);
	r = voucher_make(&make, &admit, ret_voucher, err);
	secret_wipe(make.seed, sizeof(make.seed));
	if (r)
		return r < 0 ? r : -EPERM;
	add_addresses(status, ret_voucher);
	r = add_roots(own, ret_voucher, err);
	if (r)
		voucher_deinit(ret_voucher);
	return r;
}

static void token_print(const struct voucher *voucher)
{
	struct buf text = {0};

	voucher_encode(voucher, &text);
	(void)printf("%s\n", buf_cstr(&text));
	secret_wipe(text.ptr, text.len);
	buf_deinit(&text);
}

static int run(int argc, char **argv)
{
	struct token_order order = {.state_dir = CLI_STATE_DIR, .ttl_ms = CERT_VOUCHER_LIFE_MS};
	static struct credentials own;
	static struct voucher voucher;
	json_t *status = NULL;
	struct err err = {0};
	int r = order_parse(argc, argv, &order);

	if (r < 0 || r == CLI_USAGE)
		return cli_usage(&verb_fabric_token, r < 0);
	if (r)
		return r;
	r = cli_credentials(order.state_dir, &own, &err);
	if (r == 0)
		r = control_status(order.state_dir, &status, &err);
	if (r == 0)
		r = token_make(&order, &own, status, &voucher, &err);
	if (r == 0) {
		token_print(&voucher);
		voucher_deinit(&voucher);
	}
	json_decref(status);
	credentials_deinit(&own);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_fabric_token = {
	"token",
	"magik fabric token [--role ROLE[,ROLE...]] [--namespace NS[,NS...]] [--ttl TIME]\n"
	"                          [--state-dir DIR]\n"
	"\n"
	"Print a join token: whoever has it can add machines to this fabric until it\n"
	"expires. Give it to a new machine as machineplane --join TOKEN.\n"
	"\n"
	"  --role       worker, steward, admit or relay; without it worker, steward and\n"
	"               relay, and the first two machines become admitters as well\n"
	"  --namespace  what a steward is in charge of; without it, everything\n"
	"  --ttl        how long the token is good for: 90s, 30m, 24h (the default), 7d\n"
	"  --state-dir  of a machine that admits others; " CLI_STATE_DIR " by default\n",
	run,
};
