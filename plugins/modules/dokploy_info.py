#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_info
short_description: Read the state of a service in Dokploy, or list all services
version_added: 0.1.0
description:
  - Finds an application, a compose service or a database service by its exact names or its id, and returns how it
    stands, what was deployed, what is queued, what runs, and which schedules and backups it has.
  - When no service is named, all services that the key sees are listed with their status; O(project) and
    O(environment) narrow them down.
  - Environment variables, build secrets, passwords, compose files and webhook tokens, which Dokploy sends along, are
    never returned.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.application
  - vedfinance.platform.dokploy.compose
  - vedfinance.platform.dokploy.database
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
  log_lines:
    description:
      - How many of the last lines of the build log to return of the newest deployment that failed. What looks like a
        secret in them is masked.
      - Dokploy 0.29.5 or newer is needed to read it.
    type: int
    default: 0
  rollback_targets:
    description:
      - Whether to return what can be rolled back to. For an image source it costs a request per deployment.
    type: bool
    default: false
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

- name: List every service of the project
  vedfinance.platform.dokploy_info:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
  register: project

- name: Read when the database was last backed up
  vedfinance.platform.dokploy_info:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    database: db
  register: db
"""

RETURN = r"""
version:
  description: The version of Dokploy.
  type: str
  returned: success
  sample: v0.30.2
services:
  description: All services, by project, environment and kind.
  type: list
  elements: dict
  returned: when no service was named
  contains:
    project:
      description: The project it is in.
      type: str
    environment:
      description: The environment it is in.
      type: str
    kind:
      description: V(application), V(compose), V(postgres), V(mysql), V(mariadb), V(mongo) or V(redis).
      type: str
    id:
      description: Its id.
      type: str
    name:
      description: Its name, which need not be unique.
      type: str
    status:
      description: What Dokploy last noted of it, V(idle), V(running), V(done) or V(error).
      type: str
  sample:
    - {project: shop, environment: production, kind: application, id: iKGxALnfjMm3lPX3CDY-e, name: api, status: done}
    - {project: shop, environment: production, kind: postgres, id: ThBgTPgKfQLNOluU9q441, name: db, status: done}
application:
  description: The application.
  type: dict
  returned: when an application was asked for
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
    status: done
    source_type: docker
    image: registry.example.com/shop/api:1.4.0
    git_ref: null
    replicas: 2
compose:
  description: The compose service.
  type: dict
  returned: when a compose service was asked for
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
    auto_deploy: true
database:
  description: The database service.
  type: dict
  returned: when a database was asked for
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
    status: done
    source_type: null
    image: postgres:18
quiesced:
  description:
    - Whether it was stopped by M(vedfinance.platform.dokploy_service) so that no webhook starts it again. A database
      service counts as such when nothing of it runs.
  type: bool
  returned: when a service was named
  sample: false
replicas_remembered:
  description: How many replicas the application will have when it is started again, null when it was not stopped so.
  type: int
  returned: when a service was named
  sample: null
auto_deploy_remembered:
  description:
    - Whether the automatic deploy of the compose service will be on when it is started again, null when it was not
      stopped so.
  type: bool
  returned: when a service was named
  sample: null
tasks:
  description:
    - The tasks of its service, newest first, ended ones included; the containers, of a compose service.
    - Null when the key may not read Docker.
  type: list
  elements: dict
  returned: when a service was named
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
      desired: running
      state: running
      since: Running 6 seconds ago
      error: ""
images:
  description:
    - The images of its running containers, without those on other nodes of a swarm; null when the key may not read
      Docker.
  type: list
  elements: dict
  returned: when a service was named
  contains:
    task:
      description: The id of the task, or of the container of a Docker Compose project.
      type: str
    reference:
      description: The image as it was asked for.
      type: str
    image_id:
      description: What it is. Two builds under one name differ in it.
      type: str
  sample:
    - task: 5pf4cxnyzj15bvrknww4120fl
      reference: registry.example.com/shop/api:1.4.0
      image_id: sha256:ae3694f56730a17661f5fc961f2357018f95a13b1e9cb9e1a346a929267cd6e0
deployments:
  description: The latest deployments, newest first. A database service has none.
  type: list
  elements: dict
  returned: when a service was named
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
      description: What Dokploy's own rollback needs. A build that failed has one too, to which there is no way back.
      type: str
    commit:
      description: The commit that was built, null when Dokploy does not tell it.
      type: str
  sample:
    - id: lPWfbtqPZPGdqXDr5Un6t
      title: Mend the cart
      description: "Commit: 4f1c9d2a7be06c5d1c9f7a1c2b0e8d3f6a5b4c3d"
      status: done
      created_at: "2026-11-22T13:26:27.107Z"
      started_at: "2026-11-22T13:26:27.107Z"
      finished_at: "2026-11-22T13:26:27.453Z"
      error: null
      rollback_id: null
      commit: 4f1c9d2a7be06c5d1c9f7a1c2b0e8d3f6a5b4c3d
failed_log:
  description:
    - The end of the build log of the newest deployment that failed; null when none failed or O(log_lines) is V(0).
  type: dict
  returned: when a service was named
  contains:
    deployment_id:
      description: The id of the deployment that failed.
      type: str
    lines:
      description: The lines; null when they cannot be read.
      type: list
      elements: str
    failing_line:
      description: The line among them that most likely tells why it failed.
      type: str
  sample:
    deployment_id: OgCr5M7kqiSYxZybE6si3
    lines: ["npm error Missing script: build", "Error occurred, check the logs for details."]
    failing_line: "npm error Missing script: build"
queue:
  description:
    - The jobs of this service that wait or are active; null before Dokploy 0.28.3, and for a database service.
  type: list
  elements: dict
  returned: when a service was named
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
  returned: when a service was named
  sample: false
schedules:
  description: Its schedules, without their commands; null when the key may not read them.
  type: list
  elements: dict
  returned: when a service was named
  contains:
    id:
      description: The id of the schedule.
      type: str
    name:
      description: Its name.
      type: str
    service_name:
      description: In which service of a compose file it runs, null for an application.
      type: str
    cron:
      description: When it runs.
      type: str
    timezone:
      description: The time zone that it is meant in.
      type: str
    enabled:
      description: Whether it runs at all.
      type: bool
    last_run:
      description: Its latest run, with C(deployment_id), C(status), C(started_at), C(finished_at) and C(seconds); null
        when it has not run.
      type: dict
  sample:
    - id: Udf2n65ST1C7Ta1e9DMHz
      name: cleanup
      service_name: null
      cron: 0 3 * * *
      timezone: UTC
      enabled: true
      last_run:
        deployment_id: yrsPA93ZBPFJBjN5YB0k3
        status: done
        started_at: "2026-11-22T13:40:18.303Z"
        finished_at: "2026-11-22T13:40:18.427Z"
        seconds: 0.124
backups:
  description: Dokploy's own backups of it; null when the key may not read them.
  type: list
  elements: dict
  returned: when a service was named
  contains:
    id:
      description: The id of the backup.
      type: str
    name:
      description: Its prefix, the folder that its files are in.
      type: str
    database_name:
      description: Which database is backed up.
      type: str
    destination_id:
      description: The id of the destination.
      type: str
    cron:
      description: When it runs.
      type: str
    enabled:
      description: Whether it runs at all.
      type: bool
    keep_latest:
      description: How many files are kept; V(0) keeps all.
      type: int
    last_run:
      description: Its latest run, with C(deployment_id), C(status), C(started_at), C(finished_at) and C(seconds); null
        when it has not run.
      type: dict
  sample:
    - id: 1WqT0nq0pXl6vQ7bB2a9d
      name: nightly
      database_name: shop
      destination_id: 6bV5uIlFdmGZPr2SS7Um6
      cron: 0 2 * * *
      enabled: true
      keep_latest: 7
      last_run: null
rollback_targets:
  description:
    - What can be rolled back to, newest first, and how; null when O(rollback_targets) is V(false), or the key may not
      read it.
  type: list
  elements: dict
  returned: when a service was named
  contains:
    id:
      description: The id of the deployment.
      type: str
    title:
      description: Its title.
      type: str
    status:
      description: How it ended.
      type: str
    created_at:
      description: When its record was made.
      type: str
    commit:
      description: The commit that was built, null when Dokploy does not tell it.
      type: str
    image:
      description: The image that it pulled, null when Dokploy built it.
      type: str
    snapshot:
      description: The copy of its image in the rollback registry, null when there is none.
      type: str
    serving:
      description: Whether it is what runs now, as far as the images tell.
      type: bool
    strategy:
      description: By which way it can be rolled back to, null when there is none.
      type: str
    reason:
      description: Why there is no way back to it, null when there is one.
      type: str
  sample: null
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
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.info import INFO_ARGUMENTS, read_info
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **DOKPLOY_ARGUMENTS,
            **APPLICATION_ARGUMENTS,
            **COMPOSE_ARGUMENTS,
            **DATABASE_ARGUMENTS,
            **INFO_ARGUMENTS,
        },
        mutually_exclusive=ONE_KIND_OF_SERVICE,
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        client = client_from(module.params, SystemClock())
        module.exit_json(changed=False, **read_info(client, query_from(module.params), module.params))


if __name__ == "__main__":
    main()
