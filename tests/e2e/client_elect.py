# SPDX-License-Identifier: Apache-2.0
"""A program in a pod that is elected with python3-kubernetes, told nothing but what every pod is told.

Says "leads" and as whom, when it does. The library's own locks are ConfigMaps; this one is a Lease.
"""
import datetime
import os
import time

from kubernetes import client, config
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.leaderelectionrecord import LeaderElectionRecord

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LEASE_S = 10


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class LeaseLock:
    """What the library asks of a lock."""

    def __init__(self, name, namespace, identity):
        self.name, self.namespace, self.identity = name, namespace, identity
        self.api = client.CoordinationV1Api()
        self.lease = None

    def get(self, name, namespace):
        try:
            self.lease = self.api.read_namespaced_lease(name, namespace)
        except ApiException as error:
            return False, error
        spec = self.lease.spec
        return True, LeaderElectionRecord(spec.holder_identity, str(spec.lease_duration_seconds),
                                          str(spec.acquire_time), str(spec.renew_time))

    def create(self, name, namespace, election_record):
        spec = client.V1LeaseSpec(holder_identity=election_record.holder_identity, lease_duration_seconds=LEASE_S,
                                  acquire_time=now(), renew_time=now(), lease_transitions=0)
        body = client.V1Lease(metadata=client.V1ObjectMeta(name=name), spec=spec)
        return self.attempt(self.api.create_namespaced_lease, namespace, body)

    def update(self, name, namespace, updated_record):
        spec = self.lease.spec
        if spec.holder_identity != updated_record.holder_identity:
            spec.acquire_time, spec.lease_transitions = now(), spec.lease_transitions + 1
        spec.holder_identity, spec.renew_time = updated_record.holder_identity, now()
        return self.attempt(self.api.replace_namespaced_lease, name, namespace, self.lease)

    @staticmethod
    def attempt(call, *args):
        """False: somebody else was first."""
        try:
            call(*args)
        except ApiException:
            return False
        return True


def lead(identity):
    # In one piece: nothing that the library says meanwhile comes between.
    os.write(1, f"leads {identity}\n".encode())
    while True:
        time.sleep(LEASE_S)


def main():
    config.load_incluster_config()
    with open(os.path.join(SERVICE_ACCOUNT, "namespace"), encoding="utf-8") as file:
        namespace = file.read()
    # Another run of the same pod is another candidate.
    identity = f"{os.uname().nodename}_{os.urandom(4).hex()}"
    lock = LeaseLock("elected", namespace, identity)
    leaderelection.LeaderElection(electionconfig.Config(
        lock, lease_duration=LEASE_S, renew_deadline=LEASE_S - 2, retry_period=1,
        onstarted_leading=lambda: lead(identity), onstopped_leading=lambda: os._exit(1))).run()


main()
