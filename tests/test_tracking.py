import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from compositional.config import RunConfig, resolve
from compositional.files import read_json
from compositional.runner import run
from compositional.tracking import NoTracker, WandbTracker, build_tracker
from tests.runs_toy import interrupt_at, preempted_at, toy_settings, tree

LORA = {"name": "lora", "adapter": {"rank": 2}}


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """W&B without a network, its files in a folder of their own."""
    folder = tmp_path / "tracked"
    folder.mkdir()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(folder))
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    monkeypatch.setenv("WANDB_SILENT", "true")
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server in W&B's place that notes who calls it."""
    callers: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    connection, address = listener.accept()
                except OSError:
                    return
                callers.append(str(address))
                connection.close()

        threading.Thread(target=listen, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        yield callers
        listener.shutdown(socket.SHUT_RDWR)


def config(folder: Path, model: Path, name: str, tracker: str, **over: Any) -> RunConfig:
    settings = toy_settings(folder, model, run=name, method=LORA, output={"tracker": tracker})
    return resolve({**settings, **over})


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of an offline file: LevelDB's log format after a header of 7 bytes."""
    content, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:  # no record begins where its header would not fit
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        if place + 7 + length > len(content):  # not written to its end yet
            return
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def read_offline(folder: Path) -> tuple[dict[str, list[Any]], dict[str, Any], int]:
    """Return what an offline run holds: history by key, summary, exit code.

    A process of W&B's own writes it, and may lag behind.
    """
    (path,) = folder.rglob("*.wandb")
    for _ in range(200):
        found = read_records(path)
        if found[2] >= 0:
            break
        time.sleep(0.05)
    return found


def read_records(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any], int]:
    """Return what stands in an offline file so far; the exit code is -1 before its end."""
    history: dict[str, list[Any]] = {}
    summary: dict[str, Any] = {}
    exit_code = -1
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        for item in record.history.item:
            key = item.key or "/".join(item.nested_key)
            history.setdefault(key, []).append(json.loads(item.value_json))
        for item in record.summary.update:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        if record.WhichOneof("record_type") == "exit":
            exit_code = record.exit.exit_code
    return history, summary, exit_code


def names_made_alike(files: dict[str, bytes], name: str) -> dict[str, bytes]:
    alike = {"config.yaml": (b"tracker: wandb", b"tracker: none")}
    return {
        path: content.replace(*alike.get(path, (b"", b""))).replace(name.encode(), b"NAME")
        if path in ("config.yaml", "result.json")
        else content
        for path, content in files.items()
    }


def test_an_offline_run_holds_everything_and_changes_no_file(
    tmp_path: Path, toy_model_folder: Path, offline: Path, server: list[str]
) -> None:
    plain = run(config(tmp_path, toy_model_folder, "plain", "none"), progress=False).folder
    assert list(offline.iterdir()) == []
    tracked = run(config(tmp_path, toy_model_folder, "tracked", "wandb"), progress=False).folder
    assert names_made_alike(tree(tracked), "tracked") == names_made_alike(tree(plain), "plain")
    assert not (tracked / "wandb").exists()
    history, summary, exit_code = read_offline(offline)
    losses = read_json(tracked / "training" / "lesson_tools1-2.json")["round 1"]
    assert history["loss/tools1-2"] == pytest.approx(losses)
    assert history["training_step"] == [1, 2, 3, 1, 2, 3]
    matrices = read_json(tracked / "result.json")["matrices"]
    assert history["tool_f1/tools1-2"] == list(matrices["tool_f1"]["tools1-2"].values())
    assert history["round"] == [0, 0, 1, 1, 2, 2]
    assert history["matrix/tool_f1/_type"] == history["matrix/argument_f1/_type"] == ["table-file"]
    (table,) = offline.rglob("files/media/table/matrix/tool_f1*.json")
    assert read_json(table)["columns"] == ["round", "tools1-2", "tools3-4"]
    assert [row[0] for row in read_json(table)["data"]] == [0, 1, 2]
    last = [cells["2"] for cells in matrices["tool_f1"].values()]
    assert summary["tool_f1/average_accuracy"] == pytest.approx(sum(last) / 2)
    assert summary["budget/steps"] == 6
    assert exit_code == 0
    assert server == []  # nobody called


def test_a_run_that_is_cut_off_is_tracked_as_failed(
    tmp_path: Path, toy_model_folder: Path, offline: Path
) -> None:
    with interrupt_at("learned tools1-2"):
        run(config(tmp_path, toy_model_folder, "r", "wandb"), progress=False)
    assert read_offline(offline)[2] == 1


def test_a_run_that_is_preempted_is_marked_and_goes_on_as_the_same_run(
    tmp_path: Path, toy_model_folder: Path, offline: Path
) -> None:
    tracked = config(tmp_path, toy_model_folder, "r", "wandb")
    with preempted_at("learned tools1-2"):
        run(tracked, progress=False)
    assert read_offline(offline)[2] == 1
    (path,) = offline.rglob("*.wandb")
    assert "preempting" in kinds_of(path)
    run(tracked, resume=True, progress=False)
    (again,) = set(offline.rglob("*.wandb")) - {path}
    assert again.name == path.name  # both are called by the id
    assert "preempting" not in kinds_of(again)


def kinds_of(path: Path) -> list[str]:
    """Return the kind of each record of an offline file."""
    kinds = []
    for data in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kinds.append(record.WhichOneof("record_type"))
    return kinds


class Broken:
    """A W&B run that raises wherever it is asked for something from some call on."""

    def __init__(self, num_calls: int) -> None:
        self.left = num_calls

    def __getattr__(self, name: str) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("disk full")
        return lambda *args, **kwargs: None


@pytest.mark.parametrize("num_calls", [0, 5, 12, 1000])
def test_a_tracker_that_fails_never_stops_a_run(
    tmp_path: Path,
    toy_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    num_calls: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = run(config(tmp_path, toy_model_folder, "plain", "none"), progress=False).folder
    monkeypatch.setattr(wandb, "init", lambda **settings: Broken(num_calls))
    folder = run(config(tmp_path, toy_model_folder, "tracked", "wandb"), progress=False).folder
    assert read_json(folder / "result.json")["status"] == "finished"
    assert names_made_alike(tree(folder), "tracked") == names_made_alike(tree(plain), "plain")
    warned = [record for record in caplog.records if "the run goes on without it" in record.message]
    assert len(warned) == 1


def test_a_tracker_that_cannot_start_never_stops_a_run(
    tmp_path: Path,
    toy_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def no_server(**settings: Any) -> None:
        raise wandb.Error("no server")

    monkeypatch.setattr(wandb, "init", no_server)
    folder = run(config(tmp_path, toy_model_folder, "r", "wandb"), progress=False).folder
    assert read_json(folder / "result.json")["status"] == "finished"
    assert "wandb failed to start (no server); the run goes on without it" in caplog.text


def test_one_config_is_one_run_of_the_tracker(
    tmp_path: Path, toy_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def init(**settings: Any) -> Broken:
        asked.append(settings)
        return Broken(1000)

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    for seed in (3, 3, 4):
        WandbTracker(config(tmp_path, toy_model_folder, "r", "wandb", seed=seed)).close()
    first, again, other = (settings["id"] for settings in asked)
    assert first == again != other
    assert {settings["resume"] for settings in asked} == {"allow"}
    assert asked[0]["dir"] == str(tmp_path / "results" / "e")
    assert asked[0]["config"]["method"]["name"] == "lora"


def test_none_is_the_default(tmp_path: Path, toy_model_folder: Path) -> None:
    assert isinstance(build_tracker(resolve({"method": "lora"})), NoTracker)
