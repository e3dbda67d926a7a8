import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compositional.cli.main import INTERRUPTED, guarded, main
from compositional.cli.verbs import VERBS
from compositional.errors import ConfigError
from compositional.preemption import PreemptedError
from tests.runs_toy import error_line

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_verb(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"\n  {verb} " in shown


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert f"usage: compositional {verb}" in capsys.readouterr().out


def test_an_unknown_verb_is_one_line_with_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reprot", "x"]) == 2
    assert "unknown verb 'reprot'; did you mean 'report'? " in error_line(capsys)


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guarded(interrupted) == INTERRUPTED
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("run", "interrupted: --resume goes on from here\n"),
        ("grid", "interrupted: the same command goes on from here\n"),
        ("learn", "interrupted: documents that were said to be learned are kept\n"),
        ("score", "interrupted\n"),
    ],
)
def test_an_interruption_says_of_each_verb_what_is_true_of_it(
    verb: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(argv: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(VERBS, verb, interrupted)
    assert main([verb]) == INTERRUPTED
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("run", ": what was computed is saved, --resume goes on from here"),
        ("grid", ": what was computed is saved, the same command goes on from here"),
        ("compare-documents", ": what was computed is saved, the same command goes on from here"),
        ("train-hypernetwork", ": what was computed is saved, --resume goes on from here"),
        ("scale", ""),
    ],
)
def test_a_stop_says_of_each_verb_what_is_true_of_it(
    verb: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(argv: object) -> int:
        raise PreemptedError(signal.SIGTERM)

    monkeypatch.setitem(VERBS, verb, stopped)
    assert main([verb]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == f"stopped by SIGTERM{told}\n"


def test_what_is_not_the_users_to_mend_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


def test_an_error_of_many_lines_is_shown_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> int:
        raise ConfigError("this\n  and that")

    assert guarded(wrong) == 2
    assert error_line(capsys) == "error: this and that\n"


ENTRY_POINTS = ("main_sequential", "lora_sequential", "icl_baseline", "xlam_datasets")


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_entry_points_run_as_files_and_as_modules_from_any_folder(
    name: str, tmp_path: Path
) -> None:
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    installed = {**bare, "PYTHONPATH": str(ROOT)}
    for command, environment in (
        ([str(ROOT / "compositional" / f"{name}.py"), "--help"], bare),
        (["-m", f"compositional.{name}", "--help"], installed),
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"usage: {name} ")
    assert not list(tmp_path.iterdir())


def test_the_module_is_the_console_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compositional", "rnu"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown verb 'rnu'; did you mean 'run'?")
