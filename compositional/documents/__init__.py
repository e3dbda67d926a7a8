"""Documents to learn and questions that are asked when the document is gone."""
