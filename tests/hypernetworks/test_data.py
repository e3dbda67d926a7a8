"""Which documents a hypernetwork is trained on, and which are kept for a comparison."""

import json
from pathlib import Path

import pytest

from compositional.documents.benchmark import prepare_documents
from compositional.documents.config import DocumentsConfig
from compositional.errors import ConfigError, DataError
from compositional.hypernetworks.data import HELD_OUT, TRAINING, HypernetworkData, documents_of
from compositional.models.language_model import LanguageModel


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Forty documents with two questions each."""
    lines = [
        {"name": f"d{n}", "text": f"Mill {n} is red and of {1700 + n}.",
         "questions": [{"question": "Which colour?", "answers": ["red"]},
                       {"question": "Which year?", "answers": [str(1700 + n)]}]}
        for n in range(40)
    ]  # fmt: skip
    path = tmp_path / "mills.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def names_of(toy, source: str, skip: int) -> dict[str, set[str]]:
    data = HypernetworkData(source=source, contexts=12, held_out=4, skip=skip, seed=42)
    found = documents_of(data, LanguageModel(toy))
    return {kind: {d.document.name for d in own} for kind, own in found.items()}


def test_what_a_comparison_takes_can_be_left_out(toy, source) -> None:
    """Eight rounds of two documents, and eight that are not taught."""
    benchmark = prepare_documents(DocumentsConfig(source=source), 42)
    compared = {document.name for round_ in benchmark.rounds for document in round_.documents}
    compared |= {example.document for example in benchmark.untaught}
    assert len(compared) == 24
    apart = names_of(toy, source, skip=24)
    assert len(apart[TRAINING]) == 12
    assert len(apart[HELD_OUT]) == 4
    assert not (apart[TRAINING] | apart[HELD_OUT]) & compared
    assert not apart[TRAINING] & apart[HELD_OUT]
    together = names_of(toy, source, skip=0)
    assert (together[TRAINING] | together[HELD_OUT]) < compared


def test_too_much_to_leave_out_is_refused(toy, source) -> None:
    with pytest.raises(DataError, match="40 documents with questions; skip 30, contexts 12 and"):
        names_of(toy, source, skip=30)
    with pytest.raises(ConfigError, match="skip is -1"):
        HypernetworkData(source=source, skip=-1)
    with pytest.raises(ConfigError, match="skip is 24, but what source 'synthetic' draws"):
        HypernetworkData(source="synthetic", skip=24)
