/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric admit: the answer to a request that came as a file. */
#include <stdio.h>
#include <string.h>

#include "cli/authority.h"
#include "cli/cli.h"
#include "identity/csr.h"
#include "io/entropy.h"
#include "io/file.h"

struct admit_order {
	const char *state_dir, *csr, *root_file, *output;
	struct grant grant;
};

static const struct option options[] = {
	{"csr", required_argument, NULL, 'c'},
	{"role", required_argument, NULL, 'r'},
	{"namespace", required_argument, NULL, 'n'},
	{"root", required_argument, NULL, 'R'},
	{"output", required_argument, NULL, 'o'},
	{"state-dir", required_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* 0, CLI_USAGE or CLI_FAILED; -1 when help was asked for. */
static int order_parse(int argc, char **argv, struct admit_order *order)
{
	struct err err = {0};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			order->state_dir = optarg;
		else if (option == 'c')
			order->csr = optarg;
		else if (option == 'R')
			order->root_file = optarg;
		else if (option == 'o')
			order->output = optarg;
		else if (option == 'r' && !cli_add_roles(&order->grant, optarg, &err))
			return cli_fail(&err);
		else if (option == 'n' && !cli_add_namespaces(&order->grant, optarg, &err))
			return cli_fail(&err);
		else if (option == 'h' || option == '?')
			return option == 'h' ? -1 : CLI_USAGE;
	}
	if (optind != argc || !order->csr || !cli_grant_complete(&order->grant))
		return CLI_USAGE;
	return 0;
}

static int read_request(const struct admit_order *order, struct join_request *request,
			struct err *err)
{
	struct buf text = {0};
	int r = file_read(order->csr, CSR_TEXT_MAX, &text);

	if (r == -EFBIG)
		r = err_set(err, r, "%s: this file is longer than any request", order->csr);
	else if (r)
		r = err_set(err, r, "%s: %s", order->csr, strerror(-r));
	else if (csr_machine_open(bytes_buf(&text), &order->grant, request, err) != 0)
		r = err_prefix(err, "%s", order->csr);
	buf_deinit(&text);
	return r;
}

/* Where the machine finds the others, as the daemon says. */
static size_t list_members(const json_t *status, const char *members[JOIN_MEMBERS_MAX])
{
	const json_t *addresses = json_object_get(status, "addresses");
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(addresses) && count < JOIN_MEMBERS_MAX; i++) {
		const char *address = json_string_value(json_array_get(addresses, i));

		if (address && *address && strlen(address) <= JOIN_ADDRESS_LEN_MAX)
			members[count++] = address;
	}
	return count;
}

static int answer(const struct authority *authority, const struct join_request *request,
		  struct buf *text, struct err *err)
{
	struct join_intermediates made = {0};
	const char *members[JOIN_MEMBERS_MAX];
	struct join_answer join_answer = {
		.admitter = &authority->own,
		.now = authority->now,
		.members = members,
		.member_count = list_members(authority->status, members),
	};
	struct buf reply = {0};
	int r = 0;

	entropy_fill(join_answer.serials, sizeof(join_answer.serials));
	if (request->may_be_admitter) {
		r = authority_admitter(authority, &request->machine, request->admit, &made, err);
		join_answer.intermediates = &made;
	}
	if (r == 0)
		r = join_reply_build(request, &join_answer, &reply, err);
	if (r == 0)
		csr_admission_build(bytes_buf(&reply), text);
	join_intermediates_deinit(&made);
	buf_deinit(&reply);
	return r > 0 ? -EPERM : r;
}

static int run(int argc, char **argv)
{
	struct admit_order order = {.state_dir = CLI_STATE_DIR};
	static struct authority authority;
	struct join_request request;
	struct buf text = {0};
	struct err err = {0};
	int r = order_parse(argc, argv, &order);

	if (r < 0 || r == CLI_USAGE)
		return cli_usage(&verb_fabric_admit, r < 0);
	if (r)
		return r;
	r = read_request(&order, &request, &err);
	if (r == 0) {
		r = authority_open(order.state_dir, order.root_file, &request.machine, &authority,
				   &err);
		if (r == 0)
			r = answer(&authority, &request, &text, &err);
		authority_close(&authority);
	}
	if (r == 0)
		r = cli_put(order.output, bytes_buf(&text), 0644, &err);
	if (r == 0)
		(void)fprintf(stderr, "admitted %s, identity %s\n", request.node_name,
			      node_id_text(&request.machine).text);
	buf_deinit(&text);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_fabric_admit = {
	"admit",
	"magik fabric admit --csr FILE [--role ROLE[,ROLE...]] [--namespace NS[,NS...]]\n"
	"                          [--root FILE] [--output FILE] [--state-dir DIR]\n"
	"\n"
	"Sign the request of a machine that reaches no member (magik fabric request), and\n"
	"print its admission: the file with which it starts, as machineplane --join FILE.\n"
	"\n"
	"  --csr        the file with the request\n"
	"  --role       worker, steward, admit or relay; without it worker, steward and\n"
	"               relay. For admit the fabric's roots are needed\n"
	"  --namespace  what a steward is in charge of; without it, everything\n"
	"  --root       sign with the root keys in this file (magik fabric root export), on\n"
	"               any computer; without it, this machine signs as an admitter\n"
	"  --output     a file to write\n"
	"  --state-dir  of a machine that admits others; " CLI_STATE_DIR " by default\n",
	run,
};
