"""doc2lora: a hypernetwork turns each document into a LoRA adapter in one forward pass a chunk.

Charakorn et al. 2026 (Doc-to-LoRA, arXiv 2602.15902). The frozen model reads a document once; the
hypernetwork, trained beforehand by `compositional train-hypernetwork`, makes matrices of the
activations, which are put on the model by peft. Several documents stand side by side along the
rank, so that each can be taken out exactly. In text mode a document is the description of a task
(Text-to-LoRA, arXiv 2506.06105), and what is asked stands in the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from compositional.errors import ConfigError, ResultsError, check_at_least
from compositional.methods.base import Traits
from compositional.methods.questions import (
    answer_prompts,
    check_prompts_fit,
    documents_of,
    prompt_ids,
)
from compositional.models.hypernetwork_file import TEXT, TrainedHypernetwork, load_hypernetwork
from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.models.low_rank import LowRank, as_adapter, compose, lora_settings, output_paths
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import TEXT as TEXT_FORM
from compositional.tasks.types import Document, Example, Prediction, Round
from compositional.training.distillation_set import chunks_of
from compositional.training.reading import read_sequences


@dataclass(frozen=True)
class Doc2LoraConfig:
    """LoRA adapters made of documents by a hypernetwork.

    Attributes:
        hypernetwork: File that `compositional train-hypernetwork` wrote for this model. It says
            whether documents are texts to be asked about or descriptions of tasks.
        chunk_tokens: Longest chunk that a document is read in; 0 for what the hypernetwork was
            trained for.
    """

    hypernetwork: str = ""
    chunk_tokens: int = 0

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Doc2Lora":
        """Build the method; questions must fit the model's window, documents are read in chunks."""
        if not self.hypernetwork:
            raise ConfigError(
                "doc2lora needs method.hypernetwork, the file of a hypernetwork: compositional "
                "train-hypernetwork FILE writes one"
            )
        check_at_least("chunk_tokens", self.chunk_tokens, 0)
        model.check_whole("doc2lora")
        trained = load_hypernetwork(Path(self.hypernetwork).expanduser(), model)
        model.check_fits(self.chunk_tokens or trained.chunk_tokens, 0, "a chunk of a document")
        check_prompts_fit(model, benchmark)
        return Doc2Lora(self, model, trained)


class Doc2Lora:
    """The method; see `Doc2LoraConfig`."""

    traits = Traits(reads_whole=False)

    def __init__(
        self, config: Doc2LoraConfig, model: LanguageModel, trained: TrainedHypernetwork
    ) -> None:
        self.config = config
        self.model = model
        self.trained = trained
        self.num_blocks = trained.network.shape.num_blocks
        self.chunk_tokens = config.chunk_tokens or trained.chunk_tokens
        self.updates: dict[str, LowRank] = {}
        self._paths = output_paths(model.backbone, self.num_blocks)

    def learn(self, round_: Round, run: RunContext) -> None:
        """Read the round's documents, one forward pass a chunk."""
        self._detach()
        for document in documents_of(round_):
            self.updates[document.name] = self.read(document, run)
        run.budget.buffer_bytes = sum(u.a.nbytes + u.b.nbytes for u in self.updates.values())
        self._attach()

    @torch.no_grad()
    def read(self, document: Document, run: RunContext) -> LowRank:
        """Return the update of a document, [K, chunks * r, ...]; nothing may be attached."""
        network = self.trained.network
        chunks = chunks_of(self.model.chat.text_ids(document.text), self.chunk_tokens)
        blocks = LastBlocks(self.model.backbone, self.num_blocks)
        parts = []
        for chunk in chunks:
            (reading,) = read_sequences(self.model, blocks, [chunk], [1])
            is_token = torch.ones(1, len(chunk), dtype=torch.bool, device=self.model.device)
            made = network(reading.entering[None], is_token)
            parts.append(LowRank(made.a[0], made.b[0]))
            run.budget.input_tokens += len(chunk)
        return compose(parts)

    def _attach(self) -> None:
        """Put the adapter of all documents on the model; without any, the model stays as it is."""
        self._detach()
        if not self.updates:
            return
        bias = self.trained.network.bias()
        whole = compose([*self.updates.values(), *([] if bias is None else [bias])])
        settings = lora_settings(self.model.backbone, self.num_blocks, whole.rank)
        adapter = as_adapter(whole, self._paths)
        lora = self.model.add_lora(settings)
        lora.load_state_dict({f"adapter.{name}": tensor for name, tensor in adapter.items()})

    def _detach(self) -> None:
        if self.model.lora is not None:
            self.model.lora.drop()
            self.model.lora = None

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the question alone."""
        return answer_prompts(self.model, examples, [self._prompt(e) for e in examples], run)

    def _prompt(self, example: Example) -> list[int]:
        """Return a question's prompt; in text mode an input stands there without more words."""
        if self.trained.mode == TEXT and example.form == TEXT_FORM:
            return self.model.chat.prompt_ids(example.query)
        return prompt_ids(self.model, example)

    def forget(self, name: str) -> None:
        """Take a document out exactly."""
        del self.updates[name]
        self._attach()

    def describe(self) -> dict[str, object]:
        """Return what is attached to which blocks."""
        lora = self.model.lora
        first = int(self.model.backbone.config.num_hidden_layers) - self.num_blocks
        return {
            "mode": self.trained.mode,
            "LoRA in blocks": f"{first} to {first + self.num_blocks - 1}",
            "rank of a chunk": self.trained.network.shape.rank,
            "tokens of a chunk": self.chunk_tokens,
            "rank attached": 0 if lora is None else lora.settings.rank,
            "parameters of the hypernetwork": self.trained.network.num_parameters(),
        }

    def state_dict(self) -> State:
        """Return each document's matrices."""
        tensors = {}
        for name, update in self.updates.items():
            tensors[f"a.{name}"], tensors[f"b.{name}"] = update.a, update.b
        metadata = {"names": list(self.updates), "hypernetwork_sha256": self.trained.sha256}
        return State(tensors, metadata)

    def load_state_dict(self, state: State) -> None:
        """Restore the documents' matrices.

        Raises:
            ResultsError: If another hypernetwork made them.
        """
        made_by = state.metadata["hypernetwork_sha256"]
        if made_by != self.trained.sha256:
            raise ResultsError(
                f"the state was made by another hypernetwork ({made_by[:12]}) than "
                f"{self.config.hypernetwork} ({self.trained.sha256[:12]})"
            )
        device = self.model.device
        self.updates = {
            name: LowRank(
                state.tensors[f"a.{name}"].to(device), state.tensors[f"b.{name}"].to(device)
            )
            for name in state.metadata["names"]
        }
        self._attach()
