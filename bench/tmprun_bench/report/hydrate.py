"""Plain JSON data back into the dataclasses that it came from.

Strict about types, since a file may come from anywhere; a key that no class knows is left alone, and a field that has
a default may be missing: files of a version that held less, or more, can be read.
"""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints


def hydrated(kind: Any, data: object, where: str) -> Any:
    """An instance of the type `kind`. Raises ValueError that says what in the file, at `where`, is not as it should
    be."""
    if is_dataclass(kind):
        return _instance(kind, data, where)
    arguments = get_args(kind)
    match get_origin(kind):
        case origin if origin in (types.UnionType, Union):
            (inner,) = (one for one in arguments if one is not types.NoneType)
            return None if data is None else hydrated(inner, data, where)
        case origin if origin in (list, Sequence):
            return [hydrated(arguments[0], one, f"{where}[{at}]") for at, one in enumerate(_is(list, data, where))]
        case origin if origin is dict:
            return {key: hydrated(arguments[1], one, f"{where}.{key}") for key, one in _is(dict, data, where).items()}
        case origin if origin is tuple:
            values = _is(list, data, where)
            if len(values) != len(arguments):
                raise ValueError(f"{where} has {len(values)} values, not {len(arguments)}")
            return tuple(hydrated(one, value, where) for one, value in zip(arguments, values, strict=True))
    return data if kind is object else _scalar(kind, data, where)


def _instance(kind: Any, data: object, where: str) -> Any:
    given, hints = _is(dict, data, where), get_type_hints(kind)
    missing = [field.name for field in fields(kind) if field.name not in given and not _has_default(field)]
    if missing:
        raise ValueError(f"{where} has no {' and no '.join(missing)}")
    known = [field.name for field in fields(kind) if field.name in given]
    return kind(**{name: hydrated(hints[name], given[name], f"{where}.{name}") for name in known})


def _scalar(kind: Any, data: object, where: str) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where} is {data!r:.40}, not {kind.__name__}")
    if isinstance(data, float) and not math.isfinite(data):
        raise ValueError(f"{where} is not finite")
    return data


def _is(kind: type, data: object, where: str) -> Any:
    if not isinstance(data, kind):
        raise ValueError(f"{where} is {data!r:.40}, not a JSON {'array' if kind is list else 'object'}")
    return data


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING
