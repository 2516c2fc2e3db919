"""What the model's stories are made of: who is there, what they say, and how often."""

from hypothesis import strategies as st

from domain.internal_types import SUBJECT_STATUS
from domain.keys import Scope
from domain.messages import action_id
from domain.outcome import Done, Rejected, Retry, Unknown
from domain.world import ENGINE
from tests.world import KEYS
from workers.envelope import SigningKey

DESK = Scope(
    types=("CreateAction", "CastVote", "ExecuteAction", "CancelAction"),
    origins=("ops_ui",),
    action_types=("*",),
    roles=("*",),
)
FINANCE = DESK.model_copy(update={"roles": ("finance_ops",), "action_types": ("DEDUPLICATES", "NEITHER")})
DESK_KEYS: dict[str, tuple[SigningKey, Scope]] = {
    kid: (SigningKey.generate(kid, "desk"), scope)
    for kid, scope in {"desk-1": DESK, "desk-2": DESK, "desk-3": FINANCE, "stolen": DESK}.items()
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
Acting = dict[str, list[str]]
"""Who may act for whom."""
BEGUN_ACTING: Acting = {"viewer": ["f1", "f2"], "a2": ["cfo"]}
ACTING = st.sampled_from(
    [{}, BEGUN_ACTING, {"viewer": ["f1"], "a1": ["f1"]}, {"f2": ["f3"], "f3": ["cfo"]}, {"f1": ["viewer"]}]
)
PEOPLE = st.sampled_from([*ROLES, "stranger"])
KEY_NAMES = ["k1", "k2", "k3"]
BEGUN = KEY_NAMES[:2]
"""Their actions are there from the beginning."""
_URGENT = ["e1", "e2", "e3"]
URGENT = st.sampled_from(_URGENT)
SEVERAL_URGENT = st.sampled_from([["e1"], ["e1", "e2"], ["e3", "e2"]])
SETTLING = ["s1", "s2", "s3"]
"""The keys of internal actions: what is to be done about the others."""
ABOUT = {name: action_id("desk", name, "") for name in SETTLING}
INVERSES = [action_id(ENGINE, str(about), "") for about in ABOUT.values()]
"""What they create if they roll something back; votes on it may come before."""
TARGETS = st.sampled_from(
    [action_id("sira", name, "") for name in BEGUN * 4 + KEY_NAMES + _URGENT * 2]
    + [action_id("desk", "k1", ""), *ABOUT.values(), *INVERSES]
)
INTERNAL = st.sampled_from([None, None, None, None, *SUBJECT_STATUS])
FOUND = st.sampled_from(["executed", "approved", "failed"])
DESKS = st.sampled_from(["desk-1", "desk-1", "desk-2", "desk-3", "person:f1"])
STOLEN = st.sampled_from(["stolen", "stolen", "desk-2", "person:f1"])
"""Keys that turn out to be somebody else's too."""
CANCELLERS = st.sampled_from(
    [("sira", "sira-system"), ("desk-1", "a1"), ("desk-1", "f2"), ("desk-3", "a1"), ("sira", "f1")]
)
KINDS = st.sampled_from(
    ["role", "role", "ratio", "share", "named", "both", "nobody", "none of them", "chain", "asking", "glass", "alarm"]
)
CAREFUL_KINDS = st.sampled_from(["glass", "glass", "chain", "share", "both"])
"""What is not approved where one of a few rejects it."""
GLASS_KINDS = st.sampled_from(["glass", "glass", "alarm"])
"""What one person may approve alone."""
ALONE = st.sampled_from(["f3", "f3", "f3", "f3", "cfo", "a2"])
"""Who does; it is not for who acts for somebody."""
AFTERWARDS = st.sampled_from(["ratified", "agreed", "refused", "refused", "refused", "overdue", "overdue", "nothing"])
"""What others say of that,"""
LAST = st.sampled_from([0, 1])
"""of the last time or the time before."""
GUARANTEES = ["DEDUPLICATES", "QUERYABLE", "NEITHER"]
TYPES = st.sampled_from(GUARANTEES)
CHOICES = st.sampled_from(["approve", "approve", "approve", "reject", "abstain", "withdraw"])
_OUTCOMES = [Done({"n": 1}), Done(), Rejected("no"), Unknown("lost")]
_RETRIES = [Retry("busy"), Retry("busy", 30.0), Retry("busy", 9000.0)]
OUTCOMES = st.sampled_from(_OUTCOMES + _RETRIES)
STEPS = st.lists(st.sampled_from([*_OUTCOMES, None, None, *_OUTCOMES, *_RETRIES]), min_size=1, max_size=6)
"""How an action goes on: what its calls come to; None is a worker that is still at it."""
WAYS = st.sampled_from(
    ["settled", "settled", "unknown", "falls away", "falls away", "cancelled", "on its way"]
    + ["alone"] * 3
    + ["spoken over"] * 2
)
"""How far an action has come when a story begins."""
LONG_CALL_SECONDS = 8
"""After which its worker renews a lease."""
SECONDS = st.sampled_from([0.5, 1, 1, 1, 3, 3, 3, 10, 10, 10, 20, 20, 31, 60, 60, 599, 601, 3601])
STRICTER = st.sampled_from(
    [{}] * 5
    + [{"timeout_seconds": 60}, {"required_ratio": 0.9}, {"risk_level": "critical"}, {"triggered_by": "f1"}]
    + [{"auto_execute": True}, {"auto_execute": True}, {"auto_execute": False}]
)
AGO = st.sampled_from([None, None, 2, 5, 90, -40])
SPOKEN_FOR = st.sampled_from(["f1", "f2", "f3", "f3", "cfo"])
SPOKEN_OVER = st.sampled_from(
    [
        ("reject", "approve"),
        ("reject", "abstain"),
        ("reject", "withdraw"),
        ("abstain", "reject"),
    ]
)
"""What somebody says, and what a thief says for them after that."""
SEVERAL_VOTES = st.lists(st.tuples(CHOICES, st.sampled_from([None, 1, 1, 2, 5])), min_size=2, max_size=4)
SEEN = st.sampled_from([None, None, None, "right", "wrong"])
ENDS = st.sampled_from([None, None, 10, 600, -600])
EVERYBODY = ["f1", "f2", "f3", "cfo", "a1", "a2"]
VOTERS = st.sampled_from([["f1", "f2"], ["f1", "a1"], ["f1", "cfo"], ["a1", "a2"], ["viewer", "a2"], EVERYBODY])
MOST = st.lists(st.sampled_from(list(ROLES)), min_size=5, unique=True)
LOSSES = st.sampled_from(["the key", "the people", "the grants"])
HOLD = st.booleans()
LATE = st.sampled_from([False, False, False, True])
ENVELOPES = st.sampled_from(
    [{}] * 12
    + [{"issued": -20}, {"issued": -60, "lifetime": 90}, {"issued": 20}, {"issued": 50}, {"lifetime": 5}]
    + [{"lifetime": 8 * 86_400}, {"audience": "elsewhere"}, {"again": True}]
)
"""How a message is signed: mostly well; late, early, briefly, for somebody else, or with the jti of the one before."""
