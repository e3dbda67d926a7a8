"""How errors name a model: by what it was called, and by its weights."""

UNNAMED = "unnamed model"


def model_label(name: object, sha256: object) -> str:
    """Return a model's name with the beginning of its weights' digest.

    Args:
        name: What it was called; nothing where a file does not say.
        sha256: Digest of its weights.
    """
    return f"{name or UNNAMED} (weights {str(sha256)[:12]})"
