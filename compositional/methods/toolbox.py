"""What methods without training keep of a round: its tools, and a few training rows of each."""

from collections.abc import Sequence
from typing import Any

from compositional.errors import ConfigError, check_at_least
from compositional.files import canonical_json
from compositional.methods.stored import example_from_json, example_to_json
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.types import Example, Round, Skill


class Toolbox:
    """The tools taught so far with their demonstrations.

    Args:
        num_demonstrations: How many one-call training rows of each tool are kept, the first ones.

    Raises:
        ConfigError: If that is below 0.
    """

    def __init__(self, num_demonstrations: int) -> None:
        check_at_least("demonstrations", num_demonstrations, 0)
        self.num_demonstrations = num_demonstrations
        self.skills: list[Skill] = []
        self.rows: dict[str, list[Example]] = {}

    def take(self, round_: Round) -> None:
        """Add a round's tools, and rows of each.

        Raises:
            ConfigError: If a tool has too few rows.
        """
        self.skills.extend(round_.skills)
        for skill in round_.skills:
            rows = [e for e in round_.train if [s.skill for s in e.steps or ()] == [skill.name]]
            if len(rows) < self.num_demonstrations:
                raise ConfigError(
                    f"demonstrations is {self.num_demonstrations}, but tool {skill.name!r} has "
                    f"{len(rows)} one-call training rows"
                )
            self.rows[skill.name] = rows[: self.num_demonstrations]

    def learn(self, round_: Round, run: RunContext) -> None:
        """Add a round's tools, and count what is kept."""
        self.take(round_)
        kept = len(canonical_json(self.state_dict().metadata).encode())
        run.budget.buffer_bytes = max(run.budget.buffer_bytes, kept)

    def demonstrations(self, skills: Sequence[Skill]) -> list[Example]:
        """Return the rows kept of some tools, in the tools' order."""
        return [row for skill in skills for row in self.rows[skill.name]]

    def state_dict(self) -> State:
        """Return the tools and their rows."""
        metadata: dict[str, Any] = {
            "skills": [[s.name, s.description, s.parameters] for s in self.skills],
            "rows": {name: list(map(example_to_json, rows)) for name, rows in self.rows.items()},
        }
        return State({}, metadata)

    def load_state_dict(self, state: State) -> None:
        """Restore the tools and their rows."""
        self.skills = [Skill(*fields) for fields in state.metadata["skills"]]
        stored = state.metadata["rows"]
        self.rows = {name: list(map(example_from_json, rows)) for name, rows in stored.items()}
