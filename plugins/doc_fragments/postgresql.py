# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the PostgreSQL modules; their specification is module_utils/_postgres/argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    """How every PostgreSQL module reaches its server; the names are those of community.postgresql."""

    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Host name or address of the PostgreSQL server.
      - Without this, O(login_unix_socket) or O(container), libpq's default socket is used.
    type: str
    aliases: [host]
  login_port:
    description: TCP port of the server, also part of a unix socket's name.
    type: int
    default: 5432
    aliases: [port]
  login_user:
    description:
      - The role to connect as.
      - It needs C(CREATEDB), membership in the database's owner and in C(pg_signal_backend). A superuser works too;
        what the dump runs then runs with the rights of the database's owner.
    type: str
    default: postgres
    aliases: [login]
  login_password:
    description: Password of O(login_user). Without it, libpq's password file is asked.
    type: str
  login_unix_socket:
    description: Folder of the server's unix socket.
    type: path
    aliases: [unix_socket]
  login_db:
    description: The maintenance database to connect to; never the one that is restored.
    type: str
    default: postgres
    aliases: [maintenance_db]
  container:
    description:
      - Name or id of the container in which the server runs, or the name of its Swarm service.
      - The socket inside of the container is used through C(/proc), so this needs root on the Docker host, and no
        published port.
      - C(dokploy-postgres), Dokploy's own database, is refused unless it is asked for by its full name.
    type: str
requirements:
  - psycopg >= 3.1 (Debian and Ubuntu C(python3-psycopg), PyPI C(psycopg[binary]))
"""

    DUMPS = r"""
options:
  client_bin_dir:
    description:
      - Folder of PostgreSQL's client tools, of which C(pg_restore) reads archives in custom format.
      - By default C(PATH) is searched, then C(/usr/lib/postgresql/*/bin), the newest version first.
    type: path
requirements:
  - C(pg_restore) for dumps in custom format, not older than the C(pg_dump) that made them (C(postgresql-client))
  - C(zstandard) (C(python3-zstandard)) or the program C(zstd) for dumps packed with zstd
"""
