# SPDX-License-Identifier: Apache-2.0
"""The host process alone, with real containers: root, conmon, crun and busybox-static needed."""
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
import urllib.request
import uuid

import pytest

import oci

BUILD = pathlib.Path(os.environ["MAGIK_BUILD"])
DRIVER = BUILD / "tests/integration/host_driver"
AGENT = BUILD / "src/workplane/workplane"
WAIT_S = 60  # a loaded machine with sanitizers; everything is an event, so this is never slept


class Host:
    """One host process, driven over R/driver.sock."""

    def __init__(self, directory):
        self.state = directory / "D"
        self.run = directory / "R"
        self.state.mkdir()
        self.process = None
        self.pods = {}
        self.started = []

    def start(self, *arguments):
        environment = dict(os.environ, WORKPLANE=str(AGENT))
        self.process = subprocess.Popen([DRIVER, self.state, self.run, *arguments], env=environment)
        self.connect()

    def connect(self):
        deadline = time.monotonic() + WAIT_S
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(str(self.run / "driver.sock"))
                self.lines = self.socket.makefile("r")
                self.hello = self.read()["hello"]
                return
            except (OSError, ValueError):
                assert self.process.poll() is None, "the host process has ended"
                assert time.monotonic() < deadline
                time.sleep(0.02)  # the process is starting; there is nothing to wait on yet

    def read(self):
        self.socket.settimeout(WAIT_S)
        line = json.loads(self.lines.readline())
        if "pod" in line:
            self.pods[line["pod"]["uid"]] = line["pod"]
        if "images" in line:
            self.images = line["images"]
        return line

    def send(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def run_pod(self, spec, name="web-0", uid=None, annotations=None):
        uid = uid or str(uuid.uuid4())
        self.started.append(uid)
        spec.setdefault("terminationGracePeriodSeconds", 1)
        manifest = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
                    "metadata": {"name": name, "namespace": "default", "uid": str(uuid.uuid4()),
                                 "generation": 1, "labels": {"app": "web"},
                                 "annotations": annotations or {}}}
        self.send(start={"uid": uid, "name": name, "manifest": manifest})
        return uid

    def until(self, uid, condition):
        while not (uid in self.pods and condition(self.pods[uid])):
            self.read()
        return self.pods[uid]

    def until_phase(self, uid, phase):
        return self.until(uid, lambda pod: pod["phase"] == phase)

    def stop_pod(self, uid, grace=-1):
        self.send(stop={"uid": uid, "grace": grace})
        return self.until_phase(uid, "Gone")

    def logs(self, uid, container, **options):
        self.send(logs={"id": 1, "uid": uid, "container": container, **options})
        text = ""
        while True:
            line = self.read()
            if "log" not in line:
                continue
            text += line.get("data", "")
            if line["end"]:
                return line.get("error") or text

    def control(self, **request):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_S)
            connection.connect(str(self.run / "host.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            lines = connection.makefile("r")
            while True:
                answer = json.loads(lines.readline())
                if "done" in answer or "error" in answer:
                    return answer

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(WAIT_S)


def remains(host):
    """Everything on this machine that is the host's own: other daemons may run beside it."""
    tree = "magik-" + hashlib.sha256(str(host.run).encode()).hexdigest()[:8]
    own_links = ["mk" + hashlib.sha256(uuid.UUID(uid).bytes).hexdigest()[:12] for uid in host.started]
    found = [str(path) for path in (host.run / "pods").iterdir()]
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) in (os.getpid(), host.process.pid):
            continue
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            state, parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            parent = int(parent)
        except OSError:
            continue
        if str(host.run) in command and "/R/pods" in command or \
                state == "Z" and parent == host.process.pid:
            found.append(command)
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    found += [line for line in links.splitlines() if any(link in line for link in own_links)]
    for root, directories, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, name) for name in directories if name == tree]
        if root.count("/") > 5:
            directories.clear()
    mounts = pathlib.Path(f"/proc/{host.process.pid}/mounts")
    if mounts.exists():
        found += [line for line in mounts.read_text().splitlines() if str(host.run) in line]
    found += os.listdir(host.run / "crun")
    return found


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    oci.busybox_archive(path)
    return path


@pytest.fixture
def host(archive):
    directory = pathlib.Path(f"/tmp/mrt-{uuid.uuid4().hex[:8]}")  # short: sockets lie in it
    directory.mkdir()
    host = Host(directory)
    host.start()
    assert host.hello["engineWorks"], host.hello["engineReason"]
    answer = host.control(verb="image-load", source=str(archive))
    assert answer.get("image") == "localhost/busybox:1", answer
    yield host
    if host.process.poll() is None:
        assert host.end() == 0  # a sanitizer with a complaint would say otherwise
    done = subprocess.run([DRIVER, host.state, host.run, "--drain"], timeout=WAIT_S, check=False,
                          env=dict(os.environ, WORKPLANE=str(AGENT)))
    left = remains(host)
    shutil.rmtree(directory, ignore_errors=True)
    assert done.returncode == 0
    assert left == []


def container(name="main", command=None, **more):
    return {"name": name, "image": "localhost/busybox:1", "command": command or ["sleep", "1000"], **more}


def shell(script, name="main", **more):
    return container(name, ["sh", "-c", script], **more)


def test_a_pod_runs_and_goes_and_leaves_nothing(host):
    uid = host.run_pod({"containers": [container()]})
    pod = host.until_phase(uid, "Running")
    assert pod["ip"].startswith("fd6d:6167:696b:")
    assert pod["containers"]["main"]["imageId"].startswith("sha256:")
    host.stop_pod(uid, 0)
    assert remains(host) == []


def test_the_machine_reaches_the_pod_on_both_addresses(host):
    uid = host.run_pod({"containers": [shell("echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp")]})
    pod = host.until_phase(uid, "Running")
    fetched = None
    deadline = time.monotonic() + WAIT_S
    while fetched is None:
        try:
            with urllib.request.urlopen(f"http://[{pod['ip']}]:8080/index.html", timeout=5) as page:
                fetched = page.read()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)  # the server inside is starting
    assert fetched == b"hello\n"
    routes = subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
    link = "mk" + hashlib.sha256(uuid.UUID(uid).bytes).hexdigest()[:12]
    ip4 = next(line.split()[0] for line in routes.splitlines() if link in line)
    with urllib.request.urlopen(f"http://{ip4}:8080/index.html", timeout=5) as page:
        assert page.read() == b"hello\n"


def test_containers_of_a_pod_share_network_host_name_and_memory(host):
    uid = host.run_pod({"containers": [
        shell("echo from-one > /tmp/index.html; echo seen > /dev/shm/note; exec httpd -f -p 80 -h /tmp", "one"),
        shell("until wget -q -O - http://127.0.0.1/index.html 2>/dev/null; do usleep 10000; done; cat /dev/shm/note; "
              "hostname; cat /etc/hostname; sleep 1000", "two")]}, name="pair-0")
    host.until_phase(uid, "Running")
    text = ""
    while text.count("\n") < 4:
        text = host.logs(uid, "two")
    assert text == "from-one\nseen\npair-0\npair-0\n"


def test_exit_codes_and_reasons_are_exact(host):
    uid = host.run_pod({"restartPolicy": "Never", "containers": [
        shell("exit 0", "well"), shell("exit 37", "ill"), shell("kill -9 $$", "killed"),
        container("missing", ["/no/such/program"])]})
    pod = host.until_phase(uid, "Failed")
    ends = {name: (c["now"]["exitCode"], c["now"]["reason"]) for name, c in pod["containers"].items()}
    assert ends["well"] == (0, "Completed")
    assert ends["ill"] == (37, "Error")
    assert ends["missing"] == (128, "StartError")
    assert ends["killed"][1] in ("Error", "Completed")  # pid 1 of a namespace cannot kill itself


def test_who_eats_too_much_memory_is_killed_as_such(host):
    uid = host.run_pod({"restartPolicy": "Never", "containers": [
        shell("dd if=/dev/zero of=/dev/shm/big bs=1M count=60; exit 1",
              resources={"limits": {"memory": "32Mi"}})]})
    pod = host.until_phase(uid, "Failed")
    assert pod["containers"]["main"]["now"]["reason"] in ("OOMKilled", "Error")
    uid = host.run_pod({"restartPolicy": "Never", "containers": [
        container("main", ["dd", "if=/dev/zero", "of=/dev/shm/big", "bs=1M", "count=60"],
                  resources={"limits": {"memory": "32Mi"}})]})
    pod = host.until_phase(uid, "Failed")
    assert pod["containers"]["main"]["now"]["reason"] == "OOMKilled"
    assert pod["containers"]["main"]["now"]["exitCode"] == 137


def test_a_container_that_ends_is_started_again_and_backs_off(host):
    uid = host.run_pod({"containers": [shell("echo run; exit 3")]})
    pod = host.until(uid, lambda pod: pod["containers"]["main"]["now"]["reason"] == "CrashLoopBackOff")
    main = pod["containers"]["main"]
    assert main["restarts"] == 2
    assert main["last"]["exitCode"] == 3
    assert host.logs(uid, "main") == "run\n"
    assert host.logs(uid, "main", previous=True) == "run\n"


def test_init_containers_run_first_and_in_order(host):
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/data"}]}
    uid = host.run_pod({
        "restartPolicy": "Never",
        "volumes": [{"name": "work", "emptyDir": {}}],
        "initContainers": [shell("echo 1 >> /data/order", "first", **mount),
                           shell("echo 2 >> /data/order", "second", **mount)],
        "containers": [shell("cat /data/order", **mount)]})
    host.until_phase(uid, "Succeeded")
    assert host.logs(uid, "main") == "1\n2\n"


def test_environment_user_and_limits_are_as_asked(host):
    uid = host.run_pod({
        "restartPolicy": "Never",
        "containers": [shell(
            "echo $FROM_IMAGE $GREETING $NAME $NODE; id -u; id -G; cat /proc/self/status | grep -E 'NoNewPrivs|Seccomp:|CapEff'; "
            "touch /nope 2>/dev/null || echo read-only",
            env=[{"name": "WHO", "value": "world"}, {"name": "GREETING", "value": "hello-$(WHO)-$(NOBODY)"},
                 {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                 {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            securityContext={"runAsUser": 1000, "allowPrivilegeEscalation": False,
                             "readOnlyRootFilesystem": True})]}, name="env-0")
    host.until_phase(uid, "Succeeded")
    lines = host.logs(uid, "main").splitlines()
    assert lines[0] == "yes hello-world-$(NOBODY) env-0 test-node"
    assert lines[1] == "1000"
    assert lines[2].split() == ["1000", "44"]
    facts = dict(line.split(":") for line in lines[3:6])
    assert facts["CapEff"].strip() == "0" * 16
    assert facts["NoNewPrivs"].strip() == "1"
    assert facts["Seccomp"].strip() == "2"
    assert lines[6] == "read-only"


def test_logs_tail_follow_and_limit(host):
    uid = host.run_pod({"restartPolicy": "Never", "containers": [
        shell("for i in 1 2 3 4 5; do echo line $i; done; echo -n unfinished; sleep 1")]})
    host.until_phase(uid, "Running")
    assert host.logs(uid, "main", follow=True) == "line 1\nline 2\nline 3\nline 4\nline 5\nunfinished"
    host.until_phase(uid, "Succeeded")
    assert host.logs(uid, "main", tail=2).startswith("line 5\n") or \
        host.logs(uid, "main", tail=2) == "line 4\nline 5\nunfinished"
    assert host.logs(uid, "main", limit=8) == "line 1\nl"
    stamped = host.logs(uid, "main", timestamps=True, tail=3).splitlines()[0].split(" ", 1)
    assert stamped[0].endswith("Z") and stamped[0].startswith("20")
    assert "not valid" in host.logs(uid, "nobody")


def test_what_cannot_be_kept_is_refused_with_a_reason(host):
    for spec, word in (({"hostNetwork": True, "containers": [container()]}, "hostNetwork"),
                       ({"containers": [container(securityContext={"privileged": True})]}, "policy"),
                       ({"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}],
                         "containers": [container()]}, "policy"),
                       ({"volumes": [{"name": "v", "nfs": {}}], "containers": [container()]}, "of this kind"),
                       ({"runtimeClassName": "krun", "containers": [container()]}, "krun")):
        uid = host.run_pod(spec)
        pod = host.until_phase(uid, "Gone")
        assert word in pod["message"], pod
    assert remains(host) == []


def test_a_stopped_pod_is_not_brought_back_by_its_old_award(host):
    uid = host.run_pod({"containers": [container()]})
    host.until_phase(uid, "Running")
    host.stop_pod(uid, 0)
    host.pods.clear()
    assert host.run_pod({"containers": [container()]}, uid=uid) == uid
    assert "stopped here" in host.until_phase(uid, "Gone")["message"]
    assert remains(host) == []


def test_an_image_that_is_nowhere_is_waited_for(host):
    uid = host.run_pod({"containers": [container() | {"image": "127.0.0.1:1/none:1"}]})
    pod = host.until(uid, lambda pod: pod["containers"]["main"]["now"]["reason"] == "ErrImagePull")
    assert "127.0.0.1:1" in pod["containers"]["main"]["now"]["message"]
    assert pod["phase"] == "Pending"
    host.stop_pod(uid)


def test_the_host_can_be_killed_and_finds_its_pods_again(host):
    uid = host.run_pod({"containers": [
        shell("i=0; while true; do echo $i; i=$((i+1)); usleep 100000; done")]})
    ends = host.run_pod({"restartPolicy": "Never", "containers": [shell("sleep 1; exit 5")]}, "ends-0")
    before = host.until_phase(uid, "Running")
    host.until_phase(ends, "Running")
    host.end(signal.SIGKILL)
    time.sleep(1.5)  # the second pod ends while nobody looks
    host.pods.clear()
    host.start()
    after = host.until_phase(uid, "Running")
    assert after["containers"]["main"]["now"]["containerId"] == before["containers"]["main"]["now"]["containerId"]
    assert after["ip"] == before["ip"] and after["epoch"] == 7 and after["workload"] == "web-0"
    pod = host.until_phase(ends, "Failed")
    assert pod["containers"]["main"]["now"]["exitCode"] == 5
    assert host.logs(uid, "main", tail=1).strip().isdigit()
    host.stop_pod(uid, 0)
    host.stop_pod(ends, 0)
    assert remains(host) == []


def test_the_host_can_be_killed_at_any_moment_of_a_start(host):
    for delay_ms in range(0, 60, 12):
        uid = host.run_pod({"containers": [container()]})
        time.sleep(delay_ms / 1000)  # somewhere within the start
        host.end(signal.SIGKILL)
        host.pods.clear()
        host.start()
        pods = [pod for pod in host.pods.values() if pod["phase"] != "Gone"]
        if pods or any((host.run / "pods").iterdir()):
            host.until(uid, lambda pod: pod["phase"] in ("Running", "Gone"))
            host.stop_pod(uid, 0)
        assert remains(host) == []


def test_pods_stay_when_the_host_ends_and_go_when_it_drains(host):
    uid = host.run_pod({"containers": [container()]})
    host.until_phase(uid, "Running")
    pid, = [int(path.read_text()) for path in (host.run / "pods" / uid).rglob("pidfile")]
    assert host.end(signal.SIGTERM) == 0
    os.kill(pid, 0)
    host.pods.clear()
    host.start()
    host.until_phase(uid, "Running")
    done = subprocess.run([DRIVER, host.state, host.run, "--drain"], timeout=WAIT_S, check=False)
    assert done.returncode == 0
    assert host.process.wait(WAIT_S) == 0
    assert remains(host) == []


def test_an_agent_that_dies_is_started_again_without_the_pod_noticing(host):
    uid = host.run_pod({"containers": [container()]})
    before = host.until_phase(uid, "Running")
    pid_file = host.run / "pods" / uid / "infra.pid"
    first = int(pid_file.read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + WAIT_S
    while int(pid_file.read_text().split()[0]) == first:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert host.pods[uid]["containers"] == before["containers"]
    host.stop_pod(uid, 0)
    assert remains(host) == []


# A name that exists because others lie below it: answered by the agent alone, here by nobody else.
ASK = "nslookup svc.cluster.local 198.19.255.254 >/dev/null 2>&1"


def test_a_pod_asks_the_resolver_in_front_of_it(host):
    uid = host.run_pod({"containers": [shell(f"cat /etc/resolv.conf; {ASK}; echo asked $?; sleep 1000")],
                        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["alias.test"]}]})
    host.until_phase(uid, "Running")
    while "asked" not in (text := host.logs(uid, "main", follow=False)):
        time.sleep(0.02)
    assert text.startswith("nameserver 198.19.255.254\n")
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in text
    assert "ndots:5" in text
    assert "asked 0" in text
    assert "10.1.2.3\talias.test" in (host.run / "pods" / uid / "etc" / "hosts").read_text()
    host.stop_pod(uid, 0)
    assert remains(host) == []


def test_a_new_agent_answers_in_front_of_the_pod_as_well(host):
    uid = host.run_pod({"containers": [shell(f"until [ -e /tmp/go ]; do sleep 0.1; done; {ASK}; "
                                             "echo asked $?; sleep 1000",
                                             volumeMounts=[{"name": "go", "mountPath": "/tmp"}])],
                        "volumes": [{"name": "go", "emptyDir": {}}]})
    host.until_phase(uid, "Running")
    pid_file = host.run / "pods" / uid / "infra.pid"
    first = int(pid_file.read_text().split()[0])
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + WAIT_S
    while int(pid_file.read_text().split()[0]) == first:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (host.run / "pods" / uid / "volumes" / "go" / "go").touch()
    while "asked" not in (text := host.logs(uid, "main", follow=False)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "asked 0" in text


def test_no_port_of_a_pod_is_taken(host):
    listen = " & ".join(f"nc -l -p {port} >/dev/null" for port in (53, 15001, 6379))
    uid = host.run_pod({"containers": [shell(
        f"({listen}) & until [ $(netstat -ltn | grep -cE ':(53|15001|6379) ') = 3 ]; do :; done; "
        "netstat -ltn; echo listed; sleep 1000")]})
    host.until_phase(uid, "Running")
    while "listed" not in (text := host.logs(uid, "main", follow=False)):
        time.sleep(0.02)
    for port in (53, 15001, 6379):
        assert f":{port} " in text


def test_the_fabric_process_can_die_and_pods_do_not_notice(host):
    uid = host.run_pod({"containers": [container()]})
    before = host.until_phase(uid, "Running")
    children = pathlib.Path(f"/proc/{host.process.pid}/task/{host.process.pid}/children").read_text()
    fabric = [pid for pid in map(int, children.split())
              if b"--fabric-process" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(fabric[0], signal.SIGKILL)
    while host.lines.readline():
        pass
    host.pods.clear()
    host.connect()
    after = host.until_phase(uid, "Running")
    assert after["containers"] == before["containers"]


class Registry(http.server.BaseHTTPRequestHandler):
    """Just enough of a registry to pull one image from: the blobs of an OCI layout."""

    blobs, manifest, corrupt, requests = {}, None, False, []

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        kind = "application/vnd.oci.image.manifest.v1+json"
        self.requests.append(self.path)
        if self.path == "/v2/":
            data, kind = b"{}", "application/json"
        elif "/manifests/" in self.path:
            data = self.blobs[self.manifest]
        else:
            data, kind = self.blobs[name.split(":")[1]], "application/octet-stream"
            if self.corrupt:
                data = data[:-1] + bytes([data[-1] ^ 1])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(data).hexdigest())
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def registry(archive):
    with tarfile.open(archive) as tar:
        Registry.blobs = {member.name.split("/")[-1]: tar.extractfile(member).read()
                          for member in tar if member.name.startswith("blobs/")}
        index = json.load(tar.extractfile("index.json"))
    Registry.manifest = index["manifests"][0]["digest"].split(":")[1]
    Registry.corrupt, Registry.requests = False, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_image_is_pulled_once_for_all_who_wait(host, registry):
    image = {"image": f"{registry}/t/app:1"}
    pods = [host.run_pod({"containers": [container() | image, container("second") | image]}, f"web-{i}")
            for i in range(3)]
    for uid in pods:
        host.until_phase(uid, "Running")
    assert sum("/manifests/" in path for path in Registry.requests) <= 2  # HEAD and GET of one pull
    assert f"{registry}/t/app:1" in host.images
    for uid in pods:
        host.stop_pod(uid, 0)


def test_a_blob_with_another_content_is_refused(host, registry):
    Registry.corrupt = True
    # Under another name and with none of its blobs here: all must come from the registry.
    assert "error" not in host.control(verb="image-rm", source="localhost/busybox:1")
    answer = host.control(verb="image-load", source=f"{registry}/t/app:1")
    assert "error" in answer
    assert host.control(verb="image-ls")["images"] == []


def test_an_archive_of_docker_is_loaded_under_its_own_name(host, archive, tmp_path):
    docker = tmp_path / "saved.tar"
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", f"oci-archive:{archive}",
                    f"docker-archive:{docker}:example.org/team/app:2"], check=True)
    assert host.control(verb="image-load", source=str(docker))["image"] == "example.org/team/app:2"
    assert "example.org/team/app:2" in [i["name"] for i in host.control(verb="image-ls")["images"]]
    uid = host.run_pod({"containers": [container() | {"image": "example.org/team/app:2"}]})
    host.until_phase(uid, "Running")
    assert "error" in host.control(verb="image-load", source="/no/such/file")


def test_images_are_listed_and_removed(host):
    images = host.control(verb="image-ls")["images"]
    assert [image["name"] for image in images] == ["localhost/busybox:1"]
    uid = host.run_pod({"containers": [container()]})
    host.until_phase(uid, "Running")
    assert "in use" in host.control(verb="image-rm", source="localhost/busybox:1")["error"]
    host.stop_pod(uid, 0)
    assert "error" not in host.control(verb="image-rm", source="localhost/busybox:1")
    assert host.control(verb="image-ls")["images"] == []
    assert os.listdir(host.state / "images" / "layers") == []
    assert os.listdir(host.state / "images" / "blobs" / "sha256") == []
