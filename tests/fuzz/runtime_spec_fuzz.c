/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decides how a container is run: the manifest of an award and the configuration of an image.
 * First byte: which of the two the rest is; the other is an ordinary one.
 */
#include <assert.h>
#include <string.h>

#include "runtime/oci_env.h"
#include "runtime/oci_spec.h"
#include "runtime/projected.h"

static const char pod_json[] =
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\",\"uid\":"
	"\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\"},\"spec\":{\"containers\":[{\"name\":\"main\","
	"\"image\":\"x\"}]}}";
static const char image_json[] = "{\"config\":{\"Cmd\":[\"serve\"]}}";
static const char objects_json[] =
	"{\"ConfigMap/a\":{\"kind\":\"ConfigMap\",\"data\":{\"k\":\"v\",\"../x\":\"y\"}},"
	"\"Secret/a\":{\"kind\":\"Secret\",\"data\":{\"k\":\"dg==\",\"bad\":\"!\"}}}";
static const struct policy policy = {.any_registry = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void build(const struct pod_spec *pod, const struct image_config *image)
{
	struct image_user user = {0};
	json_t *objects = json_loads(objects_json, 0, NULL);
	struct oci_inputs inputs = {
		.pod = pod,
		.image = image,
		.image_user = &user,
		.facts = {.spec = pod,
			  .uid = "uid",
			  .name = "web-0",
			  .hostname = pod->hostname ? pod->hostname : "web-0",
			  .ip = "fd00::1",
			  .host_ip = "192.0.2.1",
			  .node_name = "node-a",
			  .labels = pod->labels,
			  .annotations = pod->annotations,
			  .cpu_capacity_milli = 4000,
			  .memory_capacity_bytes = 8ull << 30},
		.config = objects,
		.local_peer_id = "peer",
		.pod_dir = "/run/p",
		.rootfs = "/run/p/rootfs",
		.cgroup = "/g",
		.seccomp = "filter",
		.nofile_max = 20000,
	};

	for (size_t i = 0; i < pod->container_count; i++) {
		json_t *spec;
		struct err err;

		inputs.container = &pod->containers[i];
		/* The policy is the strict one: nothing may come out of it that weakens isolation.
		 */
		assert(!inputs.container->security.privileged);
		/* Whoever starts it has seen that what it names is there. */
		if (oci_env_check(inputs.container, pod->namespace, objects, &err) == 0 &&
		    oci_spec_build(&inputs, &spec, &err) == 0)
			json_decref(spec);
	}
	for (size_t i = 0; i < pod->volume_count; i++) {
		struct projected projected = {0};
		struct err err;

		if (projected_build(&inputs.facts, &pod->volumes[i], objects, &projected, &err) < 0)
			continue;
		for (size_t k = 0; k < projected.count; k++)
			assert(!strstr(projected.files[k].path, "/../") &&
			       projected.files[k].path[0] != '/');
		projected_deinit(&projected);
	}
	json_decref(objects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bytes manifest = bytes_str(pod_json), config = bytes_str(image_json);
	struct image_config image;
	struct pod_spec *pod;
	struct err err;

	if (len == 0)
		return 0;
	if (data[0] & 1)
		manifest = bytes_of(data + 1, len - 1);
	else
		config = bytes_of(data + 1, len - 1);
	if (pod_spec_parse(manifest, &policy, &pod, &err) < 0)
		return 0;
	if (image_config_parse(config, &image, &err) == 0) {
		build(pod, &image);
		image_config_deinit(&image);
	}
	(void)pod_spec_free(pod);
	return 0;
}
