"""The page of an evaluation says what was measured, escapes what it is given, and asks the network for nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from genloom.report.collapse import Chain, CollapsePage, Trace, render_collapse
from genloom.report.evaluation import EvaluationPage, render_evaluation, summary


def figure(key: str, value: float | None, floor: float | None = None, **more: Any) -> dict[str, Any]:
    return {"key": key, "name": f"{key} of <it>", "value": value, "interval": None, "n": 500, "floor": floor,
            "protocol": {"k": 5}, "better": "", "signature": f"{key}|n:500", **more}  # fmt: skip


def test_figures_stand_beside_their_floors() -> None:
    told = {"results": [figure("share:0", 0.2), figure("fd", 12.5, 1.25, better="lower"),
                        figure("fd_floor", 1.25), figure("is", None)], "notes": ["a <note>"]}  # fmt: skip
    page = render_evaluation(EvaluationPage("mine", told, command="genloom evaluate mine.npy"))
    assert summary(told) == "Fd of <it> is 12.50 at n\u00a0=\u00a0500; real items score 1.25 (lower is better)."
    assert "<b>12.50</b></td><td></td><td>1.25</td><td>500</td>" in page
    assert "fd_floor of" not in page, "what stands in the column of real items has no row"
    assert "fd|n:500" in page
    assert "a &lt;note&gt;" in page
    assert "fd of <it>" not in page
    assert "genloom evaluate mine.npy" in page
    assert "default-src &#39;none&#39;" in page
    assert summary({}) == ""


def test_texts_and_pictures() -> None:
    tile = Image.fromarray(np.zeros((8, 8), np.uint8))
    told = {"results": [figure("fd", 1.0)], "memorisation": {"sentence": "No copies found."}}
    pictures = render_evaluation(EvaluationPage("mine", told, samples=tile, real=tile, closest=tile))
    assert pictures.count("<img") == 3
    assert "No copies found." in pictures
    texts = render_evaluation(
        EvaluationPage("mine", told, samples="<b>one</b>", real="two", stretches=((12, "a <i>"),))
    )
    assert "&lt;b&gt;one" in texts
    assert "12 characters" in texts
    assert "<img" not in texts


def test_the_page_of_a_collapse() -> None:
    points = [(float(g), 1.0 + g, 0.5 + g, 1.5 + g) for g in range(5)]
    page = render_collapse(
        CollapsePage(
            "Collapse", "50% stops it.", (Trace("FD", "how far", "lower", (("0% fresh", points),), floor=0.7),),
            (Chain("0% fresh data", "collapses", "It falls."),), None, "Bands are intervals.", ("So it was done.",),
            ("genloom experiment collapse vae",), "today",
        )
    )  # fmt: skip
    assert 'data-x="generation 0|generation 1|generation 2|generation 3|generation 4"' in page
    assert "real items" in page, "the floor is a line of its own"
    assert "over 4 generations" in page
    for said in ("50% stops it.", "It falls.", "Bands are intervals.", "genloom experiment collapse vae"):
        assert said in page
    assert "polygon" in page, "a band"
