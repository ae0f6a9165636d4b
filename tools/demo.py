#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev demo [--machines N] [--keep]

Makes N machines (default 3; network namespaces on one bridge), starts a machineplane in each, lets
the others join the first by token, and runs examples/nginx.yaml on them: a Deployment of Debian's
nginx. Fetches the page from every pod, shows logs, deletes, checks that nothing is left, and prints
when what happened. The exit status is 0 only if all of it did.

  --keep   leave the machines running at the end, before the deletion, and tell how to use them
"""
import argparse
import os
import signal
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
sys.dont_write_bytecode = True

import timeline  # noqa: E402
from fabric import Fabric, eventually, image, is_ready  # noqa: E402

MANIFEST = "examples/nginx.yaml"  # from the top of the tree
NAME = "web"
SELECTOR = "app=web"


class Stage:
    """What the audience sees: headings, commands and their output; colours only on a terminal."""

    def __init__(self):
        self.began = time.monotonic()
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def heading(self, text):
        print("\n" + self._paint("1", f"[{time.monotonic() - self.began:6.2f} s] {text}"), flush=True)

    def say(self, text):
        for line in text.rstrip().splitlines():
            print("  " + line, flush=True)

    def shell(self, command, output):
        print("  " + self._paint("36", "$ " + command), flush=True)
        self.say(output)

    def good(self, text):
        print("  " + self._paint("32", "ok: ") + text, flush=True)


class Failure(Exception):
    """The demonstration did not show what it promises."""


def require(condition, text):
    if not condition:
        raise Failure(text)


def show_kubectl(stage, fabric, *args):
    done = fabric.kubectl(*args, cwd=TOP)
    stage.shell("kubectl " + " ".join(args), done.stdout + done.stderr)
    return done.stdout


def start_machines(stage, fabric, count):
    stage.heading(f"Starting {count} machines")
    first = fabric.machine()
    first.start()
    fabric.kubeconfig = first.kubeconfig()
    stage.say(f"{first.name} at {first.host.ip} has made a fabric of one")
    for _ in range(count - 1):
        token = first.token()
        machine = fabric.machine()
        machine.start(join=token)
        stage.say(f"{machine.name} at {machine.host.ip} has joined with the token {token[:12]}...")
    fabric.wait_nodes([machine.name for machine in fabric.machines])
    show_kubectl(stage, fabric, "get", "nodes")


def load_images(stage, fabric):
    stage.heading("Loading the image of Debian's nginx on each machine")
    for machine in fabric.machines:
        machine.load("nginx")
    stage.shell("magik image ls", fabric.first.magik("image", "ls").stdout)


def watch_ready(fabric, replicas):
    """Pod name -> the moment it was first seen Ready, for exactly this many pods."""
    seen = {}

    def all_ready():
        pods = fabric.pods(selector=SELECTOR)
        require(len(pods) <= replicas, f"{len(pods)} pods, asked for {replicas}")
        for pod in pods:
            if is_ready(pod):
                seen.setdefault(pod["metadata"]["name"], time.monotonic())
        return len(seen) == replicas
    eventually(f"{replicas} pods are ready", all_ready, timeout=60)
    return seen


def deploy(stage, fabric, replicas):
    """Apply the manifest; the moment it was done and the moments the pods became ready."""
    stage.heading("Applying examples/nginx.yaml")
    done = fabric.kubectl("apply", "-f", MANIFEST, cwd=TOP)
    applied = time.monotonic()
    ready = watch_ready(fabric, replicas)
    stage.shell(f"kubectl apply -f {MANIFEST}", done.stdout + done.stderr)
    show_kubectl(stage, fabric, "get", "deployments")
    show_kubectl(stage, fabric, "get", "pods", "-o", "wide")
    pods = fabric.pods(selector=SELECTOR)
    require(len(pods) == replicas, f"{len(pods)} pods, asked for {replicas}")
    nodes = {pod["spec"]["nodeName"] for pod in pods}
    expected = min(replicas, len(fabric.machines))
    require(len(nodes) == expected, f"the pods are on {len(nodes)} machines, expected {expected}")
    stage.good(f"exactly {replicas} pods run, on {expected} machines")
    return applied, ready


def fetch_pages(stage, fabric):
    stage.heading("Fetching the page from each pod")
    for pod in fabric.pods(selector=SELECTOR):
        name, address = pod["metadata"]["name"], pod["status"]["podIP"]
        url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
        machine = next(m for m in fabric.machines if m.name == pod["spec"]["nodeName"])
        answer = machine.host.run("curl", "-sS", "-i", "--max-time", "10", url).stdout
        require("Welcome to nginx!" in answer, f"{url} on {machine.name} answered:\n{answer}")
        require(f"X-Pod: {name}" in answer, f"{url} is not served by {name}:\n{answer}")
        title = next(line for line in answer.splitlines() if "<title>" in line)
        stage.say(f"{machine.name}: {url} -> {title.strip()} from {name}")
    stage.good("every pod served its page")


def show_logs(stage, fabric):
    stage.heading("Reading the log of a pod through another machine")
    pod = fabric.pods(selector=SELECTOR)[0]
    machine = next((m for m in fabric.machines if m.name != pod["spec"]["nodeName"]), fabric.first)
    name = pod["metadata"]["name"]
    log = eventually("the log has the request", lambda: _with_request(
        fabric.kubectl("logs", name, machine=machine).stdout))
    stage.shell(f"kubectl logs {name}", log[-1000:])
    stage.good(f"{machine.name} showed the log of a pod on {pod['spec']['nodeName']}")


def _with_request(log):
    return log if '"GET / HTTP/1.1" 200' in log else None


def delete(stage, fabric):
    stage.heading("Deleting")
    show_kubectl(stage, fabric, "delete", "-f", MANIFEST)
    fabric.wait_pods(0)
    show_kubectl(stage, fabric, "get", "pods")
    for machine in fabric.machines:
        machine.stop()
        machine.wait_nothing_left()
    stage.good("no pod, process, mount, cgroup or file is left on any machine")


def show_timeline(stage, fabric, began, applied, ready):
    stage.heading("What happened when")
    moments = [(began, "kubectl apply starts"), (applied, "kubectl apply has returned")]
    moments += [(at, f"{name} is ready") for name, at in ready.items()]
    told = timeline.tenders(fabric, NAME)
    require(told, "no machine tells of a tender for the Deployment")
    for steps in told:
        moments += [(step.at, step.text()) for step in steps]
    before = began
    stage.say(f"{'at':>10} {'after':>10}")
    for at, text in sorted(moments, key=lambda moment: moment[0]):
        stage.say(f"{(at - began) * 1e3:7.1f} ms {(at - before) * 1e3:7.1f} ms  {text}")
        before = at
    summarize(stage, told[0], max(ready.values()))


def summarize(stage, steps, all_ready):
    """The durations between the stages of the first tender."""
    opened = timeline.first(steps, "opened")
    awarded = timeline.last(steps, "awarded")
    started = timeline.last(steps, "deployed")
    require(None not in (opened, awarded, started), "the timeline is not complete")
    for name, begin, end in (("tender to last award", opened, awarded),
                             ("last award to last container started", awarded, started),
                             ("last container started to all pods ready", started, all_ready),
                             ("tender to all pods ready", opened, all_ready)):
        stage.say(f"{name:<42} {(end - begin) * 1e3:7.1f} ms")


def explain_keep(stage, fabric):
    stage.heading("The machines stay")
    network = fabric.network
    stage.say(f"""
The machines are network namespaces ({', '.join(host.name for host in network.hosts)}).
kubectl reaches them from beside their bridge:

  export KUBECONFIG={fabric.kubeconfig_file(fabric.first)}
  nsenter --net={network.path} kubectl get pods -o wide

A shell on {fabric.first.name}:

  {' '.join(fabric.first.host.command('bash'))}

Logs and state are in {fabric.directory}. To end it all:

  kill -9 {' '.join(str(host.init.pid) for host in network.hosts)}
  for n in {' '.join([network.tag] + [host.name for host in network.hosts])}; do ip netns delete $n; done
  rm -rf {fabric.directory}
""")


def perform(stage, fabric, options):
    replicas = 3
    start_machines(stage, fabric, options.machines)
    load_images(stage, fabric)
    began = time.monotonic()
    applied, ready = deploy(stage, fabric, replicas)
    fetch_pages(stage, fabric)
    show_logs(stage, fabric)
    show_timeline(stage, fabric, began, applied, ready)
    if options.keep:
        explain_keep(stage, fabric)
    else:
        delete(stage, fabric)


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return 0
    if os.geteuid() != 0:
        sys.exit("demo: needs root, to make network namespaces and containers")
    if not 1 <= options.machines <= 16:
        sys.exit("demo: between 1 and 16 machines")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    stage = Stage()
    stage.heading("Building the image of Debian's nginx, unless it is there")
    stage.say(image("nginx"))
    fabric = Fabric(keep=options.keep)
    worked = False
    try:
        perform(stage, fabric, options)
        worked = True
        print(f"\ndemo: all of it worked, in {time.monotonic() - stage.began:.1f} s")
        return 0
    except (Failure, AssertionError, RuntimeError, OSError) as error:
        print(f"\ndemo: failed: {error}", file=sys.stderr)
        for machine in fabric.machines:
            print(f"--- the end of the log of {machine.name}\n{machine.log()[-1500:]}", file=sys.stderr)
        return 1
    finally:
        if not worked:
            fabric.keep = fabric.network.keep = False
        fabric.close()


if __name__ == "__main__":
    sys.exit(main())
