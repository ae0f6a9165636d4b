# SPDX-License-Identifier: Apache-2.0
"""Objects for tests, and their text. JSON is YAML, so no YAML writer is needed."""
import json

BUSYBOX = "magik.local/busybox:test"
SLEEP = ["sh", "-c", "trap 'exit 0' TERM; echo started; while :; do sleep 1000 & wait; done"]


def container(command=None, cpu="10m", memory="16Mi", image=BUSYBOX, limits=None, name="main"):
    made = {"name": name, "image": image, "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    if command is not None or image == BUSYBOX:
        made["command"] = command or SLEEP
    if limits:
        made["resources"]["limits"] = limits
    return made


# What runs as process 1 hears no SIGTERM unless it asks to: without this each deletion takes 30 s.
GRACE = {"terminationGracePeriodSeconds": 1}


def deployment(name, replicas=1, spec=None, **options):
    """A Deployment of busybox; spec adds to the pod's spec, options go to its container."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels},
                              "spec": {"containers": [container(**options)], **GRACE, **(spec or {})}}},
    }


def pod(name, spec=None, **options):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"containers": [container(**options)], **GRACE, **(spec or {})}}


def text(*objects):
    return "---\n".join(json.dumps(thing, indent=1) + "\n" for thing in objects)
