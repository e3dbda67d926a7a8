"""From what a user asks to sets of files: their names, their settings and how they are built."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compositional.errors import DataError
from compositional.tasks.building import SourceTools, counts, unanswerable
from compositional.tasks.data_config import DEFAULT_TEST_SIZE, DEFAULT_TRAIN_SIZE, DataConfig
from compositional.tasks.file_sets import Content, ensure
from compositional.tasks.manifests import SOURCE_HASH, FileSet
from compositional.tasks.ranges import RoundPlan, ToolRange
from compositional.tasks.resolving import ResolvedData, resolve
from compositional.tasks.round_files import (
    descriptions_file,
    example_record,
    examples_file,
    joined,
    mixed_file,
    skill_records,
    unanswerable_file,
)
from compositional.tasks.round_request import RoundRequest
from compositional.tasks.sources import bfcl
from compositional.tasks.types import Example, JsonObject


@dataclass(frozen=True)
class DataFiles:
    """The files of a run, found or built.

    Attributes:
        folder: The data folder.
        adaptation: Manifest of the adaptation's files, if there is one.
        rounds: Manifest of each round's files.
        mixed: Manifest of the mixed test set, if asked for.
        unanswerable: Manifest of the unanswerable queries, if asked for.
    """

    folder: Path
    adaptation: JsonObject | None
    rounds: tuple[JsonObject, ...]
    mixed: JsonObject | None
    unanswerable: JsonObject | None


def ensure_files(config: DataConfig, seed: int, *, exact: bool = False) -> DataFiles:
    """Return the files of a config with `training_rounds`; those that are missing are built.

    Args:
        config: What is asked for.
        seed: The run's seed, the data seed where the config has none.
        exact: Whether values left at None mean their defaults in a named folder too, and files
            made by hand are not taken.

    Raises:
        ConfigError: If what is asked for cannot be built.
        DataError: If files do not match what is asked for, or the source cannot be read.
    """
    data = resolve(config, seed, exact=exact)
    files = _RoundSets(data)
    manifests = iter(
        ensure(data.folder, files.sets, files.build, accept_by_hand=data.takes_what_is_there)
    )
    adaptation = next(manifests) if config.adaptation_tools else None
    rounds = tuple(next(manifests) for _ in config.plans)
    mixed = next(manifests) if data.config.num_mixed else None
    unanswerable_ = next(manifests) if config.num_unanswerable else None
    return DataFiles(data.folder, adaptation, rounds, mixed, unanswerable_)


class _RoundSets:
    """The sets of one config, and the source that is read when the first of them is built."""

    def __init__(self, data: ResolvedData) -> None:
        self.data = data
        self.config = config = data.config
        self.source = data.source
        self._tools: SourceTools | None = None
        plans = [(0, plan) for plan in config.adaptation_plans]
        plans += list(enumerate(config.plans, start=1))
        self._requests = {str(plan.tools): self._request(index, plan) for index, plan in plans}
        self.sets = [self._round_set(request) for request in self._requests.values()]
        if config.num_mixed:
            self.sets.append(self._mixed_set())
        if config.num_unanswerable:
            self.sets.append(self._unanswerable_set())

    def build(self, file_set: FileSet) -> Content:
        """Return what a set's files are to hold."""
        settings = file_set.settings | {SOURCE_HASH: self.tools.source.sha256}
        if "num_mixed" in settings:
            return self._build_mixed(file_set, settings)
        if "num_unanswerable" in settings:
            return self._build_unanswerable(file_set, settings)
        return self._build_round(file_set, settings)

    @property
    def tools(self) -> SourceTools:
        """The source's tools, read once.

        Raises:
            DataError: If the source cannot be read, or is a file of which only the name is known.
        """
        if self._tools is None:
            if self.source.path and not self.data.is_source_named:
                raise DataError(
                    f"{self.data.folder} lacks files that are asked for; the others are made from "
                    f"{self.source.label}: name that file with --source to build them"
                )
            self._tools = SourceTools(self.source.read(), self.data.data_seed)
        return self._tools

    @property
    def _common_settings(self) -> JsonObject:
        return {
            "source": self.source.label,
            "revision": self.source.revision,
            SOURCE_HASH: self.data.source_sha256,
            "data_seed": self.data.data_seed,
        }

    def _request(self, round_index: int, plan: RoundPlan) -> RoundRequest:
        config = self.config
        return RoundRequest(
            tools=plan.tools,
            samples_per_tool=config.samples_per_tool,
            train_size=config.train_size or DEFAULT_TRAIN_SIZE,
            train_max_calls=config.max_calls("train", round_index),
            train_ratios=config.train_multi_tool_ratios,
            test_size=config.test_size or DEFAULT_TEST_SIZE,
            test_max_calls=config.max_calls("test", round_index),
            test_ratios=config.test_multi_tool_ratios,
            test_one_call=config.test_one_call,
        )

    def _round_set(self, request: RoundRequest) -> FileSet:
        tools = request.tools
        settings = self._common_settings | {
            "tools": str(tools),
            "samples_per_tool": request.samples_per_tool,
            "train_size": request.train_size,
            "train_max_function_calls": request.train_max_calls,
            "train_multi_tool_ratios": list(request.train_ratios),
            "test_size": request.test_size,
            "test_max_function_calls": request.test_max_calls,
            "test_multi_tool_ratios": list(request.test_ratios),
            "test_one_call": request.test_one_call,
        }
        train, test = request.train_max_calls, request.test_max_calls
        return FileSet(
            name=f"tools{tools}_train{train}calls_test{test}calls",
            settings=settings,
            required=(examples_file("train", tools, train), examples_file("test", tools, test)),
            optional=(examples_file("validation", tools, test), descriptions_file(tools)),
        )

    def _build_round(self, file_set: FileSet, settings: JsonObject) -> Content:
        request = self._requests[settings["tools"]]
        content = self.tools.round(request)
        train, test = file_set.required
        validation, descriptions = file_set.optional
        skills = [tool.skill for tool in content.tools]
        names = [skill.name for skill in skills]
        files = {
            train: _records(content.examples["train"], scored=False),
            validation: _records(content.examples["validation"], scored=True),
            test: _records(content.examples["test"], scored=True),
            descriptions: skill_records(skills),
        }
        tools = [
            {
                "rank": rank,
                "name": tool.skill.name,
                "rows": len(tool.rows),
                "train": len(split.train),
                "validation": len(split.validation),
                "test": len(split.test),
            }
            for rank, tool, split in zip(
                range(request.tools.first, request.tools.last + 1),
                content.tools,
                content.splits,
                strict=True,
            )
        ]
        about = self._source_about() | {
            "tools": tools,
            "twins": self.tools.twins(names),
            "tools_that_differ_in_parameter_names": [
                tool.skill.name for tool in content.tools if tool.parameters_differ
            ],
            "examples": {split: counts(rows) for split, rows in content.examples.items()},
            "one_call_training_rows_over_train_size": content.num_left_out,
        }
        return Content(files, settings, about)

    def _mixed_set(self) -> FileSet:
        ranges = self.config.ranges
        last = self.config.max_calls("test", len(ranges))
        settings = self._common_settings | {
            "rounds": [str(tools) for tools in ranges],
            "num_mixed": self.config.num_mixed,
            "test_max_function_calls": last,
        }
        name = f"mixed_tools{joined(ranges)}_test{last}calls"
        return FileSet(name, settings, (mixed_file(ranges, last),))

    def _build_mixed(self, file_set: FileSet, settings: JsonObject) -> Content:
        examples = self.tools.mixed(
            self.config.ranges, settings["num_mixed"], settings["test_max_function_calls"]
        )
        files = {file_set.required[0]: _records(examples, scored=True)}
        about = self._source_about() | {"examples": {"test": counts(examples)}}
        return Content(files, settings, about)

    def _unanswerable_set(self) -> FileSet:
        ranges = self._all_ranges()
        settings = self._common_settings | {
            "rounds": [str(tools) for tools in ranges],
            "num_unanswerable": self.config.num_unanswerable,
        }
        return FileSet(
            f"unanswerable_tools{joined(ranges)}", settings, (unanswerable_file(ranges),)
        )

    def _build_unanswerable(self, file_set: FileSet, settings: JsonObject) -> Content:
        from compositional.packages import bfcl_folder

        names = [
            tool.skill.name for tools in self._all_ranges() for tool in self.tools.in_range(tools)
        ]
        queries = bfcl.read_irrelevance(bfcl_folder())
        examples = unanswerable(queries, names, self.config.num_unanswerable, self.data.data_seed)
        files = {file_set.required[0]: _records(examples, scored=True)}
        about = {
            "queries_from": {"name": "bfcl irrelevance", "licence": bfcl.LICENCE},
            "examples": {"test": counts(examples)},
        }
        return Content(files, settings, about)

    def _all_ranges(self) -> list[ToolRange]:
        return [*self.config.ranges, *(plan.tools for plan in self.config.adaptation_plans)]

    def _source_about(self) -> JsonObject:
        source = self.tools.source
        return {
            "source": {
                "name": source.name,
                "revision": source.revision,
                "sha256": source.sha256,
                "licence": source.licence,
            },
            "cleaning": source.dropped | self.tools.cleaned.counts,
        }


def _records(examples: Sequence[Example], *, scored: bool) -> list[JsonObject]:
    return [example_record(example, scored=scored) for example in examples]
