from collections.abc import Iterator

import pytest

from tests.grids.slurm_toy import end_all_jobs, running_slurm


@pytest.fixture(scope="session")
def slurm_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Slurm that runs for the tests that ask for it."""
    with running_slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def slurm(slurm_node: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same, its queue empty: what a test that failed left there is not the next one's."""
    yield slurm_node
    end_all_jobs(slurm_node)
