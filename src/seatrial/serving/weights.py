"""Weights in safetensors: plain numbers that nothing here runs, held to the rules of their format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from seatrial.core.release import ModelFormat
from seatrial.errors import ReleaseError, ServeError
from seatrial.serving.card import read_card

_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
_BITS = dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8)
_BITS |= dict.fromkeys(("I16", "U16", "F16", "BF16"), 16)
_BITS |= dict.fromkeys(("I32", "U32", "F32"), 32)
_BITS |= dict.fromkeys(("I64", "U64", "F64", "C64"), 64)
_Size = Annotated[int, Meta(ge=0)]


class _Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[_Size, ...]
    data_offsets: tuple[_Size, _Size]


def describe_weights(directory: Path) -> str:
    """What weights in safetensors hold; empty for a model of another format. ReleaseError where they are not whole."""
    try:
        card = read_card(directory)
    except ServeError as error:
        raise ReleaseError(f"the model can't be served: {error.message}", hint=error.hint) from error
    if card.format is not ModelFormat.SAFETENSORS:
        return ""
    path = directory / card.path
    try:
        tensors, room = _read_header(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ReleaseError(f"{path}: not whole as safetensors: {error}") from error
    return f"{len(tensors)} tensors, {room:,} bytes of numbers"


def _read_header(path: Path) -> tuple[dict[str, _Tensor], int]:
    """The tensors, and how many bytes they fill; ValueError where they overlap, leave gaps or go beyond the file."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        whole = path.stat().st_size
        if not 2 <= size <= min(_LARGEST_HEADER, whole - 8):
            raise ValueError(f"its header would have {size:,} bytes, of {whole:,} in all")
        header = msgspec.json.decode(stream.read(size), type=dict[str, msgspec.Raw])
    msgspec.json.decode(header.pop("__metadata__", msgspec.Raw(b"{}")), type=dict[str, str])
    tensors = {name: msgspec.json.decode(raw, type=_Tensor) for name, raw in header.items()}
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        first, last = tensor.data_offsets
        if tensor.dtype not in _BITS:
            raise ValueError(f"{name} has the unknown type {tensor.dtype}")
        if first != end or (last - first) * 8 != math.prod(tensor.shape) * _BITS[tensor.dtype]:
            raise ValueError(f"{name} fills the bytes {first} to {last}, which is not its place or size")
        end = last
    if end != whole - 8 - size:
        raise ValueError(f"{end:,} bytes of numbers are named, and {whole - 8 - size:,} are there")
    return tensors, end
