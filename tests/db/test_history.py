"""All that is known about several actions is what is known about each."""

from uuid import UUID, uuid4

from db import history, keys
from tests.world import Installation, top_up
from workers import definition_files

SHARE = """
policies:
  - name: Share
    criteria: {params.amount: 7}
    priority: 1000
    policy: {required_quorum: {type: percentage, value: {percentage: 0.5, pool: finance_ops}}}
"""


def test_several_histories_are_each_ones_own_and_in_the_order_asked_for(installation: Installation) -> None:
    definition_files.apply(installation.owner, definition_files.parse(SHARE, "share"), by="tests")
    ids: list[UUID] = []
    for key, amount in (("one", 1), ("of a share", 7), ("without votes", 1)):
        (receipt,) = installation.tell("sira", top_up(key, amount=amount))
        assert receipt.action_id is not None
        ids.append(receipt.action_id)
    installation.vote(ids[0], "finance-user-1")
    for person in ("finance-user-2", "finance-user-3"):
        installation.vote(ids[1], person)
    keys.revoke_key(installation.owner, "ops-tooling-1")

    wanted = [ids[2], ids[0], uuid4(), ids[1]]
    found = history.get_several(installation.owner, wanted)
    assert found == [history.get(installation.owner, action_id) for action_id in wanted if action_id in ids]
    assert [(len(seen.votes), len(seen.messages), len(seen.events)) for seen in found] == [
        (0, 1, 1),
        (1, 2, 2),
        (2, 3, 4),
    ]
    assert [bool(seen.compromised) for seen in found] == [False, True, True]
    assert [{grant.role for grant in seen.pools} for seen in found] == [set(), set(), {"finance_ops"}]
    assert history.get_several(installation.owner, []) == []
