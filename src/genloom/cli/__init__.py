"""The command line: a static table of verbs, a small parser, and commands that call the functions of genloom.verbs."""
