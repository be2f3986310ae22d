# SPDX-License-Identifier: GPL-3.0-or-later
"""From names to one application, and never to its secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import NotDokploy, NotPermitted
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    Compose,
    Database,
    Service,
    ServiceQuery,
    find_application,
    find_service,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import (
    APPLICATION_ID,
    COMPOSE_ID,
    DATABASE_ID,
    client_for,
    compose_one,
    compose_row,
    database_one,
    database_row,
    get,
    one,
    problem,
    row,
)
from tests.unit.plugins.scripted import Call, FakeClock


def environment(
    name: str, *applications: tuple[str, str], compose: tuple[str, ...] = (), **databases: tuple[str, str]
) -> dict[str, Any]:
    return {
        "name": name,
        "environmentId": f"e-{name}",
        "applications": [{"applicationId": identity, "name": title} for identity, title in applications],
        "compose": [{"composeId": COMPOSE_ID, "name": title} for title in compose],
        **{kind: [{f"{kind}Id": identity, "name": title}] for kind, (identity, title) in databases.items()},
    }


def project(name: str, *environments: dict[str, Any], identity: str = "p") -> dict[str, Any]:
    return {"name": name, "projectId": identity, "environments": list(environments)}


SHOP = project(
    "shop",
    environment(
        "production",
        (APPLICATION_ID, "api"),
        ("x", "web"),
        ("y", "web"),
        compose=("stack",),
        postgres=(DATABASE_ID, "db"),
        redis=("r", "cache"),
    ),
    environment("staging", ("z", "api")),
)
BY_NAME = ServiceQuery("shop", "production", "api")


def found(query: ServiceQuery, *calls: Call) -> Application:
    client, transport = client_for(FakeClock(), *calls)
    try:
        return find_application(client, query)
    finally:
        transport.assert_all_made()


def failure(query: ServiceQuery, *calls: Call) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        found(query, *calls)
    return caught.value


def test_by_names() -> None:
    application = found(BY_NAME, get("project.all", [SHOP]), one())
    assert (application.id, application.replicas, application.project) == (APPLICATION_ID, 2, "shop")


def test_the_environment_is_production_unless_said() -> None:
    assert found(ServiceQuery("shop", None, "api"), get("project.all", [SHOP]), one()).name == "api"


def test_names_are_compared_exactly() -> None:
    told = str(failure(ServiceQuery("shop", "production", "API"), get("project.all", [SHOP])))
    assert told == "There is no application named 'API' in 'shop' / 'production'. There is: api, web."


def test_what_exists_is_listed_at_each_step() -> None:
    projects = get("project.all", [SHOP, project("blog")])
    assert "There is: blog, shop." in str(failure(ServiceQuery("shoe", None, "api"), projects))
    assert "There is: production, staging." in str(failure(ServiceQuery("shop", "prod", "api"), projects))
    empty = get("project.all", [project("shop", environment("production"))])
    assert "There is no application at all." in str(failure(BY_NAME, empty))


def test_ambiguous_names_list_the_candidates() -> None:
    error = failure(ServiceQuery("shop", "production", "web"), get("project.all", [SHOP]))
    assert "There are 2 applications named 'web'" in str(error)
    assert "application_id" in str(error)
    assert error.details["candidates"] == [{"id": "x", "name": "web"}, {"id": "y", "name": "web"}]


def test_ambiguous_projects() -> None:
    error = failure(BY_NAME, get("project.all", [SHOP, project("shop", identity="q")]))
    assert error.details["candidates"] == [{"id": "p", "name": "shop"}, {"id": "q", "name": "shop"}]


def test_a_compose_service_is_named_as_such() -> None:
    error = failure(ServiceQuery("shop", "production", "stack"), get("project.all", [SHOP]))
    assert "is a compose service" in str(error)


def test_a_key_that_sees_nothing() -> None:
    assert "sees no project at all" in str(failure(BY_NAME, get("project.all", [])))


def test_too_few_names() -> None:
    assert "Give application_id, or project and application" in str(failure(ServiceQuery(application="api")))


def test_by_id() -> None:
    assert found(ServiceQuery(application_id=APPLICATION_ID), one()).app_name == "shop-api-jmwfym"


def test_by_id_of_a_foreign_organisation() -> None:
    body = problem("You are not authorized to access this application", "UNAUTHORIZED", 401, "application.one")
    call = get("application.one", body, 401, applicationId=APPLICATION_ID)
    assert isinstance(failure(ServiceQuery(application_id=APPLICATION_ID), call), NotPermitted)


@pytest.mark.parametrize("option", ["project", "environment", "application"])
def test_an_id_with_names_that_do_not_fit(option: str) -> None:
    query = ServiceQuery(**{option: "other"}, application_id=APPLICATION_ID)  # type: ignore[arg-type]
    assert f"has the {option}" in str(failure(query, one()))


def test_an_answer_that_is_no_application() -> None:
    call = get("application.one", {"ok": True}, applicationId=APPLICATION_ID)
    assert isinstance(failure(ServiceQuery(application_id=APPLICATION_ID), call), NotDokploy)


def test_no_secret_is_kept() -> None:
    application = Application.from_row(row())
    assert "s3cr3t" not in repr(application)
    assert "s3cr3t" not in json.dumps(application.to_result())


def test_only_a_docker_source_has_an_image() -> None:
    assert Application.from_row(row()).image == "lab/api:1.4.0"
    assert Application.from_row(row(sourceType="git")).image is None


def test_missing_columns_of_other_versions() -> None:
    application = Application.from_row({"applicationId": "i", "name": "n", "appName": "a"})
    assert (application.status, application.replicas, application.environment) == ("unknown", 0, "")


# --- compose and databases


def found_service(query: ServiceQuery, *calls: Call) -> Service:
    client, transport = client_for(FakeClock(), *calls)
    try:
        return find_service(client, query)
    finally:
        transport.assert_all_made()


def service_failure(query: ServiceQuery, *calls: Call) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        found_service(query, *calls)
    return caught.value


def test_a_compose_service_by_names_and_by_id() -> None:
    for query, calls in (
        (ServiceQuery("shop", compose="stack"), [get("project.all", [SHOP]), compose_one()]),
        (ServiceQuery(compose_id=COMPOSE_ID), [compose_one()]),
    ):
        service = found_service(query, *calls)
        assert isinstance(service, Compose)
        assert (service.kind, service.id, service.compose_type) == ("compose", COMPOSE_ID, "docker-compose")
        assert service.auto_deploy


def test_a_database_by_names_and_by_id() -> None:
    for query, calls in (
        (ServiceQuery("shop", database="db"), [get("project.all", [SHOP]), database_one()]),
        (ServiceQuery(database_id=DATABASE_ID), [database_one()]),
    ):
        service = found_service(query, *calls)
        assert isinstance(service, Database)
        assert (service.kind, service.option, service.id) == ("postgres", "database", DATABASE_ID)


def test_another_kind_of_database() -> None:
    call = get("redis.one", {**database_row(name="cache"), "redisId": "r"}, redisId="r")
    query = ServiceQuery("shop", database="cache", database_type="redis")
    assert found_service(query, get("project.all", [SHOP]), call).kind == "redis"


def test_a_database_of_another_type_is_named_as_such() -> None:
    error = service_failure(ServiceQuery("shop", database="cache"), get("project.all", [SHOP]))
    assert "is a redis database, not a postgres database" in str(error)
    assert "database_type=redis" in str(error)


def test_names_of_databases_are_listed() -> None:
    error = service_failure(ServiceQuery("shop", database="bd"), get("project.all", [SHOP]))
    assert str(error) == "There is no postgres database named 'bd' in 'shop' / 'production'. There is: db."


def test_no_service_at_all() -> None:
    assert "Which service is meant is not known" in str(service_failure(ServiceQuery("shop")))
    assert "Give database_id" in str(service_failure(ServiceQuery(database="db")))


def test_an_id_with_another_name() -> None:
    error = service_failure(ServiceQuery(compose="other", compose_id=COMPOSE_ID), compose_one())
    assert "has the compose 'monitoring', not 'other'" in str(error)


def test_an_application_is_wanted_and_something_else_is_found() -> None:
    assert "Only applications" in str(failure(ServiceQuery(compose_id=COMPOSE_ID), compose_one()))


def test_an_id_of_a_foreign_organisation_is_refused_before_anything_is_written() -> None:
    body = problem("You are not authorized to access this", "UNAUTHORIZED", 401, "x.one")
    call = get("compose.one", body, 401, composeId=COMPOSE_ID)
    assert isinstance(service_failure(ServiceQuery(compose_id=COMPOSE_ID), call), NotPermitted)
    call = get("postgres.one", body, 401, postgresId=DATABASE_ID)
    assert isinstance(service_failure(ServiceQuery(database_id=DATABASE_ID), call), NotPermitted)


def test_no_secret_of_a_compose_service_or_a_database_is_kept() -> None:
    for service in (Compose.from_row(compose_row()), Database.from_row(database_row())):
        assert "s3cr3t" not in repr(service)
        assert "s3cr3t" not in json.dumps(service.to_result())


@pytest.mark.parametrize(
    ("source_type", "column"),
    [
        ("git", "customGitBranch"),
        ("github", "branch"),
        ("gitlab", "gitlabBranch"),
        ("bitbucket", "bitbucketBranch"),
        ("gitea", "giteaBranch"),
    ],
)
def test_the_git_ref_is_that_of_the_source(source_type: str, column: str) -> None:
    stale = {"customGitBranch": "old", "branch": "old", "gitlabBranch": "old", "giteaBranch": "old"}
    columns = {"sourceType": source_type, **stale, column: "main"}
    assert Application.from_row(row(**columns)).git_ref == "main"
    assert Compose.from_row(compose_row(**columns)).git_ref == "main"


def test_only_a_built_source_has_a_git_ref() -> None:
    assert Application.from_row(row(branch="main")).git_ref is None
    assert Compose.from_row(compose_row(branch="main")).git_ref is None
