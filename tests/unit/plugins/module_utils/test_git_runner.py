# SPDX-License-Identifier: GPL-3.0-or-later
"""How git is started: what it inherits, what it is quoted with, and what its words mean."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._git.checkout import (
    Checkout,
    require_branch_name,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._git.land import shortened
from ansible_collections.vedfinance.platform.plugins.module_utils._git.push import refused
from ansible_collections.vedfinance.platform.plugins.module_utils._git.runner import (
    Done,
    Git,
    GitError,
    explained,
    git_in,
    quiet_environment,
    run_program,
    secrets_of,
)


class Answers:
    """In git's place: it says the same to all, and notes what it was asked."""

    def __init__(self, *answers: Done) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[str], dict[str, str]]] = []

    def __call__(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], given: str | None, timeout: float
    ) -> Done:
        self.asked.append((list(command), dict(environment)))
        return self.answers.pop(0)


def failing(err: str, secrets: Sequence[str] = ()) -> GitError:
    git = Git(Answers(Done(128, "", err)), "/srv/x", 5, {}, secrets)
    with pytest.raises(GitError) as caught:
        git.asked("fetch")
    return caught.value


def test_git_inherits_no_other_repository_and_asks_nobody() -> None:
    quiet = quiet_environment(
        {
            "GIT_DIR": "/other", "GIT_INDEX_FILE": "/other/index", "GIT_TRACE_CURL": "1", "GIT_PAGER": "less",
            "LANG": "de",
            "HOME": "/root", "GIT_SSH_COMMAND": "ssh -i key", "GIT_AUTHOR_NAME": "Ann", "LC_MESSAGES": "de",
        }
    )  # fmt: skip
    assert quiet == {
        "HOME": "/root", "GIT_SSH_COMMAND": "ssh -i key", "GIT_AUTHOR_NAME": "Ann", "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat", "GIT_EDITOR": ":", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "inherited", "expected"),
    [
        ({}, {}, "ssh -o BatchMode=yes -o ConnectTimeout=20"),
        ({}, {"GIT_SSH_COMMAND": "ssh -i key"}, "ssh -i key"),
        ({"core.sshcommand": "ssh -i key"}, {}, None),
    ],
)
def test_ssh_never_asks_unless_it_is_set_up_otherwise(
    config: Mapping[str, str], inherited: Mapping[str, str], expected: str | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("GIT_SSH_COMMAND", "GIT_SSH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    listed = "".join(f"{key}\n{value}\0" for key, value in {"remote.origin.url": "x", **config}.items())
    run = Answers(Done(0, f"false\n.git/objects\n.git/shallow\n{tmp_path}\n", ""), Done(0, listed, ""), Done(0, "", ""))
    Checkout.at({"checkout": str(tmp_path), "remote": "origin", "timeout": 5}, run).remote_branches()
    assert run.asked[-1][1].get("GIT_SSH_COMMAND") == expected


def test_what_must_not_be_shown_of_a_configuration() -> None:
    config = [
        ("remote.origin.url", "https://ann:p%40ss/word@example.com/x.git"),
        ("remote.up.url", "https://ann:p%40ss@example.com/x.git"),
        ("url.https://ghp0123456789abcdef@example.com/.insteadof", "https://example.com/"),
        ("http.https://example.com/.extraheader", "Authorization: Basic YWJjZGVm"),
        ("remote.ssh.url", "ssh://deploy@example.com/x.git"),
    ]
    secrets = secrets_of(config)
    assert {"p%40ss", "p@ss", "ghp0123456789abcdef", "YWJjZGVm"} <= set(secrets)
    assert not {"ann", "deploy"} & set(secrets)


def test_the_password_of_a_remote_is_in_no_error() -> None:
    error = failing(
        "fatal: unable to access 'https://ann:geheim@example.com/': The requested URL returned error: 403\ngeheim",
        ["geheim"],
    )
    assert "geheim" not in f"{error} {error.said}"
    assert "refuses the credentials" in error.msg


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "refuses the credentials"),
        (
            "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "refuses the credentials",
        ),
        ("fatal: unable to access 'http://x/': Failed to connect to x port 1: Connection refused", "cannot be reached"),
        ("Host key verification failed.", "host key"),
        ("fatal: '/x.git' does not appear to be a git repository", "no repository at the address"),
        ("fatal: detected dubious ownership in repository at '/x'", "belongs to another user"),
        ("fatal: not a git repository (or any of the parent directories): .git", "no git checkout"),
        ("fatal: this operation must be run in a work tree", "a bare repository"),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.", "another git is at work"),
        ("error: gpg failed to sign the data\nfatal: failed to write commit object", "could not be signed"),
        ("fatal: write error: No space left on device", "disk is full"),
        ("fatal: something new", ""),
    ],
)
def test_what_the_words_of_git_mean(said: str, meaning: str) -> None:
    found, hint = explained(said)
    assert meaning in found
    assert bool(hint) == bool(meaning)


def test_a_failure_without_a_word_tells_its_status() -> None:
    assert failing("").msg == "git fetch failed in /srv/x: it ended with status 128."


def test_git_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="git is not on this host"):
        git_in(str(tmp_path), 5)


def test_a_folder_that_may_not_be_entered() -> None:
    def locked(*_given: object) -> Done:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(GitError, match="cannot be started in /srv/x: Permission denied") as caught:
        Git(locked, "/srv/x", 5, {}).asked("status")
    assert caught.value.hint


def test_a_program_that_hangs_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        run_program(["sh", "-c", "sleep 600 & echo $! >pid; wait"], str(tmp_path), os.environ, None, 0.5)
    pid = (tmp_path / "pid").read_text().strip()
    for _attempt in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail("it lives on")


def test_a_daemon_that_holds_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    done = run_program(
        ["sh", "-c", "(while [ ! -e over ]; do sleep 0.05; done) & echo said; echo loud >&2"],
        str(tmp_path), os.environ, None, 30,
    )  # fmt: skip
    (tmp_path / "over").touch()
    assert done == Done(0, "said\n", "loud\n")


def test_a_program_is_given_its_input(tmp_path: Path) -> None:
    assert run_program(["cat"], str(tmp_path), os.environ, "é\n", 30).out == "é\n"
    assert run_program(["cat"], str(tmp_path), os.environ, None, 30).out == ""


@pytest.mark.parametrize("name", ["hotfix/login-loop", "main", "v1.4", "a@b", "ü"])
def test_names_of_branches(name: str) -> None:
    assert require_branch_name(name, "name") == name


@pytest.mark.parametrize(
    "name",
    ["", "HEAD", "@", "a b", "-x", "/x", "x/", ".x", "a/.x", "a..b", "a@{1}", "x.lock", "x.lock/y", "x.", "a//b", "a~1",
     "a^", "a:b", "a?", "a*", "a[", "a\\b", "a\nb"],
)  # fmt: skip
def test_no_names_of_branches(name: str) -> None:
    with pytest.raises(PlatformError, match="Option name"):
        require_branch_name(name, "name")


@pytest.mark.parametrize(
    ("out", "err", "words"),
    [
        (
            "To /o\n!\tabc:refs/heads/main\t[remote rejected] (protected branch hook declined)\nDone\n",
            "remote: Changes must be made through a pull request.\nerror: failed to push some refs to '/o'\n",
            ["[remote rejected] (protected branch hook declined)", "Changes must be made through a pull request"],
        ),
        ("", "lint failed\nerror: failed to push some refs to '/o'\n", ["pre-push hook of /srv/x", ": lint failed."]),
        ("", "fatal: unable to access 'https://x/': Could not resolve host: x\n", ["cannot be reached"]),
    ],
)
def test_who_refused_a_push_and_why(out: str, err: str, words: list[str]) -> None:
    checkout = Checkout(Git(Answers(), "/srv/x", 5, {}), "/srv/x", "origin", [], "", None)
    error = refused(checkout, "main", Done(1, out, err), hooks=True)
    assert [word for word in words if word not in error.msg] == []
    assert "failed to push some refs" not in error.msg


def test_a_long_diff_ends_with_what_is_missing() -> None:
    lines = "".join(f"+{number:09}\n" for number in range(20_000))
    kept = shortened(lines)
    assert len(kept) < 101_000
    whole, missing = kept.rstrip("\n").rsplit("\n", 1)
    assert missing == f"… and {20_000 - whole.count(chr(10)) - 1} lines more"
    assert shortened("+short\n") == "+short\n"
