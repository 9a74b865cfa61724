import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser

import pytest

from descant.core.errors import PlaceError, UserError
from descant.report.page import write_report

HOSTILE = (
    "<script>alert(1)</script>\"'&$x^2$]]>--></style>\u202e\x00\ud800<img src=x onerror=alert(1)>"
)
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Every element is closed in order; ids, links and tags are collected."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links = [], Counter(), [], []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.links.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:])
        self.open.pop()


def report(runs, tmp_path):
    out = tmp_path / "report.html"
    told = write_report(runs, out)
    text = out.read_text(encoding="utf-8")
    page = Page(text)
    assert told["bytes"] == out.stat().st_size < 1_000_000
    assert page.tags["script"] == page.tags["img"] == page.tags["iframe"] == 0
    assert "default-src 'none'" in text
    assert not re.search(r"(?:https?:)?//\w|@import|url\((?!#)", text.split("<body>")[0])
    assert "http" not in re.sub(r"Content-Security|http-equiv", "", text)
    duplicates = [name for name, n in Counter(page.ids).items() if n > 1]
    assert duplicates == []
    assert all(link == "data:," or (link[0] == "#" and link[1:] in page.ids) for link in page.links)
    assert not re.search(r'[ "](nan|inf)[ "]', text)
    return text, told


def rewrite(name, change):
    def apply(run):
        found = json.loads((run / name).read_text())
        change(found)
        (run / name).write_text(json.dumps(found))

    return apply


def write(name, text):
    return lambda run: (run / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def append(name, text):
    return lambda run: (run / name).write_text((run / name).read_text() + text)


def remove(name):
    def apply(run):
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return apply


def every_metric(value):
    def apply(run):
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        rows = [{k: [value] if isinstance(v, list) else v for k, v in r.items()} for r in rows]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))

    return apply


def folder(name):
    def apply(run):
        (run / name).unlink()
        (run / name).mkdir()

    return apply


def policies(change):
    def apply(evaluation):
        for policy in evaluation["policies"]:
            change(policy)

    return rewrite("evaluation.json", apply)


def named(name):
    def change(policy):
        policy["name"] = name + policy["name"]
        policy["diagnostics"] = {name: 1.0}

    return policies(change)


FAULTS = {
    "torn last metric": (append("metrics.jsonl", '{"iteration": 99, "ret'), "is torn"),
    "torn last timing": (append("timing.jsonl", '{"iter'), "last line of timing.jsonl is torn"),
    "null metrics": (every_metric(None), "neither return nor reward"),
    "nan metrics": (every_metric(float("nan")), "neither return nor reward"),
    "infinite metrics": (every_metric(float("inf")), "neither return nor reward"),
    "huge metrics": (every_metric(1e99), "× 10⁹⁹"),
    "beyond huge metrics": (every_metric(1e308), "neither return nor reward"),
    "text for metrics": (every_metric("many"), "neither return nor reward"),
    "no metrics": (remove("metrics.jsonl"), "There is no metrics.jsonl"),
    "empty metrics": (write("metrics.jsonl", ""), "metrics.jsonl is empty"),
    "binary metrics": (write("metrics.jsonl", b"\x00\xff\xfe" * 99), "metrics.jsonl"),
    "folder for metrics": (folder("metrics.jsonl"), "metrics.jsonl cannot be read"),
    "no evaluation": (remove("evaluation.json"), "has not been evaluated"),
    "empty evaluation": (write("evaluation.json", " \n"), "evaluation.json is empty"),
    "half an evaluation": (write("evaluation.json", '{"policies": ['), "not JSON at line 1"),
    "list for evaluation": (write("evaluation.json", "[1, 2]"), "an object was expected"),
    "deep evaluation": (write("evaluation.json", '{"a":' * 50_000), "nested too deeply"),
    "no policies": (rewrite("evaluation.json", lambda e: e.update(policies=None)), "no policy"),
    "odd policies": (rewrite("evaluation.json", lambda e: e["policies"].append(7)), "1 of 8"),
    "no means": (policies(lambda p: p.update(mean=None)), "no policy with a name"),
    "nan differences": (policies(lambda p: p.update(difference={"mean": float("nan")})), "Wins"),
    "no intervals": (
        policies(lambda p: p.update(difference=p["difference"] and {"mean": 1.0})),
        "no interval: too few scenarios",
    ),
    "zero scores": (policies(lambda p: p.update(mean=0.0)), "better than"),
    "huge scores": (policies(lambda p: p.update(mean=p["mean"] * 1e90)), "× 10⁹"),
    "no learned policy": (policies(lambda p: p.update(kind="rule")), "no learned policy was"),
    "no rules": (
        rewrite("evaluation.json", lambda e: e.update(policies=e["policies"][:1])),
        "No rule was evaluated beside it",
    ),
    "odd alignment": (
        rewrite("evaluation.json", lambda e: e["alignment"].update(policies={"learned": {"q": 9}})),
        "alignment outside 0 to 1",
    ),
    "hostile policies": (named(HOSTILE), "&lt;script&gt;"),
    "hostile terms": (
        rewrite(
            "evaluation.json",
            lambda e: e["alignment"].update(model=HOSTILE, policies={HOSTILE: {HOSTILE: 0.5}}),
        ),
        "&lt;script&gt;",
    ),
    "long names": (named("x" * 10_000), "xxx…"),
    "hostile facts": (
        rewrite(
            "run.json",
            lambda f: f.update(dict.fromkeys(f, HOSTILE), command=[HOSTILE], started=[HOSTILE] * 3),
        ),
        "&lt;script&gt;",
    ),
    "no facts": (remove("run.json"), "There is no run.json"),
    "odd facts": (rewrite("run.json", lambda f: f.update({k: [{}] for k in f})), "not in run.json"),
    "hostile config": (
        write("config.toml", f"domain = {json.dumps(HOSTILE[:-50])}\n[settings.'<b>']\n'<i>'=1"),
        "&lt;b&gt;.&lt;i&gt;",
    ),
    "broken config": (write("config.toml", "domain = \n[["), "config.toml is damaged"),
    "latin config": (write("config.toml", b"domain = '\xe9'"), "\ufffd"),
    "no checkpoint": (remove("checkpoints"), "There is no checkpoint"),
    "no episode": (remove("episode.json"), "There is no episode.json"),
    "odd episode": (
        rewrite("episode.json", lambda e: e.update(series={"learned": {"q": [None], "r": "x"}})),
        "no finite values",
    ),
    "hostile episode": (
        rewrite("episode.json", lambda e: e.update(series={HOSTILE: {HOSTILE: [1, 2, 3]}})),
        "&lt;script&gt;",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_runs_still_make_a_page_that_says_so(fabricate, tmp_path, fault):
    damage, expected = FAULTS[fault]
    run = fabricate(iterations=8)
    damage(run)
    text, _ = report([run], tmp_path)
    assert expected in text


def test_where_there_is_no_model_nothing_is_said_of_it(fabricate, tmp_path):
    run = fabricate()
    assert "Alignment of the reference" in report([run], tmp_path)[0]
    rewrite("evaluation.json", lambda e: e.update(alignment=None))(run)
    assert "lignment" not in report([run], tmp_path)[0]


def test_an_empty_folder_makes_a_page(tmp_path):
    (tmp_path / "empty").mkdir()
    text, told = report([tmp_path / "empty"], tmp_path)
    assert "has not been evaluated" in text
    assert len(told["runs"][0]["problems"]) == 7


def test_one_iteration_is_enough(fabricate, tmp_path):
    text, _ = report([fabricate(iterations=1, seeds=1)], tmp_path)
    assert "1 iteration, 1 seed" in text and "One seed, so there is no band" in text


def test_a_whole_run_has_its_parts_in_order_and_nothing_missing(fabricate, tmp_path):
    text, told = report([fabricate()], tmp_path)
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        *("Against the rules", "Learning", "Alignment of the reference", "One episode"),
        *("Configuration", "Environment", "Command"),
    ]
    assert text.index("the learned policy scores") < text.index("<h2>")
    assert 'class="missing"' not in text and told["runs"][0]["problems"] == {}
    assert "descant train cloud dgpg --domain.servers 50" in text


def test_alignment_and_guidance_over_training_are_drawn_where_they_were_recorded(
    fabricate, tmp_path
):
    run = fabricate("guided", iterations=5)
    out = tmp_path / "report.html"
    write_report([run], out)
    assert "over training, on states" not in out.read_text(encoding="utf-8")
    path = run / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for i, row in enumerate(rows):
        seeds = len(row["return"])
        row |= {"alignment_queue": [i / 10] * seeds, "alpha": [0.9 - i / 10] * seeds}
        row |= {"alignment_energy": [None] * seeds}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    write_report([run], out)
    page = out.read_text(encoding="utf-8")
    assert "over training, on states that the learning policy visits; alpha is the weight" in page
    assert "Share of states by iteration." in page
    Page(page)


NETWORK = {
    "agents": 3,
    "edges": 3,
    "radii": {"policy": 0, "credit": 1},
    "samples": 100,
    "within": [
        {"radius": 0, "mean": 0.0, "most": 0},
        {"radius": 1, "mean": 4 / 3, "most": 2},
        {"radius": 2, "mean": 2.0, "most": 2},
    ],
    "picture": {
        "exact": False,
        "quantity": "Share of time asleep",
        "place": [[0, 0], [1, 0.5], [0.5, 0.2]],
        "edges": [[0, 1], [1, 2]],
        "before": {"quantity": [0.1, 0.2, 0.3], "actions": [0, 0, 0]},
        "after": {"quantity": [0.4, 0.5, 0.6], "actions": [1, 1, 1]},
    },
}
CONSTRAINT = {"total": 0.5, "worst": 0.25, "share": 2 / 3, "exact": False}


def networked(run, **changes):
    told = {"network": NETWORK | changes, "constraint": CONSTRAINT}
    rewrite("evaluation.json", lambda e: e.update(told))(run)
    return run


def test_a_network_shows_what_agents_hear_where_they_are_and_what_they_violate(fabricate, tmp_path):
    text, _ = report([networked(fabricate(iterations=3))], tmp_path)
    assert "constraints are violated by 0.500 in all, 0.250 at most, by 67\u00a0% of" in text
    assert "Bold: the radii of this run (policy 0, credit 1)." in text
    # 100 ticks of 4/3 others, four bytes each.
    assert '<strong>133 <span class="aside">533 B</span></strong>' in text
    assert "Share of time asleep before training: from 0.100 to 0.300" in text
    assert "empty 0.100, full 0.600" in text and "Edges that lead around are left out." in text
    assert "Utility, before" not in text


@pytest.mark.parametrize(
    "picture",
    [
        None,
        {"place": "x"},
        NETWORK["picture"] | {"place": [[0, 0], [1, None], [2, 0]]},
        NETWORK["picture"] | {"place": [[0, 0]]},
        NETWORK["picture"] | {"edges": [[0, 3]]},
        NETWORK["picture"] | {"edges": [[-1, 0]]},
        NETWORK["picture"] | {"edges": [[0, "x"]]},
    ],
)
def test_a_graph_that_cannot_be_drawn_is_not(fabricate, tmp_path, picture):
    text, _ = report([networked(fabricate(iterations=2), picture=picture)], tmp_path)
    assert "There is no drawing of this graph." in text


def test_odd_numbers_of_agents_are_left_out(fabricate, tmp_path):
    odd = NETWORK["picture"] | {"before": {"quantity": [1, None, 2], HOSTILE: [1, 2, 3]}}
    text, _ = report([networked(fabricate("a", iterations=2), picture=odd)], tmp_path)
    assert "empty" not in text[text.index("<h2>Network</h2>") :].split("</section>")[0]
    for changes in ({"within": [1, 2]}, {"radii": None}, {"agents": "x"}, {"samples": None}):
        report([networked(fabricate(f"{changes}", iterations=2), **changes)], tmp_path)


def test_every_drawing_has_a_description_and_every_table_its_scopes(fabricate, tmp_path):
    text, _ = report([fabricate()], tmp_path)
    assert len(re.findall(r"<svg [^>]*role=\"img\" aria-label=\"[^\"]{20,}\"", text)) == text.count(
        "<svg"
    )
    assert "<th>" not in text and text.count("<figure>") == len(
        re.findall(r"</svg></figure>|</figcaption></figure>|</div></figure>", text)
    )


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_can_be_read_in_light_and_in_dark(fabricate, tmp_path):
    text, _ = report([fabricate(iterations=2)], tmp_path)
    modes = [dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in text.split("@media")[:2]]
    for colours in modes:
        paper = luminance(colours["paper"])
        for name in set(colours) - {"paper", "wash", "line"}:
            low, high = sorted((paper, luminance(colours[name])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_equal_records_give_equal_pages(fabricate, tmp_path):
    run = fabricate(iterations=5)
    assert report([run], tmp_path)[0] == report([run], tmp_path)[0]


def test_ten_runs_stay_below_a_megabyte(fabricate, tmp_path):
    runs = [fabricate(f"run-{i}", seed=i, seeds=5, iterations=500) for i in range(10)]
    text, told = report(runs, tmp_path)
    assert len(told["runs"]) == 10
    assert "10 runs compared" in text and 'id="run-10"' in text


def test_runs_are_ranked_and_their_differences_come_first(fabricate, tmp_path):
    changed = {"settings.algorithm": {"guidance": "exact"}}
    a = fabricate("a", iterations=6)
    b = fabricate("b", seed=1, score=-30.0, iterations=6, settings=changed)
    text, _ = report([a, b], tmp_path)
    assert "Run 2, b, is the best of 2 evaluated runs." in text
    table = text[text.index("Where the configurations differ") :]
    assert table.index("algorithm.guidance") < table.index("16 other settings agree")
    assert "minus best run" in text


def test_runs_on_different_systems_are_not_ranked(fabricate, tmp_path):
    other = {"settings.domain": {"servers": 500}}
    runs = [fabricate("a", iterations=3), fabricate("b", iterations=3, settings=other)]
    text, _ = report(runs, tmp_path)
    assert "their scores are not ranked" in text and "is the best of" not in text


def test_the_same_run_twice_and_an_unevaluated_one(fabricate, tmp_path):
    a, b = fabricate("a", iterations=3), fabricate("b", iterations=3)
    (b / "evaluation.json").unlink()
    text, _ = report([a, a, b], tmp_path)
    assert "1 run could not be compared" in text


def test_a_folder_is_no_file_and_no_runs_are_no_report(fabricate, tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        write_report([fabricate(iterations=2)], tmp_path)
    with pytest.raises(UserError, match="at least one run"):
        write_report([], tmp_path / "report.html")


def test_a_page_that_cannot_be_written_leaves_nothing_behind(fabricate, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match="cannot be written"):
        write_report([fabricate(iterations=2)], tmp_path / "file" / "report.html")
    assert not list(tmp_path.glob(".report*"))


def test_importing_the_report_loads_neither_jax_nor_matplotlib():
    heavy = "[m for m in ('jax', 'matplotlib') if m in sys.modules]"
    code = f"import sys, descant.report.page; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_became_of_episodes_is_drawn_along_training(fabricate, tmp_path):
    run = fabricate("won")
    path = run / "evaluation.json"
    found = json.loads(path.read_text())
    for policy in found["policies"]:
        policy["outcomes"] = {"won": {"mean": 0.6, "low": 0.4, "high": 0.75}}
    path.write_text(json.dumps(found))
    said = "Share of the episodes that ended in an iteration of training (won)"
    assert said not in report([run], tmp_path)[0]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [row | {"won": [None if i < 3 else i / 100] * 4} for i, row in enumerate(rows)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = report([run], tmp_path)[0]
    assert said in text and "(won in 60.0\u00a0% of them)" in text
