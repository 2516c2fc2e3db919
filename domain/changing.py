"""Changing what people defined: a new version of a definition, or its removal, once people agreed to it.

What is asked for names the version that it replaces. Whether that is still the newest is looked at when it is asked for and
when it is carried out, so that nobody's change is overwritten unseen.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from domain import mistakes
from domain.action import Action
from domain.choosing import first_mistake
from domain.conditions import Finding
from domain.definition import Kind
from domain.definitions import MODELS, AnyDefinition
from domain.exact_json import canonical
from domain.facts import facts_with
from domain.internal_types import INTERNAL_TYPES, Internal
from domain.messages import CreateAction
from domain.outcome import Done, Outcome, Rejected
from domain.policy import Policy
from domain.refusals import Code, Refusal
from domain.world import DefinitionVersion, World

_MISSING = object()


class DefinitionError(ValueError):
    """A definition that is not fully understood; the message says where and why."""


def read(kind: Kind, document: Any) -> AnyDefinition:
    """A definition as people write it; raises `DefinitionError`."""
    try:
        definition = MODELS[kind].model_validate(document)
    except ValidationError as error:
        raise DefinitionError("; ".join(mistakes.told(error))) from None
    if kind == "action_type" and definition.name in INTERNAL_TYPES:
        raise DefinitionError(f"name: {definition.name} is the engine's own action type; choose another name")
    return definition


def refusal(world: World, params: Mapping[str, Any]) -> Refusal | None:
    """Why a change cannot be asked for, if so; its params have the form of their action type."""
    try:
        definition = _definition(params)
    except DefinitionError as error:
        return Refusal(Code.INVALID_PARAMS, str(error))
    if isinstance(definition, Policy) and (mistake := shutting_out(definition)) is not None:
        return Refusal(
            Code.INVALID_PARAMS,
            (
                f"params.definition.criteria: in a change of definitions, {mistake.words} meets another type; every such change "
                "would be refused, the removal of this policy too. Name the action types that it is for."
            ),
        )
    problem = _overtaken(world, params)
    return None if problem is None else Refusal(Code.DEFINITION_CHANGED, problem)


def change(world: World, action: Action) -> Outcome:
    """Put the version in force that people agreed to; rejected if another one came first, or it is understood no more."""
    params = action.params
    try:
        definition = _definition(params)
    except DefinitionError as error:
        return Rejected(f"The definition is not understood: {error}.")
    if (problem := _overtaken(world, params)) is not None:
        return Rejected(f"Nothing was changed. {problem} Look at the difference and ask again.")
    version = DefinitionVersion(
        kind=params["kind"],
        name=params["name"],
        version=params["replaces"] + 1,
        body=params["definition"],
        created_by=action.created_by,
        created_at=world.now,
        agreed_in=action.id,
    )
    world.put_definition(version, definition)
    return Done({"kind": version.kind, "name": version.name, "version": version.version})


def shutting_out(policy: Policy) -> Finding | None:
    """The condition by which a policy in force would have even its own removal refused; None if there is none."""
    removal = {"kind": "policy", "name": policy.name, "replaces": 1, "definition": None, "reason": "any"}
    asked = CreateAction(origin="ops_ui", action_type=Internal.CHANGE_DEFINITION, params=removal, created_by="anybody")
    facts = facts_with(asked, ("definition", policy.name), "critical")
    if not policy.enabled or policy.parsed_criteria.judge(facts).sure:
        return None
    return first_mistake(policy.parsed_criteria.explain(facts))


def _definition(params: Mapping[str, Any]) -> AnyDefinition | None:
    """The definition that is asked for, None for a removal; written out in full, so that no later default changes it."""
    document = params["definition"]
    if document is None:
        return None
    try:
        definition = read(params["kind"], document)
    except DefinitionError as error:
        raise DefinitionError(f"params.definition.{error}") from None
    if definition.name != params["name"]:
        raise DefinitionError(f"params.definition.name: it must be {params['name']!r}, as params.name is")
    for field, value in definition.model_dump(mode="json").items():
        if document.get(field, _MISSING) != value:
            spelled = canonical(value).decode()
            raise DefinitionError(f"params.definition.{field}: write it in full, as it is understood: {spelled}")
    return definition


def _overtaken(world: World, params: Mapping[str, Any]) -> str | None:
    kind, name, replaces = params["kind"], params["name"], params["replaces"]
    newest = world.definitions.newest_version(kind, name)
    what = f"{kind.replace('_', ' ').capitalize()} {name!r}"
    if newest != replaces:
        return f"{what} is at version {newest} by now; this was to replace version {replaces}."
    if params["definition"] is None and world.definitions.in_force(kind, name) is None:
        return f"{what} is not in force, so it cannot be removed."
    return None
