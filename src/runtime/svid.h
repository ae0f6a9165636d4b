/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SVID: the identity that the application in a pod is given as files, when its manifest asks for it
 * (SVID_ANNOTATION: "true").
 *
 *   SVID_DIR/svid.pem        its certificate and those above it, leaf first, without the root
 *   SVID_DIR/svid_key.pem    its key, PKCS #8
 *   SVID_DIR/svid_bundle.pem the root by which it knows the pods of its fabric
 *
 * They are a projected volume (projected.h) in memory, so all three change at once. Who may read
 * them: the fsGroup of the pod; else the user that all its containers run as; else everybody in the
 * pod, for an image may name any user. The key is neither the agent's nor known to it.
 */
#pragma once

#include <jansson.h>

#include "base/bytes.h"

#define SVID_ANNOTATION "magik.io/svid"
#define SVID_VOLUME "magik.io-svid" /* no volume of a manifest can have this name */
#define SVID_DIR "/var/run/secrets/magik.io/svid"
#define SVID_KIND "Svid" /* what stands for a ConfigMap in the snapshot */
#define SVID_NAME "own"
#define SVID_FILE "svid.pem"
#define SVID_KEY_FILE "svid_key.pem"
#define SVID_BUNDLE_FILE "svid_bundle.pem"

struct pod;

/* All PEM, borrowed. */
struct pod_svid {
	struct bytes chain, key, bundle;
};

/* Private to runtime/: pod_svid.c. */
/* What an earlier process has left holds until there is another. */
void pod_svid_init(struct pod *pod);
void pod_svid_deinit(struct pod *pod);
/* The pod wants to start: it waits for its first one, but not for ever. */
void pod_svid_await(struct pod *pod);
