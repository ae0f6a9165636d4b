/* SPDX-License-Identifier: Apache-2.0 */
#include "bugs.h"

#include <string.h>

#include "base/fault.h"
#include "world.h"

enum {
	NO_FAULT = -1,
};

#define BYZANTINE "--scenario byzantine --machines 30 --set duration_s=60"
#define PARTIAL "--machines 60 --set stay=1 --set pool=12 --scenario "

#define RECORDS                                                                  \
	"--scenario records --machines 100 --set records=600 --set lookups=600 " \
	"--set duration_s=90 --set pool=12"

#define AGENTS \
	"--scenario agents --machines 12 --set replicas=10 --set duration_s=40 --set settle_s=35 "

static const struct bug bugs[] = {
	{"award-without-bid-check", "hosts start whatever award passes by",
	 SIM_BUG_AWARD_WITHOUT_BID_CHECK, NO_FAULT, "--scenario one-way", "is alive on"},
	{"no-confirm", "winners that are not confirmed do not stop themselves", SIM_BUG_NO_CONFIRM,
	 NO_FAULT, "--scenario one-way", "is alive on"},
	{"hold-leak", "machines whose timers never fire keep their holds", SIM_BUG_HOLD_LEAK,
	 NO_FAULT, "--scenario one-way", "holds"},
	{"reservation-leak", "what a pod used is never given back", SIM_BUG_NONE, FAULT_LEDGER,
	 "--scenario churn", "pods and runs"},
	{"replay-filter-off", "messages that were seen before count as new",
	 SIM_BUG_REPLAY_FILTER_OFF, NO_FAULT, BYZANTINE, "takes a message for new"},
	{"signature-check-off", "nobody looks at signatures", SIM_BUG_SIGNATURE_CHECK_OFF, NO_FAULT,
	 BYZANTINE, "pods of"},
	{"role-check-off", "everybody counts as a steward", SIM_BUG_ROLE_CHECK_OFF, NO_FAULT,
	 BYZANTINE, "pods of"},
	{"release-off", "losers of a tender are not told", SIM_BUG_RELEASE_OFF, NO_FAULT,
	 "--scenario placement --machines 20", "no tender has been open"},
	{"surplus-off", "controllers leave alone what is too many", SIM_BUG_NONE, FAULT_SURPLUS,
	 "--scenario partition", "alive"},
	{"leaf-off", "certificates that are asked for never come", SIM_BUG_LEAF_OFF, NO_FAULT,
	 PARTIAL "placement", "had a broadcast after"},
	{"tree-repair-off", "nobody asks for a broadcast that was only announced",
	 SIM_BUG_TREE_REPAIR_OFF, NO_FAULT, PARTIAL "placement --set vanish=30 --set lookups=0",
	 "broadcasts reached"},
	{"dedup-off", "a broadcast that was seen before counts as new", SIM_BUG_NONE,
	 FAULT_TREE_DEDUP, PARTIAL "placement", "too often"},
	{"view-repair-off", "lost neighbours are not replaced", SIM_BUG_VIEW_REPAIR_OFF, NO_FAULT,
	 PARTIAL "mass-failure", ""},
	{"ping-before-evict-off", "a full bucket gives up contacts that live", SIM_BUG_NONE,
	 FAULT_KAD_EVICT, PARTIAL "placement", "no longer knows"},
	{"self-doubt-off", "machines without a processor blame the others", SIM_BUG_NONE,
	 FAULT_SELF_DOUBT,
	 PARTIAL "slow-observers --set stall_ms=6000 --set starved=10 --set duration_s=300",
	 "verdicts about machines that lived"},
	{"witnesses-off", "nobody else is asked about a machine that is suspected", SIM_BUG_NONE,
	 FAULT_WITNESSES,
	 PARTIAL "slow-observers --set duration_s=300 --set broken=1 --set starved=0",
	 "verdicts about machines that lived"},
	{"referral-self-bias", "who is asked to hand a tender on bids itself",
	 SIM_BUG_REFERRAL_SELF_BIAS, NO_FAULT, PARTIAL "one-owner", ""},
	{"broadcast-unlimited", "nobody limits broadcasts of tenders", SIM_BUG_NONE,
	 FAULT_BROADCAST_LIMIT, PARTIAL "unsatisfiable --set workloads=100 --set owners=30",
	 "messages per second"},
	{"resume-off", "hosts do not start again what they kept over a power cut",
	 SIM_BUG_RESUME_OFF, NO_FAULT, "--scenario power", "does not run slot"},
	{"standing-off", "stewards are not asked what became of a pod's object",
	 SIM_BUG_STANDING_OFF, NO_FAULT, "--scenario away", "started again"},
	{"absence-off", "a steward that was away for long shares all that it has", SIM_BUG_NONE,
	 FAULT_ABSENCE, "--scenario away --machines 2 --set duration_s=650000", "started again"},
	{"apart-off", "who was cut off for long is believed", SIM_BUG_NONE, FAULT_APART,
	 "--scenario apart --machines 4", "still has"},
	{"reboot-hold-off", "the first machine that is back replaces the pods of all others",
	 SIM_BUG_NONE, FAULT_REBOOT, "--scenario power", "placed anew after the power cut"},
	{"loss-off", "pods of lost machines count as there", SIM_BUG_NONE, FAULT_LOSS,
	 "--scenario repair --machines 20", "were not replaced"},
	{"repair-off", "keepers of a large fabric compare nothing", SIM_BUG_NONE, FAULT_REPAIR,
	 RECORDS, "keepers have a record"},
	{"handover-off", "who is no keeper any more drops what it has at once", SIM_BUG_NONE,
	 FAULT_HANDOVER, RECORDS, "lookups by name"},
	{"tombstones-off", "keepers bring each other everything but tombstones", SIM_BUG_NONE,
	 FAULT_TOMBSTONE, RECORDS, "a record that is deleted"},
	{"index-off", "holders of the index neither compare nor hand on", SIM_BUG_NONE, FAULT_INDEX,
	 RECORDS, "lookups by name"},
	{"rollout-surge", "a rollout starts more pods than its surge allows", SIM_BUG_NONE,
	 FAULT_ROLLOUT_SURGE, "--scenario rollout", "pods of web-0"},
	{"rollout-unavailable", "a rollout stops more pods than may be missing", SIM_BUG_NONE,
	 FAULT_ROLLOUT_UNAVAILABLE, "--scenario rollout", "are left available"},
	{"rollout-stale", "pods that are about to go count as available", SIM_BUG_NONE,
	 FAULT_ROLLOUT_STALE, "--scenario rollout --seed 5", "are left available"},
	{"pending-off", "a slot that is being placed counts as missing", SIM_BUG_NONE,
	 FAULT_PENDING, "--scenario rollout", "are explained"},
	{"youngest-kept", "of two pods in a slot the younger one stays", SIM_BUG_NONE,
	 FAULT_YOUNGEST, "--scenario rollout", "the oldest pod in slot"},
	{"compare-off", "gateways write whatever version there is", SIM_BUG_COMPARE_OFF, NO_FAULT,
	 "--scenario rollout", "conditional writes of one version won"},
	{"line-off", "objects say only the last version that they come of", SIM_BUG_LINE_OFF,
	 NO_FAULT, "--scenario rollout", "nobody tells"},
	{"slot-runs-off", "a machine takes awards for slots that it fills already", SIM_BUG_NONE,
	 FAULT_SLOT_RUNS, "--scenario families", "runs two pods of"},
	{"tenure-alone", "one registrar is enough to start an ordinal", SIM_BUG_NONE,
	 FAULT_TENURE_ALONE, "--scenario ordinals --seed 5", "is alive on"},
	{"silent-believed", "pods go for the sake of older ones on machines that nobody hears",
	 SIM_BUG_NONE, FAULT_SILENT, "--scenario repair --machines 60 --set pool=24 --seed 2",
	 "were started for"},
	{"recall-off", "a kept ordinal starts without asking whether it was replaced", SIM_BUG_NONE,
	 FAULT_RECALL, "--scenario recall", "is alive on"},
	{"tenure-forgets", "a registrar gives an ordinal to whoever asks", SIM_BUG_NONE,
	 FAULT_TENURE_FORGETS, "--scenario ordinals --seed 2", "is alive on"},
	{"tenure-release", "a machine gives an ordinal back as soon as it is asked", SIM_BUG_NONE,
	 FAULT_TENURE_RELEASE, "--scenario ordinals --seed 6", "is alive on"},
	{"registrar-blank", "a new registrar counts before it knows what others have given",
	 SIM_BUG_NONE, FAULT_COLLEGE_BLANK, "--scenario registrars-all --seed 2", "is alive on"},
	{"job-forgets", "what pods of lost machines have done is forgotten", SIM_BUG_NONE,
	 FAULT_JOB_FORGETS, "--scenario families", "is done again"},
	{"run-uid", "the uid of a run of a CronJob depends on who made it", SIM_BUG_NONE,
	 FAULT_RUN_UID, "--scenario families", "there are two runs"},
	{"claims-believed", "machines say what they like of pods of others", SIM_BUG_NONE,
	 FAULT_CLAIM, "--scenario claims --seed 1", "pods were stopped for what"},
	{"warrants-off", "machines fill slots that were never awarded to them", SIM_BUG_NONE,
	 FAULT_WARRANT, "--scenario claims --seed 1", "pods were stopped for what"},
	{"clash-at-once", "of two objects of one name the younger goes at once", SIM_BUG_NONE,
	 FAULT_CLASH, "--scenario reuse", "refused to delete"},
	{"service-name-off", "records of services are believed whoever signs them", SIM_BUG_NONE,
	 FAULT_SERVICE_NAME, AGENTS "--set lost=1 --set liars=4", "under a foreign name"},
	{"service-expiry-off", "records of services never expire", SIM_BUG_NONE,
	 FAULT_SERVICE_EXPIRY, AGENTS "--set lost=1", "still names"},
	{"service-push-off", "nobody is told of a change of readiness", SIM_BUG_NONE,
	 FAULT_SERVICE_PUSH, AGENTS "--set lost=1", "did not arrive in"},
	{"service-withdraw-off", "pods that go do not say so", SIM_BUG_NONE, FAULT_SERVICE_WITHDRAW,
	 AGENTS "--set churn=100", "did not arrive in"},
	{"service-renew-off", "keepers of records are told only of changes", SIM_BUG_NONE,
	 FAULT_SERVICE_RENEW, AGENTS "--set lost=1", "are not complete"},
	{"service-missing-off", "nobody notices a replica's silence", SIM_BUG_NONE,
	 FAULT_SERVICE_MISSING, AGENTS "--set lost=1", "were reported by siblings"},
	{"service-quota-off", "who asks to be told of whatever there is is told", SIM_BUG_NONE,
	 FAULT_SERVICE_QUOTA, AGENTS "--set lost=1 --set liars=4", "subscribers"},
	{"backoff-off", "what fits nowhere is tried again as soon as at first", SIM_BUG_NONE,
	 FAULT_BACKOFF, PARTIAL "unsatisfiable --set workloads=1", "tenders for"},
	{"raft-early-ack", "members acknowledge what is not on their disks", SIM_BUG_NONE,
	 FAULT_RAFT_EARLY_ACK, "--scenario consensus-storm --seed 43", "leader completeness"},
	{"raft-lease-drift", "leases take all clocks for equal", SIM_BUG_NONE,
	 FAULT_RAFT_LEASE_DRIFT, "--scenario consensus-lease", "both serve"},
	{"raft-two-changes", "members change before the last change is agreed", SIM_BUG_NONE,
	 FAULT_RAFT_TWO_CHANGES, "--scenario consensus", "changes of members open"},
	{"raft-prevote-off", "members stand for election without asking first", SIM_BUG_NONE,
	 FAULT_RAFT_PREVOTE, "--scenario consensus --seed 29", "a healthy leader was deposed"},
	{"raft-stale-read", "leaders answer without looking at their lease", SIM_BUG_NONE,
	 FAULT_RAFT_STALE_READ, "--scenario consensus-storm --seed 3", "both serve"},
	{"raft-restart-votes", "a restarted member forgets what it promised a leader", SIM_BUG_NONE,
	 FAULT_RAFT_RESTART_VOTES, "--scenario consensus-lease", "both serve"},
	{"raft-transfer-lease", "a leader keeps its lease after it has named a successor",
	 SIM_BUG_NONE, FAULT_RAFT_TRANSFER_LEASE, "--scenario consensus-storm --seed 282",
	 "both serve"},
	{"raft-commit-ahead", "followers take what they have not compared for agreed", SIM_BUG_NONE,
	 FAULT_RAFT_COMMIT_AHEAD, "--scenario consensus-storm --seed 31", "state machine safety"},
	{"raft-sessions", "a snapshot lacks what was answered to clients", SIM_BUG_NONE,
	 FAULT_RAFT_SESSIONS, "--scenario consensus", "have no order"},
	{"raft-disk-lost", "a member whose disk is lost comes back under its id",
	 SIM_BUG_DISK_LOST_OFF, NO_FAULT, "--scenario consensus-storm --seed 4",
	 "lags behind at the end"},
};

const struct bug *bug_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++)
		if (strcmp(bugs[i].name, name) == 0)
			return &bugs[i];
	return NULL;
}

const struct bug *bug_next(size_t *position)
{
	return *position < ARRAY_LEN(bugs) ? &bugs[(*position)++] : NULL;
}

void bug_plant(const struct bug *bug)
{
	if (bug->fault != NO_FAULT)
		fault_plant((enum fault)bug->fault);
}

/* Some host starts the pods of an award that was for another one. */
static void obey_any_award(struct world *world, struct message *message)
{
	struct sim_machine *machine = &world->machines[world_random(world, world->machine_count)];

	if (message->type != MESSAGE_AWARD || !machine->node)
		return;
	for (size_t i = 0; i < message->award.assignment_count; i++)
		message->award.assignments[i].pod_uid.byte[0] ^= 0xff;
	host_start(world, machine, &message->award);
}

/* Who is asked to hand a tender on bids itself instead. */
static bool keep_referral(struct message *message, struct buf *altered)
{
	struct packet packet = {0};
	struct buf body = {0};

	if (message->type != MESSAGE_REFERRAL || message->referral.count == 0)
		return false;
	message->referral.count = 0;
	message_encode(message, &body);
	packet.body = bytes_buf(&body);
	packet_encode(&packet, altered);
	buf_deinit(&body);
	return true;
}

/* False: the message is lost. */
static bool act(struct world *world, struct message *message, struct buf *altered)
{
	enum message_type type = message->type;

	switch (world->bug) {
	case SIM_BUG_AWARD_WITHOUT_BID_CHECK:
		obey_any_award(world, message);
		return true;
	case SIM_BUG_REFERRAL_SELF_BIAS:
		(void)keep_referral(message, altered);
		return true;
	case SIM_BUG_RELEASE_OFF:
		return type != MESSAGE_RELEASE;
	case SIM_BUG_LEAF_OFF:
		return type != MESSAGE_LEAF;
	case SIM_BUG_TREE_REPAIR_OFF:
		return type != MESSAGE_GRAFT;
	case SIM_BUG_VIEW_REPAIR_OFF:
		return type != MESSAGE_NEIGHBOR && type != MESSAGE_NEIGHBOR_REPLY;
	case SIM_BUG_STANDING_OFF:
		return type != MESSAGE_VOUCH;
	case SIM_BUG_NONE:
	case SIM_BUG_RESUME_OFF:
	case SIM_BUG_NO_CONFIRM:
	case SIM_BUG_HOLD_LEAK:
	case SIM_BUG_REPLAY_FILTER_OFF:
	case SIM_BUG_SIGNATURE_CHECK_OFF:
	case SIM_BUG_ROLE_CHECK_OFF:
	case SIM_BUG_COMPARE_OFF:
	case SIM_BUG_LINE_OFF:
	case SIM_BUG_DISK_LOST_OFF:
		return true; /* made elsewhere: host.c, machine.c, trust.c, family.c */
	}
	return true;
}

bool bug_packet(struct world *world, struct bytes bytes, struct buf *altered)
{
	struct message message;
	struct packet packet;
	struct node_id issuer;
	bool arrives;

	if (!trust_peek(bytes, &issuer, &message) &&
	    (packet_decode(bytes, &packet) != 0 || packet.is_envelope ||
	     message_decode(packet.body, &message) != 0))
		return true;
	arrives = act(world, &message, altered);
	message_deinit(&message);
	return arrives;
}
