"""How much of its hour's share everybody has used: counted in the inbox, so that there is no counter that all write."""

from collections.abc import Sequence
from datetime import timedelta

from db.connect import Connection
from domain.engine import Input
from domain.limits import PERIOD_SECONDS, Share, Use, share_of
from domain.messages import Message
from domain.world import World


def load_use(conn: Connection, world: World, inputs: Sequence[Input]) -> None:
    """What those who act by these messages did in the hour before the world's moment: when it was applied, however long it lay.

    After the directory, which says who is a person. Nothing is locked for it: of batches that are applied at the same
    moment each may fill what is left of a share.
    """
    messages = (item for item in inputs if isinstance(item, Message))
    shares = sorted({share for item in messages if (share := share_of(item, world.directory, world.now)) is not None})
    if not shares:
        return
    found = conn.execute(
        """
        select share.*, used.*
          from unnest(%s::text[], %s::text[], %s::text[]) as share(issuer, actor, type)
         cross join lateral (
            select count(*) as count, min(answered_at) as first_at from messages m
             where m.issuer = share.issuer and m.actor = share.actor and m.type = share.type and m.answered_at > %s
         ) used
         where used.count > 0
        """,
        [*map(list, zip(*shares, strict=True)), world.now - timedelta(seconds=PERIOD_SECONDS)],
    ).fetchall()
    world.used = {Share(row["issuer"], row["actor"], row["type"]): Use(row["count"], row["first_at"]) for row in found}
