from compositional.models.model_label import model_label


def test_a_model_is_called_by_its_name_and_its_weights() -> None:
    assert model_label("smollm2", "a672150fb4f99d7c") == "smollm2 (weights a672150fb4f9)"


def test_a_file_without_a_name_says_so() -> None:
    for name in (None, ""):
        assert model_label(name, "a672150fb4f99d7c") == "unnamed model (weights a672150fb4f9)"
