# SPDX-License-Identifier: GPL-3.0-or-later
"""How Prisma is called: what it sees, and what nobody else sees."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._prisma.runner import (
    Done,
    Leftover,
    LocalCli,
    OneOff,
    run_program,
    secrets_in,
    target_of,
    url_of,
    variables_in,
    with_settings,
)

URL = "postgresql://app:s3cr3t%2Fword@db:5432/vedfinance"


@dataclass
class Scripted:
    """Notes each call, and what its env file held, if it had one."""

    answers: list[Done | PlatformError] = field(default_factory=list)
    calls: list[tuple[list[str], str | None]] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)

    def __call__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str | None, timeout: float
    ) -> Done:
        words = list(command)
        if "--env-file" in words:
            at = words.index("--env-file") + 1
            self.files.append(Path(words[at]).read_text())
            self.modes.append(os.stat(words[at]).st_mode & 0o777)
            self.file = words[at]
            words[at] = "FILE"
        self.calls.append((words, folder))
        self.environments.append(dict(environment))
        answer = self.answers.pop(0) if self.answers else Done(0, "", 0.1)
        if isinstance(answer, PlatformError):
            raise answer
        return answer


def one_off(run: Scripted) -> OneOff:
    return OneOff(
        ("sudo", "docker"),
        "vedfinance/api:1.4.0",
        "vedfinance-migrate-7",
        "dokploy-network",
        ("npx", "prisma"),
        "/app/apps/api",
        {"DATABASE_URL": URL},
        60,
        run,
    )


def test_the_local_one_gets_the_address_by_its_environment() -> None:
    run = Scripted([Done(0, f"connecting to {URL} with s3cr3t/word", 1)])
    done = LocalCli(("npx", "prisma"), "/srv/api", {"DATABASE_URL": URL}, 60, run).prisma("migrate", "deploy")
    assert run.calls == [(["npx", "prisma", "migrate", "deploy"], "/srv/api")]
    assert run.environments[0]["DATABASE_URL"] == URL
    assert run.environments[0]["CHECKPOINT_DISABLE"] == "1"
    assert "s3cr3t" not in done.output


def test_the_container_has_a_name_and_is_always_removed() -> None:
    run = Scripted()
    one_off(run).prisma("migrate", "deploy")
    words = (
        "sudo docker run --rm --name vedfinance-migrate-7 --label vedfinance.platform=migrate --env-file FILE"
        " --network dokploy-network --workdir /app/apps/api vedfinance/api:1.4.0 npx prisma migrate deploy"
    )
    assert run.calls == [
        (words.split(), None),
        (["sudo", "docker", "rm", "--force", "vedfinance-migrate-7"], None),
    ]
    assert f"DATABASE_URL={URL}\n" in run.files[0]
    assert run.modes == [0o600]
    assert not Path(run.file).exists()
    assert all("s3cr3t" not in str(environment) for environment in run.environments)


def test_it_is_removed_when_its_run_could_not_be_made() -> None:
    run = Scripted([PlatformError("docker could not be started")])
    with pytest.raises(PlatformError, match="could not be started"):
        one_off(run).prisma("migrate", "deploy")
    assert run.calls[-1][0][2:] == ["rm", "--force", "vedfinance-migrate-7"]
    assert not Path(run.file).exists()


def test_earlier_ones_are_found() -> None:
    listed = "vedfinance-migrate-5\trunning\tUp 2 hours\nvedfinance-migrate-6\texited\tExited (1)\n"
    run = Scripted([Done(0, listed, 0.1)])
    assert one_off(run).leftovers() == [
        Leftover("vedfinance-migrate-5", "running", "Up 2 hours"),
        Leftover("vedfinance-migrate-6", "exited", "Exited (1)"),
    ]
    assert "name=^vedfinance-migrate-" in run.calls[0][0]


def test_a_docker_that_does_not_answer_is_said() -> None:
    run = Scripted([Done(1, "permission denied while trying to connect\n", 0.1)])
    with pytest.raises(PlatformError, match="permission denied"):
        one_off(run).leftovers()


@pytest.mark.parametrize("name", ["vedfinance-migrate-a b", "--privileged", ""])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    run = Scripted()
    with pytest.raises(PlatformError, match="cannot be the name"):
        replace(one_off(run), name=name).prisma("migrate", "deploy")
    assert not run.calls


def test_a_variable_of_several_lines_has_no_place_in_an_env_file() -> None:
    run = Scripted()
    with pytest.raises(PlatformError, match="variable KEY has several lines"):
        replace(one_off(run), variables={"KEY": "a\nB=c"}).prisma("migrate", "deploy")
    assert not [words for words, _folder in run.calls if "run" in words]


# -- the real thing --------------------------------------------------------------------------------------------------


def python(code: str, timeout: float = 30) -> Done:
    return run_program(SystemClock())([sys.executable, "-c", code], dict(os.environ), None, timeout)


def test_both_outputs_and_the_exit_status_are_kept() -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert done.code == 3
    assert sorted(done.output.split()) == ["err", "out"]


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    words = ["sh", "-c", f"sleep 600 & echo $! > '{child}'; echo begun; wait"]
    done = run_program(SystemClock())(words, dict(os.environ), None, 1)
    assert (done.code, done.output) == (None, "begun\n")
    stat = Path(f"/proc/{child.read_text().strip()}/stat")
    given_up = time.monotonic() + 60
    # It is killed; the kernel may still be at it.
    with suppress(FileNotFoundError, ProcessLookupError):
        while " Z " not in stat.read_text():
            assert time.monotonic() < given_up
            time.sleep(0.01)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(PlatformError, match="/no/such could not be started: No such file"):
        run_program(SystemClock())(["/no/such"], {}, None, 1)


# -- the address -----------------------------------------------------------------------------------------------------


def test_what_an_address_names() -> None:
    assert target_of(f"{URL}?schema=app") == {"database": "vedfinance", "schema": "app"}
    assert target_of("postgresql://app@db/ved%40finance") == {"database": "ved@finance", "schema": "public"}


@pytest.mark.parametrize(
    "url", ["postgresql://app:s3/cr3t@db:5432/vedfinance", "postgresql://app:[s3cr3t@db/vedfinance"]
)
def test_a_password_that_breaks_an_address_is_not_taken_for_the_database(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*cr3t)"):
        target_of(url)


def test_what_is_no_address_has_no_password() -> None:
    assert secrets_in({"ORIGINS": "https://[a-z]+.example.com"}) == ["https://[a-z]+.example.com"]


def test_no_end_of_a_secret_is_left_behind_a_shorter_one() -> None:
    assert secrets_in({"A": "password1", "B": "password12345"}) == ["password12345", "password1"]


def options_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["options"][0]


def test_settings_are_put_into_the_address() -> None:
    url = with_settings(
        f"{URL}?schema=app&sslmode=require", {"lock_timeout": "5000", "role": "an owner"}, "us migrate 7"
    )
    assert url.startswith(f"{URL}?")
    assert "+" not in url
    query = parse_qs(urlsplit(url).query)
    assert query["schema"] == ["app"]
    assert query["application_name"] == ["us migrate 7"]
    assert options_of(url) == "-c lock_timeout=5000 -c role=an\\ owner"


def test_what_the_address_sets_already_stays_before_them() -> None:
    url = with_settings(f"{URL}?options=-c%20search_path%3Dapp", {"lock_timeout": "5000", "statement_timeout": ""}, "x")
    assert options_of(url) == "-c search_path=app -c lock_timeout=5000"


def test_pgbouncer_takes_no_settings() -> None:
    url = f"{URL}?pgbouncer=true"
    assert with_settings(url, {"lock_timeout": "5000"}, "x") == url


@pytest.mark.parametrize("url", ["mysql://a/b", "not an address", "prisma://accelerate"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(PlatformError, match=r"does not begin with postgresql://"):
        with_settings(url, {}, "x")


@pytest.mark.parametrize(
    ("make", "url"),
    [
        (
            lambda: url_of("db", 5432, "a@b", "p/w:?", "my db", "public"),
            "postgresql://a%40b:p%2Fw%3A%3F@db:5432/my%20db?schema=public",
        ),
        (lambda: url_of("::1", 5432, "a", None, "d", "s"), "postgresql://a@[::1]:5432/d?schema=s"),
        (
            lambda: url_of("/run/postgresql", 5432, "a", None, "d", "s"),
            "postgresql://a@localhost:5432/d?schema=s&host=%2Frun%2Fpostgresql",
        ),
    ],
)
def test_an_address_made_of_the_login(make: Callable[[], str], url: str) -> None:
    assert make() == url


def test_secrets_are_found_in_and_around_the_address() -> None:
    assert set(secrets_in({"DATABASE_URL": URL, "NODE_ENV": "test"})) == {URL, "s3cr3t%2Fword", "s3cr3t/word"}


def test_an_env_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "api.env"
    path.write_text('# the API\'s\nDATABASE_URL="postgresql://a:b=c@d/e"\n\nPORT=3001\nNOTHING\nEMPTY=\n')
    assert variables_in(str(path)) == {"DATABASE_URL": "postgresql://a:b=c@d/e", "PORT": "3001", "EMPTY": ""}
