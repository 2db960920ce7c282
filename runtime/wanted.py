"""Which passes recipes ask for, row by row; what `selrun cache why` compares with the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..compiler.lower import lower
from ..compiler.plan import Sweep
from .beside import settled_sweep
from .cache import Wanted
from .events import ignore
from .run import compile_recipes, execution
from .settings import Settings
from .survey import Estimate, Survey
from .sweeping import meta_of
from .world import World

if TYPE_CHECKING:
    from .execute import Execution


class Asked(Survey):
    """A survey that notes every pass on its way."""

    def __init__(self, run: Execution):
        super().__init__(run, pilot=False)
        self.passes: list[Wanted] = []
        self.unknown: list[str] = []

    def sweep(self, task: Sweep) -> Estimate:
        """The sweep's estimate, after noting what it asks."""
        title = self.run.sweep_title(task)
        if task.rows not in self.run.frames or any(key in self.unready for key in (task.model, *task.beside)):
            self.unknown.append(f"{title}: its rows or its model do not exist yet")
            return super().sweep(task)
        source, keys = self.run.model(task.model), self.run.frames[task.rows]["@key"]
        asks = settled_sweep(task, self.run.frames).asks
        metas = [meta_of(source, ask.view, ask.want, self.run.dtype) for ask in asks]
        self.passes += [Wanted(title, meta, keys) for meta in metas]
        return super().sweep(task)


def wanted_passes(texts: Sequence[tuple[str, str]], settings: Settings) -> tuple[list[Wanted], list[str]]:
    """The passes that recipes ask for, and titles of those of which nothing can be said yet."""
    world = World(settings)
    plan = lower(compile_recipes(texts, settings, world).graph, rules=settings.rules)
    survey = Asked(execution(plan, settings, world, ignore))
    survey.estimates()
    return survey.passes, survey.unknown
