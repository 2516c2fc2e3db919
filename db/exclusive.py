"""Which exclusive keys a batch may need, and who has them: known before anything is locked, as they are locks themselves."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from db.connect import Connection
from db.performing import Row
from domain import recommending, remedying
from domain.definitions import Definitions
from domain.engine import Input
from domain.internal_types import Internal
from domain.messages import CreateAction, Message
from domain.proposal import Alert, RecommendAction, Recommendation, RemediateAlert, written
from domain.remedying import Recommended


def keys(inputs: Sequence[Input], performed: Iterable[Row], definitions: Definitions) -> set[str]:
    """The keys of what is to be created, tried again or rolled back, under these definitions."""
    made = [asked for item in inputs if (asked := _asked(item, definitions)) is not None]
    found = set()
    for row in performed:
        if row["action_type"] == Internal.RETRY:
            found.add(row["subject_key"])
        if row["action_type"] == Internal.ROLL_BACK:
            made += _inverse(row, definitions)
    types = definitions.action_types_in_force
    found |= {types[name].definition.exclusive_key(params) for name, params in made if name in types}
    return {key for key in found if key is not None}


def _asked(given: Input, definitions: Definitions) -> tuple[str, dict[str, Any]] | None:
    """The type of the action that an input may create, and its params."""
    match given:
        case Message(body=CreateAction() as body):
            return body.action_type, body.params
        case Message(body=RecommendAction() as body):
            return body.recommendation_type, recommending.params_of(written(body))
        case (
            Message(body=RemediateAlert(alert=alert, recommendation=Recommendation() as said))
            | Recommended(alert=alert, recommendation=said)
        ):
            return _remedy(definitions, alert, said)
        case _:
            return None


def _remedy(definitions: Definitions, alert: Alert, said: Recommendation) -> tuple[str, dict[str, Any]] | None:
    rule = definitions.remediation_rules_in_force.get(alert.alert_type)
    if rule is None:
        return None
    tenant = alert.tenant_type, alert.tenant_id
    params = remedying.params_for(definitions, rule.definition, alert.id, tenant, said)
    return rule.definition.auto_action.action_type, params


def _inverse(row: Row, definitions: Definitions) -> list[tuple[str, dict[str, Any]]]:
    """What rolling this subject back would create; nothing where its type is newer than these definitions."""
    name, version = row["subject_type"], row["subject_version"]
    if name is None or definitions.newest_version("action_type", name) < version:
        return []
    inverse = definitions.action_type(name, version).inverse
    return [] if inverse is None else [(inverse.action_type, inverse.params_for(row["subject_params"]))]


def holders(conn: Connection, keys: Collection[str]) -> set[UUID]:
    """The open actions that have these keys, whose locks are held; it asks nothing where there are none."""
    if not keys:
        return set()
    found = conn.execute(
        "select id from actions where exclusive_key = any(%s) and holds_exclusive_key(status)", [sorted(keys)]
    ).fetchall()
    return {row["id"] for row in found}
