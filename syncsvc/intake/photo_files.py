"""Photos that stand as files beside the file that names them: hashed without being read, read when they are wanted."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from syncsvc.intake.photos import MAX_BYTES, read_photo
from syncsvc.model.errors import InputError
from syncsvc.model.people import Digest, Photo

_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo at `told`, a path relative to `folder`; nothing outside the folder is ever opened.

    Errors name neither: a file's name may be a person's.
    """

    folder: Path
    told: str = field(repr=False)

    def origin(self) -> Digest:
        """SHA-256 of the file, in constant memory. Raises InputError where it cannot be read."""
        digest = hashlib.sha256()
        try:
            with self._path().open("rb", buffering=0) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise _unreadable(error) from None
        return Digest(digest.hexdigest())

    def read(self) -> Photo:
        """Raises InputError where it cannot be read, or is no photo; a file that is too large is not read."""
        try:
            with self._path().open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                content = file.read() if size <= MAX_BYTES else b""
        except OSError as error:
            raise _unreadable(error) from None
        if size > MAX_BYTES:
            raise InputError(f"the photo file has {size:,} bytes; at most {MAX_BYTES:,} are taken", field="photo")
        return read_photo(content)

    def _path(self) -> Path:
        folder = _resolved(self.folder)
        try:
            path = (folder / self.told).resolve()
            inside = path.is_relative_to(folder) and not path.is_fifo()  # whoever opens one waits for its writer
        except (OSError, ValueError):
            inside = False
        if not self.told or not inside:
            raise InputError(f"the photo's path must lead to a file in {self.folder}", field="photo")
        return path


@lru_cache(maxsize=16)
def _resolved(folder: Path) -> Path:
    return folder.resolve()


def _unreadable(error: OSError) -> InputError:
    return InputError(f"the photo file cannot be read ({error.strerror})", field="photo")
