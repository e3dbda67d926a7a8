from collections.abc import Iterator

import pytest

from tests.grids.slurm_toy import running_slurm


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Slurm that runs for the tests that ask for it."""
    with running_slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment
