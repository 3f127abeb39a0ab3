"""The ten codes of LeNet-5's output layer: stylized digits on a 7x12 grid, black +1, white -1.

LeCun et al. 1998 shows them as a picture (Figure 3) and prints no values, so they are drawn
here in its manner; they are fixed numbers, and no count depends on which.
"""

from __future__ import annotations

_DRAWINGS = """
..###..  ...##..  .#####.  #######  ....##.  #######  ..####.  #######  .#####.  .#####.
.##.##.  ..###..  ##...##  .....##  ...###.  ##.....  .##....  .....##  ##...##  ##...##
##...##  .####..  ##...##  ....##.  ..####.  ##.....  ##.....  .....##  ##...##  ##...##
##...##  ...##..  .....##  ...##..  .##.##.  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  ....##.  ..####.  ##..##.  ######.  ######.  ...##..  .#####.  ##..###
##...##  ...##..  ...##..  .....##  ##..##.  .....##  ###..##  ...##..  ##...##  .#####.
##...##  ...##..  ..##...  .....##  #######  .....##  ##...##  ..##...  ##...##  .....##
##...##  ...##..  .##....  .....##  ....##.  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ....##.  ##...##  ##...##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  ....##.  .#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""


def _codes() -> tuple[tuple[int, ...], ...]:
    rows = [line.split() for line in _DRAWINGS.strip().splitlines()]
    return tuple(
        tuple(1 if pixel == "#" else -1 for row in rows for pixel in row[digit])
        for digit in range(10)
    )


CODES: tuple[tuple[int, ...], ...] = _codes()
"""One code of 84 values for each digit from 0 to 9, row by row."""
