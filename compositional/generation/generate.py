"""Greedy answers to prompts: asked once, kept by all that they depend on, decoded in slots.

Models that cannot be decoded in slots (sliding windows, a recurrent state) are decoded in padded
batches by transformers' own `generate`, which is also what the slots are tested against.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import transformers

from compositional.files import canonical_json, sha256_text
from compositional.generation.answers import Answer
from compositional.generation.padded import decode_padded
from compositional.generation.slot_probe import can_decode_in_slots
from compositional.generation.slots import decode_in_slots
from compositional.generation.token_bias import Biases
from compositional.models.language_model import LanguageModel
from compositional.preemption import PreemptedError
from compositional.run_context import RunContext


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    run: RunContext,
    what: str,
    forced: Sequence[Sequence[int]] | None = None,
    biases: Biases | None = None,
) -> list[Answer]:
    """Answer prompts greedily.

    Args:
        model: The model with all that is attached to it.
        prompts: Token ids of each prompt.
        run: Decoding settings, the store of answers, the progress line.
        what: What the progress line calls it.
        forced: For each prompt the row ids that replace chosen rows, in order.
        biases: For each prompt what is added to logits; None for none.

    Returns:
        The answers, in the order of the prompts.

    Raises:
        ModelError: If the longest prompt and an answer at the limit do not fit the window.
    """
    longest = max(map(len, prompts), default=0)
    model.check_fits(longest, run.evaluation.max_new_tokens, f"a prompt of {longest}")
    fingerprint = model.fingerprint()
    run.answers.turn_to(fingerprint)
    own_keys = _keys(model, fingerprint, prompts, run, forced, biases)
    stored = {key: answer for key in own_keys if (answer := run.answers.get(key)) is not None}
    missing = [key for key in dict.fromkeys(own_keys) if key not in stored]
    stored |= run.answers.take_shared(missing)
    # Those of the process that has the run's folders: another machine's keys may differ.
    keys, kept = run.processes.exchange((own_keys, stored))[0]
    places = {key: place for place, key in enumerate(keys) if key not in kept}
    fresh = _decode(model, prompts, forced, biases, list(places.values()), run, what)
    run.answers.put({key: fresh[place] for key, place in places.items()})
    run.answering.add(
        [prompts[place] for place in fresh], generated=[answer.ids for answer in fresh.values()]
    )
    return [replace(kept[key], reused=True) if key in kept else fresh[places[key]] for key in keys]


def _decode(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    forced: Sequence[Sequence[int]] | None,
    biases: Biases | None,
    places: list[int],
    run: RunContext,
    what: str,
) -> dict[int, Answer]:
    """Decode the prompts at some places, longest first; several processes take a share each."""
    costs = [len(prompts[place]) + run.evaluation.max_new_tokens for place in places]
    own = [places[n] for n in run.processes.share(costs)]
    order = sorted(own, key=lambda place: -len(prompts[place]))
    chosen = [prompts[place] for place in order]
    rows = None if forced is None else [forced[place] for place in order]
    added = None if biases is None else [biases[place] for place in order]
    if model.decodes_in_slots is None:
        model.decodes_in_slots = can_decode_in_slots(model)
    decode = decode_in_slots if model.decodes_in_slots else decode_padded
    with run.progress.bar(what, len(order)) as bar:

        def heed(num_complete: int) -> None:
            bar.update(num_complete)
            signal = run.processes.heard(run.stop.number)
            if signal is not None:
                raise PreemptedError(signal)

        try:
            decoded = decode(model, chosen, run.evaluation, rows, heed, added)
        except PreemptedError:
            order, decoded = [], []
    answers = dict(zip(order, decoded, strict=True))
    found: dict[int, Answer] = {}
    for part in run.processes.exchange(answers):
        found |= part
    signal = run.agreed_signal()
    if signal is not None and len(found) < len(places):
        raise PreemptedError(signal)
    return found


def _keys(
    model: LanguageModel,
    fingerprint: str,
    prompts: Sequence[Sequence[int]],
    run: RunContext,
    forced: Sequence[Sequence[int]] | None,
    biases: Biases | None,
) -> list[str]:
    """Return for each prompt the hash of everything that its answer depends on."""
    shared = canonical_json(
        {
            "model": fingerprint,
            "dtype": str(model.backbone.dtype),
            "device": str(model.device),
            "max_new_tokens": run.evaluation.max_new_tokens,
            "batch_size": run.evaluation.batch_size,
            "threads": torch.get_num_threads(),
            "versions": [torch.__version__, transformers.__version__],
        }
    )
    rows = [None] * len(prompts) if forced is None else [list(ids) for ids in forced]
    added = [None] * len(prompts) if biases is None else biases
    return [
        sha256_text(
            shared
            + canonical_json(
                [list(prompt), expected, *([] if bias is None else [bias.ids, bias.values])]
            )
        )
        for prompt, expected, bias in zip(prompts, rows, added, strict=True)
    ]
