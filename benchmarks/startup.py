"""How long a person waits before anything happens: `genloom --help`, `import genloom`, `genloom recipes`.

    python benchmarks/startup.py

Each is a whole process, timed nine times; the median counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from _result import publish

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import genloom": ["-c", "import genloom"],
    "genloom --help": ["-m", "genloom", "--help"],
    "genloom recipes": ["-m", "genloom", "recipes"],
}


def main() -> None:
    seconds = {}
    for name, arguments in COMMANDS.items():
        times = []
        for _ in range(9):
            begun = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - begun)
        seconds[name] = round(statistics.median(times), 3)
    publish("startup", {"median_seconds": seconds}, "python benchmarks/startup.py")


if __name__ == "__main__":
    main()
