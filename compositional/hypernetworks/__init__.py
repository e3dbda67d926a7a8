"""Training of the hypernetworks that doc2lora uses, from their data to their record."""
