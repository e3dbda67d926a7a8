import pytest

from compositional.errors import ConfigError
from compositional.methods.toolbox import Toolbox
from tests.rounds_toy import NAMES, toy_context, toy_round


def test_it_holds_tools_and_first_rows_in_the_order_taught() -> None:
    toolbox, run = Toolbox(1), toy_context()
    for index in (2, 1):
        toolbox.learn(toy_round(index), run)
    names = [skill.name for skill in toolbox.skills]
    assert names == [*NAMES[1], *NAMES[0]]
    rows = toolbox.demonstrations(toolbox.skills[::-1])
    assert [row.steps[0].skill for row in rows] == names[::-1]
    assert toolbox.demonstrations(toolbox.skills[2:3]) == [toy_round(1).train[0]]


def test_its_state_is_json_and_its_size_is_counted() -> None:
    toolbox, run = Toolbox(1), toy_context()
    toolbox.learn(toy_round(1), run)
    without, small = Toolbox(0), toy_context()
    without.learn(toy_round(1), small)
    assert run.budget.buffer_bytes > small.budget.buffer_bytes > 0
    state = toolbox.state_dict()
    assert state.tensors == {}
    other = Toolbox(1)
    other.load_state_dict(state)
    assert other.skills == toolbox.skills
    shown = toolbox.demonstrations(toolbox.skills)
    assert [row.query for row in other.demonstrations(other.skills)] == [r.query for r in shown]


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ConfigError, match="demonstrations is -1"):
        Toolbox(-1)


def test_more_demonstrations_than_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="is 2, but tool 'set_alarm' has 1 one-call"):
        Toolbox(2).take(toy_round(1))
