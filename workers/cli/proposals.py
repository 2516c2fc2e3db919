"""Commands about alerts and recommendations: sending them, what was decided about them, and applying what SIRA recommends."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from db import read
from db.definitions import load_definitions
from domain import duration
from domain.messages import CreateAction
from domain.proposal import RecommendAction, RemediateAlert
from domain.remediation import RemediationRule
from workers.cli.console import REFUSED, AsJson, coloured, fail, out, print_facts, print_json, print_table, shown, when
from workers.cli.context import Data, KeyFile, TimeoutSeconds, Wait, open_producer, open_reader, send
from workers.cli.paging import After, Limit, Offset, print_rows, told_of_cursors
from workers.cli.sending import body_of, json_in
from workers.cli.why import why

alerts = typer.Typer(help="Alerts, and what was decided about them.", no_args_is_help=True)
recommendations = typer.Typer(help="What SIRA recommends, and applying it.", no_args_is_help=True)

AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id.")]
RecommendationId = Annotated[str, typer.Argument(metavar="RECOMMENDATION", help="The recommendation's id.")]


@alerts.command("send")
def send_alert(
    file: Annotated[
        Path, typer.Argument(help="JSON: {alert: {id, alert_type, …}, recommendation?: {…}}; see examples/alert.json.")
    ],
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Have an alert remedied, by the remediation rule of its type."""
    body = body_of(RemediateAlert, json_in(file, "examples/alert.json"))
    producer = open_producer(data, key, "alerts")
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


@alerts.command("show")
def show_alert(alert_id: AlertId, *, as_json: AsJson = False, data: Data = None) -> None:
    """An alert, the action that answers it, and every decision about it."""
    with open_reader(data) as conn:
        alert, decisions = read.get_alert(conn, alert_id), read.get_alert_decisions(conn, alert_id)
    if alert is None:
        fail(
            f"There is no alert {shown(alert_id)}. A message that told of it may have been refused: see its receipt.",
            REFUSED,
        )
    if as_json:
        print_json(alert | {"decisions": decisions})
        return
    out.print(shown(f"{alert['alert_type'] or 'alert'} {alert['id']} {alert['status']}"), style="bold")
    print_facts(
        {
            "about": f"{alert['tenant_type']} {alert['tenant_id']}" if alert["tenant_type"] else None,
            "severity": alert["severity"],
            "action": alert["remedied_by_action_id"] and f"{alert['remedied_by_action_id']} {alert['action_status']}",
            "waits for": "what SIRA says" if alert["waits_for_sira"] else None,
        }
    )
    told = ((when(row["at"]), row["action"], row["actor"], _details(row["details"])) for row in decisions)
    print_table(("at (UTC)", "decision", "by", "of it"), told)


@alerts.command("rules")
def list_rules(*, as_json: AsJson = False, data: Data = None) -> None:
    """The remediation rules in force: what is done about alerts of which type, and who must agree beside the policy."""
    with open_reader(data) as conn:
        found = load_definitions(conn).remediation_rules_in_force
    rules = [found[name] for name in sorted(found)]
    if as_json:
        print_json([rule.definition.model_dump(mode="json") | {"version": rule.version} for rule in rules])
        return
    if not rules:
        out.print(
            "No remediation rules: nothing is done about alerts. `ops-approval policies apply FILE` asks for some."
        )
        return
    columns = ("alert type", "version", "enabled", "action", "sure to", "then none for", "must agree too")
    print_table(columns, (_rule_row(rule.version, rule.definition) for rule in rules))


def _rule_row(version: int, rule: RemediationRule) -> tuple[str, ...]:
    return (
        rule.name,
        str(version),
        "yes" if rule.enabled else "no",
        rule.auto_action.action_type,
        str(rule.auto_threshold),
        duration.in_words(rule.cooldown_seconds),
        f"{rule.required_approvals} of {rule.approver_role}" if rule.require_multi_sig else "",
    )


@recommendations.command("send")
def send_recommendation(
    file: Annotated[Path, typer.Argument(help="JSON: {id, tenant_type, …}; see examples/recommendation.json.")],
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Recommend an action, as SIRA does: it is created if the confidence is high enough, and else waits for a person."""
    body = body_of(RecommendAction, json_in(file, "examples/recommendation.json"))
    producer = open_producer(data, key, "sira")
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


@recommendations.command("list")
def list_recommendations(
    limit: Limit = 50, offset: Offset = 0, after: After = None, *, as_json: AsJson = False, data: Data = None
) -> None:
    """The newest recommendations and where they stand."""
    with open_reader(data) as conn, told_of_cursors():
        found = read.list_recommendations(conn, limit, offset, after=after)
    columns = ("id", "type", "for", "confidence", "status", "expires (UTC)")
    print_rows(found, columns, _list_row, "No recommendations.", limit, as_json=as_json)


def _list_row(row: dict[str, Any]) -> tuple[str | Text, ...]:
    concerned = (row["id"], row["recommendation_type"], f"{row['tenant_type']} {row['tenant_id']}")
    return (*concerned, str(row["confidence"]), coloured(row["status"]), when(row["expires_at"]))


@recommendations.command("show")
def show_recommendation(recommendation_id: RecommendationId, *, as_json: AsJson = False, data: Data = None) -> None:
    """One recommendation: what it would do, why, and what became of it."""
    found = _get(data, recommendation_id)
    if as_json:
        print_json(found)
        return
    out.print(shown(f"{found['recommendation_type']} {found['id']} "), style="bold", end="")
    out.print(coloured(found["status"]))
    rejected = f"by {found['rejected_by']}: {found['rejection_reason'] or 'without a reason'}"
    print_facts(
        {
            "title": found["title"],
            "description": found["description"],
            "priority": found["priority"],
            "for": f"{found['tenant_type']} {found['tenant_id']}",
            "params": json.dumps(found["suggested_action"]["params"], ensure_ascii=False),
            "impact": json.dumps(found["estimated_impact"], ensure_ascii=False) if found["estimated_impact"] else None,
            "action": found["ops_action_id"] and f"{found['ops_action_id']} {found['ops_action_status']}",
            "applied by": found["applied_by"],
            "rejected": rejected if found["rejected_at"] else None,
            "waits for": _waits_for(found),
            "expires": f"{when(found['expires_at'])} UTC",
        }
    )
    for line in why(found["params"]):
        out.print(f"  {'sira':<12}", shown(line))


def _waits_for(found: dict[str, Any]) -> str | None:
    """What a recommendation waits for, and why it has no action yet."""
    if found["status"] != "pending":
        return None
    last = found["last_decision"]
    why_not = (
        f"when SIRA asked for it, it was refused: {last['details']['error']}" if last else "SIRA is not sure enough"
    )
    return f"`ops-approval recommendations apply` by one of ops_admin or finance_ops; {why_not}"


@recommendations.command("apply")
def apply_recommendation(
    recommendation_id: RecommendationId,
    person: Annotated[str, typer.Option("--as", help="Who applies it: an ops_admin or somebody of finance_ops.")],
    *,
    wait: Wait = False,
    timeout_seconds: TimeoutSeconds = 10,
    as_json: AsJson = False,
    key: KeyFile = None,
    data: Data = None,
) -> None:
    """Ask for the action that SIRA recommends, exactly as it does; the policies say who must agree."""
    found = _get(data, recommendation_id)
    fields = {
        "idempotency_key": f"sira-rec-{recommendation_id}-apply",
        "origin": "ops_ui",
        "action_type": found["recommendation_type"],
        "params": found["params"],
        "target_tenant_type": found["tenant_type"],
        "target_tenant_id": found["tenant_id"],
        "created_by": person,
    }
    producer = open_producer(data, key, "ops-tooling")
    body = body_of(CreateAction, fields)
    send(producer, body, data, wait=wait, as_json=as_json, timeout_seconds=timeout_seconds)


def _get(data: Path | None, recommendation_id: str) -> dict[str, Any]:
    with open_reader(data) as conn:
        found = read.get_recommendation(conn, recommendation_id)
    if found is None:
        fail(
            f"There is no recommendation {shown(recommendation_id)}. See `ops-approval recommendations list`.", REFUSED
        )
    return found


def _details(details: dict[str, Any]) -> str:
    names = (
        *("reason", "until", "confidence", "auto_threshold", "action", "auto_action", "fallback"),
        *("ops_action_id", "policy", "code", "error"),
    )
    return ", ".join(f"{name} {details[name]}" for name in names if details.get(name) is not None)
