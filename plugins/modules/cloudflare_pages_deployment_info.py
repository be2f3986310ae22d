#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_pages_deployment_info
short_description: Read what a Cloudflare Pages project serves, and its deployments
version_added: 0.1.0
description:
  - Reads a project of Cloudflare Pages and its newest deployments.
  - The environment variables of builds, which may hold secrets, are not returned.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.pages
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
  - vedfinance.platform.attributes.actiongroup_pages
options:
  environment:
    description:
      - Returns only deployments of this environment.
    type: str
    choices: [production, preview]
  limit:
    description:
      - How many deployments are returned at most. Cloudflare gives 25 with one request.
    type: int
    default: 25
seealso:
  - module: vedfinance.platform.cloudflare_pages_deployment
"""

EXAMPLES = r"""
- name: Read what production serves
  vedfinance.platform.cloudflare_pages_deployment_info:
    account_id: "{{ platform_pages_account_id }}"
    api_token: "{{ platform_pages_api_token }}"
    project: vedfinance-web
    environment: production
    limit: 10
  register: frontend

- name: Show its commit
  ansible.builtin.debug:
    var: frontend.project.canonical.commit
"""

RETURN = r"""
project:
  description: The project.
  type: dict
  returned: success
  contains:
    name:
      description: Its name.
      type: str
    production_branch:
      description: The branch that production is built from.
      type: str
    production_deployments_enabled:
      description: Whether a push to that branch deploys. Null when no repository is connected to the project.
      type: bool
    domains:
      description: The host names under which production is served.
      type: list
      elements: str
    canonical:
      description: The deployment that production serves, or null. Its fields are those of RV(deployments).
      type: dict
    latest:
      description: The newest deployment, or null. Its fields are those of RV(deployments).
      type: dict
  sample:
    name: vedfinance-web
    production_branch: main
    production_deployments_enabled: true
    domains: [vedfinance-web.pages.dev, app.example.com]
    canonical: {short_id: 396d9e53, commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778, status: success}
    latest: {short_id: 396d9e53, commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778, status: success}
deployments:
  description:
    - The deployments, newest first. Their fields are those that M(vedfinance.platform.cloudflare_pages_deployment)
      returns.
  type: list
  elements: dict
  returned: success
  sample:
    - id: 396d9e53-019e-4b25-ac8f-6abcd03c7dcb
      short_id: 396d9e53
      url: https://396d9e53.vedfinance-web.pages.dev
      environment: production
      commit: 9f2c41d0b6f1e3a7c5d8e9f00112233445566778
      branch: main
      message: "feat: charts (ved-214)"
      created: "2026-11-22T13:31:12.412309Z"
      status: success
      stages: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.argspec import PAGES_ARGUMENTS, client_from
from ansible_collections.vedfinance.platform.plugins.module_utils._pages.info import INFO_ARGUMENTS, gather


def main() -> None:
    module = AnsibleModule(argument_spec={**PAGES_ARGUMENTS, **INFO_ARGUMENTS}, supports_check_mode=True)
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        module.exit_json(changed=False, **gather(client_from(module.params, SystemClock()), module.params))


if __name__ == "__main__":
    main()
