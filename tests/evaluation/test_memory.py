"""The memory of evaluate does not grow with the photos: it decodes them by chunks, and figures load what they show."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from support.clone import Clone

from transfer_learning.evaluation import whole_model
from transfer_learning.network import backbone
from transfer_learning.network.head import HEAD
from transfer_learning.photos import chunks
from transfer_learning.photos.decode import Photo
from transfer_learning.settings import backbones

SIDE = 224
PEAK = """
import resource, runpy, sys
runpy.run_path("src/evaluate.py", run_name="__main__")
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1024**2))
"""


def test_chunks_are_dropped_when_they_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: set[int] = set()
    most = []

    def decoded(photos: list[Photo], **_: object) -> np.ndarray:
        first = int(photos[0].path.stem)
        made = np.full((len(photos), 32, 32, 3), first, np.uint8)
        alive.add(first)
        weakref.finalize(made, alive.discard, first)
        most.append(len(alive))
        return made

    monkeypatch.setattr(chunks, "load_batch", decoded)
    photos = [Photo(Path(f"{number % 256}.png")) for number in range(20 * chunks.CHUNK + 3)]
    model = whole_model.whole(
        backbone.build("small_cnn", size=32),
        backbones.small_cnn_weights() | {HEAD: [np.ones((128, 1), np.float32), np.zeros(1, np.float32)]},
    )
    found = whole_model.logits(model, (chunk for _, chunk in chunks.chunks(photos, size=32)), threads=2)
    assert found.shape == (len(photos), 1)
    assert len(most) == 21
    assert max(most) <= 4  # the one in work, the next one, and what threads have not let go of yet


def peak(clone: Clone, times: int) -> int:
    """Peak memory in MB of evaluate on the test photos, each of them so many times."""
    path = clone.folder / "data" / "split.csv"
    header, *rows = path.read_text().splitlines()
    test = [row for row in rows if row.endswith(",test")]
    path.unlink()  # a link into DVC's cache
    path.write_text("\n".join([header, *rows, *test * (times - 1)]) + "\n")
    said = clone.run(sys.executable, "-W", "ignore", "-c", f"import sys; sys.path.insert(0, 'src'){PEAK}")
    assert f" of {len(test) * times} photos" in said
    return int(said.rpartition("peak")[2])


@pytest.mark.full  # 20 s: a thousand photos of 224 pixels
def test_memory_of_evaluate_does_not_grow_with_the_test_photos(demo_clone: Clone, tmp_path: Path) -> None:
    clone = demo_clone.copy(tmp_path)
    clone.call("params", "+experiment=demo", f"images.size={SIDE}")
    few, many = peak(clone, 2), peak(clone, 40)
    held = 30 * 38 * SIDE * SIDE * 3 // 10**6  # MB of the photos that are more
    assert held > 150
    assert many - few < held / 2
