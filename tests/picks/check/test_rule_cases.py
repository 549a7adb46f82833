"""The corners of rules that know more than one fault, or more than one way to be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.picks.check import shelf

CODE = "https://github.com/example/counting-heads"
THREAD = "bluesky\n    url: https://bsky.app/profile/ada.example/post/3kabc"
DOI = "10.18653/v1/2025.acl-long.900"
PAGE = "https://aclanthology.org/2025.acl-long.900"

WRONG = [
    ("link-scheme", CODE, "http://github.com/example/counting-heads"),
    ("link-scheme", CODE, "github.com/example/counting-heads"),
    ("link-scheme", CODE, "HTTPS://github.com/example/counting-heads"),
    ("link-scheme", CODE, "data:text/html,x"),
    ("link-form", CODE, '"https://github.com/a b/c"'),
    ("link-form", CODE, "https://[/a/b"),
    ("link-form", CODE, "https://github.com./example/counting-heads"),
    ("link-form", CODE, "https://localhost/a/b"),
    ("link-form", CODE, "https://127.0.0.1/a/b"),
    ("link-form", CODE, "https://github.com:99999/a/b"),
    ("link-form", CODE, "https://gıthub.com/a/b"),
    ("link-form", CODE, "https://user:secret@github.com/a/b"),
    ("link-host", CODE, "https://arxiv.org/abs/2501.01234"),
    ("link-host", "https://aclanthology.org", "https://aclanthology.org.example.com"),
    ("link-host", "anthology: https://aclanthology.org", "openreview: https://example.com"),
    ("code-host", CODE, "https://example.github.io/counting-heads"),
    ("another-id", CODE, "https://huggingface.co/papers/2501.01243"),
    ("another-id", f"{DOI}\ncategory: cs.CL\nlinks:\n  code: {CODE}\n  anthology: {PAGE}", "10.48550/ARXIV.2501.01243"),
    ("thread-host", THREAD, "x\n    url: https://twitter.com/ada/status/1"),
    ("thread-host", THREAD, "web\n    url: https://x.com/ada/status/1"),
    ("thread-host", THREAD, "mastodon\n    url: https://bsky.app/profile/ada.example/post/3kabc"),
    ("author-et-al", "Ben Sample", "and others"),
    ("author-et-al", "Ben Sample", "Ben Sample et al"),
    ("author-order", "Ben Sample", "Ben Sample and Cleo Instance"),
    ("author-order", "Ben Sample", "Ben Sample & Cleo Instance"),
    ("author-order", "Ben Sample", "Ben Sample; Cleo Instance"),
    ("author-marks", "Ben Sample", "Ben Sample†"),
    ("author-marks", "Ben Sample", "Ben Sample²"),
    ("author-initials", "Ben Sample", "B Sample"),
    ("author-initials", "Ben Sample", "B.-J. Sample"),
    ("date-against-id", '"2025-01-14"', '"2024-11-29"'),
    ("date-against-id", '"2025-01-14"', '"2023"'),
    ("date-against-id", '"2025-01-14"', '"2025-04"'),
    ("wrong-value", '"2025-01-14"', '"2025-01-32"'),
    ("wrong-value", '"2025-01-14"', '"14 January 2025"'),
    ("wrong-value", "order: 7", 'order: "7"'),
    ("wrong-value", "order: 7", "order: 7.5"),
    ("wrong-value", DOI, "2025.acl-long.900"),
    ("namesakes", "- Ben Sample", "- Ada Example"),
    ("author-braces", "- Ben Sample", "- Ben {Sample"),
    ("author-braces", "- Ben Sample", "- '{Ben} {Sample}'"),
    ("anthology-doi", DOI, "10.18653/v1/2025.acl-long.901"),
    ("no-venue", "ACL 2025", "Submitted to ICLR 2026"),
    ("no-venue", "ACL 2025", "arXiv preprint 2025"),
    ("venue-extras", "ACL 2025", "Heads 7 (2025)"),
    ("venue-extras", "ACL 2025", "Heads 27(4):344, 2025"),
    ("venue-of-another-kind", "venue_kind: proceedings", 'venue_kind: proceedings\nvolume: "7"'),
    ("missing-key", "venue_kind: proceedings\n", ""),
    ("missing-key", "venue_kind: proceedings", 'venue_kind: proceedings\nnumber: "2"'),
    ("page-range", "venue_kind: proceedings", 'venue_kind: proceedings\npages: "10 -- 12"'),
    ("wrong-value", f"{DOI}\ncategory: cs.CL\nlinks:\n  code: {CODE}\n  anthology: {PAGE}", '"10.1000/a}b"'),
    ("finding-form", "Three of four count.", "They count."),
    ("unknown-paper", "summary: >-", 'status: {is: superseded, note: A new one., by: "2501.9"}\nsummary: >-'),
    ("unquoted-number", "ACL 2025", "0x1F"),
    ("unquoted-number", "ACL 2025", "1.5e+3"),
    ("unquoted-number", "ACL 2025", ".inf"),
    ("unquoted-boolean", "ACL 2025", "On"),
    ("unquoted-octal", "ACL 2025", "0101001"),
    ("unquoted-sexagesimal", "ACL 2025", "20:30.5"),
    ("unquoted-date", "ACL 2025", "2025-07-27 10:00:00"),
    ("empty-value", "- Ben Sample", "-"),
    ("empty-value", "ACL 2025", "null"),
    ("html", "Heads that", "Heads&nbsp;that"),
    ("html", "dots. With", "dots. <script>alert(1)</script> With"),
    ("latex", "Ben Sample", r"Ben S{\'a}mple"),
    ("latex", "Heads that", r"Heads \emph that"),
    ("why-length", "why: It", "why: |-\n  One line.\n  It"),
    ("unknown-paper", "builds_on: {}", 'picked_with: ["2501.99999"]\nbuilds_on: {}'),
    ("one-sided-edition", "builds_on: {}", 'picked_with: ["2501.01234"]\nbuilds_on: {}'),
]

RIGHT = [
    (CODE, "https://huggingface.co/example/heads"),
    (CODE, "https://git.sr.ht/~ada/heads"),
    (CODE, "https://osf.io/y7pr6/"),
    (THREAD, "x\n    url: https://x.com/ada/status/1"),
    (THREAD, "mastodon\n    url: https://sigmoid.social/@ada/1"),
    (THREAD, "web\n    url: https://news.ycombinator.com/item?id=1"),
    (THREAD, "lesswrong\n    url: https://www.lesswrong.com/posts/abc/heads"),
    ("Ben Sample", "Vinay M.S."),
    ("Ben Sample", "DJ Sample"),
    ("Ben Sample", "Marta R. Costa-jussà"),
    ("Ben Sample", "Team of the Counting House"),
    ("Ben Sample", "王小明"),
    ("Ben Sample", "Ben {Van Sample}"),
    ("Ben Sample", '"{AI@Home; Garden and Kitchen, Inc. 2}"'),
    ("ACL 2025", "ACL 2025 (System Demonstrations)"),
    ("venue_kind: proceedings", 'venue_kind: proceedings\npages: "10–12"\nawards: [oral]'),
    ("Three of four count.", "Heads count up to 30 (Fig. 3, e.g. dots)."),
    ("summary: >-", "status: {is: withdrawn, note: Its authors found a fault.}\nsummary: >-"),
    ('"2025-01-14"', '"2025-01"'),
    ('"2025-01-14"', '"2025"'),
    ('"2025-01-14"', '"2025-02-28"'),
    ("Heads that Count", "C++ & Heads that Cost 5$ Count"),
    ("dots. With", "dots (p < 0.05, d > 2). With"),
]


@pytest.mark.parametrize(("rule", "written", "instead"), WRONG)
def test_what_is_wrong_is_told_by_one_rule(rule: str, written: str, instead: str, tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root, (written, instead))
    told = [fault.rule for fault in shelf.faults(root) if fault.rule != "code-host" or rule == "code-host"]
    assert told == [rule]


@pytest.mark.parametrize(("written", "instead"), RIGHT)
def test_what_is_right_passes(written: str, instead: str, tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root, (written, instead))
    assert shelf.faults(root) == []


def test_a_post_is_where_posts_are(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "valid" / "missing-key")
    path = root / "papers" / "lw-heads-that-count.yml"
    assert shelf.found(root) == []
    path.write_text(path.read_text().replace("www.lesswrong.com", "example.org"))
    assert shelf.found(root) == ["17:10 slug-against-address"]
    path.write_text(path.read_text().replace("address: https://example.org/posts/abc/heads-that-count\n", ""))
    assert shelf.found(root) == ["1:1 missing-key"]


def test_words_of_titles_and_tags_are_nobodys_own(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "valid" / "copied-text")
    assert shelf.found(root) == []
    for path in (root / "papers").glob("2*.yml"):  # the same words, but the tag is now another phrase
        path.write_text(path.read_text().replace("Sparse autoencoders on", "Dense old autoencoders on"))
    assert {fault.rule for fault in shelf.faults(root)} == {"copied-text"}


def test_a_long_copy_is_one_fault(tmp_path: Path) -> None:
    root = shelf.build(tmp_path)
    shelf.entry(root)
    copy = shelf.entry(
        root, ("Heads that Count What They See", "Another Title"), (f"{DOI}\n", "10.18653/v1/2025.acl-long.901\n"),
        (PAGE, PAGE.replace("900", "901")), ("order: 7", "order: 8"), name="2501.02345.yml",
    )  # fmt: skip
    told = [fault for fault in shelf.faults(root) if Path(fault.path) == copy]
    assert [(fault.rule, fault.position.line) for fault in told] == [("copied-text", 7), ("copied-text", 11)]
    assert told[0].what.startswith("“can a head count the authors")


def test_reproductions_and_papers_name_each_other(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "valid" / "no-such-reproduction")
    claims = root / "reproductions" / "coin_flips" / "reproduction.yml"
    claims.write_text("paper: [")
    of_the_file, of_the_entry = sorted(shelf.faults(root), key=lambda fault: fault.rule)
    assert of_the_entry.rule == "reproduction-of-another"
    assert of_the_entry.what == "its reproduction.yml says no paper, not 2501.08310"
    assert (of_the_file.rule, of_the_file.path) == ("reproduction-file", str(claims))


def test_a_reproduction_can_stand_for_another_paper_too(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "valid" / "no-such-reproduction")
    claims = root / "reproductions" / "coin_flips" / "reproduction.yml"
    own = claims.read_text()
    claims.write_text(own.replace("2501.08310", "2501.99999"))
    assert "reproduction-of-another" in {fault.rule for fault in shelf.faults(root)}
    claims.write_text(own.replace("2501.08310", "2501.99999") + '\nalso: ["2501.08310"]\n')
    assert not {"reproduction-of-another", "unnamed-reproduction"} & {fault.rule for fault in shelf.faults(root)}


def test_every_fault_of_a_reproductions_files_is_told_in_its_place(tmp_path: Path) -> None:
    root = shelf.build(tmp_path, shelf.FIXTURES / "valid" / "no-such-reproduction")
    folder = root / "reproductions" / "coin_flips"
    path = folder / "reproduction.yml"
    path.write_text(path.read_text().replace("quick: 60", "quick: soon").replace("help:", "helps:", 1))
    (folder / "relations").mkdir()
    (folder / "relations" / "side.yml").write_text("title: heads or tails\n")
    (folder.parent / "corpus.yml").write_text("sources: none\n")
    found = {(Path(fault.path).name, fault.position.line, fault.what) for fault in shelf.faults(root)}
    assert ("reproduction.yml", 3, "`deadline.quick` must be a number, not 'soon'") in found
    assert ("reproduction.yml", 5, "'helps': did you mean help?") in found
    assert ("side.yml", 1, "this file has no `pairs`") in found
    assert ("corpus.yml", 1, "`sources` must be a list, not 'none'") in found
