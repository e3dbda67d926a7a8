"""Tables, plots and one self-contained page of an experiment's runs."""

from compositional.report.matrix_image import save_matrix_png
from compositional.report.writing import write_report

__all__ = ["save_matrix_png", "write_report"]
