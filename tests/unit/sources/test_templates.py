"""DVC's templating, rule by rule; tests/integration/test_dvc_parity.py asks DVC itself."""

from __future__ import annotations

import pytest

from seatrial.sources import templates
from seatrial.sources.templates import Scope, TemplateError, expand_stage, is_template

VALUES: dict[object, object] = {
    "lr": 0.1,
    "on": True,
    "deep": {"list": [1, {"x": "y"}]},
    "names": ["a", "b"],
    "none": None,
}


@pytest.fixture
def scope() -> Scope:
    """A scope with values of params.yaml."""
    return Scope(used={}).extend(VALUES, "params.yaml")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("${lr}", 0.1),
        ("${on}", True),
        ("${none}", None),
        ("${ deep.list[1].x }", "y"),
        ("${deep.list[0]}", 1),
        ("${deep[list][0]}", 1),
        ("${ deep . list [1] .x }", "y"),
        ("rate ${lr}, flag ${on}", "rate 0.1, flag true"),
        (r"\${lr} is ${lr}", "${lr} is 0.1"),
        ("no template", "no template"),
        ("$lr {lr}", "$lr {lr}"),
        ("${lr}${on}", "0.1true"),
        ({"${names[0]}": ["${names[1]}", 3]}, {"a": ["b", 3]}),
    ],
)
def test_templates_are_filled_in(scope: Scope, template: object, value: object) -> None:
    """A lone template keeps its type, one inside of a text becomes text, and containers are walked."""
    assert scope.resolve(template) == value


@pytest.mark.parametrize(
    "template", ["${absent}", "${lr.deeper}", "${names[9]}", "${names.x}", "${}", "${a..b}", "${a[}"]
)
def test_what_is_not_there_is_named(scope: Scope, template: str) -> None:
    """A name that leads nowhere is an error that quotes the expression."""
    with pytest.raises(TemplateError, match=r"could not find|not understood"):
        scope.resolve(template)


def test_a_mapping_stands_in_cmd_alone(scope: Scope) -> None:
    """DVC spreads a mapping over a command line, and refuses it elsewhere."""
    assert scope.resolve("${deep}", "cmd") == VALUES["deep"]
    with pytest.raises(TemplateError, match="mapping can't stand in outs"):
        scope.resolve("${deep}", "outs")
    with pytest.raises(TemplateError, match="list can't stand in metrics"):
        scope.resolve("${names}", "metrics")


def test_a_name_has_one_value(scope: Scope) -> None:
    """Mappings are merged, but a second value of one name is an error that names the first one's file."""
    merged = scope.extend({"deep": {"more": 1}}, "other.yaml")
    assert merged.resolve("${deep.more} ${deep.list[0]}") == "1 1"
    with pytest.raises(TemplateError, match=r"'deep.more' already has a value, from other.yaml"):
        merged.extend({"deep": {"more": 2}}, None)


def test_extending_leaves_the_scope_as_it_was(scope: Scope) -> None:
    """Variables of one stage are not seen by the next."""
    scope.extend({"own": 1, "deep": {"own": 1}}, None)
    for template in ("${own}", "${deep.own}"):
        with pytest.raises(TemplateError):
            scope.resolve(template)


def test_used_values_of_files_are_remembered(scope: Scope) -> None:
    """Which values of which files were used, lists as a whole, inline values not at all."""
    inline = scope.extend({"inline": 1}, None)
    inline.resolve("${lr} ${inline} ${deep.list[1].x}")
    inline.resolve("${names}")
    inline.forget().resolve("${on}")
    assert inline.used == {"params.yaml": {("lr",): None, ("deep", "list", "1", "x"): None, ("names",): None}}


def test_what_a_loop_goes_over_is_no_parameter_unless_a_round_uses_it(scope: Scope) -> None:
    """The list of a loop decides which stages there are; only what the stages then use of it are parameters."""
    rounds = list(expand_stage("s", {"foreach": ["${lr}", "x-${on}", {"k": "${none}"}], "do": {}}, scope))
    assert not scope.used
    rounds[0].scope.resolve("${item}")
    rounds[1].scope.resolve("${item}")
    assert scope.used == {"params.yaml": {("lr",): None}}


def _names(definition: dict[object, object], scope: Scope) -> list[str]:
    return [stage.name for stage in expand_stage("s", definition, scope)]


def test_loops_name_their_stages_as_dvc_does(scope: Scope) -> None:
    """Lists of scalars by value, lists of containers by index, mappings by key, matrices by their choices."""
    assert _names({"cmd": "x"}, scope) == ["s"]
    assert _names({"foreach": ["a", 1, True], "do": {}}, scope) == ["s@a", "s@1", "s@true"]
    assert _names({"foreach": "${names}", "do": {}}, scope) == ["s@a", "s@b"]
    assert _names({"foreach": [{"x": 1}, {"x": 2}], "do": {}}, scope) == ["s@0", "s@1"]
    assert _names({"foreach": {"p": 1, "q": 2}, "do": {}}, scope) == ["s@p", "s@q"]
    matrix = {"m": "${names}", "n": [1, 2], "o": [{"deep": 1}]}
    assert _names({"matrix": matrix}, scope) == ["s@a-1-o0", "s@a-2-o0", "s@b-1-o0", "s@b-2-o0"]


def test_a_round_of_a_loop_knows_its_item_and_key(scope: Scope) -> None:
    """`item` stands for the element, `key` for its name where it has one; a list gives no key."""
    (first, *_) = expand_stage("s", {"foreach": {"p": {"v": 1}}, "do": {}}, scope)
    assert first.scope.resolve("${key}=${item.v}") == "p=1"
    (only,) = expand_stage("s", {"matrix": {"m": ["${lr}"]}}, scope)
    assert only.scope.resolve("${item.m} ${key}") == "0.1 0.1"
    (plain, *_) = expand_stage("s", {"foreach": ["a"], "do": {}}, scope)
    with pytest.raises(TemplateError, match="could not find 'key'"):
        plain.scope.resolve("${key}")


@pytest.mark.parametrize(
    "definition",
    [{"foreach": "${lr}", "do": {}}, {"foreach": [1]}, {"matrix": {"m": 1}}, {"matrix": [1]}, {"foreach": 3, "do": {}}],
)
def test_loops_over_what_is_no_list_are_errors(scope: Scope, definition: dict[object, object]) -> None:
    """A loop needs a list or a mapping."""
    with pytest.raises(TemplateError):
        _names(definition, scope)


def test_a_matrix_cannot_grow_without_bounds(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few short lists can't stand for a billion stages."""
    monkeypatch.setattr(templates, "MAX_STAGES", 1000)
    with pytest.raises(TemplateError, match="stands for 1048576 stages"):
        _names({"matrix": {str(axis): [0, 1] for axis in range(20)}}, scope)
    with pytest.raises(TemplateError, match="stands for 1001 stages"):
        _names({"foreach": list(range(1001)), "do": {}}, scope)


def test_templates_that_are_never_closed_are_text() -> None:
    """And no text is searched from each of them to its end."""
    text = "${" * 200_000
    assert Scope().resolve(f"a\n{text}\nb") == f"a\n{text}\nb"
    assert not is_template(text)


def test_a_text_may_not_be_filled_without_end() -> None:
    """A short line that names a long value very often."""
    scope = Scope().extend({"a": "x" * 100_000}, None)
    with pytest.raises(TemplateError, match="too long"):
        scope.resolve(" ${a}" * 100)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"deps": ["a"] * 3000}, "more than 2,000,000 values"),
        ({"cmd": "${wide}"}, "more than 2,000,000 values"),
        ({"cmd": "x${long}" * 100}, "more than 64 MB of text"),
    ],
)
def test_a_loop_ends_where_it_stands_for_too_much(body: dict[object, object], said: str) -> None:
    """Whatever a round is made of, all rounds of all loops together are bounded."""
    values: dict[object, object] = {
        "wide": {f"k{at}": at for at in range(3000)},
        "long": "x" * 5000,
        "rounds": list(range(20_000)),
    }
    scope = Scope(used={}).extend(values, "params.yaml")
    rounds = expand_stage("t", {"foreach": "${rounds}", "do": body}, scope)
    ((key, value),) = body.items()
    with pytest.raises(TemplateError, match=said):
        _ = [instance.scope.resolve(value, str(key)) for instance in rounds]


def test_ten_thousand_stages_are_no_flood() -> None:
    """A loop of an honest size is resolved to its end."""
    scope = Scope(used={}).extend({"rounds": list(range(10_000))}, "params.yaml")
    body = {"cmd": "python train.py ${item} " + "x" * 300, "deps": ["train.py", "data/${item}"], "outs": ["m/${item}"]}
    found = [
        instance.scope.resolve(instance.definition["cmd"], "cmd")
        for instance in expand_stage("t", {"foreach": "${rounds}", "do": body}, scope)
    ]
    assert len(set(map(str, found))) == 10_000
