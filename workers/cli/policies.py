"""Commands about what people define: asking for changes, their history, and what is in force."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from db.definitions import list_versions, load_definitions, needs_agreement, put_in_force
from domain.definition import Kind
from domain.definitions import Definitions
from workers import definition_changes, definition_files
from workers.cli.asking import Asked, Asking, By, Reason, print_next
from workers.cli.console import REFUSED, AsJson, fail, me, out, print_json, print_table, shown, when
from workers.cli.context import Data, KeyFile, TimeoutSeconds, Wait, open_owner, open_reader
from workers.cli.differences import Compared, compared, print_differences
from workers.definition_changes import Difference
from workers.definition_files import Defined

policies = typer.Typer(
    help="Who must agree to what: what is in force, what would be, and asking for changes.", no_args_is_help=True
)

OfKind = Annotated[Kind, typer.Option("--kind", help="What it is: a policy, an action type or a remediation rule.")]
DefinedName = Annotated[
    str, typer.Argument(metavar="NAME", help="The name of a policy; of something else with --kind.")
]


@policies.command("apply")
def apply_policies(
    file: Annotated[
        Path, typer.Argument(help="YAML or JSON with the lists policies, action_types and remediation_rules.")
    ],
    person: By = None,
    reason: Reason = None,
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Ask for approval of each difference between a file and what is in force, and say which these are.

    Before there is a directory nobody could approve: then the owner of the database puts them in force at once.
    """
    wanted = read_definitions(file)
    with open_reader(data) as conn:
        agreement, definitions = needs_agreement(conn), load_definitions(conn)
    if not agreement:
        _put_in_force(wanted, as_json=as_json, data=data)
        return
    differences = definition_changes.differences(definitions, wanted)
    asking = Asking(person, reason or f"Apply {file.name}", key, data, timeout_seconds if wait else 0)
    asked = zip(differences, asking.ask([difference.wish for difference in differences]), strict=True)
    answers = {(difference.kind, difference.name): _answer(difference, answer) for difference, answer in asked}
    unchanged = {"state": "unchanged", "version": None}
    _print_asked(
        [answers.get((kind, item.name), {"kind": kind, "name": item.name} | unchanged) for kind, item in wanted],
        as_json=as_json,
    )


@policies.command("remove")
def remove_policy(
    name: DefinedName,
    person: By = None,
    reason: Reason = None,
    kind: OfKind = "policy",
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Ask for approval to take a definition out of force. Its versions and whatever was created under them stay."""
    with open_reader(data) as conn:
        agreement, definitions = needs_agreement(conn), load_definitions(conn)
    difference = definition_changes.removal(definitions, kind, name)
    if difference is None:
        _fail_unknown(f"There is no {_words(kind)} {shown(name)} in force.", name, kind, data)
    if not agreement:
        with open_owner(data) as conn:
            put_in_force(conn, kind, name, None, by=me())
        _print_asked(
            [{"kind": kind, "name": name, "state": "in_force", "version": difference.replaces + 1}], as_json=as_json
        )
        return
    asking = Asking(person, reason or f"Remove {name}", key, data, timeout_seconds if wait else 0)
    (asked,) = asking.ask([difference.wish])
    _print_asked([_answer(difference, asked)], as_json=as_json)


@policies.command("history")
def history(name: DefinedName, kind: OfKind = "policy", *, as_json: AsJson = False, data: Data = None) -> None:
    """Every version of a definition: since when, who asked for it, who agreed to it, and in which action."""
    versions = _versions(name, kind, data)
    if as_json:
        print_json(versions)
        return
    columns = ("version", "since (UTC)", "what", "asked for by", "approved by", "action")
    print_table(columns, (_version_row(row) for row in versions))


@policies.command("diff")
def diff(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A definition; or a file, against what is in force.")
    ],
    first: Annotated[int | None, typer.Option("--from", min=0, help="The earlier version; 0 is none.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=0, help="The later version; the newest by default.")] = None,
    kind: OfKind = "policy",
    *,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What changed between two versions of a definition, or what applying a file would change, line by line."""
    if Path(name).is_file():
        with open_reader(data) as conn:
            definitions = load_definitions(conn)
        found = [
            _compared(definitions, difference)
            for difference in definition_changes.differences(definitions, read_definitions(Path(name)))
        ]
    else:
        if Path(name).suffix in {".yaml", ".yml", ".json"}:
            fail(f"There is no file {shown(name)}.")
        versions = {row["version"]: row["body"] for row in _versions(name, kind, data)} | {0: None}
        last = max(versions) if last is None else last
        first = max(0, last - 1) if first is None else first
        if missing := {first, last} - versions.keys():
            fail(f"{shown(name)} has no version {min(missing)}; its newest is {max(versions)}.", REFUSED)
        found = [compared(kind, name, (first, versions[first]), (last, versions[last]))]
    print_differences(found, as_json=as_json)


def read_definitions(file: Path) -> list[Defined]:
    """The definitions in a file; who names one that is not understood is told where and why."""
    try:
        return definition_files.read(file)
    except definition_files.DefinitionFileError as error:
        fail(f"{error}. Nothing was changed.")


def _put_in_force(wanted: list[Defined], *, as_json: bool, data: Path | None) -> None:
    with open_owner(data) as conn:
        changes = definition_files.apply(conn, wanted, by=me())
    answers = [
        {
            "kind": change.kind,
            "name": change.name,
            "state": "in_force" if change.version else "unchanged",
            "version": change.version,
        }
        for change in changes
    ]
    _print_asked(answers, as_json=as_json)


def _answer(difference: Difference, asked: Asked) -> dict[str, Any]:
    """What became of one difference, for people and programs."""
    version = {"kind": difference.kind, "name": difference.name, "version": difference.replaces + 1}
    return version | {"state": asked.state, "action_id": asked.action_id, "sentence": asked.sentence}


_STATES = {
    "unchanged": "is in force as it is here",
    "in_force": "is now version {version}, without approval, as there is no directory yet",
    "asked": "asks for approval of version {version}, in action {action_id}",
    "waiting": "asked for approval of version {version} already, in action {action_id}",
    "refused": "may not be asked for: {sentence}",
}


def _print_asked(answers: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(answers)
    else:
        for answer in answers:
            what = _STATES[answer["state"]].format_map(answer).removesuffix(".")  # a refusal brings its own
            out.print(shown(f"{_words(answer['kind'])} {answer['name']} {what}."))
        if any(answer["state"] in {"asked", "waiting"} for answer in answers):
            print_next()
    if any(answer["state"] == "refused" for answer in answers):
        raise typer.Exit(REFUSED)


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")


def _versions(name: str, kind: Kind, data: Path | None) -> list[dict[str, Any]]:
    with open_reader(data) as conn:
        versions = list_versions(conn, kind, name)
    if not versions:
        _fail_unknown(
            f"There never was {'an' if kind == 'action_type' else 'a'} {_words(kind)} {shown(name)}.", name, kind, data
        )
    return versions


_LISTS: dict[Kind, str] = {"policy": "policies list", "action_type": "types list", "remediation_rule": "alerts rules"}


def _fail_unknown(said: str, name: str, kind: Kind, data: Path | None) -> NoReturn:
    """Say so, and of which other kind there is something of that name, or else where names are listed."""
    with open_reader(data) as conn:
        meant = next((other for other in _LISTS if other != kind and list_versions(conn, other, name)), None)
    see = f"See `ops-approval {_LISTS[kind]}`." if meant is None else f"For the {_words(meant)} add --kind {meant}."
    fail(f"{said} {see}", REFUSED)


def _version_row(row: dict[str, Any]) -> tuple[str, ...]:
    what = "removed" if row["body"] is None else "defined"
    by_approval = (", ".join(row["approved_by"]), str(row["agreed_in"] or "without approval"))
    return (str(row["version"]), when(row["created_at"]), what, row["created_by"], *by_approval)


def _compared(definitions: Definitions, difference: Difference) -> Compared:
    in_force = definitions.in_force(difference.kind, difference.name)
    before = None if in_force is None else definition_files.written(in_force)
    after = (difference.replaces + 1, difference.definition)
    return compared(difference.kind, difference.name, (difference.replaces, before), after)
