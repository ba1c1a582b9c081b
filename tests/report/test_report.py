"""The report: self-contained, escaped, complete."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from samples_of_reports import AILING, NASTY, comparison, figure, four_runs, picture, report, run, standing

from genloom.errors import Storage
from genloom.report import DataNote, Finding, Report, ReportRun, pairs, render, sheet, summarise, write_report
from genloom.report.pictures import picture as img
from genloom.report.views import curves


class Loads(HTMLParser):
    """Collects what a browser would run, fetch or follow on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        loading = ("src", "srcset", "data", "action", "poster", "background", "xlink:href")
        self.addresses += [v or "" for k, v in attrs if k in loading or (k == "href" and tag != "a")]
        assert not [k for k, _ in attrs if k.startswith("on")]


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render(report(run(name=NASTY), run(samples="text " + NASTY, real=None)))
    found = Loads()
    found.feed(page)
    assert found.addresses
    assert all(a.startswith("data:image/png;base64,") for a in found.addresses)
    assert found.tags.count("script") == 1
    assert not {"link", "iframe", "object", "embed", "base", "video", "audio"} & set(found.tags)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"<[^>]+ style=", page)


def test_only_its_own_script_and_style_may_run() -> None:
    page = render(report(run(name=NASTY)))
    policy = page[page.index("Content-Security-Policy") :].split('content="')[1].split('"')[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = page[page.index(f"<{tag}>") + len(tag) + 2 : page.index(f"</{tag}>")]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "http" not in content.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("place", ["name", "recipe", "family", "samples", "real", "command", "data", "plan", "monitor"])
def test_what_people_write_is_escaped_in_every_field(place: str) -> None:
    page = render(report(run(**{place: NASTY})))
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert "<img src=http" not in page
    assert "&lt;script&gt;" in page or "&amp;lt;" in page


def test_escaping_in_titles_notes_configurations_rows_and_results() -> None:
    evil = run(
        notes=(NASTY,),
        config={NASTY: NASTY},
        health=[Finding(NASTY, NASTY, NASTY, NASTY, NASTY, 3)],
        rows=[{"seconds": float(i), f"loss/{NASTY}": 1.0, NASTY: 2.0} for i in range(3)],
        evaluation={"results": [figure("fd", NASTY, 1.0, floor=NASTY and 0.5), figure(f"share:{NASTY}", NASTY, 0.5),
                                figure("share:b", "b", 0.5)], "extractor": NASTY, "notes": [NASTY]},
    )  # fmt: skip
    contest = comparison(name=NASTY, test=NASTY, budget=NASTY, blind=NASTY,
                         standings=(standing(NASTY, 1, (1.0, 2.0), (NASTY,)),))  # fmt: skip
    page = render(
        report(evil, evil, title=NASTY, summary=NASTY, commands=[NASTY], versions={NASTY: NASTY}, made=NASTY,
               protocol=[NASTY], data=[DataNote(*[NASTY] * 7)], comparison=contest)
    )  # fmt: skip
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert "<img src=http" not in page


def test_every_number_appears() -> None:
    page = render(report())
    for shown in (
        "2.846", "0.1357", "0.6173", "0.4829", "3.142", "0.2718", "4,321",  # figures, floor, n
        "2.835 \u2013 2.859",  # an interval
        "612k", "301k", "61.2 s", "118 s", "4,980", "647 MB", "0.098 \u2013 0.49", "0.0029 \u2013 0.34",
        "0.7654", "0.1</b>", "4.9</b>",  # last values of the curves
        "FD(toy@01234567)", "9.8.7", "6.5.4", "CC0-1.0", "https://example.org/toy", "genloom demo --seed 0",
        "genloom train flow --data toy", "bf16: measured 12.1 ms a step", "few items", "a note", "1 May 2026",
        "&#34;width&#34;: 48", "k 5", "d1g3st", "--data toy",
    ):  # fmt: skip
        assert shown in page, shown


def test_a_run_with_next_to_nothing_still_reports() -> None:
    bare = ReportRun(name="bare", recipe="gpt", family="autoregressive", rows=[])
    page = render(Report("Bare", [bare]))
    assert "bare" in page
    assert "None" not in page
    assert "No runs" in render(Report("Empty", []))


def test_text_models_show_their_text_and_nats() -> None:
    gpt = run(
        name="gpt", samples="def main():\n    pass", real="import os", neighbours=None,
        evaluation={"results": [figure("nats_per_token", "nats per token", 1.3127)]},
    )  # fmt: skip
    page = render(report(gpt))
    assert "def main():\n    pass" in page
    assert "1.313" in page
    assert "1.313 nats per token" in summarise([gpt])


def test_the_summary_ranks_only_what_compares() -> None:
    good = run(name="good")
    poor = run(name="poor", evaluation={"results": [figure("fd", "FD(toy@01234567)", 9.0, floor=0.1)]})
    other = run(name="other", evaluation={"results": [figure("fd", "FD(else@89abcdef)", 0.2, floor=0.1)]})
    text = summarise([poor, good, other])
    assert "Nearest to the held-out items comes good" in text
    assert "other: FD(else@89abcdef)" in text
    assert text.startswith("Three models learnt from toy, 3 min 4 s")
    page = render(report(poor, good, other))
    assert page.count('class="chart ladder"') == 1


def test_findings_are_shown_the_worst_first_and_told_in_the_summary() -> None:
    page = render(report(run(health=AILING)))
    found = re.findall(r"<b>(Serious|Warning|Note): ([^<]+)</b>", page)
    assert found == [("Serious", "collapse"), ("Warning", "overfitting"), ("Note", "slow start")]
    for said in ("held-out loss rose by 12%", "it learns items by heart", "stop sooner", "since step 400",
                 "from step 900 to step 1,200", "0001-flow has health warnings"):  # fmt: skip
        assert said in page, said
    assert 'class="health"' not in render(report(run()))
    assert "health" not in summarise([run(health=AILING[2:])])


def test_pictures_of_the_inside_are_shown_where_there_are_any() -> None:
    page = render(report(run(walks=picture(1), map=picture(2), path=picture(3))))
    for said in ("From noise to items", "Walks through the latent space", "Map of the two-dimensional"):
        assert said in page
        assert said not in render(report())


def test_the_commands_stand_in_a_report_with_the_digest_and_versions() -> None:
    page = render(report())
    repeat = page[page.index('id="repeat"') :]
    assert "genloom demo --seed 0" in repeat
    assert "9.8.7" in repeat
    assert "d1g3st" in repeat


def test_four_runs_are_far_below_eight_megabytes() -> None:
    assert len(render(four_runs()).encode()) < 3_000_000  # pictures of pure noise; real ones take a quarter


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(report(), tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(Storage, match="choose another place"):
        write_report(report(), tmp_path / "file" / "report.html")


def test_it_needs_no_torch() -> None:
    code = "import sys, genloom.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_pairs_put_each_neighbour_under_its_sample() -> None:
    samples, nearest = np.full((3, 4, 5), 10, np.uint8), np.full((3, 4, 5, 3), 20, np.uint8)
    both = np.asarray(pairs(samples, samples + 10, scale=2))
    assert both.shape == (2 * 8 + 4, 3 * 10 + 2 * 4, 2)
    assert both[0, 0].tolist() == [10, 255]
    assert both[-1, -1].tolist() == [20, 255]
    assert both[9, 0, 1] == 0, "the gap is transparent"
    assert np.asarray(pairs(nearest, nearest)).shape[2] == 4


def test_a_sheet_may_end_early_and_grey_stays_grey() -> None:
    full, rest = np.full((3, 2, 2), 7, np.uint8), np.full((1, 2, 2), 9, np.uint8)
    made = sheet([full, rest], scale=1, gap=1)
    assert (made.mode, made.size) == ("LA", (8, 5))
    assert made.getpixel((0, 3)) == (9, 255)
    assert made.getpixel((7, 4)) == (0, 0)


def test_large_pictures_are_stored_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    smooth = np.asarray(picture(0, 8).resize((400, 400)))
    assert "data:image/webp;base64," in img(sheet([noise[None]]), "noise")
    assert "data:image/png;base64," in img(sheet([smooth[None]], scale=1), "smooth")


def test_readings_of_one_kind_share_a_chart_and_single_readings_get_none() -> None:
    rows = [{"seconds": 1.0 * i, "watch/moved/critic": 0.1, "watch/moved/generator": 0.2, "vae/kl": 1, "vae/nll": 2}
            for i in range(3)]  # fmt: skip
    main, more = curves(run(rows=[*rows, {"seconds": 3.0, "watch/start/net": 1.0}], evaluation={}), "x")
    assert main == []
    titles = [re.findall(r"<figcaption>([^<]+)", chart)[0] for chart in more]
    assert titles == ["Moved", "KL", "NLL"]
    assert set(re.findall(r'data-name="([^"]+)"', more[0])) == {"critic", "generator"}
