# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for git, on real repositories: a bare origin by its path and over http, a checkout, and somebody else."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.git_http import PASSWORD, USER, serving
from tests.modules import result_of, start_module
from tests.recovery import wait_until
from tests.repositories import ALONE, Repositories, git

LINES = "one\ntwo\nthree\n"


@pytest.fixture(autouse=True)
def only_what_the_tests_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ALONE.items():
        monkeypatch.setenv(name, value)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))


@pytest.fixture
def world(tmp_path: Path, only_what_the_tests_set_up: None) -> Repositories:
    return Repositories(tmp_path)


def nothing_is_left(world: Repositories) -> bool:
    return not list((world.folder / "scratch").iterdir())


def dirty(world: Repositories) -> dict[str, str]:
    """Work under way: staged, not staged, new, stashed."""
    here = world.here
    (here.folder / "stashed.txt").write_text("stashed")
    here.git("stash", "push", "--quiet", "--include-untracked")
    (here.folder / "staged.txt").write_text("staged")
    here.git("add", "staged.txt")
    (here.folder / "app.txt").write_text("under way")
    (here.folder / "new.txt").write_text("new")
    return here.tree()


# --- git_checkout_info ------------------------------------------------------------------------------------------------


def test_a_checkout_beside_its_remote(world: Repositories) -> None:
    other = world.somebody_else()
    theirs = other.commit("(ved-2) Theirs", theirs_txt="x")
    other.push()
    mine = world.here.commit("(ved-3) Mine", mine_txt="x")
    dirty(world)
    before = world.here.fingerprint()
    seen = world.done("git_checkout_info")
    assert seen == {
        **seen,
        "changed": False, "commit": mine, "subject": "(ved-3) Mine", "branch": "main", "clean": False,
        "remote_branch": "main", "remote_commit": theirs, "ahead": 1, "behind": 1,
        "commits_to_push": [{"commit": mine, "subject": "(ved-3) Mine"}],
    }  # fmt: skip
    assert sorted(seen["changed_files"]) == ["app.txt", "new.txt", "staged.txt"]
    assert world.here.fingerprint() == before
    assert nothing_is_left(world)


def test_a_checkout_alone_asks_nobody(world: Repositories) -> None:
    shutil.rmtree(world.origin)
    world.here.git("switch", "--quiet", "--detach")
    world.here.git("mv", "app.txt", "moved.txt")
    seen = world.done("git_checkout_info", ask_remote=False)
    assert (seen["branch"], seen["remote_commit"], seen["changed_files"]) == (None, None, ["moved.txt"])
    # One that git is told of only in part.
    world.here.git("mv", "moved.txt", "app.txt")
    (world.here.folder / "app.txt").rename(world.here.folder / "again.txt")
    world.here.git("add", "--intent-to-add", "again.txt")
    assert world.done("git_checkout_info", ask_remote=False)["changed_files"] == ["again.txt"]
    assert "no repository at the address" in world.failed("git_checkout_info", branch="main")


def test_a_branch_that_the_remote_has_not(world: Repositories) -> None:
    world.here.git("switch", "--quiet", "--create", "fresh")
    fresh = world.here.commit("(ved-2) Fresh")
    seen = world.done("git_checkout_info")
    assert (seen["remote_commit"], seen["ahead"]) == (None, None)
    assert [commit["commit"] for commit in seen["commits_to_push"]] == [fresh]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkout": "/nowhere"}, "no folder of this host"),
        ({"checkout": "."}, "no git checkout"),
        ({"remote": "up"}, "It has origin."),
        ({"remote": "--upload-pack=touch"}, "It has origin."),
        ({"remote": "https://ann:s3cret@example.com/x.git"}, "'https://***@example.com/x.git', which"),
    ],
)
def test_what_is_no_checkout(
    world: Repositories, options: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(world.folder.parent))
    assert words in world.refused("git_checkout_info", **options)


# --- git_push ---------------------------------------------------------------------------------------------------------


def test_a_push_and_the_same_again(world: Repositories) -> None:
    before = world.at()
    first, second = world.here.commit("(ved-2) First"), world.here.commit("(ved-3) Second")
    # Notes of the remote that are old do not count.
    planned = world.done("git_push", check=True)
    assert world.at() == before
    pushed = world.done("git_push")
    assert {**planned, "invocation": {}} == {**pushed, "invocation": {}}
    assert (pushed["changed"], pushed["before"], pushed["after"], world.at()) == (True, before, second, second)
    assert [commit["commit"] for commit in pushed["commits"]] == [second, first]
    again = world.done("git_push")
    assert (again["changed"], again["before"], again["after"], again["commits"]) == (False, second, second, [])


def test_a_commit_to_a_branch_of_another_name(world: Repositories) -> None:
    world.here.git("switch", "--quiet", "--detach")
    head = world.here.commit("(ved-2) Here")
    assert "no branch checked out" in world.refused("git_push")
    pushed = world.done("git_push", branch="feature/new", commit="HEAD")
    assert (pushed["before"], pushed["after"], world.at("feature/new")) == (None, head, head)
    assert [commit["subject"] for commit in pushed["commits"]] == ["(ved-2) Here"]


def test_only_forward(world: Repositories) -> None:
    other = world.somebody_else()
    other.commit("(ved-2) Theirs")
    other.push()
    assert "never forced here" in world.refused("git_push", check=True)
    world.here.commit("(ved-3) Mine")
    assert "never forced here" in world.refused("git_push")
    world.here.git("fetch", "--quiet")
    assert "never forced here" in world.refused("git_push")
    world.here.git("reset", "--quiet", "--hard", "origin/main~1")
    assert "git pull brings" in world.refused("git_push")


def test_a_refusal_in_the_words_of_the_remote(world: Repositories) -> None:
    world.here.commit("(ved-2) Friday")
    world.hook("pre-receive", "echo 'Nobody deploys on a Friday.' >&2; exit 1")
    message = world.refused("git_push")
    assert "pre-receive hook declined" in message
    assert "Nobody deploys on a Friday." in message


def test_the_hook_of_the_checkout(world: Repositories) -> None:
    world.here.commit("(ved-2) Untested")
    world.hook("pre-push", "echo 'Three tests fail.' >&2; exit 1", world.here.folder / ".git")
    assert "Three tests fail." in world.refused("git_push")
    assert world.done("git_push", hooks=False)["changed"]


def test_success_is_what_the_remote_says(world: Repositories) -> None:
    """git says that it has pushed, and the remote has lost it."""
    world.here.commit("(ved-2) Lost")
    world.hook("post-receive", f"git update-ref refs/heads/main {world.at()}")
    result = world.run("git_push")
    assert result["failed"]


def test_a_push_ends_with_its_module(world: Repositories, tmp_path: Path) -> None:
    """It has a session of its own, so nothing else would end it: it would push when nobody is there to hear of it."""
    world.here.commit("(ved-2) Half tested")
    hangs = "touch ../pushes; while [ ! -e ../over ]; do sleep 0.05; done; touch ../lived"
    world.hook("pre-push", hangs, world.here.folder / ".git")
    process = start_module("git_push", {"checkout": str(world.here.folder)})
    try:
        wait_until((tmp_path / "pushes").exists, "its push has begun")
        process.terminate()
        assert "Ended before the work was done" in result_of(process)["msg"]
    finally:
        (tmp_path / "over").touch()
    assert world.at() == world.here.head("HEAD~1")
    assert not (tmp_path / "lived").exists()


def test_a_branch_in_the_way_of_another(world: Repositories) -> None:
    world.here.git("push", "--quiet", "origin", "main:refs/heads/hotfix")
    assert "hotfix" in world.refused("git_push", branch="hotfix/x", commit="HEAD")


# --- git_revert -------------------------------------------------------------------------------------------------------


def bad_release(world: Repositories) -> str:
    bad = world.here.commit("(ved-2) Break it", app_txt="one\nTWO\nthree\n", new__added_txt="x\n")
    world.here.push()
    return bad


def test_the_newest_commit_is_reverted_once(world: Repositories) -> None:
    bad = bad_release(world)
    mine = dirty(world)
    fingerprint = world.here.fingerprint()
    planned = world.done("git_revert", check=True, commits=["HEAD"])
    assert world.here.fingerprint() == fingerprint
    assert (planned["changed"], planned["pushed"], planned["after"], world.at()) == (True, False, None, bad)
    assert planned["reverted"] == [{"commit": bad, "subject": "(ved-2) Break it", "revert": None}]
    assert "-TWO\n+two\n" in planned["diff"]["prepared"]
    assert f'Revert "(ved-2) Break it"\n\nThis reverts commit {bad}.' in planned["diff"]["prepared"]

    done = world.done("git_revert", commits=["HEAD"], reason="Logins fail.")
    assert (done["changed"], done["pushed"], done["before"], done["after"]) == (True, True, bad, world.at())
    assert done["reverted"][0]["revert"] == world.at()
    assert world.here.tree() == mine
    assert world.file("app.txt") == LINES.strip()
    message = world.here.git("show", "--no-patch", "--format=%an <%ae>%n%B", world.at() or "")
    assert message == (
        f'Ann <ann@example.com>\nRevert "(ved-2) Break it"\n\nThis reverts commit {bad}.\n\nLogins fail.'
    )
    for name in ("HEAD", "main", bad[:8]):
        again = world.done("git_revert", commits=[name])
        assert (again["changed"], again["reverted"], again["diff"]) == (False, [], {"prepared": ""})
        assert again["already"] == done["reverted"]
    assert nothing_is_left(world)


def test_back_and_forth(world: Repositories) -> None:
    bad = bad_release(world)
    first = world.done("git_revert", commits=[bad])["after"]
    back = world.done("git_revert", commits=[first])
    assert (world.log()[0], world.file("app.txt")) == ('Reapply "(ved-2) Break it"', "one\nTWO\nthree")
    assert not world.done("git_revert", commits=[first])["changed"]
    third = world.done("git_revert", commits=[bad])
    assert third["changed"]
    assert world.done("git_revert", commits=[bad])["already"][0]["revert"] == third["after"]
    assert world.done("git_revert", commits=[back["after"]])["already"][0]["revert"] is None
    assert len(world.log()) == 5


def test_a_change_that_was_taken_back_in_other_words(world: Repositories) -> None:
    bad = bad_release(world)
    world.here.commit("(ved-3) Mend it", app_txt=LINES, new__added_txt=None)
    world.here.push()
    done = world.done("git_revert", commits=[bad])
    assert (done["changed"], done["already"][0]["revert"]) == (False, None)


def test_a_reverted_change_that_others_have_built_upon(world: Repositories) -> None:
    """The words of the revert count, where its lines have been changed since."""
    bad = bad_release(world)
    world.done("git_revert", commits=[bad])
    other = world.somebody_else()
    other.git("pull", "--quiet")
    other.commit("(ved-3) Go on", app_txt="one\nzwei\nthree\n")
    other.push()
    assert not world.done("git_revert", commits=[bad])["changed"]


def test_a_reverted_change_that_has_come_back(world: Repositories) -> None:
    bad = bad_release(world)
    world.done("git_revert", commits=[bad])
    other = world.somebody_else()
    other.git("pull", "--quiet")
    other.commit("(ved-2) Break it again", app_txt="one\nTWO\nthree\n", new__added_txt="x\n")
    other.push()
    assert world.done("git_revert", commits=[bad])["changed"]
    assert world.file("app.txt") == LINES.strip()


def test_a_range_newest_first_in_one_push(world: Repositories) -> None:
    good = world.at()
    world.hook("post-receive", "echo pushed >>pushes")
    commits = [world.here.commit(f"(ved-{n}) Step {n}", app_txt=f"{LINES}{n}\n") for n in (2, 3, 4)]
    world.here.push()
    done = world.done("git_revert", commits=[f"{good}..HEAD", commits[1]])
    assert [taken["commit"] for taken in done["reverted"]] == commits[::-1]
    assert (world.origin / "pushes").read_text() == "pushed\npushed\n"
    assert world.file("app.txt") == LINES.strip()
    assert not world.done("git_revert", commits=[f"{good}..{commits[2]}"])["changed"]
    assert f"no commit: nothing in {good} came after {commits[2][:12]}" in world.refused(
        "git_revert", commits=[f"HEAD..{good}"]
    )


@pytest.mark.parametrize("end", ["main", "HEAD"])
def test_a_range_that_begins_at_a_revert_at_the_end(world: Repositories, end: str) -> None:
    bad = bad_release(world)
    revert = world.done("git_revert", commits=[bad])["after"]
    again = world.done("git_revert", commits=[f"{revert}..{end}"])
    assert (again["changed"], again["reverted"], again["already"], world.at()) == (False, [], [], revert)
    assert not world.done("git_revert", commits=[f"{end}.."])["changed"]


def test_a_range_from_elsewhere_that_holds_nothing(world: Repositories) -> None:
    world.here.git("switch", "--quiet", "--create", "elsewhere")
    elsewhere = world.here.commit("(ved-2) Elsewhere")
    words = f"'{elsewhere}..main', which holds no commit: nothing in main came after {elsewhere[:12]}."
    assert words in world.refused("git_revert", commits=[f"{elsewhere}..main"])


def merged_feature(world: Repositories) -> tuple[str, str, str]:
    """The commit of before, the feature's, and the merge."""
    before = world.here.head()
    world.here.git("switch", "--quiet", "--create", "feature")
    feature = world.here.commit("(ved-2) Feature", feature_txt="x\n")
    world.here.git("switch", "--quiet", "main")
    world.here.git("merge", "--quiet", "--no-ff", "--message=Merge the feature", "feature")
    world.here.push()
    return before, feature, world.here.head()


def test_a_merge_needs_to_know_what_stays(world: Repositories) -> None:
    before, feature, merge = merged_feature(world)
    result = world.run("git_revert", commits=["HEAD"])
    assert result["parents"] == [before, feature]
    assert f"1 is {before[:12]} ((ved-1) Begin); 2 is {feature[:12]} ((ved-2) Feature)" in result["msg"]
    assert "no parent 3" in world.refused("git_revert", commits=["HEAD"], mainline=3)
    done = world.done("git_revert", commits=[f"{before}..HEAD"], mainline=1)
    assert [taken["commit"] for taken in done["reverted"]] == [merge]
    message = world.here.git("show", "--no-patch", "--format=%B", done["after"])
    assert message.endswith(f"This reverts commit {merge}, reversing\nchanges made to {before}.")
    assert not world.done("git_revert", commits=[merge], mainline=1)["changed"]


def test_a_conflict_changes_nothing_and_names_the_files(world: Repositories) -> None:
    bad = bad_release(world)
    fine = world.here.commit("(ved-3) Fine", fine_txt="x\n")
    world.here.commit("(ved-4) Go on", app_txt="one\nTWO!\nthree\n")
    world.here.push()
    dirty(world)
    for check in (True, False):
        result = world.run("git_revert", check=check, commits=[bad, fine])
        assert (result["conflicts"], result["commit"]) == (["app.txt"], bad)
        assert "it conflicts in app.txt. Nothing was changed." in result["msg"]
        assert "(ved-4) Go on" in result["msg"]
    world.refused("git_revert", commits=[bad, fine])
    assert nothing_is_left(world)


def test_what_cannot_be_reverted(world: Repositories) -> None:
    first = world.at()
    world.here.git("switch", "--quiet", "--create", "elsewhere")
    elsewhere = world.here.commit("(ved-2) Elsewhere", app_txt="else\n")
    assert "is the first one" in world.refused("git_revert", commits=[str(first)])
    assert "knows no such commit" in world.refused("git_revert", commits=["0123abc"])
    assert "knows no such commit" in world.refused("git_revert", commits=["HEAD~7"])
    assert "is not on main of origin" in world.refused("git_revert", commits=[elsewhere])
    assert "cannot be reverted" in world.refused("git_revert", commits=["--all"])
    assert "Option commits is empty" in world.refused("git_revert", commits=[])
    assert "It has main." in world.refused("git_revert", commits=["HEAD"], branch="master")


def test_somebody_pushes_at_the_same_moment(world: Repositories) -> None:
    """The hook lets another's push come between, once; then always."""
    bad = bad_release(world)
    other = world.somebody_else()
    other.commit("(ved-3) Quicker", quick_txt="x\n")
    other.git("push", "--quiet", "origin", "main:refs/heads/waiting")
    quicker = (
        f"[ -e done ] || {{ touch done; env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main {other.head()}; }}"
    )
    world.hook("pre-receive", quicker)
    done = world.done("git_revert", commits=[bad])
    assert world.log() == ['Revert "(ved-2) Break it"', "(ved-3) Quicker", "(ved-2) Break it", "(ved-1) Begin"]
    assert done["before"] == other.head()


def test_commits_that_are_not_pushed_are_kept_once(world: Repositories) -> None:
    bad = bad_release(world)
    done = world.done("git_revert", commits=[bad], push=False)
    assert (done["changed"], done["pushed"], world.at()) == (True, False, bad)
    assert world.here.head("refs/vedfinance/main") == done["after"]
    assert world.here.head("main") == bad
    again = world.done("git_revert", commits=[bad], push=False)
    assert (again["changed"], again["after"]) == (False, done["after"])


def test_whoever_makes_the_commit_is_known(world: Repositories) -> None:
    bad = bad_release(world)
    world.here.git("config", "--unset", "user.name")
    assert "git does not know who makes the commit" in world.refused("git_revert", commits=[bad])
    done = world.done("git_revert", commits=[bad], author_name="Ops", author_email="ops@example.com")
    who = world.here.git("show", "--no-patch", "--format=%an <%ae> %cn <%ce>", done["after"])
    assert who == "Ops <ops@example.com> Ops <ops@example.com>"


def test_commits_are_signed_when_the_repository_wants_it(world: Repositories) -> None:
    key = world.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key))):
        world.here.git("config", name, value)

    commits = [world.here.commit(f"(ved-2) Bad {n}", **{f"bad{n}_txt": "x\n"}) for n in range(5)]
    world.here.push()

    def signed(commit: str, **options: str) -> bool:
        after = world.done("git_revert", commits=[commit], **options)["after"]
        return "gpgsig" in world.here.git("cat-file", "commit", after)

    assert [signed(commits[0]), signed(commits[1], sign="always")] == [False, True]
    world.here.git("config", "commit.gpgSign", "true")
    assert [signed(commits[2]), signed(commits[3], sign="never")] == [True, False]
    key.unlink()
    assert "could not be signed" in world.refused("git_revert", commits=[commits[4]])


def test_a_run_that_is_killed_leaves_the_checkout_as_it_was(world: Repositories, tmp_path: Path) -> None:
    bad = bad_release(world)
    mine = dirty(world)
    hangs = "{ touch ../pushes; while [ ! -e ../over ]; do sleep 0.05; done; exit 1; }"
    world.hook("pre-push", hangs, world.here.folder / ".git")
    process = start_module("git_revert", {"checkout": str(world.here.folder), "commits": ["HEAD"]})
    wait_until((tmp_path / "pushes").exists, "its push has begun")
    process.kill()
    process.communicate()
    assert (world.here.tree(), world.at()) == (mine, bad)
    (tmp_path / "over").touch()
    done = world.done("git_revert", commits=[bad], hooks=False)
    assert (world.here.tree(), world.at()) == (mine, done["after"])
    assert len(world.log()) == 3


def test_hooks_of_the_checkout_see_only_the_push(world: Repositories) -> None:
    bad = bad_release(world)
    for hook in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout", "post-rewrite"):
        world.hook(hook, "echo ran >>../ran; exit 1", world.here.folder / ".git")
    world.hook("pre-push", "pwd >../pushed-from", world.here.folder / ".git")
    world.done("git_revert", commits=[bad])
    assert not (world.folder / "ran").exists()
    assert (world.folder / "pushed-from").read_text().strip() == str(world.here.folder)
    world.hook("pre-push", "echo no >&2; exit 1", world.here.folder / ".git")
    assert "pre-push hook" in world.refused("git_revert", commits=[str(world.at())])


def test_binary_files_modes_and_odd_names(world: Repositories) -> None:
    folder = world.here.folder
    before = world.here.commit("(ved-2) Before")
    (folder / "odd näme\t.bin").write_bytes(bytes(range(256)))
    (folder / "link").symlink_to("app.txt")
    (folder / "app.txt").chmod(0o755)
    world.here.commit("(ved-3) Odd")
    world.here.push()
    done = world.done("git_revert", commits=["HEAD"])
    assert world.here.git("diff", "--raw", before, done["after"]) == ""


def test_another_clone_of_the_same_remote_is_up_to_date_at_once(world: Repositories) -> None:
    """A commit that the checkout has never seen is reverted as well."""
    other = world.somebody_else()
    theirs = other.commit("(ved-2) Theirs", theirs_txt="x\n")
    other.push()
    assert world.done("git_revert", commits=[theirs[:10]])["changed"]


def test_a_folder_of_somebody_else_that_is_trusted(world: Repositories, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bad_release(world)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "belongs to another user" in world.failed("git_revert", commits=[bad])
    settings = world.folder / "gitconfig"
    settings.write_text("[safe]\n\tdirectory = *\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert world.done("git_revert", commits=[bad], check=True)["changed"]


def test_a_shallow_clone(world: Repositories) -> None:
    old = world.at()
    bad_release(world)
    world.here.commit("(ved-3) Newer", newer_txt="x\n")
    world.here.push()
    shallow = world.folder / "shallow"
    world.here.git("clone", "--quiet", "--depth=2", f"file://{world.origin}", str(shallow))
    for name, value in (("user.name", "Ann"), ("user.email", "ann@example.com")):
        world.here.git("-C", str(shallow), "config", name, value)
    world.here.folder = shallow
    assert world.done("git_revert", commits=["HEAD"])["changed"]
    assert "shallow" in world.run("git_revert", commits=[str(old)])["msg"]


# --- git_merge --------------------------------------------------------------------------------------------------------


def fix_of(world: Repositories, **files: str) -> str:
    world.here.git("switch", "--quiet", "--create", "hotfix/x")
    return world.here.commit("(ved-2) Fix", **(files or {"fix_txt": "x\n"}))


def test_a_branch_is_merged_once(world: Repositories) -> None:
    before = world.at()
    fix = fix_of(world)
    mine = dirty(world)
    planned = world.done("git_merge", check=True, source="hotfix/x")
    assert (planned["changed"], planned["merge"], world.at()) == (True, None, before)
    assert "+x\n" in planned["diff"]["prepared"]
    done = world.done("git_merge", source="hotfix/x")
    assert world.here.tree() == mine
    assert (done["merge"], done["after"], done["source"], done["before"]) == (world.at(), world.at(), fix, before)
    assert done["commits"] == [{"commit": fix, "subject": "(ved-2) Fix"}]
    assert world.here.git("show", "--no-patch", "--format=%P%n%s", done["merge"]) == (
        f"{before} {fix}\nMerge branch 'hotfix/x'"
    )
    other = world.somebody_else()
    other.commit("(ved-3) Later")
    other.push()
    again = world.done("git_merge", source="hotfix/x")
    assert (again["changed"], again["merge"], again["after"]) == (False, done["merge"], world.at())
    world.here.git("stash", "push", "--quiet", "--include-untracked")
    world.here.git("switch", "--quiet", "main")
    world.here.git("branch", "-D", "hotfix/x")
    gone = world.done("git_merge", source="hotfix/x")
    assert (gone["changed"], gone["merge"], gone["source"]) == (False, done["merge"], fix)
    assert "no merge of it" in world.refused("git_merge", source="hotfix/y")


def test_only_what_was_tested_is_merged(world: Repositories) -> None:
    tested = fix_of(world)
    later = world.here.commit("(ved-3) Not tested")
    options = {
        "source": "hotfix/x",
        "commit": tested,
        "commit_message": "(ved-2) Merge the fix,\n  and nothing else\n\nWhy.",
    }
    assert f"hotfix/x is at {later[:12]}, and not at {tested[:12]}" in world.refused("git_merge", **options)
    world.here.git("reset", "--quiet", "--hard", tested)
    done = world.done("git_merge", **options)
    world.here.git("switch", "--quiet", "main")
    world.here.git("branch", "-D", "hotfix/x")
    again = world.done("git_merge", **options)
    assert (again["changed"], again["merge"], again["source"]) == (False, done["merge"], tested)


def test_a_branch_with_nothing_on_it(world: Repositories) -> None:
    world.here.git("switch", "--quiet", "--create", "hotfix/x")
    done = world.done("git_merge", source="hotfix/x")
    assert (done["changed"], done["merge"], done["commits"]) == (False, None, [])


def test_a_merge_that_conflicts_changes_nothing(world: Repositories) -> None:
    fix_of(world, app_txt="one\nmine\nthree\n")
    other = world.somebody_else()
    other.commit("(ved-3) Theirs", app_txt="one\ntheirs\nthree\n")
    other.push()
    result = world.run("git_merge", source="hotfix/x")
    assert result["conflicts"] == ["app.txt"]
    assert "it conflicts in app.txt. Nothing was changed." in world.refused("git_merge", source="hotfix/x", check=True)
    assert nothing_is_left(world)


def test_which_of_two_is_merged(world: Repositories) -> None:
    """The remote's when the checkout has none; the checkout's when it has more; and no guess otherwise."""
    other = world.somebody_else()
    other.git("switch", "--quiet", "--create", "hotfix/x")
    theirs = other.commit("(ved-2) Theirs", theirs_txt="x\n")
    other.push("hotfix/x")
    assert world.done("git_merge", source="hotfix/x", check=True)["source"] == theirs
    world.here.git("fetch", "--quiet")
    world.here.git("switch", "--quiet", "hotfix/x")
    mine = world.here.commit("(ved-3) Mine", mine_txt="x\n")
    assert world.done("git_merge", source="hotfix/x", check=True)["source"] == mine
    other.commit("(ved-4) Theirs", theirs_txt="y\n")
    other.push("hotfix/x")
    assert "git pull --rebase origin hotfix/x" in world.refused("git_merge", source="hotfix/x")
    assert "both 'main'" in world.refused("git_merge", source="main")


# --- git_branch -------------------------------------------------------------------------------------------------------


def test_a_branch_from_where_the_remote_is(world: Repositories) -> None:
    other = world.somebody_else()
    theirs = other.commit("(ved-2) Theirs", theirs_txt="x\n")
    other.push()
    fingerprint = world.here.fingerprint()
    planned = world.done("git_branch", check=True, name="hotfix/x", state="pushed", switch=True)
    assert world.here.fingerprint() == fingerprint
    made = world.done("git_branch", name="hotfix/x", state="pushed", switch=True)
    assert made["after"] == planned["after"] == {"local": theirs, "remote": theirs, "checked_out": "hotfix/x"}
    assert made["before"] == {"local": None, "remote": None, "checked_out": "main"}
    assert (world.here.head(), world.at("hotfix/x")) == (theirs, theirs)
    assert (world.here.folder / "theirs.txt").exists()
    assert not world.done("git_branch", name="hotfix/x", state="pushed", switch=True)["changed"]
    fix = world.here.commit("(ved-3) Fix")
    assert not world.done("git_branch", name="hotfix/x")["changed"]
    assert world.done("git_branch", name="hotfix/x", state="pushed")["after"]["remote"] == fix == world.at("hotfix/x")


def test_a_branch_that_only_the_remote_has(world: Repositories) -> None:
    other = world.somebody_else()
    other.git("switch", "--quiet", "--create", "hotfix/x")
    theirs = other.commit("(ved-2) Theirs")
    other.push("hotfix/x")
    assert world.done("git_branch", name="hotfix/x")["after"] == {
        "local": theirs, "remote": theirs, "checked_out": "main",
    }  # fmt: skip


def test_a_tree_with_changes_is_not_switched(world: Repositories) -> None:
    dirty(world)
    assert "touches no tree with changes" in world.refused("git_branch", name="hotfix/x", switch=True)
    assert world.done("git_branch", name="main", forward=True)["changed"] is False
    assert "no name of a branch" in world.refused("git_branch", name="hotfix/a b")
    assert "both 'main'" in world.refused("git_branch", name="main", state="absent", force=True)
    assert world.done("git_branch", name="hotfix/x")["after"]["checked_out"] == "main"


def test_a_branch_follows_the_remote(world: Repositories) -> None:
    other = world.somebody_else()
    first = other.commit("(ved-2) Theirs", theirs_txt="x\n")
    other.push()
    (world.here.folder / "new.txt").write_text("new")
    assert "touches no tree with changes" in world.refused("git_branch", name="main", forward=True)
    (world.here.folder / "new.txt").unlink()
    fingerprint = world.here.fingerprint()
    planned = world.done("git_branch", check=True, name="main", forward=True)
    assert world.here.fingerprint() == fingerprint
    assert world.done("git_branch", name="main", forward=True)["after"] == planned["after"]
    assert (world.here.head(), (world.here.folder / "theirs.txt").exists()) == (first, True)
    world.here.git("switch", "--quiet", "--create", "hotfix/x")
    second = other.commit("(ved-3) Theirs")
    other.push()
    assert world.done("git_branch", name="main", forward=True)["after"]["checked_out"] == "hotfix/x"
    assert world.here.head("main") == second
    world.here.git("switch", "--quiet", "main")
    world.here.commit("(ved-4) Mine")
    assert not world.done("git_branch", name="main", forward=True)["changed"]
    other.commit("(ved-5) Theirs")
    other.push()
    assert "each has commits of its own" in world.refused("git_branch", name="main", forward=True)


def test_a_branch_in_another_working_tree_stays_as_it_is(world: Repositories) -> None:
    other = world.somebody_else()
    other.commit("(ved-2) Theirs", theirs_txt="x\n")
    other.push()
    elsewhere = world.folder / "elsewhere"
    world.here.git("switch", "--quiet", "--create", "hotfix/x")
    world.here.push("hotfix/x")
    world.here.git("worktree", "add", "--quiet", str(elsewhere), "main")
    told = f"main is checked out in {elsewhere}"
    for options in ({"forward": True}, {"switch": True}):
        assert told in world.refused("git_branch", name="main", **options)
    assert told in world.refused("git_branch", name="hotfix/x", state="absent", switch=True)
    here = str(world.here.folder)
    assert f"in {here}" in world.refused("git_branch", checkout=str(elsewhere), name="hotfix/x", state="absent")
    assert git(elsewhere, "status", "--porcelain") == ""


def test_a_branch_is_deleted_when_nothing_is_lost(world: Repositories) -> None:
    fix = fix_of(world)
    world.done("git_branch", name="hotfix/x", state="pushed")
    assert "Merge it first" in world.refused("git_branch", name="hotfix/x", state="absent", switch=True)
    world.done("git_merge", source="hotfix/x")
    assert "is checked out in" in world.refused("git_branch", name="hotfix/x", state="absent")
    (world.here.folder / "new.txt").write_text("new")
    assert "touches no tree" in world.refused("git_branch", name="hotfix/x", state="absent", switch=True)
    (world.here.folder / "new.txt").unlink()
    fingerprint = world.here.fingerprint()
    planned = world.done("git_branch", check=True, name="hotfix/x", state="absent", switch=True)
    assert (world.here.fingerprint(), world.at("hotfix/x")) == (fingerprint, fix)
    gone = world.done("git_branch", name="hotfix/x", state="absent", switch=True)
    assert gone["after"] == planned["after"] == {"local": None, "remote": None, "checked_out": "main"}
    assert (world.at("hotfix/x"), world.here.git("branch", "--list", "hotfix/x")) == (None, "")
    assert not world.done("git_branch", name="hotfix/x", state="absent")["changed"]


def test_a_commit_of_somebody_else_on_it_is_not_lost(world: Repositories) -> None:
    fix_of(world)
    world.done("git_branch", name="hotfix/x", state="pushed")
    world.done("git_merge", source="hotfix/x")
    world.here.git("switch", "--quiet", "main")
    other = world.somebody_else()
    other.git("switch", "--quiet", "hotfix/x")
    late = other.commit("(ved-3) One thing more")
    other.push("hotfix/x")
    assert "(ved-3) One thing more" in world.refused("git_branch", name="hotfix/x", state="absent")
    gone = world.done("git_branch", name="hotfix/x", state="absent", force=True)
    assert gone["lost"] == [{"commit": late, "subject": "(ved-3) One thing more"}]
    assert world.at("hotfix/x") is None


# --- over http --------------------------------------------------------------------------------------------------------


def test_over_http_with_a_password_that_nobody_sees(tmp_path: Path, only_what_the_tests_set_up: None) -> None:
    with serving(tmp_path) as server:
        world = Repositories(tmp_path)
        here = world.here
        here.git("--git-dir", str(world.origin), "config", "http.receivepack", "true")
        here.git("config", "remote.origin.url", server.url())
        here.commit("(ved-2) Bad", app_txt="bad\n")
        assert "refuses the credentials" in world.refused("git_push")
        here.git("config", "remote.origin.url", server.url(f"{USER}:wrong-{PASSWORD}"))
        assert PASSWORD not in str(world.run("git_push"))
        here.git("config", "remote.origin.url", server.url(f"{USER}:{PASSWORD}"))
        world.hook("pre-receive", f"echo no {PASSWORD} >&2; exit 1")
        assert PASSWORD not in str(world.run("git_push"))
        world.hook("pre-receive", "exit 0")
        results = [
            world.done("git_push"),
            world.done("git_revert", commits=["HEAD"]),
            world.done("git_branch", name="hotfix/x", state="pushed", switch=True),
        ]
        here.commit("(ved-3) Fix", fix_txt="x\n")
        results += [
            world.done("git_merge", source="hotfix/x"),
            world.done("git_branch", name="hotfix/x", state="absent", switch=True),
            world.done("git_checkout_info"),
        ]
        assert [result["changed"] for result in results] == [True, True, True, True, True, False]
        assert results[-1]["behind"] == 3
        assert PASSWORD not in str(results)
        assert world.log()[:2] == ["Merge branch 'hotfix/x'", "(ved-3) Fix"]
        assert "POST /origin.git/git-receive-pack" in server.asked
    assert "cannot be reached" in world.refused("git_push")
    assert nothing_is_left(world)
