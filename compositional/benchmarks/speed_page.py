"""The page of speed: every table that was kept, as Markdown with plots."""

import io
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from compositional.benchmarks.peer_settings import shown_settings
from compositional.files import atomic_path, read_json, write_text
from compositional.report.formats import Entry, Table, markdown

ON_GPU = "_cuda"
"""How the file of a table that was made on a GPU ends."""


def write_page(folder: Path) -> Path:
    """Write the page of a folder's JSON files beside the folder, and a plot for each curve."""
    kept = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
    parts = [
        "# Speed",
        "",
        "`compositional speed --hwu64 FILE --sgd FILE` makes these tables: pairs in one run, in "
        "turn, medians of the runs stated after a warm-up, the same examples, model and order. "
        "Losses or answers were compared in the same run. *Ratio*: how many times as fast as the "
        "other way.",
        "",
    ]
    if not any(name.endswith(ON_GPU) for name in kept):
        parts += ["On a GPU: not measured.", ""]
    taken = sum(table["seconds_of_the_table"] for table in kept.values()) / 60
    parts += [f"All {len(kept)} tables together took {taken:.0f} minutes.", ""]
    for name, table in kept.items():
        if "lines" in table:
            shown = _comparison(name, table)
        elif "profiles" in table:
            shown = _profiles(table)
        else:
            shown = _curve(folder, name, table)
        parts += [shown, _facts(table), ""]
    path = folder.with_name(f"{folder.name}.md")
    write_text(path, "\n".join(parts))
    return path


def _comparison(name: str, table: dict[str, Any]) -> str:
    """Return a table of comparisons."""
    rows: list[list[Entry]] = [
        [
            line["work"],
            line["against"],
            len(line["ours"]["seconds"]),
            f"{line['count'] / median(line['ours']['seconds']):.2f}",
            f"{line['count'] / median(line['other']['seconds']):.2f}",
            f"{line['ratio']:.2f}",
            _target(line["least"], line["ratio"]),
            f"{line['same']}" + ("" if line["is_same"] else " (NOT the same)"),
            "-" if line["fraction"] is None else f"{100 * line['fraction']:.0f} %",
        ]
        for line in table["lines"]
    ]
    unit = table["lines"][0]["unit"]
    header = [
        "work", "against", "runs of each", f"ours, {unit}/s", f"other, {unit}/s", "ratio",
        "to reach", "equality", "of the roofline",
    ]  # fmt: skip
    settings = shown_settings(name.removesuffix(ON_GPU))
    text = markdown([Table(name.replace("_", " "), header, rows)])
    return f"{text}\n{settings}\n" if settings else text


def _target(least: float | None, ratio: float) -> str:
    if least is None:
        return "-"
    return f"{least:g}, {'reached' if ratio >= least else 'missed'}"


def _curve(folder: Path, name: str, table: dict[str, Any]) -> str:
    """Return a table of sizes, and draw it."""
    curve = table["curve"]
    runs = {int(size): timing["seconds"] for size, timing in curve["seconds"].items()}
    seconds = {size: median(times) for size, times in runs.items()}
    rows: list[list[Entry]] = [
        [f"{size}", f"{value:.4g}", f"{min(runs[size]):.4g} to {max(runs[size]):.4g}"]
        for size, value in seconds.items()
    ]
    notes = []
    if curve["most"] is not None:
        small, large, most = curve["most"]
        word = "reached" if curve["ratio"] <= most else "missed"
        notes.append(
            f"{large} against {small}: {curve['ratio']:.3f} times as long; under {most:g}: {word}."
        )
    _plot(folder / f"{name}.png", curve, seconds)
    num_runs = min(map(len, runs.values()))
    if num_runs == 1:
        notes.append("One run of each, without a warm-up.")
    else:
        notes.append(f"Medians of {num_runs} runs.")
    header = [curve["size"], f"seconds a {curve['per']}", "fastest to slowest"]
    text = markdown([Table(f"{curve['title']} by {curve['size']}", header, rows, notes)])
    return f"{text}\n![{curve['title']} by {curve['size']}]({folder.name}/{name}.png)\n"


def _profiles(table: dict[str, Any]) -> str:
    """Return where the time goes, an operator a row."""
    tables = []
    for profile in table["profiles"]:
        rows: list[list[Entry]] = [
            [name, f"{100 * share:.1f} %"] for name, share in profile["shares"].items()
        ]
        title = f"Where the time goes: {profile['what']}"
        tables.append(Table(title, ["operator", "share of the time"], rows))
    return markdown(tables)


def _plot(path: Path, curve: dict[str, Any], seconds: dict[int, float]) -> None:
    """Draw seconds against a size."""
    with mpl.rc_context({"font.size": 10, "axes.grid": True, "grid.alpha": 0.2}):
        canvas = Canvas(figsize=(5, 3), layout="constrained")
        axes = canvas.subplots()
        axes.plot(list(seconds), list(seconds.values()), marker="o", color="#0072b2")
        if max(seconds) > 50 * min(seconds):
            axes.set_xscale("log")
        axes.set_ylim(0, 1.08 * max(seconds.values()))
        axes.set_xlabel(curve["size"])
        axes.set_ylabel(f"seconds a {curve['per']}")
        axes.set_title(curve["title"])
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _facts(table: dict[str, Any]) -> str:
    """Return machine, versions and limits in one line."""
    facts = [table["machine"], table.get("dtype", "float32")]
    if table["peers"]:
        facts.append(f"peers, in an environment of their own: {', '.join(table['peers'])}")
    if "limits" in table:
        limits = table["limits"]
        facts.append(
            f"measured limits: {limits['product_rate'] / 1e9:.0f} GFLOP/s in one large product, "
            f"{limits['read_rate'] / 1e9:.1f} GB/s read"
        )
    facts.append(f"the table took {table['seconds_of_the_table']} s")
    return "; ".join(facts) + "."
