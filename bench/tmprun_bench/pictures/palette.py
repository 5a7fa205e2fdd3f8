"""Colours that people with any kind of colour vision tell apart (Okabe and Ito): ours are cold, our peers' warm."""

from __future__ import annotations

from tmprun_bench.report.sides import Side

BLUE, VERMILION, ORANGE, GREY = "#0072B2", "#D55E00", "#E69F00", "#8A8A8A"
GREEN, SKY, YELLOW = "#009E73", "#56B4E9", "#F0E442"
TEXT, LINES = "#222222", "#D9D9D9"

SIDES: dict[Side, str] = {"ours": BLUE, "mount": VERMILION, "other": ORANGE, "floor": GREY}
SIDE_WORDS: dict[Side, str] = {
    "ours": "tmprun", "mount": "mounts", "other": "extraction and others", "floor": "floor: nothing to unpack",
}  # fmt: skip
# For curves of one side in one panel; a marker and a line style tell them apart as well.
SHADES: dict[Side, tuple[str, ...]] = {
    "ours": (BLUE, SKY, "#003B5C", GREEN, "#7A5CC2", "#9DB4E0"),
    "mount": (VERMILION, "#7A3600", "#F08E5A", "#B0473A"),
    "other": (ORANGE, "#8A6A00", "#C9A227", "#5E4B00"),
    "floor": (GREY, "#4D4D4D"),
}
MARKERS: dict[Side, str] = {"ours": "osD^vP", "mount": "X<>8", "other": "Phd*", "floor": "_|"}
MEMORY = {"processes": GREEN, "tmpfs": SKY, "page_cache": YELLOW}
