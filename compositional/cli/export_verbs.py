"""Verbs that take out of a memory what other programs read: its playbook, its adapter."""

from collections.abc import Sequence
from pathlib import Path

from compositional.cli.document_verbs import ANSWERS, memory_folder, memory_parser
from compositional.errors import ConfigError

PLAYBOOKS = Path("checkpoints") / "playbooks"


def playbook(argv: Sequence[str]) -> int:
    """Show the playbook of a memory, save it as JSON, or begin a memory with one."""
    from compositional.document_memory import open_memory
    from compositional.locks import hold
    from compositional.playbook_memory import ace_of, begin_with, export

    parser = memory_parser("playbook", playbook.__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--save", metavar="NAME", help=f"write it to {PLAYBOOKS}/NAME.json")
    what.add_argument("--load", metavar="NAME", help=f"begin with {PLAYBOOKS}/NAME.json")
    known, flags = parser.parse_known_args(argv)
    folder = memory_folder(known.memory)
    if known.load is not None:
        settings = {"method": "ace", "evaluation": ANSWERS}
        with hold(folder, "--memory"):
            memory = begin_with(folder, settings, flags, PLAYBOOKS, known.load)
        print(f"{known.memory} begins with {len(memory.documents)} documents of {known.load}")
    elif known.save is not None:
        path, num_entries = export(open_memory(folder, flags), PLAYBOOKS, known.save)
        print(f"{path}: {num_entries} entries")
    else:
        text = ace_of(open_memory(folder, flags)).playbook.render()
        print(text or "the playbook is empty")
    return 0


def export_adapter(argv: Sequence[str]) -> int:
    """Write the LoRA of a memory as an adapter that peft loads."""
    from compositional.document_memory import open_memory
    from compositional.errors import ModelError

    parser = memory_parser("export-adapter", export_adapter.__doc__)
    parser.add_argument("output", type=Path, help="the folder to write; it must not exist")
    known = parser.parse_args(argv)
    if known.output.exists():
        raise ConfigError(f"{known.output} exists: name a folder that does not")
    memory = open_memory(memory_folder(known.memory))
    if memory.model.lora is None:
        raise ModelError(
            f"memory {known.memory!r} has no LoRA on its model: {memory.config.method_name} "
            "has learned nothing, or learns in another way"
        )
    memory.model.lora.save_adapter(known.output)
    print(
        f"wrote {known.output}: PeftModel.from_pretrained loads it onto {memory.config.model.name}"
    )
    return 0
