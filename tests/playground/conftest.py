"""Agents to visit, a playground with them, and a page of it."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from visiting import COMPUTE, COUNTING, ORIGIN, VISIT, Caller, random_agent

from worldmodels.agent import Agent
from worldmodels.playground.app import Playground
from worldmodels.playground.cast import Role


@pytest.fixture(scope="session")
def agent() -> Agent:
    return random_agent(COUNTING)


@pytest.fixture(scope="session")
def mortal() -> Agent:
    """Its dreams end with their first step."""
    return random_agent(COUNTING, ends=20.0)


@pytest.fixture(scope="session")
def role(agent: Agent) -> Role:
    return Role.of("dreamer", agent, COMPUTE)


@pytest.fixture
def cast(role: Role, mortal: Agent) -> dict[str, Role]:
    return {"dreamer": role, "mortal": Role.of("mortal", mortal, COMPUTE)}


@pytest.fixture
def client(cast: dict[str, Role]) -> Iterator[TestClient]:
    with TestClient(Playground(cast, limit=2).app(), base_url=ORIGIN) as running:
        yield running


@pytest.fixture
def caller(client: TestClient) -> Iterator[Caller]:
    with client.websocket_connect(VISIT, headers={"origin": ORIGIN}) as socket:
        yield Caller(socket)
