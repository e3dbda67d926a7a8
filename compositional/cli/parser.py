"""The parser of every verb: what is wrong with the arguments is one line."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from compositional.cli.flags import spell
from compositional.errors import ConfigError, did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser whose errors are the user's to mend: one line."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the arguments."""
        start, _, rest = message.partition(": ")
        if start == "unrecognized arguments" and rest.startswith("--"):
            self.refuse_flag(rest.split()[0])
        raise ConfigError(f"{self.prog}: {message}")

    def refuse_flag(self, word: str, others: Sequence[str] = ()) -> NoReturn:
        """Raise that a flag is unknown; `others` are dotted names that are known besides."""
        name = word.removeprefix("--").partition("=")[0]
        dotted = [other for other in others if other.rpartition(".")[2] == name]
        if dotted:
            raise ConfigError(f"{self.prog}: unknown flag --{name}; did you mean --{dotted[0]}?")
        known = [option.removeprefix("--") for option in self._option_string_actions]
        raise ConfigError(f"{self.prog}: unknown flag --{name}; {did_you_mean(name, known)}")

    def check_dotted(
        self, words: Sequence[str], names: Sequence[str], allowed: tuple[str, ...] = ()
    ) -> None:
        """Refuse a flag without a section, unless it begins as one that is allowed.

        Args:
            words: What this parser does not know.
            names: The dotted names that are known.
            allowed: Beginnings of flags without a section.
        """
        for word in words:
            if word.startswith("--") and "." not in word and not word.startswith(allowed):
                self.refuse_flag(word, names)


def spell_switches(argv: Sequence[str], *names: str) -> list[str]:
    """Return arguments in which switches are bare, or left out where they are off."""
    spelled = spell(argv, dict.fromkeys(names, bool))
    on, off = {f"--{name}=true": f"--{name}" for name in names}, {f"--{n}=false" for n in names}
    return [on.get(word, word) for word in spelled if word not in off]
