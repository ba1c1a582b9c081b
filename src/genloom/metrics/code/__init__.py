"""Does written code do what was asked: candidates are run, each in a process of its own."""
