"""What an action type says of its params: a slip in a schema is an error, and what does not meet it is refused without a value."""

from typing import Any

import pytest

from domain.action_type import ActionType
from domain.params import ParamsSchema
from tests.unit.in_memory import InMemory, answer
from workers import definition_files

SECRET = "XOF-4711"  # noqa: S105 - it is a param


BILLION = {"0": {"type": "null"}} | {
    str(number): {"anyOf": [{"$ref": f"#/$defs/{number - 1}"}] * 10} for number in range(1, 10)
}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"propertes": {}}, "propertes"),
        ({"properties": {"amount": {"minimun": 1}}}, "properties.amount"),
        ({"properties": {"amount": {"minimum": "1"}}}, "properties.amount"),
        ({"type": "objekt"}, "type"),
        ({"$ref": "https://example.com/schema.json"}, "example.com"),
        ({"$ref": "file:///etc/hostname"}, "hostname"),
        ({"$ref": "#/$defs/missing"}, "missing"),
        ({"$ref": "#"}, "#"),
        (
            {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
            "circle",
        ),
        ({"properties": {"a": {"$dynamicRef": "#meta"}}}, "dynamicRef"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "schema"),
        ({"properties": {"a": {"$recursiveRef": "#"}}}, "recursiveRef"),
        ({"$defs": BILLION, "$ref": "#/$defs/9"}, "1000 keywords"),
        ({"properties": {"day": {"format": "dye"}}}, "dye"),
        ({"pattern": "(a"}, "pattern"),
        ({"pattern": r"(a)\1"}, "pattern"),
        ({"pattern": "(?=a)"}, "pattern"),
    ],
)
def test_a_schema_that_is_not_wholly_understood_is_refused(document: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("$", r"\$")):
        ParamsSchema(document)
    with pytest.raises(ValueError, match="params_schema"):
        ActionType.model_validate({"name": "X", "service": "x", "path": "/x", "params_schema": document})


@pytest.mark.parametrize(
    ("schema", "params", "says"),
    [
        ({"required": ["a"]}, {}, "params: "),
        ({"properties": {"a": {"type": "integer"}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"type": "integer"}}}, {"a": True}, "params.a: "),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1.5}, "params.a: "),
        ({"properties": {"a": {"enum": ["b", "c"]}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"format": "date"}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"pattern": "^b$"}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"items": {"maxLength": 3}}}}, {"a": ["b", SECRET]}, "params.a.1: "),
        ({"additionalProperties": {"maxLength": 3}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"const": "b"}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"not": {"type": "string"}}}}, {"a": SECRET}, "params.a: "),
        ({"properties": {"a": {"oneOf": [{"type": "null"}, {"type": "integer"}]}}}, {"a": SECRET}, "params.a: "),
    ],
)
def test_a_problem_names_its_path_and_never_the_value(
    schema: dict[str, Any], params: dict[str, Any], says: str
) -> None:
    (problem,) = ParamsSchema(schema).problems(params)
    assert problem.startswith(says)
    assert SECRET not in problem


def test_definitions_beside_a_schema_can_be_referred_to_again_and_again() -> None:
    amount = {"$ref": "#/$defs/amount"}
    schema = ParamsSchema(
        {"$defs": {"amount": {"type": "integer"}}, "properties": {"a": amount, "b": {"items": amount}}}
    )
    assert schema.problems({"a": 1, "b": [1, 2]}) == []
    ParamsSchema({"$defs": {"any": {}}, "$ref": "#/$defs/any", "properties": {"a": {"$ref": "#/$defs/any"}}})
    assert len(schema.problems({"a": "x", "b": [1, "y"]})) == 2


def keywords(count: int) -> dict[str, Any]:
    """A schema with so many keywords to look at."""
    return {"title": "x", "properties": {str(number): {} for number in range(count - 2)}}


def test_keywords_are_counted_exactly() -> None:
    ParamsSchema(keywords(1000))
    with pytest.raises(ValueError, match="1000 keywords"):
        ParamsSchema(keywords(1001))


@pytest.mark.parametrize(
    "document",
    [
        {**keywords(600), "not": keywords(600)},
        {"not": keywords(600), **keywords(600)},
        {"$ref": "#/$defs/many", **keywords(600)},
        {**keywords(600), "$ref": "#/$defs/many"},
        {"anyOf": [keywords(600), keywords(600)]},
    ],
)
def test_keywords_beside_one_another_are_counted_together(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1000 keywords"):
        ParamsSchema({"$defs": {"many": keywords(600)}} | document)


def test_at_most_five_problems_are_told() -> None:
    schema = ParamsSchema({"additionalProperties": {"type": "integer"}})
    assert len(schema.problems({str(number): "x" for number in range(50)})) == 5


def test_a_pattern_that_would_take_for_ever_elsewhere_is_matched_at_once() -> None:
    assert len(ParamsSchema({"properties": {"a": {"pattern": "^(a+)+$"}}}).problems({"a": "a" * 30_000 + "!"})) == 1


def test_without_a_schema_any_params_do() -> None:
    action_type = ActionType.model_validate({"name": "X", "service": "x", "path": "/x"})
    assert action_type.problems_of({"anything": [1, None]}) == []


@pytest.mark.parametrize(
    ("action_type", "params"),
    [
        ("ADJUST_FLOAT", {"agent_id": "a", "adjustment": "top_up"}),
        ("ADJUST_FLOAT", {"agent_id": "a", "adjustment": "top_up", "amount": 0}),
        ("ADJUST_FLOAT", {"agent_id": "a", "adjustment": "top_up", "amount": "1000000"}),
        ("ADJUST_FLOAT", {"agent_id": "a", "adjustment": "top_up", "amount": 0.5}),
        ("FREEZE_MERCHANT", {"merchant_id": "m"}),
        ("FREEZE_MERCHANT", {"merchant_id": "", "reason": "fraud"}),
        ("PAUSE_PAYOUT", {"merchant_id": "m", "duration": 60, "amount": "1000000"}),
        ("REQUEUE_DLQ", {"max_items": -1}),
    ],
)
def test_the_shipped_action_types_refuse_params_that_no_service_could_use(
    action_type: str, params: dict[str, Any]
) -> None:
    (found,) = [item for _, item in definition_files.shipped() if item.name == action_type]
    assert isinstance(found, ActionType)
    assert found.problems_of(params)


def test_a_creation_with_params_that_its_type_does_not_take_is_refused_and_nothing_is_created() -> None:
    engine = InMemory(action_type={"params_schema": {"properties": {"amount": {"type": "integer", "maximum": 5}}}})
    refused = engine.create({"params": {"agent_id": "agent-1", "amount": 6}})
    assert answer(refused) == "invalid_params"
    assert "params.amount" in refused.sentence
    assert engine.world.actions == {}
    assert answer(engine.create()) == "applied"


def test_an_action_keeps_the_params_it_was_created_with_when_its_types_schema_changes() -> None:
    """A resend of the first message gets its receipt, and the same key asks for the same action, whatever is in force now."""
    engine = InMemory()
    engine.created()
    stricter = InMemory(action_type={"params_schema": {"properties": {"amount": {"maximum": 1}}}})
    engine.world.definitions = stricter.world.definitions
    assert answer(engine.create()) == "duplicate"
    assert answer(engine.create({"idempotency_key": "k2"})) == "invalid_params"
