#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_service
short_description: Stop a service of Dokploy so that it stays stopped, or start it again
version_added: 0.1.0
description:
  - Dokploy's own stop is undone by the next deploy, redeploy, reload or webhook. This module makes a stop last as far
    as Dokploy lets it, waits for a build that is under way, and watches that nothing comes back.
  - Of an application, 0 replicas are stored before it is stopped, so that neither a deploy nor a webhook starts it.
    The number that it had is kept in its description, where the dashboard shows it, and is restored by
    O(state=running).
  - Of a compose service, Dokploy keeps no number of replicas, so a deploy from the dashboard or through the API starts
    it again; the module warns of that. Its automatic deploy is switched off, so that no webhook starts it. Whether it
    was on is kept in the description, and is restored by O(state=running).
  - Stopping a compose service of the type V(stack) removes its services; their volumes stay. Dokploy's own start brings
    nothing of a stack back, so O(state=running) redeploys it, from the files that are on the server, and waits for
    that deployment.
  - A database service is only stopped and started. No webhook starts it again.
  - A run that was interrupted can be repeated; it goes on where the other ended.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.application
  - vedfinance.platform.dokploy.compose
  - vedfinance.platform.dokploy.database
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
      - V(stopped) means that no task or container runs, and that no webhook and no build that is under way brings one
        back.
      - V(running) means, of an application, that as many tasks run as O(replicas) says; of a compose service, that
        something runs and every other container has ended with 0; of a database, that all tasks that Docker Swarm wants
        are running. It has to last for O(stable_for) seconds. Whether what runs is healthy is for
        M(vedfinance.platform.api_health) to say.
    type: str
    choices: [running, stopped]
    required: true
  replicas:
    description:
      - How many replicas to run, at least 1. Only of an application, with O(state=running).
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

- name: Start a compose service again, whose webhook was switched off when it was stopped
  vedfinance.platform.dokploy_service:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    compose: monitoring
    state: running

- name: Stop a cache
  vedfinance.platform.dokploy_service:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    database: cache
    database_type: redis
    state: stopped
"""

RETURN = r"""
application:
  description: The application as Dokploy holds it afterwards; in check mode, as it would be.
  type: dict
  returned: when it was found, and is an application
  contains:
    kind:
      description: V(application).
      type: str
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
      description: What Dokploy last noted of it, V(idle), V(running), V(done) or V(error). It says little about what
        runs.
      type: str
    source_type:
      description: Where its code comes from, such as V(docker), V(github) or V(git).
      type: str
    image:
      description: The image of a V(docker) source, null when Dokploy builds it.
      type: str
    git_ref:
      description: The branch or tag that Dokploy builds, null for a V(docker) source.
      type: str
    replicas:
      description: How many replicas the next deploy or reload gives it.
      type: int
  sample:
    kind: application
    id: iKGxALnfjMm3lPX3CDY-e
    name: api
    app_name: shop-api-jmwfym
    project: shop
    environment: production
    status: idle
    source_type: docker
    image: registry.example.com/shop/api:1.4.0
    git_ref: null
    replicas: 0
compose:
  description: The compose service as Dokploy holds it afterwards; in check mode, as it would be.
  type: dict
  returned: when it was found, and is a compose service
  contains:
    kind:
      description: V(compose).
      type: str
    id:
      description: Its id.
      type: str
    name:
      description: Its name, which need not be unique.
      type: str
    app_name:
      description: The name of its Docker Compose project or of its stack, which is unique.
      type: str
    project:
      description: The project it is in.
      type: str
    environment:
      description: The environment it is in.
      type: str
    status:
      description: What Dokploy last noted of it, V(idle), V(running), V(done) or V(error). It says little about what
        runs.
      type: str
    source_type:
      description: Where its compose file comes from, such as V(raw), V(github) or V(git).
      type: str
    compose_type:
      description: V(docker-compose) or V(stack).
      type: str
    git_ref:
      description: The branch or tag that its compose file is from, null for V(raw).
      type: str
    auto_deploy:
      description: Whether its webhook deploys it.
      type: bool
  sample:
    kind: compose
    id: S-QBvyFGf5LS4uwgN1N8U
    name: monitoring
    app_name: shop-compose-co5r4p
    project: shop
    environment: production
    status: done
    source_type: raw
    compose_type: docker-compose
    git_ref: null
    auto_deploy: false
database:
  description: The database service as Dokploy holds it afterwards; in check mode, as it would be.
  type: dict
  returned: when it was found, and is a database
  contains:
    kind:
      description: V(postgres), V(mysql), V(mariadb), V(mongo) or V(redis).
      type: str
    id:
      description: Its id.
      type: str
    name:
      description: Its name, which need not be unique.
      type: str
    app_name:
      description: The name of its swarm service, which is unique, and its host name on Dokploy's network.
      type: str
    project:
      description: The project it is in.
      type: str
    environment:
      description: The environment it is in.
      type: str
    status:
      description: What Dokploy last noted of it, V(idle), V(running), V(done) or V(error). It says little about what
        runs.
      type: str
    source_type:
      description: Always null.
      type: str
    image:
      description: Its image.
      type: str
  sample:
    kind: postgres
    id: ThBgTPgKfQLNOluU9q441
    name: db
    app_name: shop-db-ct0pth
    project: shop
    environment: production
    status: idle
    source_type: null
    image: postgres:18
replicas_remembered:
  description: How many replicas O(state=running) will restore; null when nothing is remembered.
  type: int
  returned: when it was found
  sample: 2
auto_deploy_remembered:
  description:
    - Whether O(state=running) will switch the automatic deploy of the compose service on again; null when nothing is
      remembered.
  type: bool
  returned: when it was found
  sample: null
tasks:
  description:
    - The tasks last seen, newest first, ended ones included; the containers, of a compose service.
    - Null when the key may not read Docker.
  type: list
  elements: dict
  returned: when it was found
  contains:
    id:
      description: The id of the task, or of the container.
      type: str
    name:
      description: The name of its slot, or of the container.
      type: str
    desired:
      description: What Docker Swarm wants it to be. A container does not tell; then it is what it is.
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
  description: The services, environments or projects that bear the name that was given.
  type: list
  elements: dict
  returned: when the name is not unique
  sample:
    - {id: iKGxALnfjMm3lPX3CDY-e, name: api}
    - {id: HP548PjminvS82pxuGAbU, name: api}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    APPLICATION_ARGUMENTS,
    COMPOSE_ARGUMENTS,
    DATABASE_ARGUMENTS,
    DOKPLOY_ARGUMENTS,
    ONE_KIND_OF_SERVICE,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.services import (
    SERVICE_ARGUMENTS,
    keep_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **DOKPLOY_ARGUMENTS,
            **APPLICATION_ARGUMENTS,
            **COMPOSE_ARGUMENTS,
            **DATABASE_ARGUMENTS,
            **SERVICE_ARGUMENTS,
        },
        mutually_exclusive=ONE_KIND_OF_SERVICE,
        supports_check_mode=True,
    )
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
