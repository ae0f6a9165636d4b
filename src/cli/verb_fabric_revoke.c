/* SPDX-License-Identifier: Apache-2.0 */
/* magik fabric revoke, revocations: shut a machine, a user or one certificate out for good; and who
 * has been. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/control.h"

static const struct option options[] = {
	{"state-dir", required_argument, NULL, 'd'},
	{"machine", required_argument, NULL, 'm'},
	{"user", required_argument, NULL, 'u'},
	{"serial", required_argument, NULL, 's'},
	{"reason", required_argument, NULL, 'r'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct revoke_order {
	const char *state_dir;
	const char *kind, *subject; /* "machine", "user" or "serial"; NULL: to be told from it */
	const char *reason;
};

static bool order_set(struct revoke_order *order, const char *kind, const char *subject)
{
	if (order->subject)
		return false;
	order->kind = kind;
	order->subject = subject;
	return true;
}

/* 0 or CLI_USAGE; -1 when help was asked for. */
static int order_parse(int argc, char **argv, struct revoke_order *order)
{
	bool sound = true;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'd')
			order->state_dir = optarg;
		else if (option == 'r')
			order->reason = optarg;
		else if (option == 'm')
			sound = sound && order_set(order, "machine", optarg);
		else if (option == 'u')
			sound = sound && order_set(order, "user", optarg);
		else if (option == 's')
			sound = sound && order_set(order, "serial", optarg);
		else
			return option == 'h' ? -1 : CLI_USAGE;
	}
	if (optind == argc - 1)
		sound = sound && order_set(order, NULL, argv[optind++]);
	return sound && order->subject && optind == argc ? 0 : CLI_USAGE;
}

static bool is_hex(const char *text, size_t digits)
{
	return strlen(text) == digits && text[strspn(text, "0123456789abcdef")] == 0;
}

/* The identity of the machine of that name, or of that identity; NULL: nobody knows it here. */
static const char *machine_of(const json_t *status, const char *text)
{
	const json_t *machines = json_object_get(status, "machines"), *machine;
	size_t i;

	json_array_foreach (machines, i, machine) {
		if (strcmp(control_text(machine, "name"), text) == 0 ||
		    strcmp(control_text(machine, "identity"), text) == 0)
			return control_text(machine, "identity");
	}
	return is_hex(text, ID_HEX_LEN) ? text : NULL;
}

/* What kind of subject it is; what might be meant in two ways is asked about. */
static int order_settle(struct revoke_order *order, const json_t *status, struct err *err)
{
	const char *machine = machine_of(status, order->subject);

	if (!order->kind && machine && strcmp(machine, order->subject) != 0)
		return err_set(err, -EINVAL,
			       "%s is the name of a machine: say --machine %s, or --user %s",
			       order->subject, order->subject, order->subject);
	if (!order->kind)
		order->kind = machine                                               ? "machine"
			      : is_hex(order->subject, 2 * (size_t)CERT_SERIAL_LEN) ? "serial"
										    : "user";
	if (strcmp(order->kind, "machine") != 0)
		return 0;
	if (!machine)
		return err_set(err, -ENOENT, "there is no machine %s: name it by its identity",
			       order->subject);
	order->subject = machine;
	return 0;
}

static int ask(const struct revoke_order *order, struct err *err)
{
	json_t *request = json_pack("{s:s,s:s,s:s}", "verb", "revoke", order->kind, order->subject,
				    "reason", order->reason ? order->reason : "");
	json_t *answer = NULL;
	int r = control_ask(order->state_dir, CONTROL_SOCKET, request, CONTROL_STATUS_TIMEOUT_S,
			    &answer, err);

	json_decref(answer);
	json_decref(request);
	return r;
}

static int run_revoke(int argc, char **argv)
{
	struct revoke_order order = {.state_dir = CLI_STATE_DIR};
	json_t *status = NULL;
	struct err err = {0};
	int r = order_parse(argc, argv, &order);

	if (r)
		return cli_usage(&verb_fabric_revoke, r < 0);
	r = control_status(order.state_dir, &status, &err);
	if (r == 0)
		r = order_settle(&order, status, &err);
	if (r == 0)
		r = ask(&order, &err);
	if (r == 0)
		(void)printf("revoked %s %s\n", order.kind, order.subject);
	json_decref(status);
	return r ? cli_fail(&err) : CLI_OK;
}

static void print_entry(const json_t *entry)
{
	time_t seconds = (time_t)(json_integer_value(json_object_get(entry, "at_ms")) / MS_PER_S);
	const char *reason = control_text(entry, "reason");
	char at[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
	(void)printf("%s  %-7s  %s  by %.16s%s%s\n", at, control_text(entry, "kind"),
		     control_text(entry, "subject"), control_text(entry, "by"), *reason ? "  " : "",
		     reason);
}

static int run_revocations(int argc, char **argv)
{
	const char *state_dir = CLI_STATE_DIR;
	json_t *request, *answer = NULL;
	const json_t *entry;
	struct err err = {0};
	size_t i;
	int option, r;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'd')
			return cli_usage(&verb_fabric_revocations, option == 'h');
		state_dir = optarg;
	}
	if (optind != argc)
		return cli_usage(&verb_fabric_revocations, false);
	request = json_pack("{s:s}", "verb", "revocations");
	r = control_ask(state_dir, CONTROL_SOCKET, request, CONTROL_STATUS_TIMEOUT_S, &answer,
			&err);
	json_array_foreach (json_object_get(answer, "revocations"), i, entry)
		print_entry(entry);
	json_decref(answer);
	json_decref(request);
	return r ? cli_fail(&err) : CLI_OK;
}

const struct cli_verb verb_fabric_revoke = {
	"revoke",
	"magik fabric revoke SUBJECT [--reason TEXT] [--state-dir DIR]\n"
	"       magik fabric revoke --machine NAME|ID | --user NAME | --serial HEX ...\n"
	"\n"
	"Shut a machine, a user or one certificate out, everywhere and for good; on a\n"
	"machine that admits others. SUBJECT is a machine's identity (64 hex digits), a\n"
	"certificate's serial (32), else a user's name. A revoked admitter's leaves may\n"
	"only renew themselves elsewhere. A revoked user may be given a new credential.\n"
	"\n"
	"  --reason     for people: magik fabric revocations shows it\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run_revoke,
};

const struct cli_verb verb_fabric_revocations = {
	"revocations",
	"magik fabric revocations [--state-dir DIR]\n"
	"\n"
	"List what has been revoked, as this machine knows it: when, what, by which\n"
	"machine, and why.\n"
	"\n"
	"  --state-dir  " CLI_STATE_DIR " by default\n",
	run_revocations,
};
