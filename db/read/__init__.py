"""What callers read: actions with their votes, lists, trails, figures, receipts. Reading locks nothing and changes nothing.

All but receipts read what the role `ops_reader` may; `docs/reads.md` lists the functions beside the views.
"""

from db.read.actions import get_action_with_votes, get_pending_actions, list_actions
from db.read.attempts import get_attempts, list_attempts
from db.read.directory import list_holders, list_people
from db.read.figures import get_approval_stats, get_pending_summary
from db.read.histories import get_audit_trail, get_user_action_history, get_user_vote_history
from db.read.policies import get_policy, list_policies
from db.read.proposals import get_alert, get_alert_decisions, get_recommendation, list_recommendations
from db.read.receipts import find_receipts, get_receipt, get_receipts_of_action

__all__ = [
    "find_receipts",
    "get_action_with_votes",
    "get_alert",
    "get_alert_decisions",
    "get_approval_stats",
    "get_attempts",
    "get_audit_trail",
    "get_pending_actions",
    "get_pending_summary",
    "get_policy",
    "get_receipt",
    "get_receipts_of_action",
    "get_recommendation",
    "get_user_action_history",
    "get_user_vote_history",
    "list_actions",
    "list_attempts",
    "list_holders",
    "list_people",
    "list_policies",
    "list_recommendations",
]
