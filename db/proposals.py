"""Alerts and recommendations: what a batch needs of them, and those that wait for SIRA."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from db import rows
from db.connect import Connection
from db.keys import read_scope
from domain.engine import Input
from domain.messages import CreateAction, Message
from domain.proposal import (
    ALERT_ID,
    RECOMMENDATION_ID,
    Alert,
    ProposalId,
    RecommendAction,
    RemediateAlert,
    key_of,
    named,
)
from domain.remedying import Recommended
from domain.world import World


def lock_names(inputs: Iterable[Input]) -> set[str]:
    """The locks of the alerts, the recommendations and the remediation rules that these concern."""
    names = set()
    for given in inputs:
        match given:
            case Message(body=RemediateAlert(alert=alert)):
                names |= {f"alert {alert.id}", f"remediation {alert.alert_type}"}
            case Recommended(alert=alert):
                names |= {f"alert {alert.id}", f"remediation {alert.alert_type}", f"action {given.action_id}"}
            case Message(body=RecommendAction() as body):
                names.add(f"recommendation {body.id}")
            case Message(body=CreateAction(params=params)):
                followed = {"alert": named(params, ALERT_ID), "recommendation": named(params, RECOMMENDATION_ID)}
                names |= {f"{kind} {name}" for kind, name in followed.items() if name is not None}
    return names


def load(conn: Connection, world: World, inputs: Sequence[Input]) -> None:
    """The proposals that the inputs concern, and what deciding about them takes; after the locks are held."""
    wanted = sorted(_wanted(inputs))
    if not wanted:
        return
    _load_rows(conn, world, wanted, inputs)
    if types := {found for given in inputs if (found := _alert_type(given)) is not None}:
        _load_cooldowns(conn, world, types)


def answers(conn: Connection, inputs: Sequence[Input], others: Collection[str]) -> set[UUID]:
    """The actions for the alerts that these concern, and `others`, whose locks are held; it asks nothing where there are none."""
    alerts = sorted({name for kind, name in _wanted(inputs) if kind == "alert"}.union(others))
    if not alerts:
        return set()
    statement = "select id from actions where length(params ->> 'alert_id') <= 300 and params ->> 'alert_id' = any(%s)"
    return {row["id"] for row in conn.execute(statement, [alerts]).fetchall()}


def asked_by_sira(conn: Connection, inputs: Sequence[Input]) -> set[UUID]:
    """The actions that SIRA asked for itself under the keys of recommendations that are to be applied."""
    applied = {name for item in inputs if (name := _applied(item)) is not None}
    if not applied:
        return set()
    statement = """
        select a.id from unnest(%s::text[], %s::text[]) as named(id, key)
          join proposals p on p.kind = 'recommendation' and p.id = named.id
          join actions a on (a.issuer, a.idempotency_key) = (p.issuer, named.key)
        """
    names = sorted(applied)
    keys = [key_of("recommendation", name) for name in names]
    return {row["id"] for row in conn.execute(statement, [names, keys]).fetchall()}


def _applied(given: Input) -> str | None:
    """The recommendation that an action is asked for to follow, if so."""
    match given:
        case Message(body=CreateAction(params=params)):
            return named(params, RECOMMENDATION_ID)
        case _:
            return None


def _wanted(inputs: Iterable[Input]) -> set[ProposalId]:
    found: set[ProposalId] = set()
    for given in inputs:
        match given:
            case Message(body=RemediateAlert(alert=alert)) | Recommended(alert=alert):
                found.add(("alert", alert.id))
            case Message(body=RecommendAction() as body):
                found.add(("recommendation", body.id))
            case _ if (name := _applied(given)) is not None:
                found.add(("recommendation", name))
    return found


def _alert_type(given: Input) -> str | None:
    match given:
        case Message(body=RemediateAlert(alert=alert)) | Recommended(alert=alert):
            return alert.alert_type
        case _:
            return None


def _load_rows(conn: Connection, world: World, wanted: list[ProposalId], inputs: Sequence[Input]) -> None:
    """These proposals, and of what is recommended for a tenant the newest; with the scopes of keys that still count."""
    new = [item.body for item in inputs if isinstance(item, Message) and isinstance(item.body, RecommendAction)]
    found = conn.execute(
        """
        with wanted as (
            select p.* from proposals p join unnest(%(kinds)s::text[], %(ids)s::text[]) as named(kind, id) using (kind, id)
        ), concerned as (
            select type, tenant_type, tenant_id from wanted where kind = 'recommendation'
            union select * from unnest(%(types)s::text[], %(tenant_types)s::text[], %(tenants)s::text[])
        ), found as (
            select * from wanted
            union
            select newest.* from concerned c cross join lateral (
                select p.* from proposals p
                 where p.kind = 'recommendation'
                   and (p.type, p.tenant_type, p.tenant_id) = (c.type, c.tenant_type, c.tenant_id)
                 order by p.created_at desc limit 1) newest
        )
        select f.*, k.scope, k.revoked_at from found f join keys k using (kid)
        """,
        {
            "kinds": [kind for kind, _ in wanted],
            "ids": [name for _, name in wanted],
            "types": [body.recommendation_type for body in new],
            "tenant_types": [body.tenant_type for body in new],
            "tenants": [body.tenant_id for body in new],
        },
    ).fetchall()
    for row in found:
        proposal = rows.proposal(row)
        world.proposals[proposal.key] = proposal
        if row["revoked_at"] is None:
            world.scopes[proposal.kid] = read_scope(row["scope"])


def _load_cooldowns(conn: Connection, world: World, types: set[str]) -> None:
    """When an alert of these types last led to an action."""
    found = conn.execute(
        """
        select wanted.type, last.answered_at
          from unnest(%s::text[]) as wanted(type) cross join lateral (
               select p.answered_at from proposals p
                where p.kind = 'alert' and p.answered_at is not null and p.type = wanted.type
                order by p.answered_at desc limit 1) last
        """,
        [sorted(types)],
    ).fetchall()
    world.remedied_at = {row["type"]: row["answered_at"] for row in found}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert about which SIRA is to be asked."""

    issuer: str
    alert: Alert


def get_waiting(conn: Connection, alert_id: str) -> Waiting | None:
    """The alert, if it waits for what SIRA says."""
    row = conn.execute(
        """
        select issuer, content -> 'alert' as alert from proposals
         where kind = 'alert' and id = %s and due_at is not null
        """,
        [alert_id],
    ).fetchone()
    return None if row is None else Waiting(row["issuer"], Alert.model_validate(row["alert"]))


def alert_types_of(conn: Connection, action_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The types of the alerts for which the engine made these actions, of those for which it did."""
    statement = "select action_id, type from proposals where kind = 'alert' and action_id = any(%s)"
    return {row["action_id"]: row["type"] for row in conn.execute(statement, [list(action_ids)]).fetchall()}


def claim_waiting(conn: Connection, limit: int, seconds: int) -> list[str]:
    """The alerts about which SIRA is to be asked by now; they are due again after so many seconds, as asking may be cut off."""
    found = conn.execute(
        """
        with due as (
            select kind, id from proposals where due_at <= clock_timestamp() order by due_at limit %s for update skip locked
        )
        update proposals p set due_at = clock_timestamp() + make_interval(secs => %s)
          from due where (p.kind, p.id) = (due.kind, due.id) returning p.id
        """,
        [limit, seconds],
    ).fetchall()
    return [row["id"] for row in found]
