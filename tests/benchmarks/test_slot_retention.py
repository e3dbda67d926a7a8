"""What sparse memory keeps by selection: figures by hand, and the command on a toy model."""

import json
from pathlib import Path

import pytest

from compositional.benchmarks import slot_retention
from compositional.benchmarks.slot_retention import RetentionPlan
from compositional.benchmarks.slot_retention_page import kept_share, page, plain_cost
from compositional.cli.main import main
from compositional.errors import ConfigError
from compositional.methods.slot_selection import SELECTIONS
from tests.runs_toy import error_line

FLAGS = (
    "--device", "cpu", "--seeds", "1", "--documents", "2", "--loss_share", "0.95",
    "--num_slots", "32", "--background_batches", "2",
)  # fmt: skip


def sequence(now: float, **over: object) -> dict[str, object]:
    return {
        "seed": 1, "slots": "neurons", "selection": "tf_idf", "untouched": [4.0, 3.0, 5.0],
        "learned": [2.0, 1.0, 2.0], "now": [now, 2.0, 2.0], "steps": [2, 3, 4],
        "reached": [True, True, True], "plain_before": 3.0, "plain_after": 3.25,
        "shared_slots": 0.5, **over,
    }  # fmt: skip


def test_what_is_kept_by_hand() -> None:
    assert kept_share(sequence(3.0)) == pytest.approx(((4 - 3) / 2 + (3 - 2) / 2) / 2)
    assert kept_share(sequence(1.0)) == pytest.approx((1.5 + 0.5) / 2)  # later ones may help
    assert plain_cost(sequence(3.0)) == pytest.approx(0.25)


def test_the_table_by_hand() -> None:
    other = {"selection": "tf", "reached": [True, False, True]}
    kept = {
        "plan": {"num_documents": 3, "num_facts": 4, "loss_share": 0.5, "config": {"num_slots": 9}},
        "machine": "here",
        "rates": {"neurons tf_idf": 3.0, "neurons tf": 30.0, "neurons all": None},
        "sequences": [sequence(2.0), sequence(2.4, seed=2), sequence(3.0, **other)],
    }
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in page(kept).splitlines()]
    (first,) = [line for line in lines if line and line[0] == "tf_idf"]
    (second,) = [line for line in lines if line and line[0] == "tf"]
    assert first[1:4] == ["3", "3.0", "0.411"]  # (2/4 + 1/3 + 2/5) / 3
    assert first[4].startswith("0.700 [")  # 0.75 and 0.65
    assert (first[5], first[9]) == ("-", "2")
    assert second[3] == "0.411 (1 not reached)"
    assert second[4:6] == ["0.500", "0.250"]  # paired with the first of the two
    assert "No rate of the ladder learns as much by all." in page(kept)


def test_the_command_learns_equally_and_goes_on(
    tmp_path: Path, toy_model_folder, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(slot_retention, "RATES", (30.0, 1000.0))
    output = tmp_path / "out" / "retention.md"
    flags = ["slot-retention", "--model", str(toy_model_folder), *FLAGS, "--output", str(output)]
    assert main(flags) == 0
    kept = json.loads(output.with_suffix(".json").read_text())
    for name in SELECTIONS:
        assert kept["rates"][f"neurons {name}"] is not None
    points = [(s["seed"], s["slots"], s["selection"]) for s in kept["sequences"]]
    assert len(set(points)) == len(points) >= len(SELECTIONS)
    for found in kept["sequences"]:
        for before, learned, reached in zip(
            found["untouched"], found["learned"], found["reached"], strict=True
        ):
            assert reached == (learned <= 0.95 * before)
        assert found["plain_before"] == kept["sequences"][0]["plain_before"]
    assert "### neurons" in output.read_text()
    cut = {**kept, "sequences": kept["sequences"][:-1]}
    del cut["plan"]["config"]["initial"]  # as a program wrote it that did not know this setting
    output.with_suffix(".json").write_text(json.dumps(cut))
    assert main(flags) == 0
    again = json.loads(output.with_suffix(".json").read_text())
    assert again["sequences"][:-1] == cut["sequences"]
    assert again["sequences"][-1] == kept["sequences"][-1]
    capsys.readouterr()
    assert main([*flags, "--facts", "5"]) == 2
    assert "is of another plan or model" in error_line(capsys)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": (1, 1)}, r"seeds are \[1, 1\]"),
        ({"num_documents": 1}, "num_documents is 1"),
        ({"loss_share": 1.0}, "loss_share is 1.0"),
    ],
)
def test_plans_that_cannot_be_are_refused(settings, message) -> None:
    with pytest.raises(ConfigError, match=message):
        RetentionPlan(**settings)
