"""One step of ACE: a question is answered, reflected on, tried again, and curated.

Zhang et al. 2025 (arXiv 2510.04618), figure 4. Counters move by fixed rules, operations are applied
by fixed rules; models only propose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compositional.playbooks.limits import Embed, fold_duplicates, within_budget
from compositional.playbooks.operations import ADD, DELETE, MERGE, UPDATE, apply_operations
from compositional.playbooks.playbook import HELPFUL, Playbook
from compositional.playbooks.roles import Attempt, Question, Reflection, Roles
from compositional.playbooks.tally import Tally
from compositional.tasks.averages import mean


@dataclass(frozen=True)
class Evolver:
    """Evolves a playbook, a question at a time.

    Attributes:
        roles: Generator, reflector, curator.
        tally: Counts what happened.
        retries: Further answers to a question that was answered wrongly, each after a reflection.
        right_at: The score from which on an answer is right.
        count_tokens: Length of a text.
        budget_tokens: Tokens that the playbook may have.
        embed: Vectors of texts, for duplicates; None to compare normalised texts.
        similarity: The least cosine of duplicates.
    """

    roles: Roles
    tally: Tally
    retries: int
    right_at: float
    count_tokens: Callable[[str], int]
    budget_tokens: int
    embed: Embed | None = None
    similarity: float = 0.9

    def learn(self, playbook: Playbook, question: Question) -> Playbook:
        """Return the playbook after one question.

        Entries that a right first answer used count as helpful. After a wrong one the reflector
        tags them; where a reply is left out, what was settled before it stays.
        """
        self.tally.questions += 1
        attempt = self.roles.generate(playbook, question)
        if attempt is None:
            return playbook
        if self._is_right(question, attempt):
            self.tally.right += 1
            return playbook.count((entry_id, HELPFUL) for entry_id in attempt.bullet_ids)
        playbook, reflection, outcome = self._reflect(playbook, question, attempt)
        if reflection is None:
            return playbook
        operations = self.roles.curate(playbook, question, reflection, outcome)
        if operations is None:
            return playbook
        return self._applied(playbook, operations, question.document)

    def score(self, playbook: Playbook, questions: Sequence[Question]) -> float:
        """Return the mean score of greedy first answers; one that is left out scores 0."""
        attempts = [self.roles.generate(playbook, question, greedy=True) for question in questions]
        scores = [
            0.0 if attempt is None else question.score(attempt.answer)
            for question, attempt in zip(questions, attempts, strict=True)
        ]
        return mean(scores) or 0.0

    def _is_right(self, question: Question, attempt: Attempt) -> bool:
        return question.score(attempt.answer) >= self.right_at

    def _reflect(
        self, playbook: Playbook, question: Question, attempt: Attempt
    ) -> tuple[Playbook, Reflection | None, str]:
        """Reflect on a wrong answer and try again, until it is right or no try is left.

        Returns:
            The playbook with tags counted, the last reflection, and how the last try ended.
        """
        last: Reflection | None = None
        outcome = "nothing, it was not asked again"
        for number in range(max(1, self.retries)):
            reflection = self.roles.reflect(playbook, question, attempt)
            if reflection is None:
                break
            last = reflection
            playbook = playbook.count(reflection.tags)
            if number == self.retries:
                break
            again = self.roles.generate(playbook, question, (attempt, reflection))
            if again is None:
                break
            attempt = again
            is_right = self._is_right(question, attempt)
            outcome = f"{attempt.answer!r}, which is {'right' if is_right else 'wrong'}"
            if is_right:
                break
        return playbook, last, outcome

    def _applied(
        self, playbook: Playbook, operations: Sequence[dict[str, str]], source: str
    ) -> Playbook:
        """Apply operations, fold duplicates, and hold the budget."""
        done = apply_operations(playbook, operations, source)
        self.tally.added += done.counts[ADD]
        self.tally.updated += done.counts[UPDATE]
        self.tally.merged += done.counts[MERGE]
        self.tally.deleted += done.counts[DELETE]
        self.tally.refused += done.refused
        folded = fold_duplicates(done.playbook, self.embed, self.similarity)
        self.tally.folded += len(done.playbook.entries) - len(folded.entries)
        kept, evicted = within_budget(folded, self.count_tokens, self.budget_tokens)
        self.tally.evicted += evicted
        return kept
