"""Generated answers, kept by the hash of everything that they depend on.

Greedy answers depend on the weights, the prompts and the decoding settings alone. A set of
prompts that one model has answered is therefore not asked again: not for another row of the
matrix, and not by another method of the same experiment whose model has not changed.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from compositional.files import read_json, write_json


@dataclass(frozen=True)
class Answer:
    """What a model generated after one prompt.

    Attributes:
        ids: Token ids, without the end token.
        ended: Whether the end token came; False where the limit of new tokens cut the answer.
    """

    ids: tuple[int, ...]
    ended: bool


class AnswerStore:
    """Answers in memory, and in a folder where one is given.

    Args:
        folder: Where to keep them, a file a set of prompts; None for memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.num_reused = 0
        self.num_generated = 0
        self._memory: dict[str, list[Answer]] = {}

    def get(self, key: str) -> list[Answer] | None:
        """Return the answers of a set of prompts, or None where they were not generated yet."""
        if key not in self._memory:
            path = self._path(key)
            if path is None or not path.exists():
                return None
            self._memory[key] = [
                Answer(tuple(answer["ids"]), answer["ended"]) for answer in read_json(path)
            ]
        self.num_reused += len(self._memory[key])
        return self._memory[key]

    def put(self, key: str, answers: list[Answer]) -> None:
        """Keep the answers of a set of prompts."""
        self._memory[key] = answers
        self.num_generated += len(answers)
        path = self._path(key)
        if path is not None:
            write_json(path, [asdict(answer) for answer in answers])

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.json"
