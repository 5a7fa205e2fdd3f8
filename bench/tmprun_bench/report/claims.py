"""What we said that tmprun can do, each number of it, held against what was measured; and where we lose.

A claim points to the comparisons of a case by patterns. Its limits stand here once more, because a claim whose case
was not run is shown as well, as not measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tmprun_bench.measure import summary
from tmprun_bench.measure.results import Comparison, Result
from tmprun_bench.report.quantities import interval, limits, quantity
from tmprun_bench.report.sides import group_of, nearest_mount, own_name, side

NOT_MEASURED = "not measured"
HEAD = ("claim", "must", "reach", "measured", "95 %", "verdict", "against a FUSE mount")
NARROW_HEAD = ("claim", "must / reach", "measured", "verdict", "mount")
LOSSES_HEAD = ("comparison", "ours", "against", "ratio", "95 %")


@dataclass(frozen=True)
class Claim:
    """A number that is promised. `what` and `ours` are patterns (fnmatch) for a comparison of `case`.

    `must` and `reach` are the largest values that are good enough and as good as hoped for, in `unit` ("x" or "s").
    """

    text: str
    case: str
    what: str
    must: float
    reach: float | None = None
    unit: str = "x"
    ours: str = "*"


@dataclass(frozen=True)
class Row:
    """A claim and what became of it; `found` is None when it was not measured. `mount`: the name of the FUSE mount that
    `beside` is the ratio to, when the case has one."""

    claim: Claim
    result: Result | None = None
    found: Comparison | None = None
    mount: str = ""
    beside: summary.Estimate | None = None

    @property
    def verdict(self) -> str:
        """`missed`, `kept`, `reached` or `not measured`."""
        if self.found is None:
            return NOT_MEASURED
        return replace(self.found, must=self.must, reach=self.reach).verdict

    @property
    def must(self) -> float:
        """The limit: the case's own, which knows how large the image was, else the claim's."""
        return self.claim.must if self.found is None or self.found.must is None else self.found.must

    @property
    def reach(self) -> float | None:
        """The same of what is hoped for."""
        return self.claim.reach if self.found is None or self.found.must is None else self.found.reach


@dataclass(frozen=True)
class Loss:
    """A comparison with a peer that the peer wins."""

    case: str
    comparison: Comparison
    ours: str
    theirs: str


def _first(app: str, what: str, must: float) -> tuple[Claim, Claim]:
    """A first-ever start against extract-and-run, in the mode that tmprun chooses, and with everything extracted."""
    return (
        Claim(f"{app}: first ever / extract and run", "first-start", what, must, ours="*first ever"),
        Claim(f"{app}: the same, eager", "first-start", what, must, ours="*eager"),
    )


CLAIMS: tuple[Claim, ...] = (
    # A real AppImage runs.
    Claim("bundle, warm, above exec by path", "warm-start", "bundle, above *", 0.0005, unit="s"),
    Claim("tmprun BUNDLE, warm, above exec", "warm-start", "tmprun BUNDLE, above *", 0.0008, unit="s"),
    Claim("tmprun APPIMAGE, warm, above exec", "warm-start", "tmprun APPIMAGE, above *", 0.0008, unit="s"),
    Claim("100 MB zstd: all of it / unsquashfs", "extract", "zstd: extraction", 0.6),
    Claim("100 MB zlib: all of it / unsquashfs", "extract", "zlib: extraction", 0.5),
    Claim("index of 10,000 files", "index-compile", "index of 10,000 files", 0.03, unit="s"),
    Claim("index of 100,000 files", "index-compile", "index of 100,000 files", 0.06, 0.03, unit="s"),
    *_first("linuxdeploy", "linuxdeploy, *: first start", 1.0),
    *_first("node", "node, *: first start", 1.0),
    *_first("100 MB zstd", "many, [0-9]*: first start", 0.5),
    *_first("100 MB zlib", "many, zlib, *: first start", 0.5),
    *_first("LibreOffice --version", "libreoffice --version, *: first start", 0.5),
    # Its work stands on both sides (first_start.py): half is for the start, and less is for all of it.
    *_first("LibreOffice converts", "libreoffice to the end, *: first start*", 1.0),
    Claim("LibreOffice bundle: all / machine's limit", "bundle-limit", "libreoffice: extraction", 1.5),
    Claim("300 MB bundle: all / machine's limit", "bundle-limit", "large: extraction", 1.5),
    # Start before it is hashed.
    Claim("first start ever / index known", "first-ever", "*: against its index known", 1.15, 1.03),
    Claim("neovim AppImage, first ever / its mount", "first-ever", "neovim: against its own mount", 0.8, 0.5),
    Claim("LibreOffice AppImage, first ever / its mount", "first-ever", "libreoffice: against its own *", 0.9, 0.75),
    Claim("static exit 0, first ever, above exec", "first-ever", "exit0: above *", 0.005, 0.002, unit="s"),
    Claim("2 GB, ten files read, first ever", "first-ever", "scaled-2000: until *", 0.025, 0.012, unit="s"),
    Claim("LibreOffice xz, 1 MiB, first ever / its mount", "xz-start", "first start ever, * FUSE*", 0.14, 0.10),
    # Start before it is unpacked.
    Claim("LibreOffice bundle, cold / mount", "gated-libreoffice", "against a mount", 0.75, 0.62),
    Claim("LibreOffice bundle, cold / tree on tmpfs", "gated-libreoffice", "against the tree on tmpfs", 1.15, 1.05),
    Claim("neovim bundle, cold / AppImage's mount", "gated-neovim", "against its own *", 0.6, 0.4),
    Claim("neovim bundle, cold / tree on tmpfs", "gated-neovim", "against the tree on tmpfs", 2.5, 1.8),
    Claim("300 MB bundle: AppRun has run after", "gated-exec", "start of AppRun*", 0.040, 0.015, unit="s"),
    Claim("1 GB bundle, 3 files read / mount", "gated-sparse", "against * and the same *", 1.2, 1.0),
    Claim("numpy bundle, 18,000 files, cold / mount", "gated-numpy", "against a mount", 1.3, 1.0),
    Claim("fill=demand: held / opened", "demand-memory", "*held, of what was touched", 1.10),
    Claim("neovim AppImage, cold / its own mount", "gated-foreign", "neovim: *", 1.0, 0.8),
    Claim("LibreOffice AppImage, cold / its mount", "gated-foreign", "libreoffice: *", 1.0, 0.8),
    # What is no image of ours.
    Claim("LibreOffice .tar.zst: first ever / tar x, run", "archives", "libreoffice: first start ever, zstd", 1.6, 1.1),
    Claim("LibreOffice .tar.gz: first ever / tar x, run", "archives", "libreoffice: first start ever, gzip", 1.6, 1.1),
    Claim("the same, cold / a bundle", "archives", "libreoffice: cold, against a bundle", 1.03),
    Claim("LibreOffice AppImage converted / squashed", "convert", "libreoffice: time", 0.9, 0.6),
    Claim("files opened before, gated / plain tree", "after-gating", "after gating, *demand", 1.02),
)


def held(results: Sequence[Result]) -> list[Row]:
    """Every claim: a row for each comparison that it points to, or one that says that it was not measured."""
    cases = {result.case: result for result in results}
    return [row for claim in CLAIMS for row in _rows(claim, cases.get(claim.case))]


def losses(results: Sequence[Result]) -> list[Loss]:
    """Every comparison of ours with a peer (a floor is none) that comes out above 1, the worst first."""
    lost = [
        Loss(result.case, found, own_name(result, found.ours), own_name(result, found.theirs))
        for result in results
        for found in result.comparisons
        if found.unit == "x" and found.estimate.value > 1 and _with_peer(result, found)
    ]
    return sorted(lost, key=lambda loss: -loss.comparison.estimate.value)


def cells(row: Row) -> tuple[str, ...]:
    """A row for a table with HEAD."""
    claim, found = row.claim, row.found
    must, reach = (quantity(limit, claim.unit) if limit is not None else "-" for limit in (row.must, row.reach))
    if found is None:
        return claim.text, must, reach, "-", "-", row.verdict, "-"
    value, sure = quantity(found.estimate.value, found.unit), interval(found.estimate.interval, found.unit)
    mount = f"{quantity(row.beside.value, 'x')} {row.mount}" if row.beside else "-"
    return claim.text, must, reach, value, sure, row.verdict, mount


def narrow_cells(row: Row) -> tuple[str, ...]:
    """A row for a table with NARROW_HEAD."""
    claim, found = row.claim, row.found
    value = quantity(found.estimate.value, found.unit) if found else "-"
    beside = quantity(row.beside.value, "x") if row.beside else "-"
    return claim.text, limits(row.must, row.reach, claim.unit), value, row.verdict, beside


def loss_cells(loss: Loss) -> tuple[str, ...]:
    """A row for a table with LOSSES_HEAD."""
    estimate = loss.comparison.estimate
    sure = interval(estimate.interval, "x")
    if estimate.interval and estimate.interval[0] <= 1:
        sure += " (within noise)"
    return f"{loss.case}: {loss.comparison.what}", loss.ours, loss.theirs, quantity(estimate.value, "x"), sure


def _rows(claim: Claim, result: Result | None) -> Iterable[Row]:
    found = [one for one in result.comparisons if _meant(claim, one)] if result else []
    if result is None or not found:
        return [Row(claim)]
    if len(found) == 1:
        return [_row(claim, result, found[0])]
    return [_row(replace(claim, text=f"{claim.text}: {_apart(result, one)}"), result, one) for one in found]


def _apart(result: Result, comparison: Comparison) -> str:
    """What tells it from others that the same claim points to: the app, or else the peer."""
    return group_of(result, comparison.ours).rstrip(": ") or own_name(result, comparison.theirs)


def _meant(claim: Claim, comparison: Comparison) -> bool:
    same = fnmatchcase(comparison.what, claim.what) and fnmatchcase(comparison.ours, claim.ours)
    return same and comparison.unit == claim.unit


def _row(claim: Claim, result: Result, found: Comparison) -> Row:
    mount = nearest_mount(result, found.ours)
    # Where the claim itself is about a mount, it stands beside itself, not beside a faster or slower kind of mount.
    if side(own_name(result, found.theirs)) == "mount":
        mount = found.theirs
    if not mount or found.ours not in result.series:
        return Row(claim, result, found)
    beside = summary.ratio(result.series[found.ours].seconds, result.series[mount].seconds)
    return Row(claim, result, found, own_name(result, mount), beside)


def _with_peer(result: Result, comparison: Comparison) -> bool:
    """Not two peers with each other, and not with a floor."""
    ours, theirs = (own_name(result, name) for name in (comparison.ours, comparison.theirs))
    return side(ours) == "ours" and bool(theirs) and side(theirs) in ("mount", "other")
