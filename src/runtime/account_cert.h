/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Account certificate: by what an application knows its own agent, when it speaks TLS to it.
 *
 * An authority of its own for each pod, which signs one certificate, for the name that containers
 * are told (POD_FRONT_API_HOST, and "kubernetes" as clusters call it), and is forgotten: nobody can
 * ever sign a second one. P-256, which every client takes. Neither has anything to do with the
 * fabric. They hold at all times: a machine whose clock is wrong keeps no pod from its agent, and
 * they are gone with the pod.
 */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/err.h"

/* All PEM. */
struct account_cert {
	struct buf key, cert; /* of who serves */
	struct buf ca;        /* whom clients trust */
};

/* -EIO: GnuTLS could not; nothing is left then. */
_must_use_ int account_cert_make(struct account_cert *ret_cert, struct err *err);
/* Wipes the key. */
void account_cert_deinit(struct account_cert *cert);
