from pathlib import Path

import pytest

from compositional.models.language_model import LanguageModel
from tests.methods_toy import fresh_model


@pytest.fixture
def model(toy_model_folder: Path) -> LanguageModel:
    return fresh_model(toy_model_folder)
