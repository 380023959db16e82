"""The leaderboard as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from transfer_learning.reporting import leaderboard
from transfer_learning.reporting.leaderboard import SEED, Section, varying
from transfer_learning.reporting.trials import PARTS


def markdown(
    sections: Sequence[Section], *, title: str, figure: str, command: str, parts: Sequence[str] = PARTS
) -> str:
    """The page with a table of each section.

    Args:
        figure: file name of what `leaderboard_figure.draw` draws of the first section.
        command: what makes the page.
        parts: of the photos, whose results are shown.
    """
    everything = [trial for section in sections for trial in section.trials]
    level, lines = float(everything[0].settings["evaluate.confidence"]), [f"# {title}", ""]
    lines.append(
        f"Best first by accuracy on validation after fine-tuning, with its {level:.0%} interval. Nothing is chosen"
    )
    lines.append("on the test photos. Time is of the stages that ran for it on this machine, and of epochs taken over.")
    if any("probe/val_gained" in trial.results for trial in everything):
        lines += [
            "\nAgainst the linear probe: how many more validation photos are right than with logistic regression",
            "on the pretrained network's features, and how often equal models differ so much (McNemar's test).",
        ]
    if any(SEED in varying([trial.settings for trial in section.trials]) for section in sections):
        lines += [
            "",
            "Another seed draws other validation and test photos; ± is the standard deviation over seeds, in points.",
        ]
    for number, section in enumerate(sections):
        if section.note:
            lines += ["", f"## {section.note}"]
        if number:
            lines += ["", "Not to be compared with the table above: it is of other photos."]
        lines += ["", *_table(section, parts)]
        if not number and varying([trial.settings for trial in section.trials]):
            lines += ["", f"![Accuracy against each setting that varies]({figure})"]
    return "\n".join([*lines, "", "Made by", "", f"    {command}"]) + "\n"


def _table(section: Section, parts: Sequence[str]) -> list[str]:
    lines = leaderboard.lines(section.trials, parts)
    columns = list(lines[0].cells)
    bold = ("experiment", *parts)
    rows = [
        [f"**{text}**" if line.is_mean and column in bold else text for column, text in line.cells.items()]
        for line in lines
    ]
    return [
        f"|  | {' | '.join(columns)} |",
        f"|--:|:--|{'--:|' * (len(columns) - 1)}",
        *(f"| {line.place or ''} | {' | '.join(row)} |" for line, row in zip(lines, rows, strict=True)),
    ]
