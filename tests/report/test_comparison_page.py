"""The part of the report that compares: the leaderboard, its charts, what it says in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from samples_of_reports import comparison, report, run, standing

from genloom.report import Estimate, render
from genloom.report.words import leads


def board(page: str) -> list[list[str]]:
    """The cells of the leaderboard, without tags."""
    table = page[page.index('<table class="board">') :].split("</table>")[0].split("<tbody>")[1]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, flags=re.S)
    return [
        [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S)]
        for row in rows
    ]


def test_the_leaderboard_has_ranks_figures_intervals_ties_and_cost() -> None:
    rows = board(render(report(comparison=comparison())))
    assert [(r[0], r[1].split()[0]) for r in rows] == [
        ("1", "flow"), ("2", "r3gan"), ("3", "vae"), ("4", "gan-mlp"), ("", "real"),
    ]  # fmt: skip
    assert rows[0][2].split() == ["1.06", "0.97", "\u2013", "1.15"]
    assert "no significant difference from vae" in rows[1][1]
    assert "no significant" not in rows[0][1]
    assert rows[0][3].split()[0] == "0.966"
    assert {"650k", "58.5 s 640 MB", "0.09 \u2013 0.46"} <= set(rows[0])
    assert rows[4][2] == "0.1357"


def test_it_says_which_test_was_used_and_links_the_blind_page() -> None:
    page = render(report(comparison=comparison()))
    assert "Welch&#39;s t test over seeds at 5%, corrected by Holm." in page
    assert "t over 3 seeds" in page
    assert 'href="blind.html"' in page
    long = {"precision": ("precision(toy@01234567)", "higher"), "bpd": ("bits per dimension (upper bound)", "lower")}
    heads = render(report(comparison=comparison(labels=long))).split("<thead>")[1].split("</thead>")[0]
    assert "precision <span" in heads, "the extractor stands in the name of the first figure"
    assert "precision of real items" not in page.split("<tbody>")[0], "what real items reach is no column"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://evil.example/x", "//evil.example", "a b.html", ""])
def test_only_a_neighbouring_file_is_linked(address: str) -> None:
    page = render(report(comparison=comparison(blind=address)))
    assert "Judge for yourself" not in page
    assert not address or f'href="{address}"' not in page


def test_its_charts_and_samples() -> None:
    page = render(report(comparison=comparison()))
    assert page.count('class="seed') == 12
    assert page.count('class="band') == 4
    assert "Quality against training time" in page
    assert "Fidelity and diversity" in page
    assert "real data" in page[page.index("Fidelity and diversity") :]
    side = page[page.index('id="side-by-side"') :].split("</section>")[0]
    assert side.count("<img ") == 5  # and real items
    bare = comparison(standings=tuple(replace(s, curve=None, samples=None, figures={"fd": s.figures["fd"]})
                                      for s in comparison().standings))  # fmt: skip
    page = render(report(comparison=bare))
    assert "Quality against" not in page
    assert "Fidelity and" not in page
    assert 'id="side-by-side"' not in page


def test_texts_of_contestants_stand_side_by_side_too() -> None:
    two = (standing("gpt", 1, (1.2,), samples="to be"), standing("gpt-small", 2, (1.4,), samples="or not"))
    page = render(report(comparison=comparison(standings=two)))
    side = page[page.index('id="side-by-side"') :].split("</section>")[0]
    assert "to be" in side
    assert "or not" in side
    assert "<img" not in side


def test_the_words_say_who_leads_by_how_much_what_is_no_difference_and_for_what_it_holds() -> None:
    said = leads(comparison(), "mnist")
    assert said.startswith(
        "flow leads with FD(toy@01234567) 1.06 (0.97 to 1.15), where lower is better and real data score 0.1357."
    )
    assert "The next, r3gan, reaches 1.57 (1.46 to 1.68), 48% more: the difference is significant." in said
    assert said.count("not significant") == 1
    assert "Between r3gan and vae the difference is not significant." in said
    assert said.endswith("This holds for mnist, a budget of 60s each, three seeds and this machine only.")
    assert said.split(", where")[0] in render(report(run(data="mnist"), comparison=comparison()))


def test_a_lead_that_is_no_lead_is_called_so() -> None:
    alike = comparison(standings=(
        standing("flow", 1, (1.0, 1.3), ("vae",)), standing("vae", 2, (1.1, 1.25), ("flow",)),
    ))  # fmt: skip
    said = leads(alike)
    assert said.startswith("flow has the best mean, but its lead over vae is not significant: ")
    assert "difference is significant" not in said
    assert said.count("not significant") == 1
    once = comparison(test="One seed: nothing is called significant.", standings=(
        standing("flow", 1, (1.0,), ("vae", "gan")), standing("vae", 2, (9.0,), ("flow", "gan")),
        standing("gan", 3, (9.5,), ("flow", "vae")),
    ))  # fmt: skip
    assert "not tested" in leads(once)
    assert "significant" not in leads(once)
    assert "no significant difference" not in render(report(comparison=once)), "one seed tells nothing of ties"
    untested = comparison(test="", standings=(standing("flow", 1, (1.0,)), standing("vae", 2, (9.0,))))
    assert "not tested" in leads(untested)
    assert "9 times as much" in leads(untested)
    alone = comparison(standings=(standing("flow", 1, (1.0,)),))
    assert leads(alone).startswith("flow stands alone")


def test_a_contestant_without_its_figure_is_shown_without() -> None:
    lost = comparison(standings=(standing("flow", 1, (1.0, 1.1)), replace(standing("vae", 2, (2.0,)), figures={})))
    rows = board(render(report(comparison=lost)))
    assert rows[1][2] == "&ndash;"
    assert "The next, vae, has no such figure." in leads(lost)
    none = comparison(standings=(replace(standing("vae", 1, (2.0,)), figures={}),))
    assert leads(none).startswith("No contestant has a figure")
    higher = comparison(better="higher", key="precision", name="precision", floor=None)
    assert "higher is better" in leads(higher)
    wild = replace(standing("vae", 2, (2.0,)), figures={"fd": Estimate(float("nan"))})
    assert "not a number" in render(report(comparison=comparison(standings=(standing("flow", 1, (1.0,)), wild))))
