# SPDX-License-Identifier: Apache-2.0
"""The versions of kubectl between the oldest and the newest (test_kubectl_verbs.py), with what
differs most between them."""

import pytest

import kubectl_suite as suite


@pytest.mark.parametrize("minor", [28, 29, 30, 31])
def test_the_core_of_the_verbs_does_what_it_says(minor):
    binary = suite.clients().get(minor)
    if not binary:
        pytest.skip(f"kubectl 1.{minor} is not installed")
    results = suite.run_all(binary, minor, verbs=suite.CORE)
    failed = [f"{step.line}: {result[1].strip()[:300]}"
              for step, result in results if result and not result[0]]
    assert results and not failed, "\n".join(failed)
