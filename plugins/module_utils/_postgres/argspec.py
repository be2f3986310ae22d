# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that the PostgreSQL modules share (documented in doc_fragments/postgresql.py)."""

from __future__ import annotations

from typing import Any

from .connect import Server, Tls
from .container import in_container

LOGIN: dict[str, Any] = {
    "login_host": {"type": "str", "aliases": ["host"]},
    "login_port": {"type": "int", "default": 5432, "aliases": ["port"]},
    "login_user": {"type": "str", "default": "postgres", "aliases": ["login"]},
    "login_password": {"type": "str", "no_log": True},
    "login_unix_socket": {"type": "path", "aliases": ["unix_socket"]},
    "login_db": {"type": "str", "default": "postgres", "aliases": ["maintenance_db"]},
    "container": {"type": "str"},
    "sslmode": {
        "type": "str",
        "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
        "aliases": ["ssl_mode"],
    },
    "sslrootcert": {"type": "path", "aliases": ["ca_cert"]},
    "sslcert": {"type": "path", "aliases": ["ssl_cert"]},
    "sslkey": {"type": "path", "aliases": ["ssl_key"], "no_log": False},
    "connect_timeout": {"type": "int", "default": 10},
}
LOGIN_EXCLUSIVE = [("login_host", "login_unix_socket", "container")]
DUMPS: dict[str, Any] = {
    "client_bin_dir": {"type": "path"},
    "age_identity_file": {"type": "path"},
    "gpg_home": {"type": "path"},
    # Names of files, nothing secret.
    "gpg_passphrase_file": {"type": "path", "no_log": False},
}


def server_of(params: dict[str, Any]) -> Server:
    """The server that the options name."""
    server = Server(
        host=params["login_host"] or params["login_unix_socket"],
        port=params["login_port"],
        user=params["login_user"],
        password=params["login_password"],
        maintenance_database=params["login_db"],
        tls=Tls(params["sslmode"], params["sslrootcert"], params["sslcert"], params["sslkey"]),
        connect_timeout=params["connect_timeout"],
    )
    return in_container(server, params["container"]) if params["container"] else server
