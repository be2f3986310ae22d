#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_service
short_description: Stop the service of a Dokploy application so that it stays stopped, or start it again
version_added: 0.1.0
description:
  - Dokploy's own stop is undone by the next deploy, redeploy, reload or webhook. This module stores 0 replicas before
    it stops the service, waits for a build that is under way, and watches that no task comes back.
  - The number of replicas that it had is kept in the description of the application, where the dashboard shows it,
    and is restored by O(state=running).
  - A run that was interrupted can be repeated; it goes on where the other ended.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_dokploy
attributes:
  check_mode:
    support: full
    details:
      - Reads Dokploy and predicts; nothing is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(stopped) means that no task runs, and that nothing but a person brings one back.
      - V(running) means that as many tasks run as O(replicas) says, for O(stable_for) seconds. Whether the API in
        them is healthy is for M(vedfinance.platform.api_health) to say.
    type: str
    choices: [running, stopped]
    required: true
  replicas:
    description:
      - How many replicas to run, at least 1. Only with O(state=running).
      - When not given, it is the stored number, or, if that is 0, the number that was remembered when it was stopped,
        or else 1.
    type: int
  wait_timeout:
    description:
      - How many seconds to wait until the state is reached, builds that are under way included.
    type: float
    default: 300
  stable_for:
    description:
      - For how many seconds the state must hold before it is believed.
    type: float
    default: 3
seealso:
  - module: vedfinance.platform.dokploy_info
  - module: vedfinance.platform.api_health
"""

EXAMPLES = r"""
- name: Stop the API before its database is replaced
  vedfinance.platform.dokploy_service:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
    state: stopped

- name: Start it again, with as many replicas as it had
  vedfinance.platform.dokploy_service:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
    state: running
"""

RETURN = r"""
application:
  description: The application as Dokploy holds it afterwards; in check mode, as it would be.
  type: dict
  returned: when it was found
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
      description: What Dokploy last noted of it.
      type: str
    source_type:
      description: Where its code comes from.
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
    status: idle
    source_type: docker
    image: registry.example.com/shop/api:1.4.0
    replicas: 0
replicas_remembered:
  description: How many replicas O(state=running) will restore; null when nothing is remembered.
  type: int
  returned: when it was found
  sample: 2
tasks:
  description: The tasks last seen, newest first, ended ones included; null when the key may not read Docker.
  type: list
  elements: dict
  returned: when it was found
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
      desired: shutdown
      state: shutdown
      since: Shutdown 3 seconds ago
      error: ""
verified:
  description:
    - Whether the tasks were seen in the wanted state for O(stable_for) seconds.
    - V(false) in check mode, and when the key may not read Docker. Then M(vedfinance.platform.api_health) must prove
      it.
  type: bool
  returned: when it was found
  sample: true
waited:
  description: How many seconds it took.
  type: float
  returned: when it was found
  sample: 9.2
errors:
  description: What the tasks reported, when not enough of them run.
  type: list
  elements: str
  returned: when O(state=running) was not reached
  sample: ["task: non-zero exit (1)"]
candidates:
  description: The applications, environments or projects that bear the name that was given.
  type: list
  elements: dict
  returned: when the name is not unique
  sample:
    - {id: iKGxALnfjMm3lPX3CDY-e, name: api}
    - {id: HP548PjminvS82pxuGAbU, name: api}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    DOKPLOY_ARGUMENTS,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.services import (
    SERVICE_ARGUMENTS,
    keep_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    SystemClock,
)


def main() -> None:
    module = AnsibleModule(argument_spec={**DOKPLOY_ARGUMENTS, **SERVICE_ARGUMENTS}, supports_check_mode=True)
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        clock = SystemClock()
        client = client_from(module.params, clock)
        outcome = keep_service(client, clock, query_from(module.params), module.params, module.check_mode)
        for warning in outcome.warnings:
            module.warn(warning)
        module.exit_json(
            changed=outcome.plan.changed,
            diff={"before": dict(outcome.plan.before), "after": dict(outcome.plan.after)},
            **outcome.to_result(),
        )


if __name__ == "__main__":
    main()
