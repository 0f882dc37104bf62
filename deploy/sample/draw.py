"""Draws the sample: photos of nobody, a roster, a day of HR changes, and who should be known at the end of it.

`python deploy/sample/draw.py` writes everything beside itself, the same every time with the same Pillow. The roster
and the changes are what a customer would send; `after.csv` is worked out here, by rules of its own, so that whoever
compares with it does not ask the service about itself.
"""

# ruff: noqa: INP001 - a script beside its data, no package

import csv
import io
import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
PEOPLE, HIRES = 330, 34
WIDTH, HEIGHT = 320, 400  # above every side that a vendor asks for (256)
SEED = 20261121

FAMILY = "王 李 张 刘 陈 杨 黄 赵 吴 周 徐 孙 马 朱 胡 林 郭 何 高 罗".split()  # noqa: SIM905
GIVEN = "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀英 霞 平 刚 桂英 晨曦 雨桐 子涵".split()  # noqa: SIM905
FIRST = "Anna Bruno Carla Deniz Elif Farid Greta Hugo Ines Jonas Kemal Lena Mateo Nora Omar Paula".split()  # noqa: SIM905
LAST = "Adler Brandt Castro Demir Engel Fuchs García Haddad Ivanov Jansen Keller Lopes Moretti Novak".split()  # noqa: SIM905

SKIN = ((255, 224, 196), (241, 194, 150), (224, 172, 125), (198, 134, 92), (141, 85, 54), (90, 56, 37))

# Ids as HR systems have them. Two that differ only in case or in leading zeros are two people.
ODD_IDS = (
    "王小明-0042",
    "anna.adler@example.com",
    "contractor/2026/000917 (night shift, second gate, until the end of the project in December)",
    "007",
    "7",
    "e-2001",
    "E-2001",
    "x-looks-like-a-derived-key",
    "O'Neill, T.",
    "员工：陈静 #18",
    "A" * 32,
    "A" * 33,
    "50%_off\\share",
    "magic,word",
    "--help",
)


@dataclass
class Human:
    """One drawn person; `faces` maps face ids to photo files."""

    id: str
    name: str
    look: int
    faces: dict[str, str] = field(default_factory=dict)
    version: int = 0


class Sketchbook:
    """Draws, numbers and writes photos."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.jpg"):
            old.unlink()

    def portrait(self, look: int, pose: int) -> str:
        """A drawn face: `look` is whose, `pose` is which picture of it."""
        return self._keep(_portrait(look, pose))

    def empty_chair(self) -> str:
        """A photo with nobody on it: every library refuses it."""
        return self._keep(Image.new("RGB", (WIDTH, HEIGHT), (122, 126, 131)))

    def _keep(self, image: Image.Image) -> str:
        self._count += 1
        name = f"{self._count:04d}.jpg"
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=62, optimize=True)
        (self._folder / name).write_bytes(encoded.getvalue())
        return f"{self._folder.name}/{name}"


def main() -> None:
    dice = random.Random(SEED)  # noqa: S311 - a sample, the same every time
    book = Sketchbook(HERE / "photos")
    people = [_human(number, dice, book) for number in range(PEOPLE)]
    people[40].faces = dict(people[20].faces)  # one human with two badges, and the same photo on both
    _write_roster(people)
    changes = _Day(people, dice, book)
    (HERE / "changes.jsonl").write_text(changes.text(), "utf-8")
    _write_after(changes)


def _human(number: int, dice: random.Random, book: Sketchbook) -> Human:
    chinese = dice.random() < 0.6  # noqa: PLR2004
    name = dice.choice(FAMILY) + dice.choice(GIVEN) if chinese else f"{dice.choice(FIRST)} {dice.choice(LAST)}"
    # The odd ones come early, so that a small slice of the roster has them too.
    known = ODD_IDS[number // 2] if number % 2 and number // 2 < len(ODD_IDS) else f"E{10_000 + number}"
    human = Human(known, name, number)
    count = 3 if number % 11 == 2 else 2 if number % 4 == 1 else 1  # noqa: PLR2004
    for place in range(count):
        human.faces[("badge", "door", "canteen")[place]] = book.portrait(number, place)
    return human


def _write_roster(people: list[Human]) -> None:
    with (HERE / "roster.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["id", "name", "face", "photo"])
        for human in people:
            for face, photo in human.faces.items():
                out.writerow([human.id, human.name, face, photo])


class _Day:
    """A day at the HR desk; keeps the books on who is there with which photos."""

    def __init__(self, people: list[Human], dice: random.Random, book: Sketchbook) -> None:
        self._dice, self._book = dice, book
        self._poses: dict[str, int] = {}
        self.there = {human.id: human for human in people}
        self.refused: set[tuple[str, str]] = set()
        self._lines: list[dict[str, Any]] = []
        self._specials(people)
        self._ordinary(people)

    def text(self) -> str:
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines)

    def _specials(self, people: list[Human]) -> None:
        """What goes wrong in real life, early in the day."""
        newcomer = self._hire(0)
        blank = self._book.empty_chair()
        newcomer.faces["door"] = blank
        self._upsert(newcomer)
        self.refused.add((newcomer.id, "door"))

        twice = people[0]
        self._replace(twice, "badge")
        self._replace(twice, "badge")

        gone = people[2]  # departs, and an older message about them comes late
        late = self._line("person.upserted", gone, self._told(gone), version=self._next(gone))
        self._depart(gone)
        stale = self._line(
            "face.replaced", gone, {"face": {"id": "badge", **self._new_photo(gone)}}, version=gone.version - 1
        )

        back = people[4]
        self._depart(back)
        again = Human(back.id, back.name, back.look, {"badge": self._portrait(back)}, back.version)

        brief = self._hire(1)  # hired by mistake
        self._upsert(brief)
        self._depart(brief)

        dropped, photo = people[5], people[5].faces["door"]
        self._delete(dropped, "door")
        self._say(late)
        self._say(stale)
        dropped.faces["door"] = photo  # the same picture, taken back
        self._upsert(dropped)

        self.there[again.id] = again
        self._upsert(again)
        self._replace(again, "badge")
        self._lines.append(self._lines[-1])  # the same telling twice

        renamed = people[6]
        person = {"id": renamed.id, "version": self._next(renamed), "name": f"{renamed.name}-{LAST[0]}"}
        self._say(self._line("person.upserted", renamed, {}, version=renamed.version) | {"data": {"person": person}})

        fewer = people[13]  # the whole list of faces, one of three left out
        del fewer.faces["door"]
        self._upsert(fewer)

    def _ordinary(self, people: list[Human]) -> None:
        rest = people[7:13] + people[14:]
        self._dice.shuffle(rest)
        several = [human for human in rest if len(human.faces) > 1]
        plain = iter([human for human in rest if human not in several[:24]])
        deeds = ["hire"] * (HIRES - 2) + ["replace"] * 44 + ["depart"] * 32 + ["delete"] * 24
        self._dice.shuffle(deeds)
        hires, doubles = iter(range(2, HIRES)), iter(several[:24])
        for deed in deeds:
            if deed == "hire":
                self._upsert(self._hire(next(hires)))
            elif deed == "delete":
                human = next(doubles)
                self._delete(human, self._dice.choice(sorted(human.faces)))
            elif deed == "depart":
                self._depart(next(plain))
            else:
                human = next(plain)
                self._replace(human, self._dice.choice(sorted(human.faces)))

    def _hire(self, number: int) -> Human:
        human = Human(f"N{20_000 + number}", f"{FAMILY[number % 20]}{GIVEN[number % 25]}", 1000 + number)
        human.faces["badge"] = self._portrait(human)
        if number % 6 == 3:  # noqa: PLR2004
            human.faces["door"] = self._portrait(human)
        self.there[human.id] = human
        return human

    def _upsert(self, human: Human) -> None:
        self._say(self._line("person.upserted", human, self._told(human), version=self._next(human)))

    def _replace(self, human: Human, face: str) -> None:
        told = self._new_photo(human)
        human.faces[face] = told["photo"]["path"]
        self._say(self._line("face.replaced", human, {"face": {"id": face, **told}}, version=self._next(human)))

    def _delete(self, human: Human, face: str) -> None:
        del human.faces[face]
        self._say(self._line("face.deleted", human, {"face": {"id": face}}, version=self._next(human)))

    def _depart(self, human: Human) -> None:
        del self.there[human.id]
        self._say(self._line("person.departed", human, {}, version=self._next(human)))

    def _told(self, human: Human) -> dict[str, Any]:
        return {
            "name": human.name,
            "faces": [{"id": face, "photo": {"path": photo}} for face, photo in human.faces.items()],
        }

    def _new_photo(self, human: Human) -> dict[str, Any]:
        return {"photo": {"path": self._portrait(human)}}

    def _portrait(self, human: Human) -> str:
        pose = self._poses[human.id] = self._poses.get(human.id, 9) + 1
        return self._book.portrait(human.look, pose)

    def _next(self, human: Human) -> int:
        human.version += 1
        return human.version

    def _line(self, kind: str, human: Human, told: dict[str, Any], *, version: int) -> dict[str, Any]:
        person: dict[str, Any] = {"id": human.id, "version": version}
        if kind == "person.upserted":
            return {"type": kind, "data": {"person": {**person, **told}}}
        return {"type": kind, "data": {"person": person, **told}}

    def _say(self, line: dict[str, Any]) -> None:
        self._lines.append({"id": f"hr-{len(self._lines) + 1:04d}", **line})


def _write_after(day: _Day) -> None:
    with (HERE / "after.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["id", "face", "photo", "taken"])
        for human in day.there.values():
            for face, photo in sorted(human.faces.items()):
                out.writerow([human.id, face, photo, "no" if (human.id, face) in day.refused else "yes"])


# --- drawing --------------------------------------------------------------------------------------------------


def _portrait(look: int, pose: int) -> Image.Image:
    whose, which = random.Random(look), random.Random(look * 1000 + pose)  # noqa: S311
    image = Image.new("RGB", (WIDTH, HEIGHT), _shade(which, 150, 235))
    pen = ImageDraw.Draw(image)
    skin = whose.choice(
        [(255, 224, 196), (241, 194, 150), (224, 172, 125), (198, 134, 92), (141, 85, 54), (90, 56, 37)]
    )
    hair, eyes = _shade(whose, 10, 140), _shade(whose, 30, 150)
    width, height = whose.randint(86, 108), whose.randint(116, 138)
    x, y = WIDTH // 2 + which.randint(-14, 14), 185 + which.randint(-12, 12)
    pen.ellipse((x - 150, y + 120, x + 150, y + 420), fill=_shade(which, 20, 200))  # the shoulders
    pen.ellipse((x - width - 14, y - height - 22, x + width + 14, y + whose.randint(10, 90)), fill=hair)
    pen.ellipse((x - width, y - height, x + width, y + height), fill=skin)
    pen.pieslice((x - width, y - height - 8, x + width, y + height // 3), 180 + whose.randint(0, 12), 360, fill=hair)
    apart, open_ = whose.randint(34, 46), which.randint(7, 13)
    for side in (-1, 1):
        cx = x + side * apart
        pen.ellipse((cx - 16, y - 24 - open_, cx + 16, y - 24 + open_), fill=(250, 250, 250))
        glance = which.randint(-5, 5)
        pen.ellipse((cx - 7 + glance, y - 31, cx + 7 + glance, y - 17), fill=eyes)
        pen.line((cx - 18, y - 48 - open_ // 2, cx + 18, y - 50 + which.randint(-3, 3)), fill=hair, width=5)
    nose = whose.randint(12, 22)
    pen.line([(x, y - 14), (x - nose // 2, y + 24), (x + nose // 2, y + 26)], fill=_darker(skin), width=4)
    smile = which.randint(8, 26)
    pen.arc((x - 40, y + 40, x + 40, y + 50 + smile), 10, 170, fill=(170, 60, 70), width=6)
    if whose.random() < 0.3:  # noqa: PLR2004
        for side in (-1, 1):
            pen.ellipse((x + side * apart - 25, y - 48, x + side * apart + 25, y - 2), outline=(40, 40, 48), width=4)
    _ticks(pen, look, pose)
    return image


def _ticks(pen: ImageDraw.ImageDraw, look: int, pose: int) -> None:
    """A little clock face on the shirt: no two photos are the same, whatever the dice said."""
    for turn, colour in ((look * 0.017, (255, 255, 255)), (pose * 0.31, (20, 20, 20)), (look * 0.4, (250, 210, 60))):
        end = (60 + 24 * math.cos(turn), 360 + 24 * math.sin(turn))
        pen.line([(60, 360), end], fill=colour, width=4)


def _shade(dice: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return dice.randint(low, high), dice.randint(low, high), dice.randint(low, high)


def _darker(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (part * 3 // 4 for part in colour)
    return red, green, blue


if __name__ == "__main__":
    main()
    drawn = [one.read_bytes() for one in sorted((HERE / "photos").glob("*.jpg"))]
    assert len(set(drawn)) == len(drawn), "two photos are the same; change SEED"
