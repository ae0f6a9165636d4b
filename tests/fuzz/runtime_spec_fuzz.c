/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What decides how a container is run: the manifest of an award and the configuration of an image.
 * First byte: which of the two the rest is; the other is an ordinary one.
 */
#include <assert.h>
#include <string.h>

#include "runtime/oci_spec.h"

static const char pod_json[] =
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\",\"uid\":"
	"\"0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a01\"},\"spec\":{\"containers\":[{\"name\":\"main\","
	"\"image\":\"x\"}]}}";
static const char image_json[] = "{\"config\":{\"Cmd\":[\"serve\"]}}";
static const struct policy policy = {.any_registry = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void build(const struct pod_spec *pod, const struct image_config *image)
{
	struct image_user user = {0};
	struct oci_inputs inputs = {
		.pod = pod,
		.image = image,
		.image_user = &user,
		.pod_uid = "uid",
		.pod_name = "web-0",
		.pod_ip = "fd00::1",
		.node_name = "node-a",
		.local_peer_id = "peer",
		.pod_dir = "/run/p",
		.rootfs = "/run/p/rootfs",
		.cgroup = "/g",
		.seccomp = "filter",
		.memory_capacity_bytes = 8ull << 30,
		.nofile_max = 20000,
	};

	for (size_t i = 0; i < pod->container_count; i++) {
		json_t *spec;
		struct err err;

		inputs.container = &pod->containers[i];
		/* The policy is the strict one: nothing may come out of it that weakens isolation.
		 */
		assert(!inputs.container->security.privileged);
		if (oci_spec_build(&inputs, &spec, &err) == 0)
			json_decref(spec);
	}
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
