/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host port: a port of the machine that leads to a container, as its manifest asks (hostPort), by
 * TCP or UDP.
 *
 * The machine changes the destination of what arrives for it (nftables), so the pod sees the
 * client's address, and no process of ours sees a byte of it. It leads past the mesh: what the pod
 * binds must be reached at its own address. IPv4 only, like everything that the machine passes on
 * by itself (egress.h). Where two pods want one port, the market finds them different machines.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/err.h"
#include "runtime/pod_net.h"

/* @spec: the pod's. Nothing happens if it asks for none. -EADDRINUSE: a program of the machine
 * itself has one of them. */
_must_use_ int host_ports_open(const struct pod_net *net, const json_t *spec, struct err *err);
/* Success if there are none. */
void host_ports_close(const struct pod_net *net, const json_t *spec);
