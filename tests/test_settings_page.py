from tests.settings_page import PAGE, page


def test_the_page_is_what_the_dataclasses_say() -> None:
    """Where it is not: python -m tests.settings_page."""
    assert PAGE.read_text(encoding="utf-8") == page()
