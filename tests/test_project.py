import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compositional.benchmarks.peers import PACKAGES

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted([*ROOT.glob("scripts/*.sh"), *ROOT.glob("scripts/slurm/*"), ROOT / ".ci/run"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_parse_and_stop_at_the_first_failure(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert "set -euo pipefail" in text or "/common.sh" in text


def test_continuous_integration_fails_where_slurm_cannot_be_installed(tmp_path: Path) -> None:
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name, line in (("id", "echo 0"), ("apt-get", '[ "$1" = update ]')):
        (tmp_path / name).write_text(f"#!{tmp_path}/bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [str(shutil.which("bash")), ROOT / ".ci/run"],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: apt-get cannot install slurm-wlm and munge")
    assert done.stdout == ""


def required() -> str:
    names = ("requirements.txt", "requirements-gpu.txt")
    return "\n".join((ROOT / name).read_text() for name in names)


def test_every_requirement_is_pinned_exactly() -> None:
    lines = [line for line in required().splitlines() if line]
    pinned = [line for line in lines if not line.startswith("#")]
    assert all(
        re.fullmatch(r"[A-Za-z0-9-]+(\[\w+\])?==[0-9][\w.]*(; sys_platform == \"linux\")?", line)
        for line in pinned
    )


def test_every_import_has_a_requirement() -> None:
    names = {"yaml": "PyYAML", "huggingface_hub": "huggingface-hub", "sklearn": "scikit-learn"}
    requirements = "\n".join([required().lower(), *PACKAGES])
    for path in [*ROOT.glob("compositional/**/*.py"), *ROOT.glob("tests/**/*.py")]:
        for module in re.findall(r"^ *(?:import|from) (\w+)", path.read_text(), re.MULTILINE):
            if module not in {*sys.stdlib_module_names, "compositional", "tests"}:
                package = names.get(module, module).lower().replace("_", "-")
                assert re.search(rf"^{package}(\[|==)", requirements, re.MULTILINE), (path, module)


def test_nothing_names_a_folder_of_one_machine() -> None:
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.splitlines()  # fmt: skip
    for name in files:
        path = ROOT / name
        if not path.exists():
            continue  # removed, but not yet from the index
        assert not path.is_symlink() or not path.readlink().is_absolute(), name
        if path.suffix in {".py", ".sh", ".md", ".yaml", ".cfg", ".toml", ".txt"}:
            assert not re.search(r"(?<![\w.])/(work|home|root)/", path.read_text()), name


def test_the_console_command_and_package_data_are_declared() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["options.entry_points"]["console_scripts"].strip() == (
        "compositional = compositional.__main__:main"
    )
    from compositional.__main__ import main

    assert callable(main)
    endings = settings["options.package_data"]["compositional"].split()
    for path in (ROOT / "compositional").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py":
            assert f"**/*{path.suffix}" in endings, path
