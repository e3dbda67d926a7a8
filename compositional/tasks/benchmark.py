"""The benchmark of a run: its round files found or built, loaded and checked before training."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compositional.errors import DataError
from compositional.files import canonical_json, sha256_file, sha256_text
from compositional.tasks.building import counts
from compositional.tasks.cleaning import name_twins
from compositional.tasks.data_config import DataConfig
from compositional.tasks.ranges import RoundPlan
from compositional.tasks.round_files import (
    descriptions_file,
    examples_file,
    read_examples,
    read_skills,
)
from compositional.tasks.round_sets import DataFiles, ensure_files
from compositional.tasks.types import Example, JsonObject, Round, Skill

__all__ = ["Benchmark", "DataConfig", "prepare"]

TOOLS, DOCUMENTS = "tools", "documents"
"""What rounds teach."""

_TRAIN_FILE = Path("function_calling_train.json")
_TEST_FILE = Path("function_calling_test.json")


@dataclass(frozen=True)
class Benchmark:
    """All that a run teaches and asks.

    Attributes:
        rounds: The rounds in the order taught.
        adaptation: What is taught before round 1 as no column (index 0), if anything.
        mixed: Test examples that join queries of different rounds; outside the matrix.
        unanswerable: Queries that no tool answers; outside the matrix.
        skills: Every tool by name, the adaptation's included.
        manifest: What the files are made of and their hashes.
        manifest_sha256: SHA-256 of the manifest as canonical JSON.
        task: `tools` or `documents`.
        untaught: Questions about documents that no round teaches; outside the matrix.
        general: Questions of general knowledge; outside the matrix.
        taught_answers: Of documents, by round: every right answer to a question about them,
            normalised.
        generates_at_ends: Whether answers are generated in a round's own row and the last one
            only; choices are given their likelihoods in every row.
        left_out: What of a source is not read, or not taken, a line each with its count.
    """

    rounds: tuple[Round, ...]
    adaptation: Round | None
    mixed: tuple[Example, ...]
    unanswerable: tuple[Example, ...]
    skills: dict[str, Skill]
    manifest: JsonObject
    manifest_sha256: str
    task: str = TOOLS
    untaught: tuple[Example, ...] = ()
    general: tuple[Example, ...] = ()
    taught_answers: Mapping[int, frozenset[str]] = field(default_factory=dict)
    generates_at_ends: bool = False
    left_out: tuple[str, ...] = ()

    def answers_until(self, row: int) -> frozenset[str]:
        """Return all normalised answers about documents of the first rounds."""
        return frozenset().union(*(self.taught_answers.get(n, ()) for n in range(1, row + 1)))

    def summary(self) -> list[str]:
        """Return lines on each set of examples and what limits it."""
        return _document_lines(self) if self.task == DOCUMENTS else _tool_lines(self)


def prepare(config: DataConfig, seed: int, *, exact: bool = False) -> Benchmark:
    """Return the benchmark of a config: files found or built, loaded and checked.

    Args:
        config: What is asked for.
        seed: The run's seed, the data seed where the config has none.
        exact: Whether values left at None mean their defaults in a named folder too, and files
            made by hand are not taken: for whoever builds files rather than runs on them.

    Raises:
        ConfigError: If what is asked for cannot be built.
        DataError: If a file is missing, malformed, or does not match what is asked for; if a test
            set is empty or names a tool that no round teaches.
    """
    if config.training_rounds is None:
        return _single_round(config)
    files = ensure_files(config, seed, exact=exact)
    folder = files.folder
    before = [_load_round(folder, plan, 0, config) for plan in config.adaptation_plans]
    rounds = [
        _load_round(folder, plan, index, config) for index, plan in enumerate(config.plans, start=1)
    ]
    mixed = _load_extra(folder, files.mixed)
    unanswerable = _load_extra(folder, files.unanswerable)
    skills = _taught_skills([*before, *rounds])
    for round_ in rounds:
        path = _examples_path(folder, "test", config.plans[round_.index - 1], round_.index, config)
        _check_test(round_.test, skills, path)
    manifest = _manifest(files, skills)
    return Benchmark(
        rounds=tuple(rounds),
        adaptation=before[0] if before else None,
        mixed=mixed,
        unanswerable=unanswerable,
        skills=skills,
        manifest=manifest,
        manifest_sha256=_digest(manifest),
    )


def _single_round(config: DataConfig) -> Benchmark:
    """Return a benchmark of one round out of two files that the user names."""
    train_path = config.train_file or _TRAIN_FILE
    test_path = config.test_file or _TEST_FILE
    descriptions = config.tool_descriptions
    is_test_only = config.train_file is None and config.test_file and descriptions
    if config.train_file is None and not is_test_only and not train_path.is_file():
        raise DataError(
            f"{train_path}: no such file here; name one with train_file, name rounds with "
            "training_rounds, or give test_file and tool_descriptions to train nothing"
        )
    train = () if is_test_only else read_examples(train_path, 1)
    if not train and not is_test_only:
        raise DataError(f"{train_path}: the training set is empty")
    test = read_examples(test_path, 1)
    skills = _skills(descriptions, train)
    paths = [test_path, *([] if is_test_only else [train_path])]
    paths += [descriptions] if descriptions else []
    files = {path.name: sha256_file(path) for path in paths}
    round_ = Round(1, "single", config.epochs, skills, train, (), test)
    by_name = _taught_skills([round_])
    _check_test(test, by_name, test_path)
    manifest: JsonObject = {"rounds": [{"by_hand": True, "files": files}]}
    return Benchmark((round_,), None, (), (), by_name, manifest, _digest(manifest))


def _load_round(folder: Path, plan: RoundPlan, index: int, config: DataConfig) -> Round:
    """Read the files of a round (index 0 for the adaptation); hand-made ones may lack some."""
    train_path, validation_path, test_path = (
        _examples_path(folder, split, plan, index, config)
        for split in ("train", "validation", "test")
    )
    descriptions = folder / descriptions_file(plan.tools)
    train = read_examples(train_path, index)
    if not train:
        raise DataError(f"{train_path}: the training set is empty")
    validation = read_examples(validation_path, index) if validation_path.is_file() else ()
    skills = _skills(descriptions if descriptions.is_file() else None, train)
    test = read_examples(test_path, index)
    name = f"tools{plan.tools}"
    return Round(index, name, plan.epochs, skills, train, validation, test)


def _examples_path(
    folder: Path, split: str, plan: RoundPlan, index: int, config: DataConfig
) -> Path:
    calls = config.max_calls("train" if split == "train" else "test", index)
    return folder / examples_file(split, plan.tools, calls)


def _load_extra(folder: Path, manifest: JsonObject | None) -> tuple[Example, ...]:
    """Read the one file of a mixed or unanswerable set."""
    if manifest is None:
        return ()
    (name,) = manifest["files"]
    return read_examples(folder / name, None)


def _skills(descriptions: Path | None, train: Sequence[Example]) -> tuple[Skill, ...]:
    """Return a round's tools; without descriptions those of its training rows, schema unknown."""
    called = dict.fromkeys(tool for example in train for tool in _tools(example))
    if descriptions is None:
        return tuple(Skill(tool, "", {"type": "object", "properties": {}}) for tool in called)
    skills = read_skills(descriptions)
    if undescribed := sorted(set(called) - {skill.name for skill in skills}):
        raise DataError(
            f"{descriptions}: does not describe {undescribed[0]!r}, which training rows call"
        )
    return skills


def _taught_skills(rounds: Sequence[Round]) -> dict[str, Skill]:
    """Return the tools of all rounds by name.

    Raises:
        DataError: If two rounds teach the same tool.
    """
    taught_by: dict[str, str] = {}
    for round_ in rounds:
        for skill in round_.skills:
            if skill.name in taught_by:
                raise DataError(
                    f"tool {skill.name!r} is taught by {taught_by[skill.name]} and again by "
                    f"{round_.name}: each tool belongs to one round"
                )
            taught_by[skill.name] = round_.name
    return {skill.name: skill for round_ in rounds for skill in round_.skills}


def _check_test(test: Sequence[Example], skills: Collection[str], path: Path) -> None:
    if not test:
        raise DataError(f"{path}: the test set is empty")
    for number, example in enumerate(test, start=1):
        for tool in _tools(example):
            if tool not in skills:
                raise DataError(f"{path}: record {number} calls {tool!r}, which no round teaches")


def _tools(example: Example) -> list[str]:
    return [step.skill for step in example.steps or () if step.skill is not None]


def _manifest(files: DataFiles, skills: Mapping[str, Skill]) -> JsonObject:
    """Return the run's manifest, twins narrowed down to its tools."""
    rounds = [manifest for manifest in (files.adaptation, *files.rounds) if manifest]
    listed = {tuple(pair) for manifest in rounds for pair in manifest.get("twins", [])}
    twins = {pair for pair in listed if set(pair) <= set(skills)} | name_twins(skills, skills)
    return {
        "adaptation": files.adaptation,
        "rounds": list(files.rounds),
        "mixed": files.mixed,
        "unanswerable": files.unanswerable,
        "twins": sorted(list(pair) for pair in twins),
    }


def _digest(manifest: JsonObject) -> str:
    return sha256_text(canonical_json(manifest))


def _tool_lines(benchmark: Benchmark) -> list[str]:
    """Return n and distinct base queries of each set, and what makes tools hard to tell apart."""
    before = (benchmark.adaptation,) if benchmark.adaptation else ()
    lines = [
        _summary_line(f"{round_.name} {split}", examples)
        for round_ in (*before, *benchmark.rounds)
        for split, examples in (
            ("train", round_.train),
            ("validation", round_.validation),
            ("test", round_.test),
        )
    ]
    lines += [_summary_line("mixed", benchmark.mixed)] if benchmark.mixed else []
    lines += (
        [_summary_line("unanswerable", benchmark.unanswerable)] if benchmark.unanswerable else []
    )
    lines += [f"twins: {one} and {other}" for one, other in benchmark.manifest.get("twins", [])]
    for manifest in benchmark.manifest["rounds"]:
        names = manifest.get("tools_that_differ_in_parameter_names", [])
        lines += [f"parameter names differ between rows of {name}" for name in names]
        if left_out := manifest.get("one_call_training_rows_over_train_size"):
            lines += [f"{manifest['name']}: {left_out} training rows over train_size left out"]
    return lines


def _document_lines(benchmark: Benchmark) -> list[str]:
    """Return documents, their length and their questions, a line a round."""
    lines = []
    for round_ in benchmark.rounds:
        num_words = sum(len(document.text.split()) for document in round_.documents)
        kinds = Counter(example.kind for example in round_.test)
        asked = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        lines.append(
            f"{round_.name}: {len(round_.documents)} documents of {num_words} words, "
            f"{len(round_.test)} questions ({asked})"
        )
    lines += [f"untaught: {len(benchmark.untaught)} questions"] if benchmark.untaught else []
    lines += [f"general: {len(benchmark.general)} questions"] if benchmark.general else []
    return [*lines, *benchmark.left_out]


def _summary_line(name: str, examples: Sequence[Example]) -> str:
    numbers = counts(examples)
    calls = ", ".join(f"{n} of {k}" for k, n in numbers["by_number_of_calls"].items())
    return (
        f"{name}: {numbers['examples']} examples of {numbers['base_queries']} distinct base "
        f"queries; numbers of calls: {calls or 'none'}"
    )
