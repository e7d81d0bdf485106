"""The command line: python -m because_ray train JOB.json | doctor DOCTOR.json."""

from __future__ import annotations

import sys


def main(args: list[str]) -> int:
    match args:
        case ["train", path]:
            from because_ray import driver

            return driver.main(path)
        case ["doctor", path]:
            from because_ray import doctor

            return doctor.main(path)
    print("usage: python -m because_ray train JOB.json | doctor DOCTOR.json", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
