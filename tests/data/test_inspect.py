"""genloom data report: planted faults are found by name, and clean data give no finding."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import planted
import pytest
from PIL import Image

from genloom.cli.main import main
from genloom.data.inspect import faces as faces_module
from genloom.data.inspect.copies import clusters
from genloom.data.inspect.duplicates import exact_groups, near_pairs, plain
from genloom.data.inspect.finding import Finding
from genloom.data.inspect.inspection import Inspection, inspect
from genloom.data.inspect.personal import Finds, findings, is_card, is_iban, is_phone, masking, search
from genloom.data.inspect.pictures import look, remarks_of, thumbnails
from genloom.errors import BadData, BadValue, NotFound
from genloom.verbs.inspect import report


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect(str(planted.faulty(tmp_path_factory.mktemp("faulty"))))


def of(found: Inspection, check: str) -> Finding:
    return next(f for f in found.findings if f.check == check)


def test_clean_data_give_no_finding(tmp_path: Path) -> None:
    found = inspect(str(planted.clean(tmp_path)))
    assert [f.seen for f in found.findings] == []
    facts = dict(found.overview.facts)
    assert facts["pictures"] == "60"
    assert [(p.name, p.items) for p in found.overview.splits] == [("train", 48), ("validation", 0), ("test", 12)]
    assert {p.name: p.items for p in found.overview.classes} == {"round": 30, "square": 30}


@pytest.mark.parametrize(
    ("check", "level", "names"),
    [
        ("leaks (exact copies)", "serious", ["train/round/leak.png = test/round/05.png"]),
        ("leaks (near copies)", "serious", ["train/round/11.png = test/round/leaknear.jpg"]),
        ("exact copies", "warning", ["test/round/05.png = train/round/leak.png", "01.png = train/round/copy.png"]),
        ("near copies", "warning", ["03.png ~ train/round/resized.png", "07.png ~ train/round/again.jpg"]),
        ("near copies", "warning", ["09.png ~ train/round/cropped.png", "leaknear.jpg ~ train/round/11.png"]),
        ("unreadable files", "warning", ["empty.png: empty file", "words.png: no picture", "half.png: image file is"]),
        ("pictures that show nothing", "warning", ["train/round/grey.png"]),
        ("odd sizes", "note", ["train/round/huge.png: 3,000x2,200"]),
        ("GPS positions", "serious", ["train/round/located.jpg"]),
        ("authors in EXIF", "warning", ["train/round/located.jpg"]),
        ("turned pictures", "note", ["train/round/turned.jpg"]),
        ("thin classes", "warning", ["rare: 1"]),
    ],
)
def test_planted_faults_are_found_by_name(faulty: Inspection, check: str, level: str, names: list[str]) -> None:
    finding = of(faulty, check)
    assert finding.level == level
    said = "\n".join(finding.examples)
    for name in names:
        assert name in said
    assert finding.advice


def test_nothing_but_what_was_planted_is_found(faulty: Inspection) -> None:
    assert len(of(faulty, "near copies").examples) == 4
    assert of(faulty, "exact copies").count == 2
    assert of(faulty, "unreadable files").count == 3
    missing = of(faulty, "card")
    assert missing.level == "serious"  # somebody's position was found, and nothing says that they agreed
    assert "consent" in missing.examples
    assert missing.paste.startswith('source = ""')


def test_a_rule_wins_over_the_sub_folders(tmp_path: Path) -> None:
    folder = planted.faulty(tmp_path)
    assert main(["data", "split", str(folder)]) == 0
    found = inspect(str(folder))
    assert "rule in genloom-split.json" in next(c.on for c in found.checks if c.name == "leaks between splits")
    assert not [f for f in found.findings if f.check == "leaks (exact copies)"]  # the rule keeps copies together


def test_one_outlier_is_found(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for i in range(80):
        ground = draw.normal(120, 12, (32, 32, 3)) + draw.normal(0, 15, 3)
        Image.fromarray(ground.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{i:02}.png")
    odd = np.zeros((32, 32, 3), np.uint8)
    odd[:16] = (255, 0, 255)
    Image.fromarray(odd).save(tmp_path / "odd.png")
    assert of(inspect(str(tmp_path)), "outliers").examples == ("odd.png",)


def test_near_copies_are_told_from_pictures_that_are_merely_alike() -> None:
    pictures = [planted.scene(i, (64, 64)) for i in range(300)]
    copies = {300: 4, 301: 40, 302: 77, 303: 120}
    whole = planted.scene(120, (64, 64))
    pictures += [
        pictures[4].resize((40, 40)),
        Image.eval(pictures[40], lambda v: int(v * 0.75)),
        pictures[77].crop((3, 2, 62, 61)),
        Image.fromarray(np.roll(np.asarray(whole), 1, axis=1)),
    ]
    grey = np.stack([thumbnails(p)[0] for p in pictures])
    found = near_pairs(grey)
    assert {(max(a, b), min(a, b)) for a, b in zip(found.first, found.second, strict=True)} == set(copies.items())


def test_many_pictures_are_searched_by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.data.inspect import duplicates

    grey = np.stack([thumbnails(planted.scene(i, (48, 48)))[0] for i in range(700)])
    copies = np.stack([thumbnails(planted.scene(i, (48, 48)).crop((2, 1, 47, 47)))[0] for i in range(0, 700, 35)])
    monkeypatch.setattr(duplicates, "_ALL", 100)
    monkeypatch.setattr(duplicates, "_CELL", 60)
    found = near_pairs(np.concatenate([grey, copies]))
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in zip(found.first, found.second, strict=True)}
    wanted = {(35 * k, 700 + k) for k in range(20)}
    assert len(pairs & wanted) >= 19
    assert len(pairs - wanted) <= 1


def test_groups_and_empty_pictures() -> None:
    assert [g.tolist() for g in exact_groups(np.array([b"a", b"b", b"a", b"c", b"b", b"a"]))] == [[0, 2, 5], [1, 4]]
    assert clusters([(1, 2), (3, 4), (2, 5)]) == [[1, 2, 5], [3, 4]]
    flat = np.full((2, 32, 32), 7, np.uint8)
    flat[1, :16] = 200
    assert plain(flat).tolist() == [True, False]
    assert len(near_pairs(flat[:1]).first) == 0


def test_two_pictures_that_are_near_copies_are_found() -> None:
    one = planted.scene(3, (80, 80))
    pair = near_pairs(np.stack([thumbnails(one)[0], thumbnails(one.resize((50, 50)))[0]]))
    assert pair.first.tolist() + pair.second.tolist() in ([0, 1], [1, 0])


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    planted.scene(0).save(path)
    assert look(path).why == ""

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert look(path).why == "not allowed to read it"


def test_exif_that_is_garbage_is_told(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 42
    planted.scene(0).save(tmp_path / "a.jpg", exif=note)
    with Image.open(tmp_path / "a.jpg") as picture:
        assert remarks_of(picture).orientation == 42
    for i in range(3):
        planted.scene(i + 1).save(tmp_path / f"{i}.png")
    assert of(inspect(str(tmp_path)), "damaged EXIF").examples == ("a.jpg",)


def test_personal_data_in_text_are_counted_and_masked() -> None:
    finds = Finds()
    search(planted.LETTER, "letter.txt", finds)
    assert finds.counts == {
        "e-mail addresses": 1,
        "phone numbers": 2,
        "bank accounts (IBAN)": 1,
        "payment cards": 1,
        "IP addresses": 1,
        "what looks like a name": 1,
    }
    shown = json.dumps([f.to_json() for f in findings(finds)], ensure_ascii=False)
    for secret in ("jane.doe", "example.org", "901820", "3704", "8888", "Eleanor", "Rigby", "184.216", "736"):
        assert secret not in shown
    assert masking("jane@example.org") == "j··e@e·····e.o··"


def test_numbers_that_are_nobody_are_left_alone() -> None:
    finds = Finds()
    search(planted.INNOCENT, "", finds)
    assert finds.counts == {}


def test_check_digits() -> None:
    assert is_iban("GB82 WEST 1234 5698 7654 32")
    assert not is_iban("GB82 WEST 1234 5698 7654 33")
    assert is_card("5555-5555-5555-4444") is False  # a single digit repeated is a placeholder
    assert is_card("4012 8888 8888 1881")
    assert not is_card("4012 8888 8888 1882")
    assert is_phone("+44 20 7946 0958")
    assert not is_phone("+44 20 7946")


def test_a_text_is_looked_at_whole(tmp_path: Path) -> None:
    for i in range(6):
        lines = "".join(f"line {i} number {j} of a text that says nothing much\n" for j in range(30))
        (tmp_path / f"{i}.txt").write_text(lines + ("Zażółć gęślą jaźń\n" if i == 0 else ""))
    (tmp_path / "twin.txt").write_text((tmp_path / "3.txt").read_text())
    (tmp_path / "letter.txt").write_text(planted.LETTER)
    (tmp_path / "latin.txt").write_bytes("déjà vu, très bien, garçon\n".encode("latin-1"))
    (tmp_path / "garbled.txt").write_text("cafÃ© and dÃ©jÃ  vu\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\0\1\2" * 50)
    found = inspect(str(tmp_path))
    assert of(found, "repeated documents").examples == ("3.txt = twin.txt",)
    assert of(found, "encoding").examples == ("latin.txt",)
    assert of(found, "garbled letters").examples[0].startswith("garbled.txt")
    assert of(found, "empty files").examples == ("empty.txt",)
    assert of(found, "unreadable files").examples[0].startswith("binary.txt: holds zero bytes")
    assert of(found, "payment cards").level == "serious"
    assert "letter.txt" in of(found, "phone numbers").examples[0]
    assert of(found, "card").level == "serious"
    assert dict(found.overview.facts)["documents"] == "12, 10 of them read"


def test_lines_in_two_splits_are_a_leak(tmp_path: Path) -> None:
    for part, start in (("train", 0), ("test", 95)):
        (tmp_path / part).mkdir()
        lines = [
            f"this is sentence number {i} and it is long enough to be told apart\n" for i in range(start, start + 100)
        ]
        (tmp_path / part / "a.txt").write_text("".join(lines))
    leak = of(inspect(str(tmp_path)), "leaks (lines)")
    assert leak.level == "serious"
    assert leak.count == 5


def test_names_and_arrays_are_looked_at_too(tmp_path: Path) -> None:
    found = inspect("digits")
    assert found.kind == "image"
    assert [p.items for p in found.overview.splits] == [1437, 180, 180]
    assert not found.findings
    array = np.random.default_rng(0).integers(0, 256, (60, 20, 20), np.uint8)
    array[7] = array[30]
    np.save(tmp_path / "x.npy", array)
    assert of(inspect(str(tmp_path / "x.npy")), "exact copies").count == 1


def test_a_sample_is_looked_at_where_there_are_more(tmp_path: Path) -> None:
    for i in range(30):
        planted.scene(i).save(tmp_path / f"{i:02}.png")
    found = inspect(str(tmp_path), limit=10)
    assert dict(found.overview.facts)["pictures"] == "30, 10 of them read"
    with pytest.raises(BadValue, match="--limit"):
        inspect(str(tmp_path), limit=1)


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="holds no pictures"):
        inspect(str(tmp_path))
    (tmp_path / "a.png").write_bytes(b"no")
    with pytest.raises(BadData, match="none of 1 pictures can be read"):
        inspect(str(tmp_path))
    with pytest.raises(BadData, match="is one picture"):
        inspect(str(tmp_path / "a.png"))
    with pytest.raises(NotFound):
        inspect(str(tmp_path / "nowhere"))


def test_the_command_reports_and_can_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = planted.faulty(tmp_path / "data")
    page = tmp_path / "page.html"
    assert main(["data", "report", str(folder), "--out", str(page)]) == 0
    said = capsys.readouterr().out
    assert "train/round/leak.png = test/round/05.png" in said
    assert main(["data", "report", str(folder), "--fail-on", "serious", "--json"]) == 2
    held = json.loads(capsys.readouterr().out)
    assert held["failed"] is True
    assert {f["check"] for f in held["findings"]} >= {"GPS positions", "near copies"}
    assert main(["data", "report", str(planted.clean(tmp_path / "clean")), "--fail-on", "note"]) == 0
    assert main(["data", "report", str(folder), "--fail-on", "bad"]) == 2
    assert "--fail-on is one of" in capsys.readouterr().err
    text = page.read_text()
    assert text.count('src="data:image/') > 50
    assert "http" not in text.replace("http-equiv", "")
    assert "train/round/half.png: image file is truncated" in text
    assert page.stat().st_size < 3_000_000


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    for i in range(4):
        planted.scene(i).save(tmp_path / f"<img src=x onerror=alert({i})>.png")
    page = tmp_path / "page.html"
    report(tmp_path, out=page)
    assert "<img src=x" not in page.read_text()


def test_faces_are_looked_for_or_it_is_said_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for i in range(3):
        planted.scene(i).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(faces_module.importlib.util, "find_spec", lambda name: None)
    check = next(c for c in inspect(str(tmp_path)).checks if c.name == "faces")
    assert "genloom[faces]" in check.missing


def test_a_face_is_found_and_a_scene_is_not() -> None:
    if os.environ.get("GENLOOM_REQUIRE_ALL") != "1":
        pytest.importorskip("cv2")
    found, why = faces_module.detector()
    assert found is not None, why
    assert faces_module.count_faces(found, drawn_face()) == 1
    assert sum(faces_module.count_faces(found, np.asarray(planted.scene(i).convert("L"))) for i in range(40)) <= 1


def drawn_face() -> np.ndarray:
    """A face as a cascade knows it: dark eyes under brows, a lighter nose between them, a mouth."""
    from PIL import ImageDraw, ImageFilter

    face = Image.new("L", (200, 240), 90)
    pen = ImageDraw.Draw(face)
    pen.ellipse((30, 15, 170, 225), fill=205)
    for x in (72, 128):
        pen.ellipse((x - 19, 82, x + 19, 106), fill=110)
        pen.ellipse((x - 9, 86, x + 9, 104), fill=30)
        pen.rectangle((x - 22, 70, x + 22, 78), fill=70)
    pen.rectangle((93, 80, 107, 140), fill=225)
    pen.ellipse((84, 132, 116, 150), fill=165)
    pen.ellipse((70, 168, 130, 190), fill=95)
    return np.asarray(face.filter(ImageFilter.GaussianBlur(3)))
