"""What other systems read in the stream of events: all that they are told, and nothing that they are not."""

import json
from uuid import UUID

from domain import trail
from domain.lifecycle import Status
from domain.outgoing import Outgoing
from domain.trail import FIRST_PREVIOUS, EventName
from tests.unit.in_memory import NOW

ACTION = UUID("c1042355-1d68-5d5b-b7ab-bb60e63362e1")


def test_an_entry_tells_who_did_what_to_which_action_and_where_that_left_it() -> None:
    data = {
        "vote": "approve",
        "comment": "as agreed by telephone",
        "params": {"amount": 5},
        "result": {},
        "reason": None,
    }
    event = trail.chain(ACTION, 2, FIRST_PREVIOUS, EventName.VOTED, "f1", NOW, data)
    fields = Outgoing(event, "TOP_UP", Status.PENDING_APPROVAL).fields()
    assert json.loads(fields.pop("data")) == {"vote": "approve"}
    assert fields == {
        "action_id": str(ACTION),
        "seq": "2",
        "event": "voted",
        "status": "pending_approval",
        "action_type": "TOP_UP",
        "actor": "f1",
        "at": "2025-11-12T10:00:00.000000Z",
    }
