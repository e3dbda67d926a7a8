import typing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import pytest

from compositional.cli.flags import flag_types, parse_flags, spell
from compositional.cli.kinds import is_list
from compositional.errors import ConfigError
from compositional.icl_baseline import IclBaselineFlags
from compositional.lora_sequential import LoraSequentialFlags
from compositional.main_sequential import MainSequentialFlags
from compositional.xlam_datasets import XlamDatasetsFlags

ENTRY_POINTS = (MainSequentialFlags, LoraSequentialFlags, IclBaselineFlags, XlamDatasetsFlags)
BOOLEANS = {entry: [f.name for f in fields(entry) if f.type is bool] for entry in ENTRY_POINTS}
LISTS = {
    entry: [name for name, kind in flag_types(entry).items() if is_list(kind)]
    for entry in ENTRY_POINTS
}


@dataclass(frozen=True)
class Toy:
    """A command.

    Attributes:
        count: A count.
        rate: A rate.
        name: A name.
        loud: A switch.
        off: A switch that is on.
        numbers: Some numbers.
        names: Some names.
        folder: A folder.
        kind: A kind.
        top: A number or a range.
    """

    count: int = 1
    rate: float = 0.5
    name: str = "x"
    loud: bool = False
    off: bool = True
    numbers: tuple[int, ...] = ()
    names: tuple[str, ...] = ("a",)
    folder: Path | None = None
    kind: Literal["small", "large"] = "small"
    top: int | str = 3


def toy(*argv: str) -> Toy:
    return parse_flags(Toy, argv, "toy", "A toy.")


def refused(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        toy(*argv)
    message = str(caught.value)
    assert "\n" not in message
    assert "<class" not in message
    return message


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("--{}", True),
        ("--{}=true", True),
        ("--{}=True", True),
        ("--{} True", True),
        ("--{} true", True),
        ("--{}=false", False),
        ("--{}=False", False),
        ("--{} False", False),
        ("--no_{}", False),
        ("--no_{} --{}", True),
        ("--{} --seed 5", True),
    ],
)
def test_switches_of_the_entry_points_take_every_form(entry: type, form: str, value: bool) -> None:
    argv = [word for name in BOOLEANS[entry] for word in form.format(name, name).split()]
    parsed = parse_flags(entry, argv, "x", "")
    assert [getattr(parsed, name) for name in BOOLEANS[entry]] == [value] * len(BOOLEANS[entry])
    assert BOOLEANS[entry]


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize(
    "form", ["--{} {}", "--{}={}", "--{} [{}]", "--{}=[{}]", "--{} {} --seed 5"]
)
@pytest.mark.parametrize("size", [1, 2])
def test_lists_of_the_entry_points_take_every_form(entry: type, form: str, size: int) -> None:
    items = {
        name: {"str": ["q_proj", "v_proj"], "float": ["0.25", "0.75"], "int": ["2", "3"]}[
            typing.get_args(flag_types(entry)[name])[0].__name__
        ][:size]
        for name in LISTS[entry]
    }
    argv = [w for n, v in items.items() for w in form.format(n, ",".join(v)).split()]
    parsed = parse_flags(entry, argv, "x", "")
    assert {name: [str(value) for value in getattr(parsed, name)] for name in items} == items
    assert items


def test_negative_numbers_stand_in_lists() -> None:
    assert toy("--numbers", "-1,2").numbers == (-1, 2)
    assert toy("--numbers", "-1").numbers == (-1,)
    assert toy("--numbers=[]").numbers == ()


def test_nothing_given_is_the_defaults() -> None:
    assert toy() == Toy()


def test_the_last_of_a_flag_counts() -> None:
    assert toy("--count", "2", "--count=3").count == 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--cuont", "2"], "unknown flag --cuont; did you mean 'count'?"),
        (["--cou", "2"], "unknown flag --cou; did you mean 'count'?"),
        (["--confg", "x"], "did you mean 'config'?"),
        (["--loud_soft"], "unknown flag --loud_soft"),
        (["--no_count"], "unknown flag --no_count; did you mean 'count'?"),
        (["--no_loud=true"], "--no_loud takes no value; write --loud=true"),
        (["--loud=yes"], "--loud is 'yes'; it must be true or false"),
        (["--loud", "maybe"], "unexpected argument 'maybe'"),
        (["stray"], "unexpected argument 'stray'"),
        (["--count", "x"], "count is x; it must be a whole number"),
        (["--count", "1.5"], "count is 1.5; it must be a whole number"),
        (["--count", "true"], "count is True; it must be a whole number"),
        (["--count"], "--count: expected one argument"),
        (["--count", "--loud"], "--count: expected one argument"),
        (["--count=null"], "count is null; it must be a whole number"),
        (["--rate", "fast"], "rate is fast; it must be a number"),
        (["--rate", "nan"], "rate is nan; it must be a number"),
        (["--numbers", "2,x"], "numbers is x; it must be a list of whole numbers such as A,B"),
        (["--numbers", "[2"], "numbers is [2; it must be a list"),
        (["--numbers"], "--numbers needs a list of whole numbers"),
        (["--numbers", "--loud"], "--numbers needs a list of whole numbers"),
        (["--kind", "medium"], "kind is medium; it must be one of small, large"),
        (["--config"], "--config needs a YAML file"),
        (["--config", "nowhere.yaml"], "nowhere.yaml: no such file of settings"),
    ],
)
def test_what_is_wrong_is_one_line(argv: list[str], words: str) -> None:
    assert words in refused(*argv)


def write(folder: Path, text: str) -> str:
    path = folder / "flags.yaml"
    path.write_text(text)
    return str(path)


def test_a_config_file_stands_under_the_flags_wherever_it_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "count: 7\nrate: 1e-3\nloud: true\nnumbers: 4,5\nnames: b\nfolder: x/y\ntop: 4-5\n",
    )
    wanted = Toy(7, 1e-3, "x", True, True, (4, 5), ("b",), Path("x/y"), top="4-5")
    assert toy("--config", path) == toy(f"--config={path}") == wanted
    for argv in (["--config", path, "--count", "8"], ["--count", "8", "--config", path]):
        assert toy(*argv).count == 8
    assert toy("--config", path, "--no_loud", "--numbers", "6").numbers == (6,)
    assert toy("--config", path, "--no_loud").loud is False
    second = tmp_path / "second.yaml"
    second.write_text("count: 9\n")
    assert toy("--config", path, "--config", str(second)) == Toy(
        9, 1e-3, "x", True, True, (4, 5), ("b",), Path("x/y"), top="4-5"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cuont: 2", "unknown setting cuont; did you mean 'count'?"),
        ("count: x", "count is x; it must be a whole number"),
        ("count:", "count is null; it must be a whole number"),
        ("count: {a: 1}", "it must be a whole number"),
        ("loud: 5", "loud is 5; it must be true or false"),
        ("numbers: {a: 1}", "it must be a list of whole numbers"),
        ("numbers: [1, x]", "numbers is x; it must be a list of whole numbers"),
        ("count: 1\ncount: 2", "key 'count' stands twice"),
        ("- count", "must hold a mapping of settings"),
        ("count: [", "not YAML"),
        ("", "must hold a mapping of settings"),
    ],
)
def test_what_is_wrong_in_a_config_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    assert words in refused("--config", write(tmp_path, text))


def test_help_shows_flags_types_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        toy("--help")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "--count COUNT" in shown
    assert "A rate. (type: float, default: 0.5)" in shown
    assert "--config" in shown


def test_words_that_are_no_flags_of_the_command_stay_as_they_are() -> None:
    argv = ["--other", "1", "--no_other", "--x=2", "file.yaml"]
    assert spell(argv, {"loud": bool}) == argv
