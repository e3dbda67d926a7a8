from pathlib import Path

import pytest
import torch

from compositional.models.language_model import LanguageModel
from compositional.models.last_blocks import LastBlocks
from compositional.training.reading import num_shared, read_sequences
from tests.toy import load_toy

SEQUENCES = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 7, 8, 11, 12, 13]]
KEPT = [2, 1, 3]


def test_the_shared_beginning_leaves_out_what_logits_are_wanted_of() -> None:
    assert num_shared(SEQUENCES, KEPT) == 3
    assert num_shared(SEQUENCES, [4, 1, 1]) == 1
    assert num_shared([[1, 2], [3, 4]], [1, 1]) == 0


@pytest.mark.parametrize("arch", ["llama", "gpt2"])
@pytest.mark.parametrize("packs", [True, False])
def test_each_sequence_is_read_as_it_would_be_alone(tmp_path: Path, arch, packs) -> None:
    loaded = load_toy(tmp_path, arch)
    model = LanguageModel(loaded)
    assert model.packs_sequences
    model.packs_sequences = packs
    readings = list(read_sequences(model, LastBlocks(loaded.model, 2), SEQUENCES, KEPT))
    assert len(readings) == len(SEQUENCES)
    for ids, kept, reading in zip(SEQUENCES, KEPT, readings, strict=True):
        with torch.no_grad():
            alone = loaded.model(
                input_ids=torch.tensor([ids]), use_cache=False, output_hidden_states=True
            )
        assert torch.allclose(reading.logits, alone.logits[0, -kept:], atol=1e-4)
        expected = torch.stack([states[0] for states in alone.hidden_states[:2]])
        assert reading.entering.shape == expected.shape
        assert torch.allclose(reading.entering, expected, atol=1e-4)
