"""Draws the heat map of infections by age and week as a PNG."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL_HEIGHT, LEFT, TOP, BOTTOM, WIDTH = 90, 110, 50, 60, 900
LIGHT, DARK = np.array([255, 247, 230]), np.array([140, 20, 60])


def heat_map(new_infections, population, ages, start):
    """Draw new infections a week for each 1,000 people of the age group, and return PNG bytes."""
    weeks = len(new_infections) // 7
    weekly = new_infections[: weeks * 7].reshape(weeks, 7, -1).sum(axis=1) / population * 1000
    top = max(weekly.max(), 1e-12)
    image = Image.new("RGB", (LEFT + WIDTH + 30, TOP + CELL_HEIGHT * len(ages) + BOTTOM), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(20), ImageFont.load_default(15)
    draw.text((LEFT, 12), f"Infections a week for each 1,000 people (darkest: {top:.3g})", "black", font)
    edges = np.linspace(LEFT, LEFT + WIDTH, weeks + 1).round().astype(int)
    for row, age in enumerate(reversed(range(len(ages)))):
        upper = TOP + row * CELL_HEIGHT
        draw.text((12, upper + CELL_HEIGHT // 2 - 10), ages[age], "black", font)
        for week in range(weeks):
            part = weekly[week, age] / top
            colour = tuple(int(part_of) for part_of in LIGHT + (DARK - LIGHT) * part)
            box = (edges[week], upper, edges[week + 1] - 1, upper + CELL_HEIGHT - 2)
            draw.rectangle(box, fill=colour)
    below = TOP + CELL_HEIGHT * len(ages) + 10
    for week in range(0, weeks, max(weeks // 6, 1)):
        draw.text((edges[week], below), (start + np.timedelta64(week * 7, "D")).item().isoformat(), "black", small)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=False)
    return file.getvalue()
