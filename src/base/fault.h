/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault: known bugs that the simulator switches on, to see that its checkers find them.
 *
 * A core asks fault_is_planted() where it keeps one of its promises, and breaks that promise if the
 * answer is yes. Only fault_plant(), which the simulator and tests alone may call, makes it so: no
 * other program contains it (tests/style/check_faults.sh). What can be broken from outside
 * (messages dropped or altered, hosts that disobey, a trust table that believes) is broken there,
 * in sim/.
 */
#pragma once

#include <stdbool.h>

enum fault {
	FAULT_KAD_EVICT,       /* a full bucket gives up its oldest contact without a ping */
	FAULT_KAD_EXPIRY,      /* entries of provider sets never expire */
	FAULT_TREE_DEDUP,      /* a broadcast that was seen before counts as new */
	FAULT_BROADCAST_LIMIT, /* owners and relays broadcast tenders without a limit */
	FAULT_BACKOFF,         /* what found no place is tried again at the first, shortest delay */
	FAULT_SURPLUS,         /* the controller leaves pods alone that are too many */
	FAULT_SELF_DOUBT,      /* a machine that was stalled blames the silence on the others */
	FAULT_WITNESSES,       /* nobody else is asked about a machine that is suspected */
	FAULT_LOSS,            /* pods of lost machines count as there */
	FAULT_REBOOT,          /* what others will start again after a power cut is replaced */
	FAULT_LEDGER,          /* what a pod used is never given back */
	FAULT_REPAIR,          /* keepers of a large fabric compare nothing */
	FAULT_HANDOVER,        /* who is no keeper any more drops what it has at once */
	FAULT_ROLLOUT_STALE,   /* pods that are about to go count as available */
	FAULT_ROLLOUT_SURGE,   /* a rollout starts more pods than its surge allows */
	FAULT_ROLLOUT_UNAVAILABLE, /* it stops more than may be missing */
	FAULT_TOMBSTONE,           /* keepers bring each other everything but tombstones */
	FAULT_INDEX,               /* holders of the index neither compare nor hand on */
	FAULT_ABSENCE,             /* a steward that was away for long shares all that it has */
	FAULT_APART,               /* whoever was cut off for long is believed */
	FAULT_PENDING,             /* a slot that is being placed counts as missing */
	FAULT_YOUNGEST,            /* of two pods in a slot the younger one stays */
	FAULT_SLOT_RUNS,           /* a machine takes awards for slots that it fills already */
	FAULT_TENURE_ALONE,        /* one registrar is enough to start an ordinal */
	FAULT_TENURE_FORGETS,      /* a registrar gives an ordinal to whoever asks */
	FAULT_SILENT,              /* pods go for the sake of those on machines nobody hears */
	FAULT_RECALL,              /* a kept ordinal starts without leave */
	FAULT_TENURE_RELEASE,      /* a machine gives an ordinal back as soon as it is asked */
	FAULT_COLLEGE_BLANK,       /* a new registrar counts before it knows what others gave */
	FAULT_JOB_FORGETS,         /* what pods of lost machines have done is forgotten */
	FAULT_RUN_UID,             /* the uid of a run of a CronJob depends on who made it */
	FAULT_CONTROLLERS,         /* no bug: every keeper takes itself for the controller, which
				    * must do no harm */
	FAULT_CLAIM,               /* a machine may say what it likes of pods of others */
	FAULT_WARRANT,             /* a machine may fill slots that it was never awarded */
	FAULT_CLASH,               /* the younger of two objects of one name goes at once */
	FAULT_RAFT_OLD_TERM,       /* entries of earlier terms are agreed by counting */
	FAULT_RAFT_VOTE_FORGOTTEN, /* a vote is not written down */
	FAULT_RAFT_EARLY_ACK,      /* answers do not wait for the disk */
	FAULT_RAFT_LEASE_DRIFT,    /* a lease takes all clocks for equal */
	FAULT_RAFT_TWO_CHANGES,    /* members change before the last change is agreed */
	FAULT_RAFT_PREVOTE,        /* members stand without asking first */
	FAULT_RAFT_STALE_READ,     /* a leader answers without looking at its lease */
	FAULT_RAFT_RESTART_VOTES,  /* a restarted member forgets what it promised a leader */
	FAULT_RAFT_TRANSFER_LEASE, /* a leader keeps its lease after it has named a successor */
	FAULT_RAFT_COMMIT_AHEAD,   /* a follower takes what it has not compared for agreed */
	FAULT_RAFT_SESSIONS,       /* a snapshot lacks what was answered to clients */
	FAULT_SERVICE_NAME,        /* whoever signs a service's record is believed */
	FAULT_SERVICE_EXPIRY,      /* records of services never expire */
	FAULT_SERVICE_PUSH,        /* nobody is told of a change, one has to ask */
	FAULT_SERVICE_WITHDRAW,    /* who goes does not say so */
	FAULT_SERVICE_RENEW,       /* keepers of records are told only of changes */
	FAULT_SERVICE_MISSING,     /* nobody notices a sibling's silence */
	FAULT_SERVICE_QUOTA, /* whoever asks to be told is told, and what is to be kept is kept */
	FAULT_COUNT,
};

bool fault_is_planted(enum fault fault);

/* For the simulator and for tests. Holds for the whole process, until fault_pull(). */
void fault_plant(enum fault fault);
void fault_pull(enum fault fault);
