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
      - Root on the Docker host uses the socket inside of the container, through C(/proc). Any other user who may run
        C(docker), such as a member of the group C(docker), is carried into the container by C(docker exec), one for
        each connection; the image needs C(perl) or C(nc) for that, as the official ones have one of them. No
        port need be published.
      - C(dokploy-postgres), Dokploy's own database, is refused unless it is asked for by its full name.
    type: str
  sslmode:
    description:
      - Whether and how strictly the connection is encrypted, as libpq's parameter of this name. Without it, libpq uses
        TLS when the server offers it (V(prefer)), and checks no certificate.
      - Over a unix socket, and so with O(container), neither this nor the options below have any effect.
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
    aliases: [ssl_mode]
  sslrootcert:
    description: File with the certificates of the authorities that the server's certificate is checked against.
    type: path
    aliases: [ca_cert]
  sslcert:
    description: File with the client's certificate, for servers that ask for one.
    type: path
    aliases: [ssl_cert]
  sslkey:
    description: File with the key of O(sslcert). libpq refuses one that others may read.
    type: path
    aliases: [ssl_key]
  connect_timeout:
    description: Seconds to wait for each connection to be made.
    type: int
    default: 10
requirements:
  - psycopg >= 3.1 (Debian and Ubuntu C(python3-psycopg), PyPI C(psycopg[binary]))
"""

    DUMPS = r"""
options:
  client_bin_dir:
    description:
      - Folder of PostgreSQL's client tools, of which C(pg_restore) reads archives in custom, directory and tar format.
      - By default C(PATH) is searched, then C(/usr/lib/postgresql/*/bin), the newest version first.
    type: path
  age_identity_file:
    description:
      - File with the identity that opens dumps encrypted with C(age), as C(age --identity) takes it.
      - A path on the host that runs the module, readable for the user that runs it and nobody else.
    type: path
  gpg_home:
    description:
      - Folder of the GnuPG keyring with the secret key that opens dumps encrypted with C(gpg), as C(gpg --homedir)
        takes it.
      - A key with a passphrase needs O(gpg_passphrase_file) as well.
    type: path
  gpg_passphrase_file:
    description:
      - File whose first line is the passphrase of the key in O(gpg_home), or of the dump itself (C(gpg --symmetric)).
    type: path
requirements:
  - C(pg_restore) for archives, not older than the C(pg_dump) that made them (C(postgresql-client))
  - C(zstandard) (C(python3-zstandard)) or the program C(zstd) for dumps packed with zstd
  - C(age) or C(gpg) (C(gnupg)) for encrypted dumps
  - C(isal) (C(python3-isal)), where it is present, reads dumps packed with gzip faster
"""
