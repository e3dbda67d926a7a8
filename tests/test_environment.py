import sys

import pytest

from compositional.environment import peak_memory_bytes, restart_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can restart the count")
def test_the_peak_counts_from_its_restart() -> None:
    block = bytearray(b"x") * 200_000_000
    high = peak_memory_bytes()
    assert high > len(block)
    del block
    restart_peak_memory()
    assert peak_memory_bytes() < high - 100_000_000
