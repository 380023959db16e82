"""A comparison as people see it: Markdown for a comment, JSON for programs, pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transfer_learning.experiments.lock import Difference
from transfer_learning.reporting import comparison_figures, gate, judgement
from transfer_learning.reporting.comparison import FINE, REGRESSION, Comparison, Metric

LONGEST = 80  # letters of a name or value in the comment, which GitHub cuts off at 65,536
LONGEST_MESSAGE = 600
MOST = 40  # rows of the metrics, the settings, the problems
MOST_NAMES = 6  # in a cell
TITLES = {FINE: "No regression", REGRESSION: "Regression"}
LISTED = 20  # flipped photos of each kind in the table
CURVES, CONFUSION, FLIPS = "learning_curves.png", "confusion.png", "flips.png"


def write(found: Comparison, folder: Path, raw: Path) -> None:
    """Write compare.md, compare.json and the pictures into a folder.

    Args:
        raw: the photos; thumbnails of flipped ones are drawn from those that are there.
    """
    comparison_figures.draw_curves(folder / CURVES, found)
    if found.paired:
        comparison_figures.draw_confusions(folder / CONFUSION, found)
        comparison_figures.draw_flips(folder / FLIPS, found, raw)
    (folder / "compare.json").write_text(json.dumps(as_json(found), indent=1) + "\n")
    pictures = [name for name in (CURVES, CONFUSION, FLIPS) if (folder / name).exists()]
    (folder / "compare.md").write_text(markdown(found, pictures), encoding="utf-8")


def write_failure(message: str, base: str, folder: Path) -> None:
    """Write compare.md and compare.json for two states that could not even be read."""
    text = f"### Cannot compare with {as_code(base)}\n\n{as_code(message, LONGEST_MESSAGE)}\n"
    (folder / "compare.md").write_text(text, encoding="utf-8")
    values = {"verdict": "cannot read", "exit_code": 2, "problems": [message]}
    (folder / "compare.json").write_text(json.dumps(values, indent=1) + "\n")


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything that was compared, as plain values."""
    values: dict[str, Any] = {
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "problems": [f"{verdict}: {message}" for verdict, message in found.problems],
        "base": found.base.label,
        "new": found.new.label,
        "metrics": {
            one.name: {"base": one.base, "new": one.new, "better": one.better, "tolerance": one.tolerance}
            for one in found.metrics
        },
        "judged": [vars(one) for one in found.judged],
        "settings": {name: {"base": base, "new": new} for name, base, new in found.settings},
        "stages": {
            one.stage: {
                "outputs": one.outputs,
                "inputs": one.inputs,
                "files": one.files,
                "settings": [name for name, *_ in one.settings],
            }
            for one in found.stages
        },
    }
    if found.paired and found.interval:
        paired = found.paired
        values["paired"] = {
            "photos": paired.photos,
            "change": round(paired.change, 6),
            "interval": [round(end, 6) for end in found.interval],
            "p_value": round(paired.p_value, 6),
            **{kind: [vars(flip) for flip in getattr(paired, kind)] for kind in ("lost", "gained")},
        }
    return values


def markdown(found: Comparison, pictures: Sequence[str]) -> str:
    """The comparison for a comment or a job summary."""
    title = TITLES.get(found.verdict, f"Cannot compare ({found.verdict})")
    lines = [f"### {title}: {as_code(found.new.label)} against {as_code(found.base.label)}", ""]
    problems = [f"- **{verdict}**: {as_code(message, LONGEST_MESSAGE)}" for verdict, message in found.problems]
    lines += [*_some(problems, MOST // 4, "- {} more are in compare.json"), ""] if problems else []
    if found.paired and found.interval:
        low, high = found.interval
        lines += [f"Test photos one by one: {found.paired}; interval of the change {low:+.1%} to {high:+.1%}.", ""]
    if found.judged:
        lines += ["| judged | worse by | allowed | equal models do so in | how |", "|---|--:|--:|--:|---|"]
        lines += [*map(_judged_row, found.judged), ""]
    lines += [f"| metric | {as_code(found.base.label)} | {as_code(found.new.label)} | change | | guarded |"]
    lines += [
        "|---|--:|--:|--:|---|---|",
        *_some([*map(_metric_row, found.metrics)], MOST, "| {} more | | | | | |"),
        "",
    ]
    if found.settings:
        lines += ["| setting | there | here |", "|---|---|---|"]
        rows = [f"| {as_code(name)} | {as_code(base)} | {as_code(new)} |" for name, base, new in found.settings]
        lines += _some(rows, MOST, "| {} more, in compare.json | | |")
    else:
        lines.append("The settings are the same.")
    lines += ["", *_stage_lines(found.stages), ""]
    if found.paired:
        lines += _flip_lines("lost", "Right before, wrong now", found.paired.lost)
        lines += _flip_lines("gained", "Wrong before, right now", found.paired.gained)
    return "\n".join([*lines, f"Pictures beside this file: {', '.join(pictures)}."]) + "\n"


def _some(rows: list[str], most: int, more: str) -> list[str]:
    """The first rows, and how many others there are."""
    return rows if len(rows) <= most else [*rows[:most], more.format(len(rows) - most)]


def _judged_row(one: judgement.Judged) -> str:
    by_chance = "" if one.chance is None else f"{one.chance:.2g}"
    return f"| {as_code(one.name)} | {_number(one.worse)} | {one.tolerance:g} | {by_chance} | {one.how} |"


def _metric_row(one: Metric) -> str:
    sides = ["missing" if value is None else _number(value) for value in (one.base, one.new)]
    change = "" if one.change is None else f"{'+' if one.change > 0 else ''}{_number(one.change)}"
    word = "" if one.gain is None else "better" if one.gain > 0 else "worse" if one.gain < 0 else "same"
    guard = "" if one.tolerance is None else f"{one.tolerance:g}"
    return f"| {as_code(one.name)} | {' | '.join(sides)} | {change} | {word} | {guard} |"


def _number(value: float) -> str:
    return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) < 1e12 else f"{value:.4g}"


def _stage_lines(stages: Sequence[Difference]) -> list[str]:
    if not stages:
        return ["dvc.lock is the same: every stage has the same code, inputs, settings and outputs."]
    lines = ["| stage that differs | code and inputs | settings | outputs | machine |", "|---|---|---|---|---|"]
    for one in stages:
        settings, facts = ([name for name, *_ in several or []] for several in (one.settings, one.facts))
        cells = [
            _some([*map(as_code, names)], MOST_NAMES, "{} more")
            for names in (one.inputs_by_file, settings, one.outputs, facts)
        ]
        lines.append(f"| {one.stage} | {' | '.join(map(', '.join, cells))} |")
    return lines


def _flip_lines(kind: str, title: str, flips: Sequence[gate.Flip]) -> list[str]:
    if not flips:
        return []
    more = f", the first {LISTED}; all are in compare.json" if len(flips) > LISTED else ""
    lines = [f"<details><summary>{title}: {len(flips)} photos ({kind}){more}</summary>", ""]
    lines += ["| photo | class | probability there | here |", "|---|---|--:|--:|"]
    lines += [
        f"| {as_code(one.path)} | {as_code(one.label)} | {one.base:.3f} | {one.new:.3f} |" for one in flips[:LISTED]
    ]
    return [*lines, "", "</details>", ""]


def as_code(value: object, longest: int = LONGEST) -> str:
    """Text as code, of which GitHub and GitLab make nothing else: what a pull request holds is a stranger's.

    Outside of code, mentions, issues, commits and addresses become links even when written as entities. Letters that
    show nothing, or the text behind them backwards, show as a replacement; a table's cells end at |, even in code.
    """
    text = "not there" if value is None else " ".join(str(value).split())
    if len(text) > longest:
        text = f"{text[: longest // 2]}\u2026{text[-longest // 2 :]}"
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text).replace("|", "\u00a6")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""
