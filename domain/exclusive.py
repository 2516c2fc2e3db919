"""One incident, one action: of those with the same exclusive key one at a time is open, and for one alert one is enough."""

from domain import deadlines
from domain.action import Action
from domain.lifecycle import HOLDING, WITHOUT_EFFECT
from domain.proposal import ALERT_ID, named
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


def answering(world: World, alert_id: str) -> Action | None:
    """The first action that names this alert and may have its effect or has had it.

    One whose deadline has passed by now has none, swept or not.
    """
    naming = sorted(
        (item for item in world.actions.values() if named(item.params, ALERT_ID) == alert_id),
        key=lambda item: (item.created_at, item.id),
    )
    enforced = (deadlines.enforce(world, item) for item in naming)
    return next((item for item in enforced if item.status not in WITHOUT_EFFECT), None)
