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
      - An API key of Dokploy, of a user that may see and update the application, and may read Docker.
      - Make it without a rate limit (Settings > Profile > API/CLI Keys). A key made through Dokploy's API is limited
        to ten verifications a day, unless C(rateLimitEnabled) is V(false).
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
      - Needed to find O(application) by name; with O(application_id), it is checked.
    type: str
  environment:
    description:
      - The exact name of the environment in the project. When not given, it is V(production), unless
        O(application_id) is given.
    type: str
  application:
    description:
      - The exact name of the application. Names are not unique in Dokploy; if there are several, the module fails and
        lists their ids.
    type: str
  application_id:
    description:
      - The id of the application, as in the address of its page in the dashboard.
    type: str
notes:
  - Works with Dokploy 0.25 or newer; made for and tested against the answers of 0.30.
"""
