"""What the model's stories are made of: who is there, what they say, and how often."""

from hypothesis import strategies as st

from domain.keys import Scope
from domain.messages import action_id
from domain.outcome import Done, Rejected, Retry, Unknown
from tests.world import KEYS
from workers.envelope import SigningKey

DESK = Scope(
    types=("CreateAction", "CastVote", "ExecuteAction"), origins=("ops_ui",), action_types=("*",), roles=("*",)
)
FINANCE = DESK.model_copy(update={"roles": ("finance_ops",), "action_types": ("DEDUPLICATES", "NEITHER")})
DESK_KEYS: dict[str, tuple[SigningKey, Scope]] = {
    kid: (SigningKey.generate(kid, "desk"), scope)
    for kid, scope in {"desk-1": DESK, "desk-2": DESK, "desk-3": FINANCE}.items()
}
SIGNERS = {kid: key for kid, (key, _) in DESK_KEYS.items()} | {
    "person:f1": SigningKey.generate("person:f1", "person:f1"),
    "sira": KEYS["sira"],
    "directory": KEYS["directory"],
    "stranger": SigningKey.generate("stranger-1", "sira"),
}

ROLES = {
    "f1": ["finance_ops"],
    "f2": ["finance_ops"],
    "f3": ["finance_ops", "cfo"],
    "cfo": ["cfo"],
    "a1": ["ops_admin"],
    "a2": ["ops_admin"],
    "viewer": ["merchant_admin"],
}
BEGUN_ACTING = {"viewer": ["f1", "f2"], "a2": ["cfo"]}
ACTING = st.sampled_from(
    [{}, BEGUN_ACTING, {"viewer": ["f1"], "a1": ["f1"]}, {"f2": ["f3"], "f3": ["cfo"]}, {"f1": ["viewer"]}]
)
"""Who may act for whom."""
PEOPLE = st.sampled_from([*ROLES, "stranger"])
KEY_NAMES = ["k1", "k2", "k3"]
BEGUN = KEY_NAMES[:2]
"""Their actions are there from the beginning, so that more stories have a middle and an end."""
TARGETS = st.sampled_from(
    [action_id("sira", name, "") for name in BEGUN * 3 + KEY_NAMES] + [action_id("desk", "k1", "")]
)
DESKS = st.sampled_from(["desk-1", "desk-1", "desk-2", "desk-3", "person:f1"])
KINDS = st.sampled_from(["role", "role", "ratio", "share", "named", "both", "nobody", "none of them"])
GUARANTEES = ["DEDUPLICATES", "QUERYABLE", "NEITHER"]
TYPES = st.sampled_from(GUARANTEES)
CHOICES = st.sampled_from(["approve", "approve", "approve", "reject", "abstain", "withdraw"])
OUTCOMES = st.sampled_from(
    [Done({"n": 1}), Done(), Rejected("no"), Retry("busy"), Retry("busy", 30.0), Retry("busy", 9000.0), Unknown("lost")]
)
SECONDS = st.sampled_from([0.5, 1, 1, 3, 3, 10, 10, 20, 31, 60, 599, 601, 3601])
STRICTER = st.sampled_from(
    [{}] * 5
    + [{"timeout_seconds": 60}, {"required_ratio": 0.9}, {"risk_level": "critical"}, {"triggered_by": "f1"}]
    + [{"auto_execute": True}, {"auto_execute": True}, {"auto_execute": False}]
)
AGO = st.sampled_from([None, None, 2, 5, 90, -40])
SEEN = st.sampled_from([None, None, None, "right", "wrong"])
ENDS = st.sampled_from([None, None, 10, 600, -600])
EVERYBODY = ["f1", "f2", "f3", "cfo", "a1", "a2"]
VOTERS = st.sampled_from([["f1", "f2"], ["f1", "a1"], ["viewer", "a2"], EVERYBODY])
HOLD = st.booleans()
LATE = st.sampled_from([False, False, False, True])
ENVELOPES = st.sampled_from(
    [{}] * 12
    + [{"issued": -20}, {"issued": -60, "lifetime": 90}, {"issued": 20}, {"issued": 50}, {"lifetime": 5}]
    + [{"lifetime": 8 * 86_400}, {"audience": "elsewhere"}, {"again": True}]
)
"""How a message is signed: mostly well; late, early, briefly, for somebody else, or with the jti of the one before."""
