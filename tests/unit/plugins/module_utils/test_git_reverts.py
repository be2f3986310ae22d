# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of reverts: how they are made, read, and what they mean together."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._git.reverts import (
    Ledger,
    ends_of_range,
    message_for,
    newest_that_is_no_revert,
    relative_to_head,
    reverted_by,
)

A, B, C, D = (letter * 40 for letter in "abcd")


def test_a_revert_reads_as_one_of_git() -> None:
    assert message_for("(ved-1) Add", A, None, "") == f'Revert "(ved-1) Add"\n\nThis reverts commit {A}.\n'


def test_a_merge_names_the_parent_that_stays() -> None:
    assert message_for("Merge", A, B, "").endswith(f"This reverts commit {A}, reversing\nchanges made to {B}.\n")


def test_the_reason_stands_below_the_words_of_git() -> None:
    assert message_for("x", A, None, " Logins fail.\n").endswith(f"commit {A}.\n\nLogins fail.\n")


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ('Revert "x"', 'Reapply "x"'),
        ('Reapply "x"', 'Revert "x"'),
        ('Revert "Reapply "x""', 'Reapply "Reapply "x""'),
        ('Revert of "x"', 'Revert "Revert of "x""'),
    ],
)
def test_back_and_forth_does_not_pile_up(subject: str, title: str) -> None:
    assert message_for(subject, A, None, "").partition("\n")[0] == title


@pytest.mark.parametrize(("merge", "reason"), [(None, ""), (B, ""), (B, "Why: This is broken.")])
def test_what_is_written_is_read_again(merge: str | None, reason: str) -> None:
    assert reverted_by(message_for("x", A, merge, reason)) == [A]


def test_several_and_short_ones_are_read() -> None:
    assert reverted_by(f"Squashed\n\n    This reverts commit {A[:7]}.\nThis reverts commit {B}, reversing\n") == [
        A[:7],
        B,
    ]


@pytest.mark.parametrize("message", ["We do not say: This reverts commit abcdef0", "This reverts commit it", ""])
def test_other_words_are_no_trailer(message: str) -> None:
    assert reverted_by(message) == []


def says(commit: str) -> str:
    return message_for("x", commit, None, "")


def test_a_revert_holds_until_it_is_reverted() -> None:
    assert Ledger([(B, says(A))]).of(A) == B
    assert Ledger([(C, says(B)), (B, says(A))]).of(A) is None
    assert Ledger([(C, says(B)), (B, says(A))]).of(B) == C
    assert Ledger([(D, says(C)), (C, says(B)), (B, says(A))]).of(A) == B


def test_the_newest_of_several_reverts_counts() -> None:
    assert Ledger([(D, says(A)), (C, says(B)), (B, says(A))]).of(A) == D


def test_a_commit_that_names_itself_reverts_nothing() -> None:
    assert Ledger([(A, says(A))]).of(A) is None


def test_reverts_at_the_end_of_a_branch_are_passed_over() -> None:
    ledger = Ledger([(C, says(B)), (B, says(A))])
    assert newest_that_is_no_revert([C, B, A], ledger) == 2
    assert newest_that_is_no_revert([A, C, B], ledger) == 0


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("HEAD", ""), ("@", ""), ("HEAD~2", "~2"), ("main", ""), ("main^2~1", "^2~1"), ("origin/main^", "^"),
        ("refs/heads/main", ""), ("refs/remotes/origin/main~1", "~1"),
        ("mainly", None), ("release", None), ("main-2", None), ("HEAD@{1}", None), ("a1b2c3d~1", None),
    ],
)  # fmt: skip
def test_names_that_move_with_the_branch(name: str, suffix: str | None) -> None:
    assert relative_to_head(name, "main", "origin") == suffix


def test_ranges() -> None:
    assert ends_of_range("a1..b2") == ("a1", "b2")
    assert ends_of_range("a1..") == ("a1", "HEAD")
    assert ends_of_range("v1.4.0") is None


@pytest.mark.parametrize("name", ["a...b", "^a", "--all", "a..b..c"])
def test_what_would_be_misread_is_refused(name: str) -> None:
    with pytest.raises(PlatformError, match="commits"):
        ends_of_range(name)
