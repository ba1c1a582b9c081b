"""Recipes: Python functions that return a complete, frozen configuration of a run.

Importing this package imports no recipe; `genloom.recipes.registry` does so when the first one is asked for.
"""
