# SPDX-License-Identifier: Apache-2.0
"""Unmodified programs of Debian in pods: resolvers, redis, datagrams; and rolling updates under load."""
import manifests
import pytest
from fabric import eventually
from test_mesh import IMAGE, ask, service

NETWORK = "magik.local/network:test"


@pytest.fixture
def networked(fabric):
    """The shared fabric, its machines having the image of network programs."""
    for machine in fabric.machines[:3]:
        machine.load("network")
    return fabric


def run(fabric, pod, *command):
    return fabric.kubectl("exec", pod, "--", *command, check=False).stdout


def shell(fabric, pod, text):
    return run(fabric, pod, "sh", "-c", text)


def asker(name="asker"):
    return manifests.pod(name, image=NETWORK, command=manifests.SLEEP)


def apply(fabric, write, *objects):
    for one in objects:
        fabric.kubectl("apply", "-f", write(one))


def drop(fabric, *services):
    fabric.kubectl("delete", "service", *services, "--ignore-not-found")


def test_real_resolvers_find_every_kind_of_name(networked, write):
    fabric = networked
    db = manifests.deployment("db", 2, image=IMAGE)
    db["kind"] = "StatefulSet"
    db["spec"]["serviceName"] = "db"
    db["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 80}]
    headless = service("db", "db", 80, "web")
    headless["spec"]["clusterIP"] = "None"
    alias = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"},
             "spec": {"type": "ExternalName", "externalName": "db.default.svc.cluster.local"}}
    apply(fabric, write, headless, alias, db, asker())
    fabric.wait_pods(2, "app=db")
    fabric.wait_pods(1, "app=asker")
    domain = "default.svc.cluster.local"

    def drill(name, kind):
        lines = run(fabric, "asker", "drill", f"{name}.{domain}", kind).partition("ANSWER SECTION:")[2]
        return [line.split() for line in lines.partition(";;")[0].splitlines() if line.strip()]
    try:
        eventually("both are named", lambda: len(drill("db", "A")) == 2, 60)
        assert len(drill("db", "AAAA")) == 2
        for name in ("db-0", "db-1"):
            for database, start in (("ahostsv4", "198.18."), ("ahostsv6", "fd6d:6167:7376:")):
                found = run(fabric, "asker", "getent", database, f"{name}.db").split()
                assert found and found[0].startswith(start), (name, found)
                assert ask_at(fabric, found[0]) == name
        ports = {(row[6], row[7]) for row in drill("_http._tcp.db", "SRV")}
        assert ports == {("80", f"{name}.db.{domain}.") for name in ("db-0", "db-1")}
        (cname, *_) = drill("alias", "CNAME")
        assert cname[3:] == ["CNAME", f"db.{domain}."]
        assert run(fabric, "asker", "getent", "hosts", "alias")
    finally:
        drop(fabric, "db", "alias")


def ask_at(fabric, address):
    """Which nginx answers at @address, asked by socat."""
    where = f"TCP6:[{address}]:80" if ":" in address else f"TCP4:{address}:80"
    answer = shell(fabric, "asker", f"printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | socat -t 5 - {where}")
    return answer.split("\n")[-2].strip() if " 200 " in answer else ""


def test_redis_beside_redis_on_one_port(networked, write):
    """What binds 6379 on all addresses calls another such by its Service's name and the same port."""
    fabric = networked

    def redis(name):
        made = manifests.deployment(name, 1, image=NETWORK, memory="64Mi",
                                    command=["redis-server", "--save", "", "--protected-mode", "no"])
        return made
    apply(fabric, write, redis("store"), redis("cache"), service("store", "store", 6379, 6379))
    fabric.wait_pods(1, "app=store")
    (cache,) = fabric.wait_pods(1, "app=cache")
    name = cache["metadata"]["name"]
    try:
        eventually("the other redis answers", lambda: "PONG" in run(fabric, name, "redis-cli", "-h", "store", "ping"), 60)
        assert "OK" in run(fabric, name, "redis-cli", "-h", "store", "set", "where", "store")
        assert "OK" in run(fabric, name, "redis-cli", "set", "where", "cache")
        assert run(fabric, name, "redis-cli", "-h", "store", "get", "where").strip() == "store"
        assert run(fabric, name, "redis-cli", "get", "where").strip() == "cache"
        bench = shell(fabric, name, "for i in 1 2 3 4 5 6 7 8 9 10; do redis-cli -h store incr n; done")
        assert bench.split()[-1] == "10"
    finally:
        drop(fabric, "store")


def test_datagrams_between_pods(networked, write):
    fabric = networked
    echo = manifests.deployment("echo", 1, image=NETWORK,
                                command=["socat", "UDP6-RECVFROM:5353,ipv6only=0,fork", "EXEC:cat"])
    echo["spec"]["template"]["spec"]["containers"][0]["ports"] = [
        {"name": "echo", "containerPort": 5353, "protocol": "UDP"}]
    echoed = service("echo", "echo", 53, "echo")
    echoed["spec"]["ports"][0]["protocol"] = "UDP"
    apply(fabric, write, echo, echoed, asker())
    fabric.wait_pods(1, "app=echo")
    fabric.wait_pods(1, "app=asker")
    try:
        def say(words):
            return shell(fabric, "asker", f"echo {words} | socat -t 3 - UDP:echo:53").strip()
        eventually("a datagram comes back", lambda: say("hello") == "hello", 60)
        assert [say(f"n{i}") for i in range(5)] == [f"n{i}" for i in range(5)]
    finally:
        drop(fabric, "echo")


def test_a_pod_is_reached_by_its_own_address(fabric, write):
    apply(fabric, write, manifests.deployment("front", 2, image=IMAGE), manifests.pod("caller"))
    pods = fabric.wait_pods(2, "app=front")
    fabric.wait_pods(1, "app=caller")
    for pod in pods:
        address, name = pod["status"]["podIP"], pod["metadata"]["name"]
        eventually(f"{name} answers at its podIP", lambda ip=address, of=name: ask(fabric, "caller", ip) == of, 60)
    assert ask(fabric, "caller", "fd6d:6167:696b::1") == ""


def test_a_rolling_update_under_load_loses_no_request(fabric, write):
    front = manifests.deployment("front", 3, image=IMAGE)
    spec = front["spec"]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = 10
    spec["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 2}}}
    spec["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/hostname", "port": 80}, "periodSeconds": 1}
    apply(fabric, write, front, service("site", "front", 80, 80), manifests.pod("caller"))
    fabric.wait_pods(3, "app=front")
    fabric.wait_pods(1, "app=caller")
    load = ("while [ ! -e /tmp/stop ]; do printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 20 site 80 | "
            "grep -q ' 200 ' && echo ok >>/tmp/log || echo lost >>/tmp/log; done")
    try:
        eventually("the Service answers", lambda: ask(fabric, "caller", "site"), 60)
        shell(fabric, "caller", f"({load}) >/dev/null 2>&1 </dev/null &")
        for _ in range(2):
            fabric.kubectl("rollout", "restart", "deployment/front")
            fabric.kubectl("rollout", "status", "deployment/front", "--timeout=120s", timeout=130)
        shell(fabric, "caller", "touch /tmp/stop")
        log = eventually("the load has ended", lambda: run(fabric, "caller", "cat", "/tmp/log").split(), 30)
        assert log.count("ok") > 50, log.count("ok")
        assert log.count("lost") == 0, f"{log.count('lost')} of {len(log)}"
    finally:
        drop(fabric, "site")
