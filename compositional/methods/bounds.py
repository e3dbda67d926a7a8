"""Upper bounds over any method: joint training, and one state a round chosen by an oracle.

Both wrap another method. `joint` starts it afresh at every round on the rows of all rounds so
far, at the same epochs: J_t of intransigence. `oracle` starts it afresh at every round on that
round alone and answers each example with the state of its own round: its diagonal is S_i of the
learning gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from compositional.errors import ConfigError
from compositional.methods.base import Method, MethodConfig
from compositional.methods.stored import stored_bytes
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Prediction, Round

FRESH = "fresh"


@dataclass(frozen=True)
class JointConfig:
    """Joint training on all rounds so far.

    Attributes:
        of: The method that is trained; `lora` where none is named.
    """

    of: MethodConfig

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Joint":
        """Build the bound around its method; all rounds must have the same number of epochs."""
        _check_inner(self.of)
        epochs = sorted({round_.epochs for round_ in benchmark.rounds})
        if len(epochs) > 1:
            raise ConfigError(
                f"joint trains the rows of all rounds together, but rounds have {epochs} epochs: "
                "give every round the same number"
            )
        return Joint(self.of.build(model, benchmark), benchmark.rounds)


@dataclass(frozen=True)
class OracleConfig:
    """One state a round, chosen by an oracle.

    Attributes:
        of: The method that is trained; `lora` where none is named.
    """

    of: MethodConfig

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Oracle":
        """Build the bound around its method."""
        _check_inner(self.of)
        return Oracle(self.of.build(model, benchmark))


def _check_inner(config: MethodConfig) -> None:
    """Refuse a bound of a bound."""
    if isinstance(config, JointConfig | OracleConfig):
        raise ConfigError("the method of joint and oracle must be one that is no bound itself")


class Joint:
    """The bound; see `JointConfig`."""

    def __init__(self, method: Method, rounds: Sequence[Round]) -> None:
        self.method = method
        self.rounds = rounds
        self.traits = method.traits
        self.model = method.model
        self._fresh = method.state_dict()

    def learn(self, round_: Round, run: RunContext) -> None:
        """Train afresh on the rows of all rounds so far; an adaptation lesson is kept."""
        self.method.load_state_dict(self._fresh)
        if round_.index == 0:
            self.method.learn(round_, run)
            self._fresh = self.method.state_dict()
        else:
            joined = _join(self.rounds[: round_.index])
            self.method.learn(joined, run)
            run.budget.buffer_bytes = max(run.budget.buffer_bytes, stored_bytes(joined.train))

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer with the method trained last."""
        return self.method.answer(examples, run)

    def state_dict(self) -> State:
        """Return the fresh state and the last one."""
        return _pack({FRESH: self._fresh, "last": self.method.state_dict()})

    def load_state_dict(self, state: State) -> None:
        """Restore the fresh state and the last one."""
        parts = _unpack(state)
        self._fresh = parts[FRESH]
        self.method.load_state_dict(parts["last"])


class Oracle:
    """The bound; see `OracleConfig`. An example of no round is answered by the last state."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.traits = replace(method.traits, sees=method.traits.sees | {"round"})
        self.model: LanguageModel | None = None
        self._states = {FRESH: method.state_dict()}

    def learn(self, round_: Round, run: RunContext) -> None:
        """Train afresh on the round alone; an adaptation lesson is kept by all."""
        self.method.load_state_dict(self._states[FRESH])
        self.method.learn(round_, run)
        name = FRESH if round_.index == 0 else str(round_.index)
        self._states[name] = self.method.state_dict()
        run.budget.buffer_bytes = sum(
            tensor.nbytes
            for name, state in self._states.items()
            if name != FRESH
            for tensor in state.tensors.values()
        )

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer each example with the state of its round; an untaught round by a fresh one."""
        predictions: dict[int, Prediction] = {}
        last = list(self._states)[-1]
        wanted = [last if e.round is None else str(e.round) for e in examples]
        for name in sorted(set(wanted)):
            places = [place for place, chosen in enumerate(wanted) if chosen == name]
            self.method.load_state_dict(self._states.get(name, self._states[FRESH]))
            hidden = [replace(examples[place], round=None) for place in places]
            predictions.update(zip(places, self.method.answer(hidden, run), strict=True))
        return [predictions[place] for place in range(len(examples))]

    def state_dict(self) -> State:
        """Return the states of all rounds."""
        return _pack(self._states)

    def load_state_dict(self, state: State) -> None:
        """Restore the states of all rounds."""
        self._states = _unpack(state)


def _join(rounds: Sequence[Round]) -> Round:
    """Return one round that teaches all of some rounds, under the index of the last one."""
    last = rounds[-1]
    return replace(
        last,
        skills=tuple(skill for round_ in rounds for skill in round_.skills),
        train=tuple(example for round_ in rounds for example in round_.train),
        documents=tuple(document for round_ in rounds for document in round_.documents),
    )


def _pack(states: dict[str, State]) -> State:
    """Return several states as one, their names before the tensors' own."""
    return State(
        {f"{key}/{name}": t for key, s in states.items() for name, t in s.tensors.items()},
        {"order": list(states), "states": {key: s.metadata for key, s in states.items()}},
    )


def _unpack(state: State) -> dict[str, State]:
    """Return the states that `_pack` joined, in their order."""
    parts = {key: State({}, state.metadata["states"][key]) for key in state.metadata["order"]}
    for name, tensor in state.tensors.items():
        key, _, rest = name.partition("/")
        parts[key].tensors[rest] = tensor
    return parts
