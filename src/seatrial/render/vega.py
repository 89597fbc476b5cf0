"""Vega-Lite as an SVG that stands in a page, and the script that makes it answer to a reader.

Both come from `vl-convert-python`, which holds Vega and needs no browser and no network. What it draws is read again,
and only shapes and words of it are kept.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Literal
from xml.etree import ElementTree as ET

from seatrial.render.characters import readable, shorten_middle

INSTALL = "pip install 'seatrial[charts]'"
# Vega 6, Vega-Lite 6, Vega-Embed 7 and what they are made of, as `vl_convert.javascript_bundle` packs them.
_NOTICE = (
    "/*! Vega, Vega-Lite, Vega-Embed, Vega-Interpreter: Copyright 2013-2025 University of Washington Interactive Data"
    " Lab, The Vega Project and contributors, BSD-3-Clause, https: //github.com/vega. D3: Copyright 2010-2023 Mike"
    " Bostock, ISC. */"
)
_SNIPPET = "window.seatrialEmbed = vegaEmbed;"
_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset({"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"})
_ATTRIBUTES = frozenset({
    "aria-hidden", "class", "clip-path", "d", "dx", "dy", "fill", "fill-opacity", "font-family", "font-size",
    "font-style", "font-weight", "height", "id", "opacity", "rx", "ry", "stroke", "stroke-dasharray",
    "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit", "stroke-opacity", "stroke-width",
    "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2", "y", "y1", "y2",
})  # fmt: skip
_REFERENCE = re.compile(r"url\(#([\w-]+)\)")
# Vega fits a word into its room by trying it sign by sign, with the same effort for each: names can't be endless.
_LONGEST = 200


class DrawingError(Exception):
    """A plot that can't be drawn; the text says why."""


def can_draw() -> bool:
    """Whether the extra that draws is installed."""
    from importlib.util import find_spec

    return find_spec("vl_convert") is not None


def draw_svg(spec: str, *, prefix: str) -> str:
    """A specification as an SVG element with only shapes and words in it; `prefix` makes its names unique in a page."""
    import vl_convert

    try:
        svg = vl_convert.vegalite_to_svg(clean_spec(spec), allowed_base_urls=[])
        root = ET.fromstring(svg)  # noqa: S314 - written by the library, from values
    except (ValueError, ET.ParseError) as error:
        raise DrawingError(_first_line(error)) from None
    _keep_shapes(root, prefix)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def draw_alone(spec: str, *, title: str, form: Literal["svg", "png"]) -> bytes:
    """A specification as a file for places that have no page around it: on white, below its title.

    A PNG has two pixels for each of the SVG's, and 144 of them to the inch.
    """
    import vl_convert

    alone = {**clean_spec(spec), "title": {"text": readable(title, _LONGEST), "anchor": "start"}, "background": "white"}
    alone["padding"] = 12
    try:
        if form == "png":
            return bytes(vl_convert.vegalite_to_png(alone, scale=2, ppi=72, allowed_base_urls=[]))
        root = ET.fromstring(vl_convert.vegalite_to_svg(alone, allowed_base_urls=[]))  # noqa: S314 - as above
    except (ValueError, ET.ParseError) as error:
        raise DrawingError(_first_line(error)) from None
    _keep_shapes(root, "")
    ET.register_namespace("", _SVG)
    svg: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return svg


def _first_line(error: Exception) -> str:
    return readable(next(iter(str(error).strip().splitlines()), "unknown"), 200)


def clean_spec(spec: str) -> dict[str, Any]:
    """The specification with every text in visible characters alone, and none too long to be drawn."""
    cleaned: dict[str, Any] = _clean(json.loads(spec))
    return cleaned


def spell_json(spec: str) -> str:
    """The specification as JSON that nothing in it can take out of a script element."""
    text = json.dumps(clean_spec(spec), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def bundle_script() -> str:
    """Vega with its embedding as one script; about 900 kB."""
    import vl_convert

    script = vl_convert.javascript_bundle(_SNIPPET)
    # As an element's text it must not end the element.
    return f"{_NOTICE}\n" + script.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def _clean(value: Any) -> Any:
    match value:
        case str():
            return shorten_middle(readable(value), _LONGEST)  # names differ mostly at their ends
        case dict():
            return {key: _clean(inner) for key, inner in value.items()}
        case list():
            return [_clean(inner) for inner in value]
        case _:
            return value


def _keep_shapes(element: ET.Element, prefix: str) -> None:
    """Drop every element and attribute that is neither a shape nor a word, and make names unique."""
    for name in list(element.attrib):
        value = element.attrib[name]
        if name not in _ATTRIBUTES or ("url(" in value and not _REFERENCE.fullmatch(value)):
            del element.attrib[name]
        elif name == "id":
            element.set(name, prefix + value)
        elif found := _REFERENCE.fullmatch(value):
            element.set(name, f"url(#{prefix}{found.group(1)})")
    for child in list(element):
        if child.tag.removeprefix(f"{{{_SVG}}}") in _ELEMENTS:
            _keep_shapes(child, prefix)
        else:
            element.remove(child)
