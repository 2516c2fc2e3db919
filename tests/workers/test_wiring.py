"""How producer and consumer fit together in the queue; on fakeredis, because nothing is claimed about a server here."""

import dramatiq
import fakeredis

from tests.world import KEYS, top_up
from workers.producer import Producer
from workers.queue import Doorbell, token_of


def test_what_a_producer_enqueues_is_a_message_that_dramatiq_reads_and_ingest_takes() -> None:
    client = fakeredis.FakeRedis()
    tickets = Producer(client, KEYS["sira"]).send_many([top_up("a"), top_up("b")])
    entries = Doorbell(client).peek(10)
    messages = [dramatiq.Message.decode(entry.body) for entry in entries if entry.body is not None]
    assert [(message.queue_name, message.actor_name) for message in messages] == [("messages", "receive")] * 2
    assert [message.options["redis_message_id"].encode() for message in messages] == [entry.id for entry in entries]
    assert [token_of(entry.body or b"") for entry in entries] == [ticket.token for ticket in tickets]


def test_a_ticket_knows_its_action_before_anybody_received_it() -> None:
    ticket, again, other = Producer(fakeredis.FakeRedis(), KEYS["sira"]).send_many(
        [top_up("a"), top_up("a"), top_up("b")]
    )
    assert ticket.action_id == again.action_id != other.action_id
    assert ticket.jti != again.jti
