# SPDX-License-Identifier: Apache-2.0
"""Every verb of kubectl, by the oldest and the newest client there is (kubectl_suite.py)."""

import pytest

import kubectl_suite as suite


def chosen():
    found = list(suite.clients().items())
    return found[:1] + found[-1:] if len(found) > 1 else found


@pytest.mark.parametrize("minor, binary", chosen(), ids=lambda value: str(value).rsplit("/", 1)[-1])
def test_every_verb_does_what_it_says(minor, binary):
    failed = [f"{step.line}: {result[1].strip()[:300]}"
              for step, result in suite.run_all(binary, minor) if result and not result[0]]
    assert not failed, "\n".join(failed)
