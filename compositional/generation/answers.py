"""Generated answers, kept by the hash of everything that they depend on.

Greedy answers depend on the weights, the prompt and the decoding settings alone. A prompt that
one model has answered is therefore not asked again: not for another row of the matrix, and not by
another method of the same experiment whose model has not changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compositional.files import canonical_json, read_json, sha256_text, write_text


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
    """Answers in memory, and in a folder where one is given.

    Args:
        folder: Where to keep them, a file a set of answers; None for memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._answers: dict[str, Answer] = {}
        self._loaded = folder is None

    def get(self, key: str) -> Answer | None:
        """Return the answer of a key, or None where it was not generated yet."""
        if not self._loaded:
            self._load()
        return self._answers.get(key)

    def put(self, answers: Mapping[str, Answer]) -> None:
        """Keep a set of answers: all of them, or where the process dies none."""
        self._answers.update(answers)
        if self.folder is not None and answers:
            name = sha256_text("\n".join(sorted(answers)))
            kept = {key: [list(answer.ids), answer.ended] for key, answer in answers.items()}
            write_text(self.folder / f"{name}.json", canonical_json(kept))

    def _load(self) -> None:
        """Read all files of the folder."""
        assert self.folder is not None
        self._loaded = True
        for path in sorted(self.folder.glob("*.json")):
            for key, (ids, ended) in read_json(path).items():
                self._answers[key] = Answer(tuple(ids), ended)
