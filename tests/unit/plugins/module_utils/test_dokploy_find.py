# SPDX-License-Identifier: GPL-3.0-or-later
"""From names to one application, and never to its secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import NotDokploy, NotPermitted
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Application,
    ApplicationQuery,
    find_application,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import APPLICATION_ID, client_for, get, one, problem, row
from tests.unit.plugins.scripted import Call, FakeClock


def environment(name: str, *applications: tuple[str, str], compose: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "environmentId": f"e-{name}",
        "applications": [{"applicationId": identity, "name": title} for identity, title in applications],
        "compose": [{"composeId": "c", "name": title} for title in compose],
    }


def project(name: str, *environments: dict[str, Any], identity: str = "p") -> dict[str, Any]:
    return {"name": name, "projectId": identity, "environments": list(environments)}


SHOP = project(
    "shop",
    environment("production", (APPLICATION_ID, "api"), ("x", "web"), ("y", "web"), compose=("stack",)),
    environment("staging", ("z", "api")),
)
BY_NAME = ApplicationQuery("shop", "production", "api")


def found(query: ApplicationQuery, *calls: Call) -> Application:
    client, transport = client_for(FakeClock(), *calls)
    try:
        return find_application(client, query)
    finally:
        transport.assert_all_made()


def failure(query: ApplicationQuery, *calls: Call) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        found(query, *calls)
    return caught.value


def test_by_names() -> None:
    application = found(BY_NAME, get("project.all", [SHOP]), one())
    assert (application.id, application.replicas, application.project) == (APPLICATION_ID, 2, "shop")


def test_the_environment_is_production_unless_said() -> None:
    assert found(ApplicationQuery("shop", None, "api"), get("project.all", [SHOP]), one()).name == "api"


def test_names_are_compared_exactly() -> None:
    told = str(failure(ApplicationQuery("shop", "production", "API"), get("project.all", [SHOP])))
    assert told == "There is no application named 'API' in 'shop' / 'production'. There is: api, web."


def test_what_exists_is_listed_at_each_step() -> None:
    projects = get("project.all", [SHOP, project("blog")])
    assert "There is: blog, shop." in str(failure(ApplicationQuery("shoe", None, "api"), projects))
    assert "There is: production, staging." in str(failure(ApplicationQuery("shop", "prod", "api"), projects))
    empty = get("project.all", [project("shop", environment("production"))])
    assert "There is no application at all." in str(failure(BY_NAME, empty))


def test_ambiguous_names_list_the_candidates() -> None:
    error = failure(ApplicationQuery("shop", "production", "web"), get("project.all", [SHOP]))
    assert "There are 2 applications named 'web'" in str(error)
    assert "application_id" in str(error)
    assert error.details["candidates"] == [{"id": "x", "name": "web"}, {"id": "y", "name": "web"}]


def test_ambiguous_projects() -> None:
    error = failure(BY_NAME, get("project.all", [SHOP, project("shop", identity="q")]))
    assert error.details["candidates"] == [{"id": "p", "name": "shop"}, {"id": "q", "name": "shop"}]


def test_a_compose_service_is_named_as_such() -> None:
    error = failure(ApplicationQuery("shop", "production", "stack"), get("project.all", [SHOP]))
    assert "is a compose service" in str(error)


def test_a_key_that_sees_nothing() -> None:
    assert "sees no project at all" in str(failure(BY_NAME, get("project.all", [])))


def test_too_few_names() -> None:
    assert "Give application_id, or project and application" in str(failure(ApplicationQuery(application="api")))


def test_by_id() -> None:
    assert found(ApplicationQuery(application_id=APPLICATION_ID), one()).app_name == "shop-api-jmwfym"


def test_by_id_of_a_foreign_organisation() -> None:
    body = problem("You are not authorized to access this application", "UNAUTHORIZED", 401, "application.one")
    call = get("application.one", body, 401, applicationId=APPLICATION_ID)
    assert isinstance(failure(ApplicationQuery(application_id=APPLICATION_ID), call), NotPermitted)


@pytest.mark.parametrize("option", ["project", "environment", "application"])
def test_an_id_with_names_that_do_not_fit(option: str) -> None:
    query = ApplicationQuery(**{option: "other"}, application_id=APPLICATION_ID)  # type: ignore[arg-type]
    assert f"has the {option}" in str(failure(query, one()))


def test_an_answer_that_is_no_application() -> None:
    call = get("application.one", {"ok": True}, applicationId=APPLICATION_ID)
    assert isinstance(failure(ApplicationQuery(application_id=APPLICATION_ID), call), NotDokploy)


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
