"""Settings as YAML: one mapping a file, in which no key may stand twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from compositional.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice; YAML's own would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping, or refuse it with the line of the second key."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_settings(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Raises:
        ConfigError: If it is missing, is not YAML, holds a key twice, or is not a mapping.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file of settings") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must hold a mapping of settings")
    return value
