"""Chooses how a server renders a schedule: with the recipe's workflow, the Remix nodes, or built-in nodes."""

from __future__ import annotations

from dataclasses import dataclass

from remix.client.comfyui.names import Names
from remix.client.comfyui.own_workflow import OwnWorkflow
from remix.client.comfyui.routes import RemixNodes, Route, StockNodes
from remix.client.comfyui.server import Server
from remix.client.playground import advice as playground
from remix.engine.agreement import read_differently
from remix.engine.tags import with_tags_applied
from remix.errors import Unsupported
from remix.plan import Schedule


@dataclass(frozen=True)
class Choice:
    """The route for a schedule, and remarks for the user."""

    schedule: Schedule
    route: Route
    remarks: list[str]


def choose(server: Server, schedule: Schedule) -> Choice:
    """Returns the route for a schedule. Raises `Unsupported`, with what the server lacks, if none can render it."""
    if schedule.recipe.workflow is not None:
        own = OwnWorkflow(server, schedule)
        return Choice(schedule, own, own.check())
    route, remarks = _with_nodes(server, with_tags_applied(schedule))
    return Choice(schedule, route, [*remarks, *playground.remarks(schedule), *read_differently(schedule)])


def _with_nodes(server: Server, schedule: Schedule) -> tuple[Route, list[str]]:
    """Returns the route of the Remix nodes if it can render a schedule, otherwise that of the built-in nodes."""
    names = Names.find(server, schedule)
    remix_nodes = RemixNodes(server, schedule, names)
    try:
        return remix_nodes, remix_nodes.check()
    except Unsupported as error:
        stock_nodes = StockNodes(server, schedule, names)
        try:
            remarks = stock_nodes.check()
        except Unsupported as other:
            if server.node("RemixRender") is None:
                raise
            raise error if str(other) == str(error) else Unsupported(f"{error}; and frame by frame, {other}") from other
        return stock_nodes, [f"{error}; frames are rendered one by one on the server's own nodes", *remarks]
