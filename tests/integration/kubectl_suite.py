#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people type: every verb of kubectl, run in order by each client that is installed.

usage: kubectl_suite.py [--write FILE] [--only VERB] [--minors N,N] [--core] [--debian] [--jobs N]
       FAKE_SERVER names the gateway to start; --debian: Debian's client, too, fetched with apt-get;
       --core: only what differs most between versions

A step is one command line and what its output must hold. Steps share one server and follow each
other, as in a session. --write puts the columns of these clients into the table of verbs in FILE.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

MARKS = ("<!-- kubectl: made by tests/integration/kubectl_suite.py -->", "<!-- end of kubectl -->")
STEP_S = 120

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: "nginx:1.27", ports: [{containerPort: 80}]}
"""
SOLO = """
apiVersion: v1
kind: Pod
metadata: {name: solo, labels: {app: solo}}
spec: {containers: [{name: main, image: "busybox:1"}]}
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: COLOUR, size: big}
"""
CHART = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front}
spec:
  rules:
  - host: example.org
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: chart}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 4
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet}
spec: {podSelector: {}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: example.org/disk
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.org}
spec: {group: example.org, scope: Namespaced, names: {plural: things, kind: Thing}, versions: []}
"""
LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader}
spec: {holderIdentity: me}
"""
RAW = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}, "data": {"a": "b"}}'
READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""
DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: "busybox:1"}]}
"""
STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "busybox:1"}]}
"""


def config(name, data="{}", meta="", more=""):
    """A ConfigMap, with more members of its metadata and its own."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{{name}{meta}}}\ndata: {data}\n{more}"


@dataclasses.dataclass
class Step:
    verb: str
    line: str
    expect: str = ""      # a regular expression, found in what is printed
    stdin: str = ""
    fails: bool = False   # the command must end with an error
    since: int = 20       # the first minor version of kubectl that knows it
    env: dict = dataclasses.field(default_factory=dict)
    until: float = 0      # seconds: repeated until it holds


def s(verb, line, expect="", stdin="", **more):
    return Step(verb, line, expect, stdin, **more)


EDITOR = "sed -i s/big/huge/"
STEPS = [
    s("version", "version -o json", r'"gitVersion": "v1\.\d+\.\d+'),
    s("api-versions", "api-versions", r"^apps/v1$"),
    s("api-resources", "api-resources", r"^deployments +deploy +apps/v1 +true +Deployment$"),
    s("api-resources", "api-resources --namespaced=false -o name", r"^clusterroles\.rbac"),
    s("cluster-info", "cluster-info", r"running at"),
    s("explain", "explain pods.spec.containers", r"FIELDS?:", since=27),
    s("explain", "explain deployment.spec.strategy.rollingUpdate.maxSurge", r"maxSurge", since=27),
    s("explain", "explain cronjob --recursive", r"schedule", since=27),
    s("explain", "explain networkpolicy.spec", r"podSelector", since=27),
    # Creating.
    s("create -f", "create -f -", r"deployment.apps/web created", WEB),
    s("create -f", "create -f -", r'deployments.apps "web" already exists', WEB, fails=True),
    s("create -f", "create -f -", r'unknown field "spec.bogus"', WEB.replace("replicas:", "bogus: 1\n  replicas:"),
      fails=True),
    s("create -f", "create --validate=false -f -", r"configmap/loose created",
      config("name: loose", more="bogus: 1")),
    s("create -f", "create --validate=warn -f -", r'unknown field "bogus"',
      config("name: warned", more="bogus: 1"), since=27),
    s("create -f", "create -f -", r"configmap/made-\w{5} created",
      config("generateName: made-")),
    s("create -f", "create -f -", r"spec.selector: Required value",
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\n"
      "spec: {template: {spec: {containers: [{name: a, image: a}]}}}", fails=True),
    s("create -f", "create -f -", r"custom resources are not supported", CRD, fails=True),
    s("create -f", "create -f -", r"Lease API", LEASE, fails=True),
    s("create -f", "create -f -", r"pod/solo created", SOLO),
    s("create -f", "create -f -", r"daemonset.apps/agent created", DAEMON),
    s("create -f", "create -f -", r"statefulset.apps/db created", STATEFUL),
    s("create -f", "create --raw /api/v1/namespaces/default/configmaps -f -", r'"name":"raw"', RAW),
    s("create namespace", "create namespace team", r"namespace/team created"),
    s("create deployment", "create deployment hello --image=nginx:1.27 --replicas=1", r"deployment.apps/hello created"),
    s("create configmap", "create configmap lit --from-literal=a=b", r"configmap/lit created"),
    s("create secret", "create secret generic pass --from-literal=word=xyzzy", r"secret/pass created"),
    s("create secret", "create secret docker-registry reg --docker-username=u --docker-password=p "
      "--docker-server=r.example.org", r"secret/reg created"),
    s("create secret", "get secret pass -o jsonpath={.data.word}", r"^eHl6enk=$"),
    s("create serviceaccount", "create serviceaccount robot", r"serviceaccount/robot created"),
    s("create token", "create token robot", r"service accounts have no tokens", fails=True, since=24),
    s("create service", "create service clusterip plain --tcp=80:8080", r"service/plain created"),
    s("create service", "create service nodeport outer --tcp=80", r"service/outer created"),
    s("create job", "create job once --image=busybox:1 -- true", r"job.batch/once created"),
    s("create cronjob", "create cronjob tick --image=busybox:1 --schedule=@hourly -- true", r"cronjob.batch/tick created", since=21),
    s("create job", "create job --from=cronjob/tick again", r"job.batch/again created", since=21),
    s("create role", "create role viewer --verb=get --resource=pods", r"role.rbac.authorization.k8s.io/viewer created"),
    s("create rolebinding", "create rolebinding viewers --role=viewer --user=jane", r"rolebinding\S+ created"),
    s("create clusterrole", "create clusterrole all --verb=get --resource=pods", r"clusterrole\S+ created"),
    s("create clusterrolebinding", "create clusterrolebinding alls --clusterrole=all --group=g", r"created"),
    s("create quota", "create quota few --hard=pods=3", r"resourcequota/few created"),
    s("create priorityclass", "create priorityclass high --value=1000", r"priorityclass\S+ created"),
    s("create poddisruptionbudget", "create poddisruptionbudget keep --selector=app=web --min-available=1",
      r"created", since=27),
    s("create ingress", "create ingress way --rule=example.org/=web:80", r"ingress\S+ created", since=20),
    s("run", "run shell --image=busybox:1 --labels=app=shell", r"pod/shell created"),
    s("run", "run urgent --image=busybox:1 --overrides={\\\"spec\\\":{\\\"priorityClassName\\\":\\\"high\\\"}}", r"created"),
    s("run", "get pod urgent -o jsonpath={.spec.priority}", r"^1000$"),
    s("run", "run vague --image=busybox:1 --overrides={\\\"spec\\\":{\\\"priorityClassName\\\":\\\"none\\\"}}",
      r"no PriorityClass with name none", fails=True),
    s("run", "run dry --image=busybox:1 --dry-run=server -o yaml", r"name: dry", since=27),
    s("run", "run local --image=busybox:1 --dry-run=client -o name", r"pod/local"),
    s("expose", "expose deployment web --port=80 --target-port=8080", r"service/web exposed"),
    s("autoscale", "autoscale deployment web --min=1 --max=3", r"autoscaled"),
    # Applying.
    s("apply", "apply -f -", r"configmap/settings created", SETTINGS.replace("COLOUR", "red")),
    s("apply", "apply -f -", r"configmap/settings unchanged", SETTINGS.replace("COLOUR", "red")),
    s("apply", "apply -f -", r"configmap/settings configured", SETTINGS.replace("COLOUR", "green")),
    s("apply", "apply -f -", r"configured", SETTINGS.replace("colour: COLOUR, ", "")),
    s("apply", "get configmap settings -o jsonpath={.data}", r'^{"size":"big"}$'),
    s("apply", "apply -f -", r"ingress.networking.k8s.io/front created", CHART),
    s("apply", "apply -f -", r"networkpolicy.networking.k8s.io/quiet unchanged", CHART),
    s("apply", "apply -f - -n nowhere --dry-run=client", r"created \(dry run\)", SETTINGS),
    s("apply", "apply -f - --prune -l suite=prune", r"configmap/pruned created",
      config("name: pruned", meta=", labels: {suite: prune}"), since=21),
    s("apply", "apply -f - --prune -l suite=prune", r"configmap/pruned pruned",
      config("name: kept", meta=", labels: {suite: prune}"), since=21),
    s("apply", "apply view-last-applied configmap/settings", r"size: big"),
    s("apply", "apply set-last-applied --create-annotation -f -", r"configured",
      config("name: lit", "{a: b}")),
    s("apply --dry-run", "apply --dry-run=server -f -", r"configured \(server dry run\)",
      SETTINGS.replace("COLOUR", "blue"), since=27),
    s("apply --dry-run", "get configmap settings -o jsonpath={.data}", r'^{"size":"big"}$'),
    s("diff", "diff -f -", r"\+.*colour: blue", SETTINGS.replace("COLOUR", "blue"), fails=True, since=27),
    s("diff", "diff -f -", r"^$", SETTINGS.replace("colour: COLOUR, ", ""), since=27),
    s("apply --server-side", "apply --server-side -f -", r"configmap/owned serverside-applied",
      config("name: owned", "{a: one, b: two}")),
    s("apply --server-side", "apply --server-side --field-manager=other -f -", r'conflict with "kubectl".*\.data\.a',
      config("name: owned", "{a: three}"), fails=True),
    s("apply --server-side", "apply --server-side --field-manager=other --force-conflicts -f -", r"serverside-applied",
      config("name: owned", "{a: three}")),
    s("apply --server-side", "apply --server-side -f -", r"serverside-applied",
      config("name: owned", "{c: four}")),
    s("apply --server-side", "get configmap owned -o jsonpath={.data}", r'^{"a":"three","c":"four"}$'),
    s("apply --server-side", "apply --server-side -f -", r"settings serverside-applied",
      SETTINGS.replace("COLOUR", "black"), since=27),
    s("diff", "diff --server-side -f -", r"\+.*colour: white", SETTINGS.replace("COLOUR", "white"), fails=True,
      since=27),
    # Reading.
    s("get", "get deployments", r"^NAME +READY +UP-TO-DATE +AVAILABLE +AGE"),
    s("get", "get pods -A -o wide", r"^NAMESPACE +NAME +READY +STATUS +RESTARTS +AGE +IP +NODE"),
    s("get", "get all", r"^deployment.apps/web "),
    s("get", "get pods -l app=solo --show-labels", r"app=solo"),
    s("get", "get pods -l app=solo -L app", r"APP"),
    s("get", "get pods -l 'app in (solo,web),!x' -o name", r"^pod/solo$"),
    s("get", "get pods --field-selector metadata.name=solo,status.phase!=Failed -o name", r"^pod/solo$"),
    s("get", "get pod solo -o jsonpath={.spec.containers[0].image}", r"^busybox:1$"),
    s("get", "get pod solo -o custom-columns=N:.metadata.name,I:.spec.containers[0].image", r"^solo +busybox:1$"),
    s("get", "get pod solo -o go-template={{.metadata.name}}", r"^solo$"),
    s("get", "get pods --sort-by=.metadata.name", r"solo"),
    s("get", "get configmaps,secrets", r"^secret/pass +Opaque +1"),
    s("get", "get configmap settings -o yaml --show-managed-fields", r"managedFields", since=27),
    s("get", "get --raw /version", r"gitVersion"),
    s("get", "get nodes -o wide", r"^NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP"),
    s("get", "get svc", r"^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE"),
    s("get", "get sts,ds,jobs", r"^NAME +STATUS +COMPLETIONS +DURATION +AGE"),
    s("get", "get cronjobs", r"^NAME +SCHEDULE +TIMEZONE +SUSPEND +ACTIVE +LAST SCHEDULE +AGE", since=21),
    s("get", "get hpa,pdb,netpol,ingress,pvc,sc,sa,quota,pc", r"chart"),
    s("get", "get roles,rolebindings,clusterroles,clusterrolebindings", r"viewers +Role/viewer"),
    s("get", "get leases -n kube-node-lease", r"^n1 "),
    s("get", "get pods --chunk-size=1 -o name", r"solo"),
    s("get", "get pod nope", r'pods "nope" not found', fails=True),
    s("get", "get pods --field-selector spec.colour=red", r"field label not supported: spec.colour", fails=True),
    s("get", "get pods -n empty", r"No resources found in empty namespace"),
    s("describe", "describe deployment web", r"Replicas: +2 desired"),
    s("describe", "describe pod solo", r"Image: +busybox:1"),
    s("describe", "describe node n1", r"Capacity:"),
    s("describe", "describe namespace default", r"Status: +Active"),
    s("describe", "describe service web", r"TargetPort: +8080"),
    s("describe", "describe configmap settings", r"size"),
    s("describe", "describe secret pass", r"word: +5 bytes"),
    s("describe", "describe statefulset db", r"Name: +db"),
    s("describe", "describe daemonset agent", r"Name: +agent"),
    s("describe", "describe job once", r"Name: +once"),
    s("describe", "describe cronjob tick", r"Schedule: +@hourly", since=21),
    s("describe", "describe ingress front", r"example.org", since=27),
    s("describe", "describe hpa chart", r"Max replicas: +4", since=27),
    s("describe", "describe pdb web", r"Min available: +1", since=21),
    s("describe", "describe networkpolicy quiet", r"Name: +quiet"),
    s("describe", "describe role viewer", r"pods"),
    s("describe", "describe rolebinding viewers", r"jane"),
    s("describe", "describe pvc data", r"Name: +data"),
    s("describe", "describe storageclass fast", r"example.org/disk"),
    s("describe", "describe priorityclass high", r"1000"),
    s("describe", "describe quota few", r"Name: +few"),
    s("describe", "describe serviceaccount robot", r"Name: +robot"),
    s("describe", "describe replicaset -l app=web", r"Controlled By: +Deployment/web"),
    s("events", "get events", r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE"),
    s("events", "events --for pod/solo", r"Pod/solo", since=27),
    s("logs", "logs solo --tail=1", r"main line", until=20),
    s("logs", "logs -l app=solo --tail=1 --prefix", r"pod/solo/main"),
    s("logs", "logs deployment/web --tail=1", r"line", until=20),
    s("wait", "wait --for=condition=Ready pod/solo --timeout=20s", r"condition met"),
    s("wait", "wait --for=jsonpath={.status.phase}=Running pod/solo --timeout=20s", r"condition met", since=27),
    s("wait", "wait --for=condition=Available deployment/web --timeout=20s", r"condition met"),
    s("wait", "wait --for=create pod/solo --timeout=5s", r"condition met", since=31),
    s("get -w", "get pods -w --request-timeout=1s", r"^solo "),
    # Changing.
    s("label", "label pod solo tier=back", r"labeled"),
    s("label", "label configmaps --all origin=suite", r"labeled"),
    s("label", "label pod solo tier-", r"(un)?labeled"),
    s("label", "label namespace team purpose=tests", r"labeled"),
    s("label", "label namespace default purpose=tests", r"labeled"),
    s("annotate", "annotate deployment web note=this", r"annotate"),
    s("annotate", "get deployment web -o jsonpath={.metadata.generation}", r"^1$"),
    s("scale", "scale deployment web --replicas=3", r"scaled"),
    s("scale", "scale deployment web --current-replicas=3 --replicas=1", r"scaled"),
    s("scale", "scale deployment web --current-replicas=7 --replicas=1", r"Expected replicas", fails=True),
    s("scale", "scale statefulset db --replicas=2", r"scaled"),
    s("scale", "get deployment web -o jsonpath={.spec.replicas},{.metadata.generation}", r"^1,3$"),
    s("patch", "patch deployment web -p '{\"spec\":{\"replicas\":2}}'", r"patched"),
    s("patch", "patch deployment web --type=merge -p '{\"metadata\":{\"labels\":{\"x\":\"y\"}}}'", r"patched"),
    s("patch", "patch deployment web --type=json -p '[{\"op\":\"remove\",\"path\":\"/metadata/labels/x\"}]'", r"patched"),
    s("patch", "patch deployment web -p '{\"spec\":{\"replicas\":2}}'", r"patched \(no change\)"),
    s("patch", "patch deployment web --subresource=scale --type=merge -p '{\"spec\":{\"replicas\":1}}'", r"patched",
      since=27),
    s("patch", "patch service web -p '{\"spec\":{\"ports\":[{\"port\":81,\"name\":\"b\"},{\"port\":80,\"name\":\"a\"}]}}'",
      r"patched"),
    s("patch", "patch configmap settings --type=merge -p '{\"metadata\":{\"resourceVersion\":\"1\"}}'",
      r"the object has been modified", fails=True),
    s("edit", "edit configmap settings", r"edited", env={"KUBE_EDITOR": EDITOR}),
    s("edit", "get configmap settings -o jsonpath={.data.size}", r"^huge$"),
    s("edit", "edit configmap settings", r"cancelled|no changes", env={"KUBE_EDITOR": "true"}),
    s("replace", "replace -f -", r"configmap/lit replaced",
      config("name: lit", "{a: c}")),
    s("replace", "replace -f -", r"the object has been modified",
      config("name: lit", "{a: d}", meta=', resourceVersion: "1"'), fails=True),
    s("replace", "replace --force -f -", r"pod/solo replaced", SOLO),
    s("set", "set image pod/solo main=busybox:2", r"spec", fails=True),
    s("set", "set env deployment/hello A=b --dry-run=client -o yaml", r"name: A"),
    s("set", "set serviceaccount deployment hello robot --dry-run=client -o yaml", r"robot"),
    s("rollout", "create deployment roll --image=nginx:1 --replicas=2", r"created"),
    s("set", "set image deployment/roll nginx=nginx:2", r"image updated"),
    s("rollout", "rollout status deployment/roll --timeout=30s", r"successfully rolled out"),
    s("rollout", "rollout history deployment/roll", r"^2 "),
    s("rollout", "rollout undo deployment/roll", r"rolled back"),
    s("rollout", "rollout status deployment/roll --timeout=30s", r"successfully rolled out"),
    s("rollout", "rollout restart deployment/roll", r"restarted"),
    s("rollout", "rollout pause deployment/roll", r"paused"),
    s("rollout", "rollout resume deployment/roll", r"resumed"),
    s("set", "set env deployment/roll A=b", r"env updated"),
    s("set", "set resources deployment/roll --limits=cpu=100m", r"resource requirements updated"),
    s("set", "set selector service/plain app=web", r"selector updated"),
    s("set", "set subject rolebinding viewers --user=joe", r"subjects updated"),
    s("replace", "replace --raw /api/v1/namespaces/default/configmaps/raw -f -", r'"a":"c"',
      RAW.replace('"a": "b"', '"a": "c"')),
    s("debug", "debug node/n1 --image=busybox:1 --attach=false", r"pods have their own process namespace", fails=True,
      since=27),
    s("debug", "debug solo --image=busybox:1 --copy-to=copy --attach=false", r"", since=27),
    s("debug", "debug solo --image=busybox:1 --attach=false", r"ephemeral containers are not supported", fails=True,
      since=27),
    s("auth", "auth reconcile -f -", r"role.rbac.authorization.k8s.io/reader reconciled", READER),
    s("auth", "auth can-i create pods", r"^yes$"),
    s("auth", "auth can-i --list", r"Resources"),
    s("auth", "auth whoami", r"tester", since=28),
    s("config", "config view --minify", r"certificate-authority-data"),
    s("kustomize", "kustomize --help", r"kustomization"),
    # Machines.
    s("cordon", "cordon n1", r"node/n1 cordoned"),
    s("uncordon", "uncordon n1", r"node/n1 uncordoned"),
    s("taint", "taint node n1 a=b:NoSchedule", r"node/n1 tainted"),
    s("taint", "taint node n1 a-", r"node/n1 untainted"),
    s("drain", "drain n4 --force --ignore-daemonsets --timeout=20s", r"node/n4 (drained|evicted)"),
    s("uncordon", "uncordon n4", r"node/n4 uncordoned"),
    s("cluster-info", "cluster-info dump", r'"kind": "NodeList"'),
    # Deleting.
    s("delete", "delete pod shell", r'pod "shell" deleted'),
    s("delete", "delete configmap loose --ignore-not-found", r"deleted"),
    s("delete", "delete configmap loose --ignore-not-found", r"^$"),
    s("delete", "delete configmap loose", r"not found", fails=True),
    s("delete", "delete deployment hello --dry-run=server", r"dry run", since=21),
    s("delete", "delete deployment hello --wait=false", r"deleted"),
    s("delete", "delete -f -", r'configmap "settings" deleted', SETTINGS),
    s("delete", "delete configmaps -l suite=prune", r'"kept" deleted', since=21),
    s("delete", "delete pod solo --grace-period=1", r"deleted"),
    s("delete", "delete job once --cascade=foreground", r"deleted"),
    s("delete", "delete pod nope --now", r"not found", fails=True),
    s("delete", "delete ingress,hpa,pdb,netpol --all", r"deleted"),
    s("delete", "delete --raw /api/v1/namespaces/default/configmaps/lit", r"Success"),
    s("wait", "wait --for=delete deployment/hello --timeout=20s", since=21),
    s("delete", "delete namespace team", r'namespace "team" deleted'),
    s("delete", "delete deployments,statefulsets,daemonsets,jobs,cronjobs,services --all", r'"web" deleted'),
]


# What differs most between versions of kubectl; these steps need no others.
CORE = ("version", "api-resources", "explain", "create -f", "create configmap", "apply", "apply --dry-run", "diff",
        "apply --server-side", "logs", "scale", "edit")


def debian_client(directory):
    """kubectl of Debian's package, unpacked into a directory."""
    subprocess.run(["apt-get", "download", "kubernetes-client"], cwd=directory, check=True, capture_output=True)
    package = next(pathlib.Path(directory).glob("kubernetes-client_*.deb"))
    subprocess.run(["dpkg", "-x", package.name, "."], cwd=directory, check=True)
    return f"{directory}/usr/bin/kubectl"


def clients(extra=()):
    """{minor version: path} of every kubectl there is, its bundled companions included."""
    found = {}
    installed = shutil.which("kubectl")
    places = [pathlib.Path(installed).resolve().parent] if installed else []
    places += [pathlib.Path("/usr/lib/google-cloud-sdk/bin")]
    for place in places:
        for path in place.glob("kubectl.1.*"):
            if re.fullmatch(r"kubectl\.1\.\d+", path.name):
                found.setdefault(int(path.suffix[1:]), str(path))
    for path in filter(None, [installed, *extra]):
        out = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True,
                             check=False).stdout
        version = json.loads(out)["clientVersion"]
        if "dispatcher" not in version["gitVersion"]:
            found.setdefault(int(version["minor"].rstrip("+")), path)
    return dict(sorted(found.items()))


class Session:
    """One client and one server of its own; the steps are run in their order."""

    def __init__(self, binary, minor):
        self.binary, self.minor = binary, minor
        self.directory = tempfile.TemporaryDirectory()
        self.server = subprocess.Popen([os.environ["FAKE_SERVER"], self.directory.name], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.server.stdout.readline()

    def close(self):
        self.server.stdin.close()
        code = self.server.wait(timeout=30)
        self.directory.cleanup()
        return code

    def command(self, step):
        top = self.directory.name
        args = [self.binary, "--kubeconfig", f"{top}/admin.kubeconfig", "--cache-dir", f"{top}/cache",
                *shlex.split(step.line)]
        done = subprocess.run(args, input=step.stdin, capture_output=True, text=True, timeout=STEP_S, check=False,
                              env={**os.environ, **step.env})
        text = done.stdout + done.stderr
        good = (done.returncode != 0) == step.fails and re.search(step.expect, text.strip(), re.M | re.S)
        return good, text

    def run(self, step):
        """None: this client does not know it. Else (whether it held, what it printed)."""
        if self.minor < step.since:
            return None
        deadline = time.monotonic() + step.until
        while True:
            good, text = self.command(step)
            if good or time.monotonic() >= deadline:
                return bool(good), text
            time.sleep(0.2)


def run_all(binary, minor, verb=None, verbs=None):
    """verb: tell of this one only; verbs: run these only, none of which needs another."""
    session = Session(binary, minor)
    try:
        results = [(step, session.run(step)) for step in STEPS if not verbs or step.verb in verbs]
    finally:
        code = session.close()
    assert code == 0, "the server did not end cleanly"
    return [(step, result) for step, result in results if verb in (None, step.verb)]


def cells_of(results):
    """{verb: cell}: how many of its steps held; a dash where the client knows none of them."""
    cells = {}
    for verb in dict.fromkeys(step.verb for step, _ in results):
        ran = [result for step, result in results if step.verb == verb and result]
        good = sum(result[0] for result in ran)
        cells[verb] = "–" if not ran else "yes" if good == len(ran) else f"{good} of {len(ran)}"
    return cells


def table(columns):
    """Rows are verbs, columns clients; a cell is empty where that verb was not run."""
    verbs = list(dict.fromkeys(step.verb for step in STEPS))
    minors = sorted(columns)
    lines = ["| kubectl | " + " | ".join(f"1.{m}" for m in minors) + " |", "|---|" + "---|" * len(minors)]
    for verb in verbs:
        cells = [columns[minor].get(verb, "") for minor in minors]
        if any(cells):
            lines.append(f"| `{verb}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_columns(text):
    """What table() has written: {minor: {verb: cell}}."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines()]
    columns = {}
    for i, version in enumerate(rows[0][1:], 1):
        columns[int(version.removeprefix("1."))] = {row[0].strip("`"): row[i] for row in rows[2:] if row[i]}
    return columns


def tell_failures(minor, results):
    for step, result in results:
        if result and not result[0]:
            print(f"1.{minor}: {step.line}\n    {result[1].strip()[:600]}", flush=True)


def write(path, columns):
    """Columns of other clients stay as they are."""
    page = pathlib.Path(path).read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    written, after = rest.split(MARKS[1])
    text = table({**read_columns(written), **columns})
    pathlib.Path(path).write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write")
    parser.add_argument("--only")
    parser.add_argument("--minors", help="20,32: these clients only")
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--debian", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, help="clients at a time")
    options = parser.parse_args()
    wanted = {int(minor) for minor in options.minors.split(",")} if options.minors else None
    outcome = {}
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        extra = [debian_client(directory)] if options.debian else []
        runs = {minor: pool.submit(run_all, binary, minor, options.only, CORE if options.core else None)
                for minor, binary in clients(extra).items() if not wanted or minor in wanted}
        for minor, run in runs.items():
            outcome[minor] = run.result()
            tell_failures(minor, outcome[minor])
    columns = {minor: cells_of(results) for minor, results in outcome.items()}
    print(table(columns))
    if options.write:
        write(options.write, columns)
    return any(result and not result[0] for results in outcome.values() for _, result in results)


if __name__ == "__main__":
    sys.exit(main())
