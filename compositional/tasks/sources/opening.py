"""From the name that a user gives to a source's rows."""

from dataclasses import dataclass
from pathlib import Path

from compositional.errors import ConfigError, did_you_mean
from compositional.tasks.rows import Source
from compositional.tasks.sources import bfcl, xlam

BFCL = "bfcl"


@dataclass(frozen=True)
class SourceName:
    """A source as asked for, not read yet.

    Attributes:
        text: `bfcl`, the path of a file in the xLAM row schema, or a Hub id (or the path of a
            folder laid out as a Hub data set).
        revision: Commit or tag of a Hub data set; None for the newest.
    """

    text: str
    revision: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that can be no source.

        Raises:
            ConfigError: If the text has none of these forms, or a revision has no Hub id.
        """
        is_hub = self.text.count("/") == 1 or Path(self.text).is_dir()
        if self.text != BFCL and not self.path and not is_hub:
            raise ConfigError(
                f"unknown source {self.text!r}: {did_you_mean(self.text, [BFCL])}, a file "
                f"({', '.join(xlam.SUFFIXES)}) or a Hub id (owner/name)"
            )
        if self.revision and (self.text == BFCL or self.path):
            raise ConfigError(
                f"revision {self.revision!r} is for Hub ids; source {self.text!r} has none"
            )

    @property
    def path(self) -> Path | None:
        """The local file, if the source is one."""
        path = Path(self.text).expanduser()
        return path if path.suffix in xlam.SUFFIXES else None

    @property
    def label(self) -> str:
        """What manifests call it: a file's name without its folder, else the text."""
        return self.path.name if self.path else self.text

    @property
    def slug(self) -> str:
        """The text as part of a folder's name; a file by its own name and its folder's."""
        if self.path:
            path = self.path.resolve()
            return f"{path.parent.name}-{path.stem}".lstrip("-")
        return self.text.strip("./").replace("/", "-")

    def read(self) -> Source:
        """Return the source's rows.

        Raises:
            DataError: If it cannot be had or holds a malformed row.
        """
        if self.text == BFCL:
            from compositional.packages import bfcl_folder

            return bfcl.read_bfcl(bfcl_folder())
        if self.path:
            return xlam.read_file(self.path)
        return xlam.read_hub(self.text, self.revision)
