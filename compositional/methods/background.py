"""Other text than what is taught, over which it is counted what every text uses.

Python's own reference topics, which come with the interpreter: 80 texts of plain technical English.
"""

from itertools import islice
from pydoc_data.topics import topics

from compositional.errors import ConfigError
from compositional.models.language_model import LanguageModel

BATCH_TOKENS = 128


def background_batches(model: LanguageModel, count: int) -> list[list[int]]:
    """Return token ids of so many batches, spread over all topics in turn.

    Raises:
        ConfigError: If there are fewer.
    """
    by_topic = []
    for name in sorted(topics):
        ids = model.chat.target_ids(topics[name])
        starts = range(0, len(ids) - BATCH_TOKENS + 1, BATCH_TOKENS)
        by_topic.append([ids[start : start + BATCH_TOKENS] for start in starts])
    longest = max(map(len, by_topic))
    in_turn = (batches[n] for n in range(longest) for batches in by_topic if n < len(batches))
    found = list(islice(in_turn, count))
    if len(found) < count:
        raise ConfigError(
            f"background_batches is {count}; there are {len(found)} of {BATCH_TOKENS} tokens"
        )
    return found
