"""The engine's processes as they run in production, but that they can be struck: see `tests.faults.points`.

dramatiq tests.faults.struck --queues work      in the place of workers.main
python -m tests.faults.struck                   in the place of workers.scheduler
"""

from tests.faults import points

points.skew_clock()
points.shorten_leases()
points.arm()

if __name__ == "__main__":
    from workers import scheduler

    scheduler.main()
else:
    from workers.main import broker

    __all__ = ["broker"]
