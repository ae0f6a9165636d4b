/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: what one column of a table shows, made from one place in the object (columns.def).
 *
 * @path names the member, "list:key" one member of every element, "a,b" two places. Objects may
 * come from a peer: what is missing prints as "<none>" or as kubectl prints it. A new reference.
 */
#pragma once

#include <jansson.h>

#include "base/attr.h"
#include "base/time.h"

typedef json_t *kube_cell_fn(const json_t *object, const char *path, struct wall now);

kube_cell_fn kube_cell_text;             /* a string; "<none>" */
kube_cell_fn kube_cell_bare;             /* a string; empty */
kube_cell_fn kube_cell_unset;            /* a string or number; "<unset>" */
kube_cell_fn kube_cell_unknown;          /* "<unknown>" */
kube_cell_fn kube_cell_count;            /* a number; "0" */
kube_cell_fn kube_cell_flag;             /* "true", "false" */
kube_cell_fn kube_cell_portion;          /* a count or percentage; "N/A" */
kube_cell_fn kube_cell_ratio;            /* two counts: "1/3" */
kube_cell_fn kube_cell_sizes;            /* how many members the lists or maps have together */
kube_cell_fn kube_cell_age;              /* how long ago a time was */
kube_cell_fn kube_cell_last;             /* the same; "<none>" */
kube_cell_fn kube_cell_labels;           /* "a=b,c=d" */
kube_cell_fn kube_cell_selector;         /* a LabelSelector: "a=b,c in (d,e)" */
kube_cell_fn kube_cell_joined;           /* "a,b" */
kube_cell_fn kube_cell_hosts;            /* "a,b"; "*" */
kube_cell_fn kube_cell_class_name;       /* a name; "NAME (default)" */
kube_cell_fn kube_cell_claim;            /* "namespace/name" of a reference */
kube_cell_fn kube_cell_reference;        /* "Kind/name" */
kube_cell_fn kube_cell_owner;            /* the controlling owner: "deployment.apps/web" */
kube_cell_fn kube_cell_access_modes;     /* "RWO,ROX" */
kube_cell_fn kube_cell_external_ip;      /* of a Service */
kube_cell_fn kube_cell_service_ports;    /* "80/TCP,443:30443/TCP" */
kube_cell_fn kube_cell_ingress_ports;    /* "80" or "80, 443" */
kube_cell_fn kube_cell_subsets;          /* of Endpoints: "10.0.0.1:80,10.0.0.2:80" */
kube_cell_fn kube_cell_slice_addresses;  /* of an EndpointSlice */
kube_cell_fn kube_cell_job_status;       /* "Running", "Complete" */
kube_cell_fn kube_cell_job_completions;  /* "0/1" */
kube_cell_fn kube_cell_job_duration;     /* "5s" */
kube_cell_fn kube_cell_users;            /* of a binding's subjects */
kube_cell_fn kube_cell_groups;           /* of a binding's subjects */
kube_cell_fn kube_cell_service_accounts; /* of a binding's subjects */
