"""Taking a snapshot of the directory: who is in it holds what it says; who or what is missing from it ends."""

from collections.abc import Iterator, Sequence

from domain.directory import Directory, Grant
from domain.messages import Outcome, Person, Receipt, SyncDirectory
from domain.refusals import Code, Refusal
from domain.world import DirectoryChange, World


def sync(world: World, body: SyncDirectory) -> Receipt | Refusal:
    """Replace the directory; refused if a snapshot with this or a higher number is in force, as messages may overtake.

    Grants that stay as they were keep their beginning. A grant without `starts_at` begins when it is first seen, and goes on
    where only its end is another.
    """
    if body.snapshot <= world.snapshot:
        return Refusal(Code.STALE_SNAPSHOT, f"In force is {world.snapshot}.")
    open_grants = [grant for grant in world.directory.grants if grant.ends_at is None or grant.ends_at > world.now]
    wanted = {grant for person in body.people for grant in _grants(world, person, open_grants)}
    ended = tuple(grant for grant in open_grants if grant not in wanted)
    added = tuple(grant for grant in wanted if grant not in open_grants)
    people = {person.id: person.name for person in body.people}
    world.changes.directory = DirectoryChange(body.snapshot, people, ended, added)
    world.directory = Directory.of(wanted, people, world.directory.refused_at)
    world.snapshot = body.snapshot
    return Receipt(
        Outcome.APPLIED, f"Snapshot {body.snapshot} is in force: {len(people)} people, {len(wanted)} grants."
    )


def _grants(world: World, person: Person, known: Sequence[Grant]) -> Iterator[Grant]:
    for told in person.grants:
        starts_at = told.starts_at
        if starts_at is None:
            held = (grant for grant in known if grant.person == person.id and grant.held_at(world.now))
            same = (grant.starts_at for grant in held if (grant.role, grant.acts_for) == (told.role, told.acts_for))
            starts_at = min(same, default=world.now)
        if told.ends_at is None or told.ends_at > max(starts_at, world.now):  # else it is over before it was seen
            yield Grant(person.id, told.role, starts_at, told.ends_at, told.acts_for)
