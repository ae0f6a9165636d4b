# SPDX-License-Identifier: Apache-2.0
"""The group of a StatefulSet of three whose agents are run by hand: real processes, disks and networks."""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import client_libraries  # noqa: E402
from mesh_lan import Lan, until  # noqa: E402

API = 7070
NAMES = ("db-0", "db-1", "db-2")
HERE = pathlib.Path(__file__).parent
CLIENTS = 4
TROUBLE_S = 12

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for networks")


class Replica:
    def __init__(self, lan, number):
        self.lan = lan
        self.disk = os.path.join(lan.directory, f"disk-{number}")
        os.mkdir(self.disk)
        words = ["--group-dir", self.disk, "--group-listen", f"127.0.0.1:{API}"]
        if number == 0:
            words.append("--group-birth")
        self.pod = lan.pod(number + 1, "db", NAMES[number], *words, kind="StatefulSet", app=False)
        lan.first = lan.first or self.pod

    def ask(self, method, path, body=None, headers=(), timeout=10):
        """Status, answer and version; nothing (None) when nobody answers."""
        link = http.client.HTTPConnection("127.0.0.1", API, timeout=timeout)
        try:
            link.sock = self.pod.connect(API)
            link.sock.settimeout(timeout)
            link.request(method, path, body, dict(headers))
            answer = link.getresponse()
            version = int((answer.getheader("ETag") or '"0"').strip('"'))
            return answer.status, answer.read(), version
        except (OSError, http.client.HTTPException):
            return None
        finally:
            link.close()

    def status(self):
        answer = self.ask("GET", "/v1/status")
        return json.loads(answer[1]) if answer and answer[0] == 200 else {}

    def kill(self):
        self.pod.agent.send_signal(signal.SIGKILL)
        self.pod.agent.wait()

    def start(self):
        others = [pod for pod in self.lan.pods if pod is not self.pod and pod.agent.poll() is None]
        self.pod.start(*others)


def votes(status):
    return sum(peer["voter"] for peer in status.get("peers", []))


def agreed(replicas):
    """Who leads, when all of them say the same and all three vote."""
    seen = [replica.status() for replica in replicas]
    leaders = {status.get("leader") for status in seen}
    if len(leaders) != 1 or None in leaders or any(votes(status) != len(NAMES) for status in seen):
        return None
    leader = next((r for r in replicas if r.pod.name in leaders), None)
    return leader if leader and leader.status().get("leading") else None


def wait_agreed(replicas):
    return until(lambda: agreed(replicas), "they do not agree on a leader")


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
    made = Lan(tmp_path_factory.mktemp("group"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def replicas(lan):
    return [Replica(lan, number) for number in range(len(NAMES))]


def test_one_leads_and_all_vote(replicas):
    leader = wait_agreed(replicas)
    answers = {replica.pod.name: replica.ask("GET", "/v1/leader")[0] for replica in replicas}
    assert answers == {name: 200 if name == leader.pod.name else 503 for name in NAMES}


def test_any_replica_may_be_asked(replicas):
    wait_agreed(replicas)
    assert replicas[1].ask("PUT", "/v1/keys/color", "red")[0] == 200
    for replica in replicas:
        assert replica.ask("GET", "/v1/keys/color")[:2] == (200, b"red")


def test_another_leads_when_the_leader_is_killed(replicas):
    old = wait_agreed(replicas)
    assert old.ask("PUT", "/v1/keys/kept", "before")[0] == 200
    rest = [replica for replica in replicas if replica is not old]
    old.kill()
    new = until(lambda: agreed(rest), "nobody else leads")
    assert new.ask("GET", "/v1/keys/kept")[:2] == (200, b"before")
    assert new.ask("PUT", "/v1/keys/kept", "after")[0] == 200
    old.start()
    wait_agreed(replicas)
    assert old.ask("GET", "/v1/keys/kept")[:2] == (200, b"after")


def test_all_that_were_killed_come_back_with_what_was_agreed(replicas):
    leader = wait_agreed(replicas)
    assert leader.ask("PUT", "/v1/keys/kept", "through it all")[0] == 200
    for replica in replicas:
        replica.kill()
    for replica in replicas:
        replica.start()
    wait_agreed(replicas)
    assert replicas[2].ask("GET", "/v1/keys/kept")[:2] == (200, b"through it all")


def test_one_that_is_asked_to_end_does_so_in_order(replicas):
    wait_agreed(replicas)
    replicas[2].pod.agent.send_signal(signal.SIGTERM)
    assert replicas[2].pod.agent.wait(timeout=30) == 0
    replicas[2].start()
    wait_agreed(replicas)


def test_no_other_pod_is_led_to_what_the_agent_itself_serves(lan, replicas):
    wait_agreed(replicas)
    stranger = lan.pod(9, "client", "client-1", "--forward", f"8080=db:{API},8081=db:80", app=False)
    assert stranger.is_refused(8080)


def test_a_minority_refuses(lan, replicas):
    old = wait_agreed(replicas)
    rest = [replica for replica in replicas if replica is not old]
    lan.cut(old.pod)
    until(lambda: old.ask("GET", "/v1/leader")[0] == 503, "the leader that is cut off still leads")
    assert old.ask("PUT", "/v1/keys/cut", "x")[0] in (503, 504)
    new = until(lambda: agreed(rest), "the majority has no leader")
    assert new.ask("PUT", "/v1/keys/cut", "by the majority")[0] == 200
    lan.cut(old.pod, False)
    wait_agreed(replicas)
    assert old.ask("GET", "/v1/keys/cut")[:2] == (200, b"by the majority")


def test_a_lost_disk_comes_back_as_another_member(replicas):
    leader = wait_agreed(replicas)
    lost = next(replica for replica in replicas[1:] if replica is not leader)
    lost.kill()
    os.unlink(os.path.join(lost.disk, "data.mdb"))
    lost.pod.words = (*lost.pod.words, "--epoch", "2")
    lost.start()

    def taken_in():
        return {peer["pod"]: peer["epoch"] for peer in leader.status()["peers"]
                if peer["voter"]}.get(lost.pod.name) == 2
    until(taken_in, "it was not taken in")
    wait_agreed(replicas)
    assert lost.ask("GET", "/v1/keys/kept")[0] == 200


def elect(replica, *command, **environment):
    done = subprocess.run(["ip", "netns", "exec", replica.pod.network, *command, f"http://127.0.0.1:{API}", "default"],
                          capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment})
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr


def test_a_leader_is_elected_by_a_lease_in_python(replicas, tmp_path):
    path = client_libraries.python_path(tmp_path)
    if path is None:
        pytest.skip("no python3-kubernetes, and no archive to fetch it from")
    wait_agreed(replicas)
    elect(replicas[1], client_libraries.PYTHON, str(HERE / "client_lease.py"), PYTHONPATH=path)


def test_a_leader_is_elected_by_a_lease_for_node(replicas, tmp_path):
    directory = client_libraries.node_directory(tmp_path)
    if directory is None:
        pytest.skip("no @kubernetes/client-node, and no registry to fetch it from")
    shutil.copy(HERE / "client_lease.mjs", directory)
    wait_agreed(replicas)
    elect(replicas[2], "node", str(directory / "client_lease.mjs"))


class Writer(threading.Thread):
    """A client that reads, writes and swaps one key at any replica, and notes what came of it."""

    def __init__(self, replicas, number, end):
        super().__init__()
        self.replicas, self.number, self.end = replicas, number, end
        self.random = random.Random(number)
        self.notes = []  # (begin, end, what, value, version)
        self.unsure = set()
        self.known = 0

    def run(self):
        count = 0
        while time.monotonic() < self.end:
            replica = self.random.choice(self.replicas)
            begin, value = time.monotonic(), None
            if self.random.random() < 0.5:
                answer = replica.ask("GET", "/v1/keys/contended", timeout=2)
            else:
                count += 1
                value = f"{self.number}.{count}".encode()
                headers = {"If-Match": f'"{self.known}"'} if self.known and self.random.random() < 0.5 else {}
                answer = replica.ask("PUT", "/v1/keys/contended", value, headers, timeout=2)
            self.note(begin, value, answer)

    def note(self, begin, value, answer):
        if answer and answer[0] == 200:
            self.known = answer[2]
            self.notes.append((begin, time.monotonic(), value is not None, value or answer[1], answer[2]))
        elif value and (not answer or answer[0] == 504):
            self.unsure.add(value)  # it may have happened, or happen yet
        elif answer:
            assert answer[0] in (404, 409, 503, 504), answer
            self.known = answer[2] or self.known


def check_history(notes, unsure):
    """Versions order the writes; each operation must stand in that order and in that of time."""
    written = {}
    for _, _, is_write, value, version in notes:
        if is_write:
            assert written.setdefault(version, value) == value, "one version, two writes"
    for _, _, is_write, value, version in notes:
        assert written.get(version, value) == value, "a read of what was not written there"
        assert version in written or value in unsure, "a read of what nobody has written"
    latest, done = 0, sorted(notes, key=lambda note: note[1])
    at = 0
    for begin, _, is_write, _, version in sorted(notes):
        while at < len(done) and done[at][1] < begin:
            latest = max(latest, done[at][4])
            at += 1
        assert version > latest if is_write else version >= latest, "time went backwards"


def test_histories_have_an_order_while_leaders_are_killed(lan, replicas):
    wait_agreed(replicas)
    end = time.monotonic() + TROUBLE_S
    writers = [Writer(replicas, number, end) for number in range(CLIENTS)]
    for writer in writers:
        writer.start()
    changes = 0
    while time.monotonic() < end - 3:
        leader = wait_agreed(replicas)
        rest = [replica for replica in replicas if replica is not leader]
        changes += 1
        if changes % 2:
            leader.kill()
        else:
            lan.cut(leader.pod)
        until(lambda: any(replica.status().get("leading") for replica in rest), "no other leads")
        if changes % 2:
            leader.start()
        else:
            lan.cut(leader.pod, False)
    for writer in writers:
        writer.join()
    notes = [note for writer in writers for note in writer.notes]
    assert changes >= 2 and len(notes) > 20
    check_history(notes, set().union(*(writer.unsure for writer in writers)))
    wait_agreed(replicas)
