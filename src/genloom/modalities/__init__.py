"""Tensors <-> what people see, hear and read: one file per medium, and a registry that names them all."""

from __future__ import annotations

from genloom.modalities.registry import MODALITIES, Modality, modality

__all__ = ["MODALITIES", "Modality", "modality"]
