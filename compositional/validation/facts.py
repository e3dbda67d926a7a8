"""A few invented facts to teach, and what is asked of whoever learned them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compositional.documents.names import TEST, Names
from compositional.generation.likelihoods import Likelihoods
from compositional.retention import Array
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Document, Example, Prediction, Round, Step

# What begins a sentence on a person, and how it is asked; an invented name ends the sentence.
WORDINGS = {
    "company": ("{} works for", "Whom does {} work for?"),
    "town": ("{} was born in", "Where was {} born?"),
}
NUM_PEOPLE = 4


@dataclass(frozen=True)
class Facts:
    """What a strategy is taught and asked.

    The choices of a question are the answers to the same question on all people, two or more: to
    make some words likelier, or all that was taught, gains nothing.

    Attributes:
        documents: The texts.
        questions: A question a fact, with its choices.
        beginnings: For each question the sentence that was taught, up to the answer.
    """

    documents: tuple[Document, ...]
    questions: tuple[Example, ...]
    beginnings: tuple[str, ...]

    def round(self, passes: int) -> Round:
        """Return one round that teaches all documents."""
        return Round(1, "facts", passes, (), (), (), self.questions, self.documents)

    def benchmark(self, passes: int) -> Benchmark:
        """Return what a method may look at before it is built."""
        rounds = (self.round(passes),)
        return Benchmark(rounds, None, (), (), {}, {"rounds": []}, "", task=DOCUMENTS)

    def hidden(self) -> list[Example]:
        """Return the questions as a method may see them."""
        return [question.hidden() for question in self.questions]

    def leads(self, found: Sequence[Likelihoods]) -> Array:
        """Return by how much each right choice belongs to its question more than to the others.

        For questions i with one list of choices, j right for i, and L the mean log-likelihood a
        token: (L_ij - mean of L_ij') - (mean of L_i'j - mean of L_i'j'), i' and j' all others. What
        makes a choice likelier whatever is asked drops out of each of them.

        Args:
            found: The likelihoods of each question's choices, in order.

        Returns:
            Differences in nats a token, [questions].
        """
        rows = [np.array(own.means) for _, own in zip(self.questions, found, strict=True)]
        return np.array([self._lead(place, rows) for place in range(len(rows))])

    def _lead(self, place: int, rows: Sequence[Array]) -> float:
        question = self.questions[place]
        (step,) = question.steps or ()
        gold = question.choices.index(step.response)
        others = [
            row
            for other, row in zip(self.questions, rows, strict=True)
            if other.choices == question.choices and other.steps != question.steps
        ]
        wrong = np.arange(len(question.choices)) != gold
        lead = [float(row[gold] - row[wrong].mean()) for row in (rows[place], *others)]
        return lead[0] - float(np.mean(lead[1:]))


def of_predictions(predictions: Sequence[Prediction]) -> list[Likelihoods]:
    """Return the likelihoods of what a method predicted."""
    return [Likelihoods(given.likelihoods, given.choice_tokens) for given in predictions]


def invented_facts(seed: int, num_people: int = NUM_PEOPLE) -> Facts:
    """Invent people and what is true of them, a document a fact.

    Args:
        seed: Of all names.
        num_people: Two or more.
    """
    names = Names(TEST, Streams(seed).generator("facts"))
    people = [names.person() for _ in range(num_people)]
    draw = {"company": names.company, "town": names.town}
    documents, questions, beginnings = [], [], []
    for kind, (begin, ask) in WORDINGS.items():
        answers = [draw[kind]() for _ in people]
        for place, who in enumerate(people):
            document = Document(f"{kind} of {who}", f"{begin.format(who)} {answers[place]}.")
            documents.append(document)
            questions.append(question_on(ask.format(who), answers, place, document.name))
            beginnings.append(begin.format(who))
    return Facts(tuple(documents), tuple(questions), tuple(beginnings))


def question_on(query: str, choices: Sequence[str], gold: int, document: str) -> Example:
    """Return a question with its choices, of which one is right."""
    answer = choices[gold]
    return Example(
        id=query,
        query=query,
        steps=(Step(None, answer, {"answers": [answer]}),),
        round=1,
        base_ids=(query,),
        form=TEXT,
        choices=tuple(choices),
        generates=False,
        document=document,
    )
