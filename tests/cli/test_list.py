import json

from descant.core import discovery
from descant.presets import PRESETS, Preset


def test_everything_is_listed_with_a_summary(descant, monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", Preset("A toy preset.", "cloud", {}))
    record = json.loads(descant("list --json").out)
    for kind in discovery.KINDS:
        assert [member["name"] for member in record[kind]] == discovery.names(kind)
        assert all(member["summary"] for member in record[kind])
    assert {"name": "toy", "summary": "A toy preset.", "domain": "cloud"} in record["presets"]
    text = descant("list").out
    assert "Domains:\n  balance" in text
    assert "\n  cloud" in text
    assert "  toy" in text
