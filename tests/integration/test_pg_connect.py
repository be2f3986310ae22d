# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to a real server: TLS, through docker exec, and one that dies while it is being used."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import select
import shutil
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres import container as containers
from ansible_collections.vedfinance.platform.plugins.module_utils._postgres.connect import (
    Server,
    ServerError,
    Session,
    Tls,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.postgres import Server as LabServer
from lab.postgres import free_port
from tests.fake_docker import FakeDocker


@pytest.fixture
def there(postgres: LabServer) -> Server:
    chosen = postgres.settings
    return Server(chosen.host, chosen.port, postgres.superuser.user, postgres.superuser.password)


# -- TLS --------------------------------------------------------------------------------------------------------


def certificate_for(address: str, folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.crt", folder / "server.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture
def encrypted(there: Server, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """The shared server, which was built without TLS, behind something that adds it as PostgreSQL's protocol has it."""
    public, private = certificate_for("127.0.0.1", tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=add_tls, args=(listener, context, (there.host, there.port)), daemon=True).start()
        yield replace(there, port=listener.getsockname()[1]), public
        listener.shutdown(socket.SHUT_RDWR)


def add_tls(listener: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    with suppress(OSError):
        while True:
            plain, _address = listener.accept()
            assert plain.recv(8) == struct.pack("!ii", 8, 80877103)
            plain.sendall(b"S")
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as client:
                forward(client, behind)


def forward(client: ssl.SSLSocket, behind: tuple[str, int]) -> None:
    """One question, one answer, until either side has enough."""
    with socket.create_connection(behind) as server:
        while True:
            ready, _writable, _failed = select.select([client, server], [], [], 10)
            for source, target in ((client, server), (server, client)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)


def test_tls(encrypted: tuple[Server, Path], tmp_path: Path) -> None:
    there, certificate = encrypted
    (tmp_path / "other").mkdir()
    other, _key = certificate_for("127.0.0.1", tmp_path / "other")
    proved = replace(there, tls=Tls(sslmode="verify-full", sslrootcert=str(certificate)))
    with proved.connect() as session:
        assert session.value("SELECT 1") == 1
        assert session._connection.pgconn.ssl_in_use
    for server, reason in (
        (replace(proved, tls=Tls(sslmode="verify-full", sslrootcert=str(other))), "certificate verify failed"),
        (replace(proved, host="localhost"), 'does not match host name "localhost"'),
        (replace(proved, tls=Tls(sslmode="verify-full", sslrootcert="/nosuch")), '"/nosuch" does not exist'),
    ):
        with pytest.raises(ServerError, match=reason) as failed:
            server.open()
        assert "sslrootcert" in str(failed.value)
        assert str(there.password) not in str(failed.value)


def test_tls_is_demanded_of_a_server_without(there: Server) -> None:
    with pytest.raises(ServerError, match=r"does not support SSL") as failed:
        replace(there, tls=Tls(sslmode="require")).open()
    assert "sslmode" in str(failed.value)


# -- docker exec ------------------------------------------------------------------------------------------------


@pytest.fixture
def relayed(there: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    docker = FakeDocker(tmp_path, monkeypatch)
    docker.add("db", os.getpid())
    monkeypatch.setattr(containers, "_SOCKETS", "nosuch")
    return containers.in_container(there, "db")


def test_through_docker_exec(relayed: Server) -> None:
    assert relayed.way == "docker exec"
    assert relayed.host is not None
    assert Path(relayed.host).stat().st_mode & 0o777 == 0o700
    every_byte = "".join(chr(code) for code in range(1, 256)) * 4000
    with relayed.connect() as one, relayed.connect() as other:
        assert one.value("SELECT %s::text", (every_byte,)) == every_byte
        assert one.pid != other.pid
        one.run("CREATE TEMP TABLE loaded (line text)")
        line = b"x" * 999 + b"\n"
        with one.copy_in(b"COPY loaded FROM STDIN") as copying:
            for _chunk in range(40):
                copying.write(line * 250)
        assert copying.stored == 10000


@pytest.mark.parametrize("how", ["ours", "libpq's"])
def test_a_cancel_comes_through(relayed: Server, how: str) -> None:
    with relayed.connect() as session:
        cancel = session.cancel if how == "ours" else session._connection.cancel
        sure = threading.Timer(0.3, cancel)
        sure.start()
        with pytest.raises(ServerError, match="user request"):
            session.run("SELECT pg_sleep(30)")
        sure.join()


def test_either_end_closes_the_relay_and_nothing_is_left(relayed: Server, there: Server) -> None:
    session = relayed.open()
    with there.connect() as other:
        other.run("SELECT pg_terminate_backend(%s)", (session.pid,))
    with pytest.raises(ServerError):
        session.run("SELECT 1")
    session.close()
    session = relayed.open()
    session.close()
    folder, container = Path(str(relayed.host)), relayed.container
    assert container is not None
    assert container.relay is not None
    container.relay.close()
    assert not folder.exists()
    with pytest.raises(ServerError):
        relayed.open()


def test_a_server_that_is_not_there_inside(there: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeDocker(tmp_path, monkeypatch).add("db", os.getpid())
    monkeypatch.setattr(containers, "_SOCKETS", "nosuch")
    with pytest.raises(PlatformError, match="Connection refused"):
        containers.in_container(replace(there, port=free_port()), "db")


# -- a server that dies -----------------------------------------------------------------------------------------


def test_a_server_killed_during_copy(tmp_path: Path) -> None:
    own = LabServer(tmp_path / "server")
    own.start()
    there = Server(own.settings.host, own.settings.port, own.superuser.user, own.superuser.password)
    session = there.open()
    pids = [session.pid, int((own.data / "postmaster.pid").read_text().split()[0])]
    session.run("CREATE TEMP TABLE loaded (line text)")
    try:
        with pytest.raises(ServerError):
            copy_while(session, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids])
        session.cancel()
        assert session.lost
    finally:
        with suppress(Exception):
            own.stop()
        shutil.rmtree(own.state, ignore_errors=True)


def copy_while(session: Session, happens: Callable[[], object]) -> None:
    with session.copy_in(b"COPY loaded FROM STDIN") as copying:
        copying.write(b"x\n")
        happens()
        for _chunk in range(10_000):
            copying.write(b"x" * 99_999 + b"\n")
