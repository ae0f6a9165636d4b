# SPDX-License-Identifier: Apache-2.0
"""What informers ask of lists and watches, against the gateway over a fabric in memory: versions and
how they must match, initial events, bookmarks, metadata alone, pages, forms that are not spoken."""

import urllib.parse

import pytest

from test_gateway_fake import PODS, Watch, ask, pod, port, version_of_list  # noqa: F401  pylint: disable=unused-import

CONFIG = "/api/v1/namespaces/default/configmaps"
METADATA = {"Accept": "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}
METADATA_ONE = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
INITIAL = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def settings(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def three(port):  # noqa: F811
    """A gateway with the ConfigMaps a, b and c."""
    for name in "abc":
        assert ask(port, "POST", CONFIG, settings(name, key="value"))[0].status == 201
    return port


@pytest.mark.parametrize("query, status, why", [
    ("resourceVersionMatch=NotOlderThan", 422, "unless resourceVersion is provided"),
    ("resourceVersion=0&resourceVersionMatch=Exact", 422, 'forbidden for resourceVersion "0"'),
    ("resourceVersion=1&resourceVersionMatch=Newest", 422, "Unsupported value"),
    ("resourceVersion=1&resourceVersionMatch=Exact", 410, "not available"),
    ("resourceVersion=-1", 400, "must be a decimal number"),
    ("resourceVersion=1x", 400, "must be a decimal number"),
    ("limit=-5", 400, "must be a number"),
    ("continue=x", 400, "not valid"),
    ("sendInitialEvents=true", 422, "forbidden for list"),
    ("continue=eA&resourceVersion=7", 400, "not allowed when using continue"),
    ("continue=eA&resourceVersionMatch=Exact", 422, "forbidden when continue is provided"),
    ("watch=true&resourceVersion=1", 410, "too old"),
    ("watch=true&resourceVersion=x", 400, "must be a decimal number"),
    ("watch=true&resourceVersion=1&resourceVersionMatch=NotOlderThan", 422, "unless sendInitialEvents"),
    ("watch=true&sendInitialEvents=true", 422, "requires setting resourceVersionMatch"),
    ("watch=true&sendInitialEvents=true&resourceVersion=1&resourceVersionMatch=Exact", 422, "Unsupported value"),
    ("watch=true&fieldSelector=spec.nothing%3Dx", 400, "field label not supported"),
    ("watch=true&labelSelector=%2C%3D", 400, ""),
])
def test_what_makes_no_sense_is_refused(three, query, status, why):
    answer, body = ask(three, "GET", f"{CONFIG}?{query}")
    assert (answer.status, body["kind"], body["status"]) == (status, "Status", "Failure")
    assert why in body["message"]


def test_a_list_may_name_its_version(three):
    version = version_of_list(three, CONFIG)
    for query in ("resourceVersion=0", "resourceVersion=", f"resourceVersion={version}",
                  "resourceVersion=0&resourceVersionMatch=NotOlderThan",
                  f"resourceVersion={version}&resourceVersionMatch=NotOlderThan",
                  f"resourceVersion={version}&resourceVersionMatch=Exact"):
        answer, listed = ask(three, "GET", f"{CONFIG}?{query}")
        assert answer.status == 200, query
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b", "c"]


def test_pages_make_the_list(three):
    names, query = [], "limit=2"
    first = None
    while query:
        _, page = ask(three, "GET", f"{CONFIG}?{query}")
        first = first or page["metadata"]
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
        query = token and "limit=2&continue=" + urllib.parse.quote(token)
        assert page["metadata"]["resourceVersion"] == first["resourceVersion"]
    assert names == ["a", "b", "c"]
    assert first["remainingItemCount"] == 1


def test_initial_events_come_only_when_they_are_wanted(three):
    watch = Watch(three, f"{CONFIG}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan")
    ask(three, "POST", CONFIG, settings("d"))
    watch.wait(lambda w: w.events)
    assert watch.events[0]["object"]["metadata"]["name"] == "d"
    watch.close()


def test_the_bookmark_after_initial_events_is_a_place_to_resume(three):
    watch = Watch(three, f"{CONFIG}?{INITIAL}")
    watch.wait(lambda w: "BOOKMARK" in w.types())
    assert watch.types() == ["ADDED"] * 3 + ["BOOKMARK"]
    bookmark = watch.events[3]["object"]
    assert (bookmark["kind"], bookmark["metadata"]["annotations"]) == ("ConfigMap", {"k8s.io/initial-events-end": "true"})
    watch.close()
    ask(three, "POST", CONFIG, settings("d"))
    resumed = Watch(three, f"{CONFIG}?watch=true&resourceVersion={bookmark['metadata']['resourceVersion']}")
    resumed.wait(lambda w: w.events)
    assert (resumed.types(), resumed.events[0]["object"]["metadata"]["name"]) == (["ADDED"], "d")
    resumed.close()


def test_a_client_without_bookmarks_gets_none(three):
    watch = Watch(three, f"{CONFIG}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan")
    ask(three, "POST", CONFIG, settings("d"))
    watch.wait(lambda w: len(w.events) == 4)
    assert watch.types() == ["ADDED"] * 4
    watch.close()


def bare(item, kind="PartialObjectMetadata"):
    return (item["kind"], item["apiVersion"], set(item)) == (kind, "meta.k8s.io/v1", {"kind", "apiVersion", "metadata"})


def test_metadata_alone_can_be_got_and_listed(three):
    _, one = ask(three, "GET", f"{CONFIG}/a", headers=METADATA_ONE)
    assert bare(one) and one["metadata"]["name"] == "a"
    _, listed = ask(three, "GET", f"{CONFIG}?limit=2", headers=METADATA)
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert listed["metadata"]["continue"] and listed["metadata"]["resourceVersion"]
    assert all(bare(item) for item in listed["items"])
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]


def test_metadata_alone_can_be_watched(three):
    watch = Watch(three, f"{CONFIG}?{INITIAL}", METADATA_ONE)
    watch.wait(lambda w: "BOOKMARK" in w.types())
    ask(three, "PUT", f"{CONFIG}/a", settings("a", key="other"))
    ask(three, "DELETE", f"{CONFIG}/b")
    watch.wait(lambda w: "DELETED" in w.types())
    assert watch.types() == ["ADDED"] * 3 + ["BOOKMARK", "MODIFIED", "DELETED"]
    assert all(bare(event["object"]) for event in watch.events)
    watch.close()


@pytest.mark.parametrize("accept", ["application/vnd.kubernetes.protobuf", "application/cbor", "text/html", "*/*"])
def test_json_is_what_is_spoken_whatever_is_accepted(three, accept):
    """Clients read the type of the answer; a refusal would leave those of Go without one."""
    answer, listed = ask(three, "GET", CONFIG, headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"], listed["kind"]) == (200, "application/json", "ConfigMapList")


def test_a_watch_of_one_object_sees_it_come_and_go(three):
    watch = Watch(three, f"{CONFIG}?watch=1&fieldSelector=metadata.name%3Db&resourceVersion=0")
    watch.wait(lambda w: w.events)
    ask(three, "PATCH", f"{CONFIG}/a", {"data": {"key": "1"}}, {"Content-Type": "application/merge-patch+json"})
    ask(three, "PATCH", f"{CONFIG}/b", {"data": {"key": "2"}}, {"Content-Type": "application/merge-patch+json"})
    ask(three, "DELETE", f"{CONFIG}/b")
    watch.wait(lambda w: "DELETED" in w.types())
    assert watch.types() == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in watch.events]
    assert versions == sorted(set(versions)), "each event has a version of its own, in order"
    watch.close()
