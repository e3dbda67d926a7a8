import pytest
import torch
from torch.nn import functional

from compositional.training.batching import IGNORED_LABEL, TokenSequence, collate, padded_logits
from tests.toy import load_toy

SEQUENCES = [
    TokenSequence((5, 6, 7, 8), (9, 2)),
    TokenSequence((5,), (10, 11, 12, 2)),
    TokenSequence((5, 2, 2), (2,)),
]


def test_left_padding_by_hand() -> None:
    batch = collate(SEQUENCES[:2], pad_id=2)
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9, 2], [2, 5, 10, 11, 12, 2]]
    assert batch.attention_mask.tolist() == [[1] * 6, [0, 1, 1, 1, 1, 1]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 3, 4]]
    no = IGNORED_LABEL
    assert batch.labels.tolist() == [[no, no, no, no, 9, 2], [no, no, 10, 11, 12, 2]]
    assert batch.num_last == 5


def test_an_end_that_is_also_the_pad_is_learned_and_padding_is_not() -> None:
    for side in ("left", "right"):
        batch = collate(SEQUENCES, pad_id=2, padding_side=side)
        assert int(batch.is_target.sum()) == 2 + 4 + 1
        assert int((batch.labels == 2).sum()) == 3
        assert int(batch.attention_mask.sum()) == 6 + 5 + 4


@pytest.mark.parametrize("arch", ["llama", "gpt2", "qwen2", "gemma"])
def test_loss_covers_the_response_only_under_both_paddings(tmp_path, arch) -> None:
    model = load_toy(tmp_path, arch).model
    total, count = 0.0, 0
    with torch.no_grad():
        for sequence in SEQUENCES:
            ids = torch.tensor([sequence.prompt + sequence.target])
            logits = model(input_ids=ids).logits[0]
            start = len(sequence.prompt)
            total += functional.cross_entropy(
                logits[start - 1 : -1], ids[0, start:], reduction="sum"
            ).item()
            count += len(sequence.target)
        for side in ("left", "right"):
            batch = collate(SEQUENCES, 2, padding_side=side)
            targets = batch.labels[batch.is_target]
            loss = functional.cross_entropy(padded_logits(model, batch), targets)
            assert loss.item() == pytest.approx(total / count, abs=1e-5)
