"""Tensors <-> what people see, hear and read: one file per medium."""
