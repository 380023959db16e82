"""CI: the files are valid and safe, and every job's work runs here too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clone import ROOT, Clone

GITHUB, GITLAB = ".github/workflows/ci.yml", ".gitlab-ci.yml"
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / GITHUB).read_text())
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / GITLAB).read_text())
JOBS = ("test", "lock", "compare", "reproduce")
TOOLS = Path(sys.executable).parent


def steps(job: str) -> list[dict[str, Any]]:
    return list(WORKFLOW["jobs"][job]["steps"])


@pytest.mark.parametrize(("schema", "path"), [("vendor.github-workflows", GITHUB), ("vendor.gitlab-ci", GITLAB)])
def test_files_fit_the_platform_s_schema(schema: str, path: str) -> None:
    command = [
        TOOLS / "check-jsonschema",
        "--builtin-schema",
        schema,
        *(["--data-transform", "gitlab-ci"] if "gitlab" in schema else []),
        path,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_by_its_commit() -> None:
    text = (ROOT / GITHUB).read_text()
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert len(uses) > 5
    for action, comment in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.match(r" # v\d+\.\d+\.\d+$", comment), action


def test_tokens_can_do_little_and_a_stranger_s_text_reaches_no_shell() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert set(WORKFLOW[True]) == {"push", "pull_request", "workflow_dispatch"}  # "on" is True to YAML
    allowed = {"compare": {"contents": "read", "pull-requests": "write"}}
    for job in JOBS:
        assert WORKFLOW["jobs"][job].get("permissions", {}) == allowed.get(job, {})
        assert WORKFLOW["jobs"][job]["timeout-minutes"] <= 60
        for step in steps(job):
            assert "${{" not in step.get("run", ""), step
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
    comment = next(step for step in steps("compare") if "gh pr comment" in step.get("run", ""))
    assert "head.repo.full_name == github.repository" in comment["if"]
    assert "--edit-last --create-if-none" in comment["run"]


@pytest.mark.parametrize("job", JOBS)
def test_both_platforms_run_the_same_make_target(job: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    ours = [step["run"] for step in steps(job) if step.get("run", "").startswith("make ")]
    theirs = [line for line in PIPELINE[job]["script"] if line.startswith("make ")]
    assert len(ours) == len(theirs) == 1
    assert ours[0].split()[1] == theirs[0].split()[1]
    assert ours[0].split()[1] in targets


def test_supported_pythons_are_tested() -> None:
    versions = ["3.11", "3.12", "3.13"]
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == versions
    assert PIPELINE["test"]["parallel"]["matrix"] == [{"PYTHON_VERSION": versions}]
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


def test_hooks_pass_in_a_clean_clone_and_stop_a_commit_where_no_environment_is_active(
    demo_clone: Clone, tmp_path: Path
) -> None:
    clone = as_default(demo_clone.copy(tmp_path / "clone"))
    clone.run("rm", "-r", ".venv")
    (clone.folder / ".venv").symlink_to(TOOLS.parent)
    clone.environment["PRE_COMMIT_HOME"] = str(tmp_path / "hooks")
    clone.run(str(TOOLS / "pre-commit"), "validate-config")
    assert clone.run(str(TOOLS / "pre-commit"), "run", "--all-files").count("Passed") == 3
    clone.run(str(TOOLS / "pre-commit"), "install")
    bare = [entry for entry in os.environ["PATH"].split(os.pathsep) if Path(entry) != TOOLS]
    clone.environment["PATH"] = os.pathsep.join(bare)
    (clone.folder / "src/transfer_learning/commands/summary.py").write_text('"""Nothing."""\n')
    clone.commit("passes")
    (clone.folder / "src/split.py").write_text("import os\n")
    clone.run("git", "add", "--all")
    said = clone.run("git", "commit", "--message", "does not", code=1)
    assert "F401" in said
    assert "split would run again" in said


def as_default(clone: Clone) -> Clone:
    """Let conf/ compose to the demo's settings, and make's environment be the one of this test."""
    config = clone.folder / "conf/config.yaml"
    config.write_text(config.read_text().replace("  - _self_\n", "  - _self_\n  - experiment: demo\n"))
    clone.commit("the demo is the default")
    (clone.folder / ".venv").mkdir()
    (clone.folder / ".venv/.from-lock").touch()
    return clone


def run_steps(clone: Clone, job: str, summary: Path, **environment: str) -> dict[str, int]:
    """Run what a job runs, but for the platform's own actions and command line; exit codes by command."""
    codes = {}
    for step in steps(job):
        command = step.get("run", "")
        if command and not command.startswith(("gh ", "sudo ")):
            environment |= {"GITHUB_STEP_SUMMARY": str(summary)}
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", command],
                cwd=clone.folder, env=clone.environment | environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            codes[command] = done.returncode
    return codes


def test_the_steps_of_lock_and_compare_run_in_a_clean_clone(demo_clone: Clone, tmp_path: Path) -> None:
    origin = as_default(demo_clone.copy(tmp_path / "origin"))
    clone = Clone.at(tmp_path / "clone", origin.environment)
    origin.run("git", "clone", "--quiet", str(origin.folder), str(clone.folder))
    (clone.folder / ".venv").mkdir()
    (clone.folder / ".venv/.from-lock").touch()
    summary = tmp_path / "summary.md"
    assert run_steps(clone, "lock", summary) == {"make check": 0}
    codes = run_steps(clone, "compare", summary, BASE="origin/main")
    assert list(codes.values()) == [0, 0]
    assert summary.read_text().startswith("### No regression: `workspace` against")
    (clone.folder / "reports/test/metrics.json").write_text("{}")
    codes = run_steps(clone, "compare", summary, BASE="origin/main")
    assert list(codes.values()) == [2, 0]  # make's code for any failure; the summary is written all the same
    assert "Cannot compare (other results)" in summary.read_text()


@pytest.mark.full
def test_the_steps_of_reproduce_compute_the_committed_results_again(demo_clone: Clone, tmp_path: Path) -> None:
    clone = as_default(demo_clone.copy(tmp_path / "clone"))
    summary = tmp_path / "summary.md"
    assert set(run_steps(clone, "reproduce", summary).values()) == {0}
    assert "No regression" in summary.read_text()
