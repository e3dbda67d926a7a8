"""What never changes while a hypernetwork trains, computed once and kept on the disk.

Of each chunk of a context what enters the last blocks, of each question what enters the first of
them, and what the teacher (the same model with the context before the question) thinks of every
token of the answer. A file holds a part of a set; a computation that is cut off goes on with the
part under way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from compositional.errors import ConfigError, ResultsError
from compositional.files import canonical_json, sha256_text
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.run_context import RunContext
from compositional.states import State, save_state
from compositional.training.distillation_set import DistillationSet
from compositional.training.reading import read_sequences

VERSION = 1
PART = 64
TEACHER = ("teacher", "teacher_ids", "teacher_target")
MIB = 1 << 20


@dataclass(frozen=True)
class Question:
    """What is kept of a question with an answer of t tokens.

    Where no teacher was asked, k is 0 and `teacher_target` is empty.

    Attributes:
        entering: What enters the first of the last blocks, over prompt and answer without its last
            token, [T, d].
        teacher: The teacher's largest log-probabilities at each token of the answer, [t, k].
        teacher_ids: Their tokens, [t, k].
        teacher_target: The teacher's log-probability of each token of the answer, [t].
    """

    entering: Tensor
    teacher: Tensor
    teacher_ids: Tensor
    teacher_target: Tensor


class DistillationCache:
    """The kept values of one set and one model.

    Args:
        folder: Where caches stand; each has a folder of its own, named by model and data.
        model: The frozen model, nothing attached.
        blocks: Its last blocks.
        data: The set.
        top_k: k, how many of the teacher's log-probabilities are kept a token; 0 where no teacher
            is asked.
    """

    def __init__(
        self,
        folder: Path,
        model: LanguageModel,
        blocks: LastBlocks,
        data: DistillationSet,
        top_k: int,
    ) -> None:
        self.model, self.blocks, self.data = model, blocks, data
        self.top_k = min(top_k, model.num_text_ids)
        dtype, device = str(model.backbone.dtype), model.device.type
        key = [VERSION, model.sha256, dtype, device, blocks.num_blocks, top_k, data.sha256()]
        self.folder = folder / sha256_text(canonical_json(key))[:16]
        self._open = lru_cache(maxsize=None)(self._opened)

    def num_bytes(self) -> int:
        """Return the bytes of all tensors, but for the files' headers."""
        size, width = self.model.backbone.dtype.itemsize, self.blocks.widths[1]
        chunks = sum(len(chunk) for chunks in self.data.contexts for chunk in chunks)
        asked = sum(len(i.prompt) + len(i.target) - 1 for i in self.data.items)
        answered = sum(len(i.target) for i in self.data.items)
        of_teacher = answered * (4 + self.top_k * (4 + 4)) if self.top_k else 0
        return size * width * (chunks * self.blocks.num_blocks + asked) + of_teacher

    def fill(self, run: RunContext) -> None:
        """Compute what is missing.

        Raises:
            PreemptedError: If the run was asked to stop; finished parts stay.
        """
        makers: dict[str, tuple[int, Callable[[range], Iterator[dict[str, Tensor]]]]] = {
            "contexts": (len(self.data.contexts), self._contexts),
            "questions": (len(self.data.items), self._questions),
        }
        for kind, (count, make) in makers.items():
            with run.progress.bar(f"reading {kind}", count) as bar:
                for start in range(0, count, PART):
                    own = range(start, min(start + PART, count))
                    path = self._path(kind, start)
                    if not path.is_file():
                        run.stop.check()
                        tensors: dict[str, Tensor] = {}
                        for found in make(own):
                            tensors |= found
                        save_state(path, State(tensors))
                    bar.update(len(own))

    def _contexts(self, own: range) -> Iterator[dict[str, Tensor]]:
        chunks = [(c, n, ids) for c in own for n, ids in enumerate(self.data.contexts[c])]
        sequences = [ids for _, _, ids in chunks]
        read = read_sequences(self.model, self.blocks, sequences, [1] * len(sequences))
        for (place, number, _), reading in zip(chunks, read, strict=True):
            yield {f"{place}.{number}": reading.entering}

    def _questions(self, own: range) -> Iterator[dict[str, Tensor]]:
        for places in self._by_prompt(own):
            asked = [self.data.items[place] for place in places]
            alone = [(*item.prompt, *item.target[:-1]) for item in asked]
            read = read_sequences(self.model, self.blocks, alone, [1] * len(asked))
            for place, reading in zip(places, read, strict=True):
                yield {f"{place}.entering": reading.entering[0]}
        if self.top_k == 0:
            return
        items = [self.data.items[place] for place in own]
        behind = [(*item.in_context, *item.target[:-1]) for item in items]
        kept = [len(item.target) for item in items]
        taught = read_sequences(self.model, self.blocks, behind, kept)
        for place, item, reading in zip(own, items, taught, strict=True):
            logs = reading.logits.float().log_softmax(dim=-1)
            best = logs.topk(self.top_k)
            target = torch.tensor(item.target, device=logs.device)
            yield {
                f"{place}.teacher": best.values,
                f"{place}.teacher_ids": best.indices.int(),
                f"{place}.teacher_target": logs.gather(1, target[:, None])[:, 0],
            }

    def _by_prompt(self, own: range) -> list[list[int]]:
        """Return questions that share their whole prompt together, and the others together."""
        groups: dict[tuple[int, ...], list[int]] = {}
        for place in own:
            groups.setdefault(self.data.items[place].prompt, []).append(place)
        repeated = [places for places in groups.values() if len(places) > 1]
        single = [places[0] for places in groups.values() if len(places) == 1]
        return [*repeated, single] if single else repeated

    def context(self, place: int) -> list[Tensor]:
        """Return what enters the last blocks for each chunk of a context, [K, T, d]."""
        numbers = range(len(self.data.contexts[place]))
        return self._tensors("contexts", place, [f"{place}.{n}" for n in numbers])

    def question(self, place: int) -> Question:
        """Return what is kept of a question."""
        names = ["entering", *(TEACHER if self.top_k else ())]
        entering, *teacher = self._tensors("questions", place, [f"{place}.{n}" for n in names])
        if not teacher:
            nothing = torch.zeros(len(self.data.items[place].target), 0, device=entering.device)
            return Question(entering, nothing, nothing.long(), nothing.flatten())
        logs, ids, target = teacher
        return Question(entering, logs, ids.long(), target)

    def _tensors(self, kind: str, place: int, names: Sequence[str]) -> list[Tensor]:
        path = self._path(kind, place - place % PART)
        file = self._open(path)
        return [file.get_tensor(name).to(self.model.device) for name in names]

    def _opened(self, path: Path) -> Any:
        try:
            return safe_open(path, framework="pt")
        except OSError as error:
            raise ResultsError(f"{path}: cannot be read: {error}; remove its folder") from error

    def _path(self, kind: str, start: int) -> Path:
        return self.folder / f"{kind}-{start:06d}.safetensors"


def check_room(caches: Iterable[DistillationCache], most_mib: int) -> None:
    """Refuse to keep more than is allowed.

    Raises:
        ConfigError: With what would be kept.
    """
    needed = sum(cache.num_bytes() for cache in caches) / MIB
    if needed > most_mib:
        raise ConfigError(
            f"what is kept of the data takes {needed:.0f} MiB on the disk, over cache_mib "
            f"{most_mib}: ask for fewer or shorter contexts or fewer last blocks, or set cache_mib "
            "higher"
        )
