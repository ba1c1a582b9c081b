"""The verbs as Python functions: the command line and notebooks call the same ones, with the same defaults.

Importing this package imports no torch; each verb does so when it is called.
"""
