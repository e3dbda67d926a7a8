from compositional.config import resolve
from compositional.portable import without_folders


def test_settings_without_folders_name_none() -> None:
    settings = resolve(
        {
            "method": {"name": "joint", "of": {"name": "rag", "dense_model": "/x/y/model.gguf"}},
            "model": {"name": "/x/y/z.gguf"},
            "data": {
                "test_file": "/x/a.json",
                "tool_descriptions": "/x/b.json",
                "source": "/x/c.jsonl",
            },
        }
    ).settings()
    plain = without_folders(settings)
    assert "/x" not in str({key: value for key, value in plain.items() if key != "output"})
    assert plain["model"]["name"] == "z.gguf"
    assert settings["model"]["name"] == "/x/y/z.gguf"  # what was given stays as it was


def test_files_that_a_method_begins_with_are_named_without_their_folders() -> None:
    for name in ("/x/h.safetensors", "x/h.safetensors"):
        method = {"name": "doc2lora", "hypernetwork": name}
        plain = without_folders(resolve({"method": method}).settings())
        assert plain["method"]["hypernetwork"] == "h.safetensors"
