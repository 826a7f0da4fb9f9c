"""Sums."""
import sys


def total(lines):
    return sum(int(line) for line in lines if line.strip())


if __name__ == "__main__":
    print(total(sys.stdin))
