"""A roster's import beside COPY of the same rows into one table: rows a second, the ratio, and the peak of the memory.

PostgreSQL; each import is `syncsvc roster import` in a process of its own, against an empty database, then again
against what the first has recorded. COPY's table has a primary key; it checks nothing and promises nothing.

    python -m benchmarks.roster [--people 10000 100000 1000000] [--photos] [--database URL]
"""

import argparse
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from PIL import Image
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

ROOT = Path(__file__).resolve().parent.parent
TARGET, TARGET_MB = 4.0, 200
PHOTOS = 50  # different ones: the disk is not what is measured
CONFIGURATION = """
[service]
state_dir = "state"
photo_key = "env:BENCH_PHOTO_KEY"
[database]
url = "{database}"
[[library]]
name = "bench"
vendor = "sophon"
base_url = "http://127.0.0.1:1"
policy = "sync"
"""


@dataclass(frozen=True, slots=True)
class Measured:
    seconds: float
    peak_mb: float
    new: int
    unchanged: int


class Bench:
    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        config = folder / "syncsvc.toml"
        config.write_text(CONFIGURATION.format(database=database), "utf-8")
        self.environ = {
            **os.environ,
            "SYNCSVC_CONFIG": str(config),
            "BENCH_PHOTO_KEY": base64.b64encode(os.urandom(32)).decode(),
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run([*self.command("db", "upgrade")], env=self.environ, check=True, stdout=subprocess.DEVNULL)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "syncsvc", *arguments]

    def import_(self, file: Path) -> Measured:
        """In a process of its own; `seconds` do not count Python's start."""
        command = self.command("roster", "import", str(file), "--json")
        with subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            told = json.loads(child.stdout.read())
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, told
        return Measured(told["seconds"], used.ru_maxrss / 1024, told["new"], told["unchanged"])

    def copy(self, file: Path) -> float:
        """Seconds that the server takes for the same file."""
        columns = _first_line(file)
        with psycopg.connect(_plain(self.database), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS copied")
            fields = ", ".join(f"{name} text" for name in columns.split(",")[1:])
            connection.execute(f"CREATE TABLE copied (id text PRIMARY KEY, {fields})".encode())
            began = time.perf_counter()
            statement = "COPY copied FROM STDIN (FORMAT csv, HEADER)"
            with file.open("rb") as rows, connection.cursor() as cursor, cursor.copy(statement) as copy:
                while block := rows.read(1 << 16):
                    copy.write(block)
            seconds = time.perf_counter() - began
            connection.execute("DROP TABLE copied")
        return seconds


def write_roster(folder: Path, people: int, *, photos: bool) -> Path:
    file = folder / "roster.csv"
    with file.open("w", encoding="utf-8") as out:
        out.write("id,name,photo\n" if photos else "id,name\n")
        for number in range(people):
            photo = f",photos/{number % PHOTOS}.jpg" if photos else ""
            out.write(f"E{number:07d},Somebody Of Number {number}{photo}\n")
    return file


def draw_photos(folder: Path) -> None:
    (folder / "photos").mkdir()
    for number in range(PHOTOS):
        noise = Image.frombytes("RGB", (80, 100), random.Random(number).randbytes(24_000))
        noise.resize((480, 600)).save(folder / "photos" / f"{number}.jpg", quality=80)


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """The URL of an empty database on that server, dropped at the end."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_plain(server), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--photos", action="store_true", help="measure rosters with photos as well")
    parser.add_argument("--database", default="postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    asked = parser.parse_args()
    table = Table(
        "people", "roster", "import", "rows/s", "COPY rows/s", f"times COPY (<= {TARGET:g})", f"MB (< {TARGET_MB})"
    )
    for people in asked.people:
        for photos in (False, True) if asked.photos else (False,):
            for row in measure(asked.database, people, photos=photos):
                table.add_row(*row)
    Console().print(table)


def measure(server: str, people: int, *, photos: bool) -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory() as name, own_database(server) as database:
        folder = Path(name)
        bench = Bench(folder, database)
        if photos:
            draw_photos(folder)
        file = write_roster(folder, people, photos=photos)
        copied = min(bench.copy(file) for _ in range(3))
        for which in ("first", "again, unchanged"):
            measured = bench.import_(file)
            assert (measured.new if which == "first" else measured.unchanged) == people
            yield [
                f"{people:,}",
                "ids, names, photos" if photos else "ids, names",
                which,
                f"{people / measured.seconds:,.0f}",
                f"{people / copied:,.0f}",
                f"{measured.seconds / copied:.1f}",
                f"{measured.peak_mb:.0f}",
            ]


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines).strip()


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
