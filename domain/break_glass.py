"""Breaking glass: who may approve an action alone in an emergency, how often, and for how long that is good."""

from typing import Annotated

from pydantic import Field

from domain import duration
from domain.definition import Seconds
from domain.quorum_tree import Frozen, RoleName


class BreakGlass(Frozen):
    """Each holder of `role` may approve alone, `uses` times in any `within_seconds`, whatever the actions.

    Such an approval lapses after `valid_seconds` if no attempt was started by then.
    """

    role: RoleName
    uses: Annotated[int, Field(ge=1, le=100, strict=True)]
    within_seconds: Seconds
    valid_seconds: Seconds

    def __str__(self) -> str:
        times = "once" if self.uses == 1 else f"{self.uses} times"
        within, valid = duration.in_words(self.within_seconds), duration.in_words(self.valid_seconds)
        return f"{self.role}, {times} in {within}, good for {valid}"
