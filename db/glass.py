"""Reading who has broken glass, and when others refused to ratify that: for whoever does now, or has on an action at hand."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from db.connect import Connection
from domain.engine import Input
from domain.executing import AttemptStarted
from domain.internal_types import Internal
from domain.lifecycle import OPEN
from domain.messages import CastVote, Message
from domain.ratifying import ratification_id
from domain.world import World


def breaking(inputs: Iterable[Input]) -> dict[UUID, str]:
    """Who breaks glass in these, by the ids of the actions that are to ratify it."""
    return {
        ratification_id(item): item.body.voter_id
        for item in inputs
        if isinstance(item, Message) and isinstance(item.body, CastVote) and item.body.break_glass is not None
    }


def ratifications(conn: Connection, inputs: Sequence[Input]) -> set[UUID]:
    """What others have yet to ratify of who breaks glass, or has done so for what is to begin; with each what it is about.

    One that comes later than it is read here has all its time before it.
    """
    begins = sorted(item.action_id for item in inputs if isinstance(item, AttemptStarted))
    people = sorted({*breaking(inputs).values()})
    if not begins and not people:
        return set()
    found = conn.execute(
        """
        select id, caused_by from actions
         where action_type = %s and status = any(%s)
           and created_by in (
               select person_id from votes where action_id = any(%s) and break_glass is not null
               union all select unnest(%s::text[])
           )
        """,
        [Internal.RATIFY, sorted(OPEN), begins, people],
    ).fetchall()
    return {row[name] for row in found for name in ("id", "caused_by")}


def load(conn: Connection, world: World, inputs: Sequence[Input]) -> dict[str, datetime]:
    """When people broke glass who do now, or whose approval of an action is there; and when that was last refused."""
    people = {cast.person_id for votes in world.votes.values() for cast in votes.values() if cast.break_glass}
    return read(conn, world, people | {*breaking(inputs).values()})


def everybody(conn: Connection) -> set[str]:
    """Everybody who ever broke glass."""
    found = conn.execute(
        "select distinct data ->> 'person' as person from events where event in ('glass_broken', 'ratification_refused')"
    ).fetchall()
    return {row["person"] for row in found}


def read(conn: Connection, world: World, people: set[str]) -> dict[str, datetime]:
    """When these people broke glass; and when it was last refused to ratify that."""
    if not people:
        return {}
    found = conn.execute(
        """
        select data ->> 'person' as person,
               coalesce(array_agg(at) filter (where event = 'glass_broken'), '{}') as broken,
               max(at) filter (where event = 'ratification_refused') as refused_at
          from events
         where event in ('glass_broken', 'ratification_refused') and data ->> 'person' = any(%s)
         group by data ->> 'person'
        """,
        [sorted(people)],
    ).fetchall()
    world.broken = {row["person"]: row["broken"] for row in found}
    return {row["person"]: row["refused_at"] for row in found if row["refused_at"] is not None}
