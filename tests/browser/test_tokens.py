"""Colours: every pair that is used has the contrast that it needs, in both themes; series stay apart for all eyes."""

import itertools
import math
import re

import pytest

from copilot_api.admin.assets import Assets

Colour = tuple[float, float, float]

THEMES = ("light", "dark")
SURFACES = ("surface-0", "surface-1", "surface-2")
TEXT = [
    *(("text", back) for back in (*SURFACES, "surface-3", "accent-soft", "good-soft", "warn-soft", "bad-soft")),
    *(("text-muted", back) for back in (*SURFACES, "accent-soft", "bad-soft", "good-soft", "warn-soft")),
    *(("accent", back) for back in (*SURFACES, "accent-soft")),
    *(("accent-strong", back) for back in ("surface-1", "accent-soft")),
    *((tone, back) for tone in ("good", "warn", "bad") for back in (*SURFACES, f"{tone}-soft")),
    ("on-accent", "accent"), ("on-accent", "accent-strong"), ("on-bad", "bad"), ("on-bad", "bad-strong"),
]  # fmt: skip
MARKS = [
    *((f"series-{name}", back) for name in (*range(1, 9), "other") for back in ("surface-0", "surface-1")),
    *(("line-strong", back) for back in ("surface-0", "surface-1")),
    *(("focus", back) for back in (*SURFACES, "surface-3", "warn-soft")),
    *((mark, back) for mark in ("accent", "good", "bad", "warn-mark") for back in ("surface-1", "surface-3")),
]  # fmt: skip
TEXT_CONTRAST, MARK_CONTRAST = 4.5, 3.0
# How strongly the two common kinds of colour blindness mix what reaches the eye (Machado and others, 2009).
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
LEAST_APART = 6.5
"""A hundred times the distance in OKLab; about 2 is what can just be told apart."""


def tokens() -> dict[str, dict[str, str]]:
    css = Assets().get("tokens.css").plain.decode()
    found = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\);", css)
    assert len(found) > 30
    return {"light": {name: light for name, light, _ in found}, "dark": {name: dark for name, _, dark in found}}


TOKENS = tokens()


def linear(text: str) -> Colour:
    red, green, blue = (int(text[index : index + 2], 16) / 255 for index in (1, 3, 5))
    return tuple(
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)
    )  # type: ignore[return-value]


def contrast(front: str, back: str) -> float:
    def luminance(text: str) -> float:
        red, green, blue = linear(text)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(front), luminance(back)))
    return (high + 0.05) / (low + 0.05)


def oklab(colour: Colour) -> Colour:
    red, green, blue = (max(0.0, value) for value in colour)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def seen(colour: Colour, kind: str) -> Colour:
    return tuple(sum(a * b for a, b in zip(row, colour, strict=True)) for row in BLINDNESS[kind])  # type: ignore[return-value]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, TEXT_CONTRAST), (MARKS, MARK_CONTRAST)], ids=["text", "marks"])
def test_every_pair_has_the_contrast_it_needs(theme: str, pairs: list[tuple[str, str]], least: float) -> None:
    colours = TOKENS[theme]
    low = {f"{front} on {back}": round(contrast(colours[front], colours[back]), 2) for front, back in pairs}
    assert not {pair: value for pair, value in low.items() if value < least}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", BLINDNESS)
def test_series_can_be_told_apart(theme: str, kind: str) -> None:
    shown = {slot: oklab(seen(linear(TOKENS[theme][f"series-{slot}"]), kind)) for slot in range(1, 9)}
    near = {
        pair: distance
        for pair in itertools.combinations(shown, 2)
        if (distance := round(100 * math.dist(*(shown[slot] for slot in pair)), 1)) < LEAST_APART
    }
    assert not near


def test_only_the_tokens_name_colours() -> None:
    css = Assets().get("app.css").plain.decode()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", css.replace("#ffffff; }", "")) == []
