# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every Dokploy module; their specification is module_utils/_dokploy/argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  dokploy_url:
    description:
      - The base address of Dokploy, such as V(http://127.0.0.1:3000). A trailing V(/) or V(/api) is ignored.
      - When not given, the environment variable E(DOKPLOY_URL) on the host that runs the module is used.
    type: str
    required: true
  dokploy_api_key:
    description:
      - An API key of Dokploy, of a user that may see and update the services, and may read Docker.
      - Make it without a rate limit (Settings > Profile > API/CLI Keys). A key made through Dokploy's API is limited
        to ten verifications a day, two of which each request takes, unless C(rateLimitEnabled) is V(false).
      - When not given, the environment variable E(DOKPLOY_API_KEY) on the host that runs the module is used.
    type: str
    required: true
  request_timeout:
    description:
      - How many seconds one HTTP request may take, from connecting to the last byte of the answer.
      - Dokploy needs 5 to 6 seconds to stop a service.
    type: float
    default: 60
  project:
    description:
      - The exact name of the project in Dokploy.
      - Needed to find a service by its name; with the id of a service, it is checked.
    type: str
  environment:
    description:
      - The exact name of the environment in the project. When not given, it is V(production), unless the id of a
        service is given.
    type: str
notes:
  - Works with Dokploy 0.25 or newer; made for and tested against the answers of 0.30.
"""

    APPLICATION = r"""
options:
  application:
    description:
      - The exact name of the application. Names are not unique in Dokploy; if there are several, the module fails and
        lists their ids.
    type: str
  application_id:
    description:
      - The id of the application, as in the address of its page in the dashboard.
    type: str
"""

    COMPOSE = r"""
options:
  compose:
    description:
      - The exact name of the compose service. Names are not unique in Dokploy; if there are several, the module fails
        and lists their ids.
    type: str
  compose_id:
    description:
      - The id of the compose service, as in the address of its page in the dashboard.
    type: str
"""

    DATABASE = r"""
options:
  database:
    description:
      - The exact name of the database service in Dokploy, which need not be the name of a database in it. Names are
        not unique; if there are several, the module fails and lists their ids.
    type: str
  database_id:
    description:
      - The id of the database service, as in the address of its page in the dashboard.
    type: str
  database_type:
    description:
      - What kind of database O(database) or O(database_id) is.
    type: str
    choices: [postgres, mysql, mariadb, mongo, redis]
    default: postgres
"""
