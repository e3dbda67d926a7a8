"""What tests of the document verbs share: where a memory stands, and learning on a toy model."""

from pathlib import Path

from compositional.cli.main import main

MEMORY = Path("checkpoints") / "memories" / "default"
TEXTS = {"a.txt": "The mill of Alba stands at the Vunda.", "b.md": "Kor bakes bread in Temba."}


def on(model: Path) -> list[str]:
    """The flags that name a toy model."""
    return ["--model.name", str(model), "--model.device", "cpu"]


def learn(model: Path, *words: str, method: str = "dual_mlp", flags: tuple[str, ...] = ()) -> int:
    """Learn files into a new memory on a toy model; return the exit code."""
    return main(["learn", *words, "--method", method, *on(model), *flags])
