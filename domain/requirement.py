"""What an action's approval takes: the quorum tree, the ratio, and what else its policy asks for."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from domain.break_glass import BreakGlass
from domain.definition import Seconds
from domain.directory import Directory
from domain.electorate import Electorate
from domain.quorum_tree import Frozen, People, RoleName, Tree, needs


class EscalationStep(Frozen):
    """A role that may decide too, once the step is reached; `min_votes` None means as many as the base tree needs."""

    role: RoleName
    min_votes: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    timeout_seconds: Seconds

    def is_easier(self, fewest: int) -> bool:
        """Whether it asks for fewer people than a base tree that takes so many."""
        return self.min_votes is not None and self.min_votes < fewest

    def __str__(self) -> str:
        return self.role if self.min_votes is None else f"{self.role} (votes in all: {self.min_votes})"


def pools(tree: Tree | None, steps: Iterable[EscalationStep]) -> frozenset[People]:
    """Whose approval a tree and these escalation steps can ask for."""
    return frozenset({*(need.people for need in needs(tree)), *(People(role=step.role) for step in steps)})


VetoRoles = Annotated[tuple[RoleName, ...], Field(max_length=20)]
"""Roles of which each holder may reject alone."""


class Requirement(Frozen):
    """What an action's approval takes. `tree` None means nobody's: it is approved at creation, by an explicit policy.

    `excluded` are the people kept out by separation of duties: the target, and mostly the creator and whoever triggered it.
    Who holds one of `veto_roles` rejects alone, with or without a seat. `require_content_hash` and `require_personal_key`
    are what a vote must bring to be counted. `break_glass` says who may approve alone. `steps_reached` is how many
    escalation steps are open; everything else is frozen when the action is created.
    """

    tree: Tree | None
    required_ratio: Annotated[Decimal, Field(ge=Decimal("0.5"), le=1)]
    escalation: tuple[EscalationStep, ...] = ()
    veto_roles: VetoRoles = ()
    excluded: tuple[str, ...] = ()
    require_content_hash: bool = False
    require_personal_key: bool = False
    break_glass: BreakGlass | None = None
    steps_reached: Annotated[int, Field(ge=0)] = 0

    @property
    def steps(self) -> tuple[EscalationStep, ...]:
        """The escalation steps that are open."""
        return self.escalation[: self.steps_reached]

    @property
    def roles_asked(self) -> frozenset[str]:
        """The roles whose holders can take a seat, at this step, or reject alone."""
        return frozenset(pool.role for pool in pools(self.tree, self.steps) if pool.role).union(self.veto_roles)

    @property
    def people_asked(self) -> frozenset[str]:
        """The people who can take a seat because they are named one by one."""
        return frozenset(person for pool in pools(self.tree, ()) for person in pool.ids)

    def electorate(self, directory: Directory, now: datetime) -> Electorate:
        """Whose word counts at this moment, for the tree and the open steps."""
        glass_role = None if self.break_glass is None else self.break_glass.role
        return Electorate(pools(self.tree, self.steps), self.veto_roles, glass_role, self.excluded, directory, now)
