"""One incident, one action: of those with the same exclusive key one at a time is open, whoever asks for them."""

from domain import deadlines
from domain.action import Action
from domain.lifecycle import HOLDING
from domain.world import World


def holder(world: World, exclusive_key: str | None) -> Action | None:
    """The open action that has this key; one whose deadline has passed by now gives it up, swept or not."""
    if exclusive_key is None:
        return None
    open_now = (item for item in world.actions.values() if item.status in HOLDING)
    found = next((item for item in open_now if item.exclusive_key == exclusive_key), None)
    if found is None:
        return None
    found = deadlines.enforce(world, found)
    return found if found.status in HOLDING else None
