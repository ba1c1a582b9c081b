"""Music as notes: what a piece is like, and how far two collections of pieces lie apart.

from genloom.metrics.music import compare, read_pieces
figures = compare(mine, read_pieces("chorales.json", "test"), train=read_pieces("chorales.json", "train"))
"""

from genloom.metrics.music.apart import compare
from genloom.metrics.music.descriptors import describe
from genloom.metrics.music.pieces import as_piece, read_pieces

__all__ = ["as_piece", "compare", "describe", "read_pieces"]
