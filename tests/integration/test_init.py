# SPDX-License-Identifier: Apache-2.0
"""The agent as first process: as parent of orphans everywhere, and with root as process 1."""
import os
import pty
import signal
import subprocess
import time

import pytest

AGENT = os.path.join(os.environ["MAGIK_BUILD"], "src/workplane/workplane")
PLAIN = [AGENT, "--"]
# In a process space of its own; its death takes all that is in it.
FIRST = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", AGENT, "--"]
# A shell sets no trap for what was ignored when it began, as under nohup.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(params=["child", "first"])
def init(request):
    if request.param == "first" and os.geteuid() != 0:
        pytest.skip("needs root to be process 1")
    return PLAIN if request.param == "child" else FIRST


def run(init, script, **options):
    return subprocess.run([*init, "sh", "-c", script], text=True, timeout=30, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137),
                                            ("kill -TERM $$", 143)])
def test_its_end_is_the_applications(init, script, status):
    assert run(init, script).returncode == status


def test_what_cannot_be_run_is_told_as_shells_tell_it(init, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for command, status in (("/nothing/here", 127), (str(plain), 126)):
        done = subprocess.run([*init, command], text=True, capture_output=True, timeout=30, check=False)
        assert done.returncode == status and command in done.stderr


def test_nothing_behind_the_dashes_is_refused():
    done = subprocess.run(PLAIN, text=True, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1 and "no command" in done.stderr


def test_orphans_are_reaped_and_their_codes_are_not_the_applications(init):
    """Each orphan ends with 9; the application waits until none of them is left, not even dead."""
    done = run(init, """
        for i in $(seq 50); do (sh -c 'sleep 0.1; exit 9' &) ; done
        until [ "$(ls -d /proc/[0-9]*/ | wc -l)" -gt 0 ] &&
              ! grep -ls "^PPid:[[:space:]]$PPID$" /proc/[0-9]*/status |
                while read f; do [ "$f" = "/proc/$$/status" ] || echo "$f"; done | grep -q .
        do sleep 0.05; done
        exit 3""")
    assert done.returncode == 3, done.stderr


def test_signals_go_on_to_the_application(init):
    with subprocess.Popen([*init, "sh", "-c", """
            trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo term; exit 5' TERM
            echo here; while :; do sleep 0.05; done"""],
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "here\n"
        target = process.pid
        if init is FIRST:  # unshare stands between
            with open(f"/proc/{target}/task/{target}/children", encoding="ascii") as file:
                target = int(file.read().split()[0])
        for number, said in ((signal.SIGUSR1, "usr1\n"), (signal.SIGHUP, "hup\n"),
                             (signal.SIGTERM, "term\n")):
            os.kill(target, number)
            assert process.stdout.readline() == said
        assert process.wait(30) == 5


def test_the_application_has_the_terminal(init):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(init[0], [*init, "sh", "-c", "echo ask; read answer; echo got $answer"])
    seen, deadline = b"", time.monotonic() + 30
    os.write(terminal, b"yes\n")
    try:
        while b"got yes" not in seen and time.monotonic() < deadline:
            seen += os.read(terminal, 1024)
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert b"got yes" in seen and os.waitstatus_to_exitcode(status) == 0


def test_the_application_does_not_inherit_blocked_signals(init):
    done = run(init, "grep SigBlk /proc/self/status")
    assert int(done.stdout.split()[1], 16) == 0
