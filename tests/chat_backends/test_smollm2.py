"""The mechanics with SmolLM2-135M behind a real llama.cpp server, where its GGUF file is at hand.

Nothing is said of what it writes: a model of this size fits the schemas and says little.
"""

from collections.abc import Iterator

import pytest

from compositional.chat_backends.openai import OpenAiBackend
from compositional.packages import SMOLLM2, cache_folder
from compositional.playbooks.asking import Asker
from compositional.playbooks.evolving import Evolver
from compositional.playbooks.playbook import Playbook
from compositional.playbooks.roles import Roles
from compositional.playbooks.tally import Tally
from tests.playbooks.scripted import QUESTION
from tests.rounds_toy import toy_context
from tests.servers_toy import llama_cpp

GGUF = cache_folder() / SMOLLM2.cache_name / SMOLLM2.files[0]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_cpp(GGUF) as address:
        yield address


@pytest.mark.skipif(not GGUF.is_file(), reason="SmolLM2's GGUF file is not in the cache")
def test_its_replies_fit_the_schemas(url: str) -> None:
    tally, run = Tally(), toy_context()
    backend = OpenAiBackend(f"{url}/v1", "", 60, 0)
    steps = Evolver(Roles(Asker(backend, 192, 0.0, tally, run), 40), tally, 0, 1.0, len, 2000)
    playbook = Playbook().add("facts", "The mill stands in Alba.", ["mill.txt"])
    learned = steps.learn(playbook, QUESTION)
    assert tally.usable == tally.replies - tally.repaired - 2 * tally.skipped
    assert tally.usable > 0
    assert Playbook.from_json(learned.to_json()) == learned
    assert run.budget.input_tokens > 0
