"""Read the people, roles and delegations that a batch may have to do with."""

from collections.abc import Iterable, Sequence
from typing import Any

from db import glass, rows
from db.connect import Connection
from domain import quorum_tree
from domain.directory import Directory
from domain.engine import Input
from domain.executing import Perform
from domain.messages import AnyBody, CancelAction, CastVote, CreateAction, ExecuteAction, Message, SyncDirectory
from domain.proposal import RecommendAction, RemediateAlert
from domain.quorum_tree import People
from domain.refusals import Refusal
from domain.remedying import Recommended
from domain.requirement import pools
from domain.world import World


def load(conn: Connection, world: World, inputs: Sequence[Input], others: Iterable[Any]) -> None:
    """Everything held by whoever the inputs name, by everybody whose approval may be needed, and by whom they may act for.

    A new snapshot of the directory is compared with all of it.
    """
    parked = [message for messages in world.parked.values() for message in messages]
    bodies = [item.body for item in [*inputs, *parked] if isinstance(item, Message)]
    pools = _pools(world, inputs)
    roles = [pool.role for pool in pools if pool.role is not None]
    named = _people_named(world, bodies).union(*(pool.ids for pool in pools))
    named |= {person for person in others if isinstance(person, str)}
    everybody = any(isinstance(body, SyncDirectory) for body in bodies)
    # In one statement, as a snapshot that is taken between two would have people gone who are there in both.
    found = conn.execute(
        """
        with electors as (
            select person_id from grants where role = any(%(roles)s) and coalesce(ends_at > %(now)s, true)
            union select unnest(%(named)s::text[])
        ), concerned as (
            select person_id from electors
            union select acts_for from grants join electors using (person_id)
                   where acts_for is not null and coalesce(ends_at > %(now)s, true)
        ), held as (
            select * from grants
             where coalesce(ends_at > %(now)s, true)
               and (%(everybody)s or person_id in (select person_id from concerned))
        )
        select held.*, null as here from held
        union all
        select (null::grants).*, id from people
         where snapshot = (select max(snapshot) from people)
           and (%(everybody)s or id in (select person_id from concerned union select acts_for from held))
        """,
        {"roles": roles, "named": sorted(named), "everybody": everybody, "now": world.now},
    ).fetchall()
    grants = [rows.grant(row) for row in found if row["here"] is None]
    here = (row["here"] for row in found if row["here"] is not None)
    world.directory = Directory.of(grants, here, glass.load(conn, world, inputs))


def _pools(world: World, inputs: Sequence[Input]) -> frozenset[People]:
    """Whose approval may be needed: by the actions that are there, at any of their steps, and by those that may be made."""
    found = [pools(action.requirement.tree, action.requirement.escalation) for action in world.actions.values()]
    for item in inputs:
        match item:
            case Message(body=CreateAction(required_quorum=wished)):
                wished_tree = None if wished is None else quorum_tree.parse(wished)
                found += [world.definitions.pools, pools(wished_tree, ())]
            case (
                Perform()
                | Recommended()
                | Message(body=RemediateAlert() | RecommendAction() | CastVote(break_glass=str()))
            ):
                found.append(world.definitions.pools)
    return frozenset().union(*found)


def _people_named(world: World, bodies: Iterable[AnyBody | Refusal]) -> set[str]:
    """Who has voted, and who the messages say acts."""
    people = {person for votes in world.votes.values() for person in votes}
    for body in bodies:
        match body:
            case CastVote():
                people.add(body.voter_id)
            case CreateAction():
                people.add(body.created_by)
            case ExecuteAction():
                people.add(body.executed_by)
            case CancelAction():
                people.add(body.cancelled_by)
    return people
