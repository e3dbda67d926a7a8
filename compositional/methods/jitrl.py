"""jitrl: what an answer returned in questions like this one is added to its likelihood.

JitRL (Li et al. 2026, arXiv 2601.18510) with the candidate answers of a question as the actions.
Nothing trains; a document, or what a user said of an answer, is taken out exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from compositional.documents.normalising import normalise
from compositional.errors import ConfigError, DataError, check_at_least, check_choice
from compositional.generation.likelihoods import Likelihoods, choice_likelihoods
from compositional.logs import LOGGER
from compositional.methods.advantages import Vector, advantages, improved_logits
from compositional.methods.base import Traits
from compositional.methods.experiences import Experiences
from compositional.methods.gaps import Gap, choices_at, gaps_of
from compositional.methods.practice import Exercise, Rules, practise
from compositional.methods.questions import answer_prompts, check_prompts_fit, prompt_ids
from compositional.methods.self_study import evenly_spread
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Document, Example, Prediction, Round

GIVEN, SHUFFLED = "given", "shuffled"
UNKNOWN = "unknown"
FEEDBACK = "feedback: "
ASK = "Which words belong in the gap? {state}"


@dataclass(frozen=True)
class JitrlConfig:
    """Advantages of remembered answers, added to the logits of candidates.

    Attributes:
        kl_weight: Lambda, what a change of the model's own choice costs, above 0: an advantage of 1
            is worth 1 / lambda nats.
        most_states: Remembered states that count for a question, at the most.
        least_similarity: How like the question they must be, 0 to 1.
        gaps: Gaps of a document that are practised on, at the most, evenly spread.
        choices: Choices of a gap.
        context_words: Words of its sentence that stay on each side of a gap, at the most.
        bonus: What a choice that was not tried yet counts above the mean while it practises, less
            the more was tried.
        rewards: `given`, or for comparison `shuffled`: those of a pass are dealt out to its gaps
            at random.
    """

    tasks: ClassVar[tuple[str, ...]] = (DOCUMENTS,)
    kl_weight: float = 0.03
    most_states: int = 16
    least_similarity: float = 0.1
    gaps: int = 64
    choices: int = 4
    context_words: int = 10
    bonus: float = 1.0
    rewards: str = GIVEN

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Jitrl":
        """Build the method; gaps and questions must fit the model's window."""
        if not self.kl_weight > 0:
            raise ConfigError(f"kl_weight is {self.kl_weight}; it must be above 0")
        if not 0 <= self.least_similarity <= 1:
            raise ConfigError(f"least_similarity is {self.least_similarity}; it must be 0 to 1")
        for name, least in (("most_states", 1), ("gaps", 1), ("choices", 2), ("context_words", 1)):
            check_at_least(name, getattr(self, name), least)
        check_at_least("bonus", self.bonus, 0)
        check_choice("rewards", self.rewards, (GIVEN, SHUFFLED))
        check_prompts_fit(model, benchmark)
        method = Jitrl(self, model)
        for round_ in benchmark.rounds:
            for document in round_.documents:
                method.check_document(document)
        return method


class Jitrl:
    """The method; see `JitrlConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(self, config: JitrlConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.experiences = Experiences()
        self.rewards: dict[str, list[float]] = {}

    def gaps_in(self, document: Document) -> list[Gap]:
        """Return all gaps of a document.

        Raises:
            DataError: If there is none.
        """
        gaps = gaps_of(document.text, self.config.context_words)
        if not gaps:
            raise DataError(
                f"document {document.name!r} has no sentence of which a word could be left out, so "
                "there is nothing to practise on: learn it by another method"
            )
        return gaps

    def check_document(self, document: Document) -> None:
        """Refuse a document without gaps, or with one whose words are over the window.

        Raises:
            DataError: If it has none.
            ModelError: If one is too long.
        """
        for gap in evenly_spread(self.gaps_in(document), self.config.gaps):
            where = f"a gap of document {document.name!r}"
            self.model.check_fits(len(self.gap_ids(gap)), 0, where)

    def gap_ids(self, gap: Gap) -> list[int]:
        """Return the prompt that asks for the words of a gap."""
        return prompt_ids(self.model, Example("gap", ASK.format(state=gap.state), None, form=TEXT))

    def learn(self, round_: Round, run: RunContext) -> None:
        """Practise on each of the round's documents by itself, so that none depends on another."""
        config = self.config
        is_shuffled = config.rewards == SHUFFLED
        rules = Rules(round_.epochs, config.kl_weight, config.bonus, is_shuffled)
        for document in round_.documents:
            rng = run.streams.generator("jitrl", document.name)
            exercises = self._exercises(document, rng, run)
            found, self.rewards[document.name] = practise(document.name, exercises, rules, rng)
            self.experiences.take(found)
        run.budget.buffer_bytes = self.experiences.num_bytes

    def _exercises(
        self, document: Document, rng: np.random.Generator, run: RunContext
    ) -> list[Exercise]:
        """Return the gaps of a document with their choices as the model sees them."""
        found_gaps = self.gaps_in(document)
        gaps = evenly_spread(found_gaps, self.config.gaps)
        if len(gaps) < len(found_gaps):
            note = f"{len(gaps)} of its {len(found_gaps)} gaps practised on"
            LOGGER.info("%s: document %r: %s", run.name, document.name, note)
            run.notes.append(note)
        choices = choices_at(gaps, self.config.choices, rng)
        prompts = [self.gap_ids(gap) for gap in gaps]
        found = self._likelihoods(prompts, choices, run, "gaps")
        run.budget.input_tokens += sum(map(len, prompts)) + sum(sum(f.num_tokens) for f in found)
        return [
            Exercise(gap, own, logits_of(likelihoods))
            for gap, own, likelihoods in zip(gaps, choices, found, strict=True)
        ]

    def _likelihoods(
        self,
        prompts: Sequence[Sequence[int]],
        texts: Sequence[Sequence[str]],
        run: RunContext,
        what: str,
    ) -> list[Likelihoods]:
        ids = [[self.model.chat.target_ids(text) for text in own] for own in texts]
        return choice_likelihoods(self.model, prompts, ids, run, what)

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone, advantages added to what the model thinks.

        The choices of an example are its actions. For a generated answer they are the model's own
        one and remembered answers whose mean return is above 0, and `unknown` where the model's own
        one is remembered as no good. Where nothing like the question is remembered, the answer is
        the model's.
        """
        prompts = [prompt_ids(self.model, example) for example in examples]
        predictions = answer_prompts(self.model, examples, prompts, run)
        recalled = [self._recall(example.query) for example in examples]
        asked = [n for n, p in enumerate(predictions) if p.answered and recalled[n]]
        texts = [candidates(predictions[n].raw, recalled[n]) for n in asked]
        found = self._likelihoods([prompts[n] for n in asked], texts, run, "remembered answers")
        for place, own, likelihoods in zip(asked, texts, found, strict=True):
            logits = self._improved(logits_of(likelihoods), own, recalled[place])
            best = int(np.argmax(logits))
            if own[best] != predictions[place].raw:
                num_tokens = likelihoods.num_tokens[best]
                predictions[place] = replace(
                    predictions[place], raw=own[best], num_tokens=num_tokens
                )
        return [
            self._weighed(example.choices, prediction, returns)
            for example, prediction, returns in zip(examples, predictions, recalled, strict=True)
        ]

    def _recall(self, query: str) -> dict[str, list[float]]:
        """Return what answers returned in states like a question; nothing where there is none.

        An infinite lambda lets nothing count, so the answer is the model's.
        """
        config = self.config
        if math.isinf(config.kl_weight):
            return {}
        places = self.experiences.near(query, config.most_states, config.least_similarity)
        return self.experiences.returns(places)

    def _improved(
        self, logits: Vector, texts: Sequence[str], recalled: dict[str, list[float]]
    ) -> Vector:
        """Return the improved logits of texts, compared with remembered ones normalised."""
        returns: dict[str, list[float]] = {}
        for text, values in recalled.items():
            returns.setdefault(normalise(text), []).extend(values)
        advantage = advantages(returns, [normalise(text) for text in texts])
        return improved_logits(logits, advantage, self.config.kl_weight)

    def _weighed(
        self, texts: Sequence[str], prediction: Prediction, recalled: dict[str, list[float]]
    ) -> Prediction:
        """Return a prediction whose choices have their advantages.

        z is the mean log-likelihood a token, which the headline score compares, so a sum gets the
        advantage once a token.
        """
        if not prediction.likelihoods or not recalled:
            return prediction
        given = Likelihoods(prediction.likelihoods, prediction.choice_tokens)
        logits = self._improved(logits_of(given), texts, recalled)
        sums = logits * np.array(given.num_tokens)
        return replace(prediction, likelihoods=tuple(map(float, sums)))

    def feedback(self, question: str, answer: str, reward: float) -> str:
        """Remember what an answer to a question was worth; return the name to forget it by.

        Raises:
            ConfigError: If question or answer is empty, or the reward is not from -1 to 1.
        """
        for what, text in (("question", question), ("answer", answer)):
            if not normalise(text):
                raise ConfigError(f"the {what} is {text!r}; it must hold a word")
        if not (math.isfinite(reward) and -1 <= reward <= 1):
            raise ConfigError(f"the reward is {reward}; it must be from -1 (wrong) to 1 (right)")
        name = FEEDBACK + question
        self.experiences.add(name, question, answer, reward)
        return name

    def forget(self, name: str) -> None:
        """Take a document, or the feedback on a question, out exactly."""
        self.experiences.remove(name)
        self.rewards.pop(name, None)

    def describe(self) -> dict[str, object]:
        """Return how much is remembered, and how practising went."""
        kept = self.experiences
        facts: dict[str, object] = {
            "states remembered": kept.num_states,
            "returns remembered": kept.num_returns,
            "lambda": self.config.kl_weight,
        }
        for what, place in (("first", 0), ("last", -1)):
            rewards = [means[place] for means in self.rewards.values()]
            if rewards:
                facts[f"mean reward of the {what} pass"] = round(float(np.mean(rewards)), 3)
        return facts

    def state_dict(self) -> State:
        """Return what was experienced."""
        kept = {name: list(means) for name, means in self.rewards.items()}
        return State({}, {"experiences": self.experiences.to_json(), "rewards": kept})

    def load_state_dict(self, state: State) -> None:
        """Restore what was experienced."""
        self.experiences = Experiences(state.metadata["experiences"])
        self.rewards = dict(state.metadata["rewards"])


def logits_of(likelihoods: Likelihoods) -> Vector:
    """Return z of each choice: its mean log-likelihood a token, in nats."""
    logits: Vector = np.array(likelihoods.sums) / np.array(likelihoods.num_tokens)
    return logits


def candidates(own: str, recalled: dict[str, list[float]]) -> list[str]:
    """Return what may be answered, each once: the model's own answer stands first.

    Args:
        own: The model's; none at all is `unknown`.
        recalled: What answers returned in states like the question.
    """
    is_good = {text: bool(np.mean(values) > 0) for text, values in recalled.items()}
    bad = {normalise(text) for text, good in is_good.items() if not good}
    first = [own, UNKNOWN] if normalise(own) in bad else [own or UNKNOWN]
    distinct: dict[str, str] = {}
    for text in (*first, *(text for text, good in is_good.items() if good)):
        distinct.setdefault(normalise(text), text)
    return list(distinct.values())
