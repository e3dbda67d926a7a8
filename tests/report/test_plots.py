from xml.etree import ElementTree

from compositional.report.costs import cost_of
from compositional.report.figures import MethodFigures
from compositional.report.plots import cost_plot, is_drawn_by_age, looks, retention_plot

Figures = dict[str, MethodFigures]


def test_only_runs_that_change_are_drawn_by_age(figures: Figures) -> None:
    drawn = [name for name, method in figures.items() if is_drawn_by_age(method, "tool_f1")]
    assert drawn == ["lora"]


def test_plots_are_whole_svg_in_the_colour_of_the_page(figures: Figures) -> None:
    methods = list(figures.values())
    costs = {method.run.name: cost_of(method.run) for method in methods}
    styles = looks(list(figures))
    for svg in (
        retention_plot(methods, "tool_f1", styles),
        cost_plot(methods, costs, "tool_f1", styles, by_parameters=False),
        cost_plot(methods, costs, "tool_f1", styles, by_parameters=True),
    ):
        assert svg is not None
        ElementTree.fromstring(svg.replace("xlink:href", "href"))
        assert "currentColor" in svg
        assert "#010203" not in svg
        assert "dc:date" not in svg


def test_nothing_to_draw(figures: Figures) -> None:
    assert retention_plot([figures["oracle"]], "tool_f1", looks(["oracle"])) is None
    costs = {"constant": cost_of(figures["constant"].run)}
    methods = [figures["constant"]]
    assert cost_plot(methods, costs, "argument_f1", looks(["constant"]), by_parameters=True) is None


def test_runs_of_one_colour_differ_in_their_marker() -> None:
    styles = list(looks([str(number) for number in range(42)]).values())
    assert len(set(styles)) == 42
