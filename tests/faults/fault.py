"""What a fault is: something that is done to a stage while it works, and healed."""

from abc import ABC, abstractmethod
from typing import ClassVar

from tests.faults.stage import Stage
from tests.faults.workload import Workload


class Fault(ABC):
    """One kind of trouble; each strike draws from the round's seed.

    `needs` is how the stage must be set up for it, `holds_seconds` how long it lasts.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = "strikes"
    needs: ClassVar[dict[str, bool]] = {}
    holds_seconds: ClassVar[float] = 0.0
    redis_forgets: ClassVar[bool] = False
    """Whether messages may be gone that Redis had taken."""
    control_doubles: ClassVar[bool] = False
    """Whether the control is sure to double an effect."""

    def __init__(self, stage: Stage, workload: Workload) -> None:
        self.stage = stage
        self.workload = workload
        self.random = stage.random

    @abstractmethod
    def strike(self) -> int:
        """Do harm once; how much, counted in `unit`."""

    @abstractmethod
    def heal(self) -> int:
        """Have everything run that should run; how much harm was done since `strike`."""

    def end(self) -> None:  # noqa: B027 - most leave nothing
        """Leave nothing behind that could strike again; there will be no strike more."""
