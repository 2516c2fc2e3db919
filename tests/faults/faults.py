"""All the faults, in the order in which they are played."""

from tests.faults.fault import Fault
from tests.faults.postgres_faults import (
    CommitRepliesLost,
    ConnectionsDropped,
    Deadlocked,
    NotSerializable,
    PostgresStopped,
)
from tests.faults.process_faults import (
    AnswersLost,
    ClockSkewed,
    KilledAtPoints,
    KilledAtRandom,
    ServicesKilled,
    StoppedPastTheLease,
)
from tests.faults.redis_faults import DiskFull, RedisEmptied, RedisFull, RedisKilled, RedisTailCut, Shuffled

FAULTS: tuple[type[Fault], ...] = (
    KilledAtRandom,
    KilledAtPoints,
    StoppedPastTheLease,
    PostgresStopped,
    RedisKilled,
    RedisTailCut,
    RedisEmptied,
    RedisFull,
    Shuffled,
    ConnectionsDropped,
    CommitRepliesLost,
    Deadlocked,
    NotSerializable,
    ClockSkewed,
    DiskFull,
    AnswersLost,
    ServicesKilled,
)
