"""Generated answers, kept by the hash of everything that they depend on.

Greedy answers depend on the weights, the prompt and the decoding settings alone. A prompt that
one model has answered is therefore not asked again: not for another row of the matrix, and not by
another method of the same experiment whose model has not changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.files import canonical_json, read_json, sha256_text, write_text

PREFIX_LENGTH = 16


@dataclass(frozen=True)
class Answer:
    """What a model generated after one prompt.

    Attributes:
        ids: Token ids, without the end token.
        ended: Whether the end token came; False where the limit of new tokens cut the answer.
        reused: Whether the answer was kept from an earlier time.
    """

    ids: tuple[int, ...]
    ended: bool
    reused: bool = False


class AnswerStore:
    """Answers of one model in memory, and of all in folders where they are given.

    Args:
        folder: Where a run keeps its own, a file a set of answers; None for memory only, which then
            holds the answers of all models.
        shared: Where all runs of an experiment lay theirs; None to share nothing.
    """

    def __init__(self, folder: Path | None = None, shared: Path | None = None) -> None:
        self.folder = folder
        self.shared = shared
        self._answers: dict[str, Answer] = {}
        self._model = ""

    def turn_to(self, model: str) -> None:
        """Hold the answers of one model; those of others are let go of, and stand in the folder.

        Args:
            model: Fingerprint of the model that answers next.
        """
        if model == self._model:
            return
        self._model = model
        if self.folder is not None:
            self._answers = {}
            for path in sorted(self.folder.glob(f"{self._prefix}*.json")):
                self._answers |= _read(path)

    @property
    def _prefix(self) -> str:
        """What the names of the model's files in the run's own folder begin with."""
        return f"{self._model[:PREFIX_LENGTH]}-"

    def get(self, key: str) -> Answer | None:
        """Return the run's own answer of a key, or None where it was not generated yet."""
        return self._answers.get(key)

    def take_shared(self, keys: Sequence[str]) -> dict[str, Answer]:
        """Return what another run answered to exactly these prompts, asked together in this order.

        Nothing less is taken: the answers are those that this run would generate in the same
        batches, whichever run is first.

        Args:
            keys: Those that this run has no answers of.

        Returns:
            The answer of every key, or none of them.
        """
        path = None if self.shared is None else self.shared / _file_name(keys)
        if path is None or not keys or not path.exists():
            return {}
        found = _read(path)
        self._answers |= found
        _write(found, self.folder, self._prefix)
        return found

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Keep a set of answers: all of them, or where the process dies none."""
        self._answers |= answers
        _write(answers, self.folder, self._prefix)
        _write(answers, self.shared)


def _file_name(keys: Sequence[str]) -> str:
    return f"{sha256_text(' '.join(keys))}.json"


def _write(answers: Mapping[str, Answer], folder: Path | None, prefix: str = "") -> None:
    if folder is not None and answers:
        kept = {key: [list(answer.ids), answer.ended] for key, answer in answers.items()}
        write_text(folder / f"{prefix}{_file_name(list(answers))}", canonical_json(kept))


def _read(path: Path) -> dict[str, Answer]:
    return {key: Answer(tuple(ids), ended) for key, (ids, ended) in read_json(path).items()}
