"""`python -m genloom`: the same as the command `genloom`; also what torchrun starts."""

from genloom.cli.main import main

raise SystemExit(main())
