"""The tables of a seatrial.yaml."""

from __future__ import annotations

from decimal import Decimal

import pytest

from seatrial.config import Config, parse_config
from seatrial.core.data import Role
from seatrial.core.data_rules import Count, DriftRule, LeakRule, RowRule, SchemaRule
from seatrial.core.verdict import Margin, Severity
from seatrial.errors import ConfigError

TABLES = """\
version: 1
tables:
- name: train
  path: data/train.parquet
  key: id
  label: y
  role: train
  max_label_flips: 0
  max_rows_removed: 1%
  schema: warn
  drift: {ignore: [day]}
- name: test
  path: data/test.parquet
  key: flight
  role: evaluation
  drift: {max_psi: 0.2, against: train, severity: fail}
"""


def parse(text: str) -> Config:
    return parse_config(text.encode())


def test_a_table_says_what_its_rows_must_show() -> None:
    """Every limit is a rule with the line that it stands on."""
    config = parse(TABLES)
    train, test = config.tables
    assert (train.role, train.key, train.still, train.others) == (Role.TRAIN, ("id",), ("day",), ("test",))
    assert (test.against, test.others) == ("train", ())
    none = Margin(amount=Decimal(0), relative=False)
    share = Margin(amount=Decimal("0.01"), relative=True)
    assert config.policy.tables == (
        RowRule(table="train", place="seatrial.yaml:9", count=Count.REMOVED, most=share),
        RowRule(table="train", place="seatrial.yaml:8", count=Count.FLIPPED, most=none),
        SchemaRule(table="train", place="seatrial.yaml:10", severity=Severity.WARN),
        LeakRule(table="train", place="seatrial.yaml:3", other="test", most=none),
        DriftRule(table="train", place="seatrial.yaml:11"),
        DriftRule(table="test", place="seatrial.yaml:16", against="train", most=Decimal("0.2"), severity=Severity.FAIL),
    )
    assert config.policy.gates


def test_a_leak_is_looked_for_where_the_policy_says() -> None:
    """By name, with its own limit and severity; without a role nothing is."""
    text = "version: 1\ntables:\n- {path: a.csv, key: id, leakage: {with: b.csv, max_shared: 3, severity: info}}\n"
    config = parse(text + "- {path: b.csv, key: id}\n")
    assert config.policy.tables == (
        LeakRule(
            table="a.csv",
            place="seatrial.yaml:3",
            other="b.csv",
            most=Margin(amount=Decimal(3), relative=False),
            severity=Severity.INFO,
        ),
    )
    assert parse("version: 1\ntables:\n- {path: a.csv, key: id}\n").policy.tables == ()
    assert parse(TABLES.replace("role: train\n", "role: train\n  leakage: {with: []}\n")).tables[0].others == ()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("tables: {}", "seatrial.yaml:2: `tables` must be a list", ""),
        ("tables:\n- 3", "seatrial.yaml:3: tables.0: expected a mapping", ""),
        ("tables:\n- {path: a.csv}", "seatrial.yaml:3: tables.0 needs `key`", "identify a row"),
        ("tables:\n- {path: a.csv, key: []}", "seatrial.yaml:3: tables.0: `key` names no column", ""),
        ("tables:\n- {path: a.csv, key: id, lable: y}", "seatrial.yaml:3: tables.0 has no key `lable`", "`label`"),
        (
            "tables:\n- {path: a.csv, key: id, max_label_flips: 0}",
            "seatrial.yaml:3: tables.0: max_label_flips",
            "label:",
        ),
        ("tables:\n- {path: a, key: i, max_rows_added: many}", "seatrial.yaml:3: `max_rows_added` is not a number", ""),
        ("tables:\n- {path: a, key: i, max_rows_added: -1}", "seatrial.yaml:3: `max_rows_added` is a tolerance", ""),
        ("tables:\n- {path: a, key: i}\n- {path: a, key: i}", "seatrial.yaml:4: tables.1: another table", "`name:`"),
        (
            "tables:\n- {path: a, key: i, leakage: {with: tets}}\n- {path: b, name: test, key: i}",
            "seatrial.yaml:3: tables.0: there is no other table 'tets'",
            "did you mean `test`?",
        ),
        ("tables:\n- {path: a, key: i, leakage: {}}", "seatrial.yaml:3: tables.0: leakage to which table?", "`with:`"),
        (
            "tables:\n- {path: a, key: [i, j], role: train}\n- {path: b, key: i, role: evaluation}",
            "seatrial.yaml:3: tables.0: its key (i, j) can't be held against b's (i)",
            "as many columns",
        ),
        (
            "tables:\n- {path: a, key: i, drift: {max_psi: lots}}",
            "seatrial.yaml:3: `max_psi` is no limit: lots",
            "auto",
        ),
        ("tables:\n- {path: a, key: i, drift: {max_psi: -1}}", "seatrial.yaml:3: `max_psi` can't be negative", ""),
        ("tables:\n- {path: a, key: i, drift: {max_ps: 1}}", "seatrial.yaml:3: tables.0.drift has no key", "`max_psi`"),
        ("tables:\n- {path: a, key: i, drift: {against: a}}", "seatrial.yaml:3: tables.0: there is no other", "none"),
        ("tables:\n- {path: a, key: i, role: tset}", "seatrial.yaml:3: tables.0.role can't be 'tset'", "train"),
    ],
)
def test_a_fault_names_file_line_and_key(text: str, message: str, hint: str) -> None:
    """One clear error each, and what to do next."""
    with pytest.raises(ConfigError) as caught:
        parse(f"version: 1\n{text}\n")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
