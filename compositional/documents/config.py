"""What rounds of documents are made of: the section `documents` of a config."""

from dataclasses import dataclass
from pathlib import Path

from compositional.errors import ConfigError, check_at_least, check_choice, did_you_mean

SYNTHETIC, BFCL_MEMORY, SQUAD, SQUAD_V2 = "synthetic", "bfcl_memory", "squad", "squad_v2"
HUB_IDS = {SQUAD: "rajpurkar/squad", SQUAD_V2: "rajpurkar/squad_v2"}
NAMED = (SYNTHETIC, BFCL_MEMORY, SQUAD, SQUAD_V2)
ENDS, EVERYWHERE = "ends", "everywhere"
MIN_DOCUMENTS = 2
"""The distractors of a question come from its own document and from another one."""


@dataclass(frozen=True)
class DocumentsConfig:
    """Rounds of documents; without a source a run has rounds of tools.

    Attributes:
        source: `synthetic`, `bfcl_memory`, `squad`, `squad_v2`, another Hub id of SQuAD's shape, a
            `.json` file in SQuAD's format, a `.jsonl` file of documents with questions, or a folder
            of these; None for rounds of tools. Only documents with questions are taught.
        revision: Commit or tag of a Hub data set.
        num_rounds: T.
        documents_per_round: Documents that a round teaches.
        order: The rounds in the order taught, each from 1 once; None for 1, 2, ..., T.
        num_facts: Facts of a synthetic document, 4 to 256.
        questions_per_document: Questions asked of a document, at the most.
        untaught: Documents that no round teaches, whose questions are asked for false recall.
        skip: Documents left out first, on which settings are chosen outside a table.
        epochs: Passes over a document for methods that train.
        generation: `ends` (a round's own row and the last one) or `everywhere`; choices are given
            their likelihoods in every cell.
        general: Whether questions of general knowledge are asked before the first round and after
            the last one.
        data_seed: Of names, choices and the documents' order; the run's seed by default.
    """

    source: str | None = None
    revision: str | None = None
    num_rounds: int = 8
    documents_per_round: int = 2
    order: list[int] | None = None
    num_facts: int = 8
    questions_per_document: int = 5
    untaught: int = 8
    skip: int = 0
    epochs: int = 8
    generation: str = ENDS
    general: bool = True
    data_seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no rounds can have, and names that can be no source."""
        for name in ("num_rounds", "documents_per_round", "questions_per_document", "epochs"):
            check_at_least(f"documents.{name}", getattr(self, name), 1)
        for name in ("untaught", "skip"):
            check_at_least(f"documents.{name}", getattr(self, name), 0)
        if not 4 <= self.num_facts <= 256:
            raise ConfigError(f"documents.num_facts is {self.num_facts}; it must be 4 to 256")
        check_choice("documents.generation", self.generation, (ENDS, EVERYWHERE))
        if self.num_needed - self.skip < MIN_DOCUMENTS:
            raise ConfigError(
                "one document alone has no other to draw distractors from: set documents.untaught, "
                "num_rounds or documents_per_round higher"
            )
        if self.order is not None and sorted(self.order) != list(range(1, self.num_rounds + 1)):
            raise ConfigError(
                f"documents.order is {self.order}; it must name each round from 1 to "
                f"{self.num_rounds} once"
            )
        if self.source is not None:
            self._check_source(self.source)

    @property
    def num_needed(self) -> int:
        """How many documents the source must have."""
        return self.skip + self.num_rounds * self.documents_per_round + self.untaught

    @property
    def may_be_hub_id(self) -> bool:
        """Whether the source has the form of a Hub id: owner/name, which a path may have too."""
        source = self.source or ""
        return source.count("/") == 1 and not source.startswith((".", "/", "~"))

    def _check_source(self, source: str) -> None:
        is_hub = self.may_be_hub_id
        path = Path(source).expanduser()
        if source not in NAMED and not path.suffix and not path.exists() and not is_hub:
            raise ConfigError(
                f"unknown source of documents {source!r}: {did_you_mean(source, NAMED)}, a file, a "
                "folder, or a Hub id (owner/name)"
            )
        if self.revision and source not in HUB_IDS and not is_hub:
            raise ConfigError(
                f"documents.revision {self.revision!r} is for Hub ids; source {source!r} has none"
            )
