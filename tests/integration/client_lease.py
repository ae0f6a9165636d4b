#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a program that elects its leader by a Lease does with python3-kubernetes.

usage: client_lease.py URL NAMESPACE; prints "ok" or fails with what was not as expected.
"""
import datetime
import sys
import threading

from kubernetes import client, watch
from kubernetes.client.rest import ApiException

NAME = "lock"
WATCH_S = 10


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def fails_with(status, call, *args):
    try:
        call(*args)
    except ApiException as error:
        assert error.status == status, error
    else:
        raise AssertionError(f"no {status}")


def lease(holder):
    return client.V1Lease(metadata=client.V1ObjectMeta(name=NAME),
                          spec=client.V1LeaseSpec(holder_identity=holder, lease_duration_seconds=15,
                                                  acquire_time=now(), renew_time=now(), lease_transitions=0))


def main():
    configuration = client.Configuration()
    configuration.host, namespace = sys.argv[1], sys.argv[2]
    api = client.CoordinationV1Api(client.ApiClient(configuration))
    fails_with(404, api.read_namespaced_lease, NAME, namespace)

    seen = []
    version = api.list_namespaced_lease(namespace).metadata.resource_version

    def look():
        for event in watch.Watch().stream(api.list_namespaced_lease, namespace, resource_version=version,
                                          timeout_seconds=WATCH_S):
            seen.append((event["type"], event["object"].spec.holder_identity))
            if event["type"] == "DELETED":
                return
    looker = threading.Thread(target=look)
    looker.start()

    mine = api.create_namespaced_lease(namespace, lease("one"))
    fails_with(409, api.create_namespaced_lease, namespace, lease("two"))
    theirs = api.read_namespaced_lease(NAME, namespace)
    mine.spec.renew_time = now()
    renewed = api.replace_namespaced_lease(NAME, namespace, mine)
    assert renewed.metadata.uid == mine.metadata.uid
    theirs.spec.holder_identity = "two"  # from a version that is not there any more
    fails_with(409, api.replace_namespaced_lease, NAME, namespace, theirs)
    renewed.spec.holder_identity = "two"
    renewed.spec.lease_transitions += 1
    api.replace_namespaced_lease(NAME, namespace, renewed)
    assert api.read_namespaced_lease(NAME, namespace).spec.holder_identity == "two"
    api.delete_namespaced_lease(NAME, namespace)
    looker.join()
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"], seen
    print("ok")


if __name__ == "__main__":
    main()
