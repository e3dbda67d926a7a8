from pathlib import Path

import pytest

from compositional.errors import ResultsError
from compositional.report import save_matrix_png


def test_png(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "pictures" / "matrix.png"
    save_matrix_png([folder / "lora", folder / "constant"], path, titles=["$LoRA$", "floor"])
    assert path.read_bytes().startswith(b"\x89PNG")
    again = tmp_path / "again.png"
    save_matrix_png([folder / "lora", folder / "constant"], again, titles=["$LoRA$", "floor"])
    assert path.read_bytes() == again.read_bytes()


def test_needs_a_finished_run_and_a_known_score(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="status is failed"):
        save_matrix_png([folder / "rag"], tmp_path / "x.png")
    with pytest.raises(ResultsError, match="no score 'accuracy'"):
        save_matrix_png([folder / "lora"], tmp_path / "x.png", "accuracy")
