#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_info
short_description: Read the state of an application in Dokploy
version_added: 0.1.0
description:
  - Finds an application by its exact names or its id, and returns how it stands, what was deployed, what is queued
    and which tasks run.
  - Environment variables, build secrets, passwords and webhook tokens, which Dokploy sends along, are never returned.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
  - vedfinance.platform.attributes.actiongroup_dokploy
options:
  deployments:
    description:
      - How many of the latest deployments to return. Dokploy keeps 11 at most.
    type: int
    default: 5
seealso:
  - module: vedfinance.platform.dokploy_service
"""

EXAMPLES = r"""
- name: Read how the API stands
  vedfinance.platform.dokploy_info:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
  register: api

- name: Stop here while something is being built
  ansible.builtin.assert:
    that: not api.building
"""

RETURN = r"""
version:
  description: The version of Dokploy.
  type: str
  returned: success
  sample: v0.30.2
application:
  description: The application.
  type: dict
  returned: success
  contains:
    id:
      description: Its id.
      type: str
    name:
      description: Its name, which need not be unique.
      type: str
    app_name:
      description: The name of its swarm service, which is unique.
      type: str
    project:
      description: The project it is in.
      type: str
    environment:
      description: The environment it is in.
      type: str
    status:
      description: What Dokploy last noted of it, V(idle), V(running), V(done) or V(error). It says little about the
        tasks.
      type: str
    source_type:
      description: Where its code comes from, such as V(docker), V(github) or V(git).
      type: str
    image:
      description: The image of a V(docker) source, null when Dokploy builds it.
      type: str
    replicas:
      description: How many replicas the next deploy or reload gives it.
      type: int
  sample:
    id: iKGxALnfjMm3lPX3CDY-e
    name: api
    app_name: shop-api-jmwfym
    project: shop
    environment: production
    status: done
    source_type: docker
    image: registry.example.com/shop/api:1.4.0
    replicas: 2
quiesced:
  description: Whether it was stopped by M(vedfinance.platform.dokploy_service) and will stay so.
  type: bool
  returned: success
  sample: false
replicas_remembered:
  description: How many replicas it will have when it is started again, null when it was not stopped so.
  type: int
  returned: success
  sample: null
tasks:
  description: The tasks of its service, newest first, ended ones included; null when the key may not read Docker.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The id of the task.
      type: str
    name:
      description: The name of its slot.
      type: str
    desired:
      description: What swarm wants it to be.
      type: str
    state:
      description: What it is.
      type: str
    since:
      description: The same, with its age.
      type: str
    error:
      description: Why it ended.
      type: str
  sample:
    - id: 5pf4cxnyzj15bvrknww4120fl
      name: shop-api-jmwfym.1
      desired: running
      state: running
      since: Running 6 seconds ago
      error: ""
deployments:
  description: The latest deployments, newest first.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The id of the record.
      type: str
    title:
      description: Its title; for a source that Dokploy builds, the message of the commit.
      type: str
    description:
      description: Its description.
      type: str
    status:
      description: V(running), V(done), V(error) or V(cancelled). V(done) does not mean that it serves.
      type: str
    created_at:
      description: When the record was made.
      type: str
    started_at:
      description: When the build began.
      type: str
    finished_at:
      description: When the build ended.
      type: str
    error:
      description: Why the build could not be prepared; why it failed is in its log.
      type: str
    rollback_id:
      description: What Dokploy's own rollback needs.
      type: str
  sample:
    - id: lPWfbtqPZPGdqXDr5Un6t
      title: release 1.2.3
      description: ""
      status: done
      created_at: "2026-11-22T13:26:27.107Z"
      started_at: "2026-11-22T13:26:27.107Z"
      finished_at: "2026-11-22T13:26:27.453Z"
      error: null
      rollback_id: null
queue:
  description: The jobs of this application that wait or are active; null before Dokploy 0.28.3.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The id of the job.
      type: str
    title:
      description: Its title.
      type: str
    type:
      description: V(deploy) or V(redeploy).
      type: str
    state:
      description: V(waiting) or V(active).
      type: str
  sample: []
building:
  description: Whether something is queued or being built.
  type: bool
  returned: success
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    DOKPLOY_ARGUMENTS,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.info import read_info
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    SystemClock,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, "deployments": {"type": "int", "default": 5}},
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        client = client_from(module.params, SystemClock())
        module.exit_json(changed=False, **read_info(client, query_from(module.params), module.params["deployments"]))


if __name__ == "__main__":
    main()
