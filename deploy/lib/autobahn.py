"""Runs the Autobahn test suite's server cases against a WebSocket echo server, and judges: autobahn.py URL SDIST OUT.

The suite's own runner, wstest of autobahntestsuite on PyPI, needs Python 2.7, which no current distribution has. kosoku
runs the same case files. That they are the same is checked first, against SDIST, the suite as published: they may
differ in how Python 3 spells things, and in nothing else. The report for the browser goes to the folder OUT.

A case passes if it is OK or INFORMATIONAL, or NON-STRICT for a reason given below. What is left out is given below too:
whatever is neither fails, and so does a reason that nothing needs any more.
"""

import asyncio
import fnmatch
import importlib.resources
import re
import sys
import tarfile
from collections import Counter

import kosoku
from kosoku._report import write_reports
from kosoku.cases import CASES

COMPRESSION = "compression (permessage-deflate), which the endpoint does not offer"
EXCLUDED = {"12.*": COMPRESSION, "13.*": COMPRESSION}
NON_STRICT = {}

# A case file that the suite has but does not run.
UNUSED = ["case9_9_1.py"]

# How Python 3 spells what the suite says in Python 2.
SPELLINGS = [
    (r"\r", ""),
    (r"\bb(?=['\"])", ""),
    (r"\bxrange\b", "range"),
    (r"\(object, Case, \)", "(Case, )"),
    (r"print\((.*)\)$", r"print \1"),
    (r"print $", "print"),
    (r" // ", " / "),
    (r'p\[1\] if p\[0\] else p\[1\]\.encode\("latin-1"\)', "p[1]"),
]


def normal(text):
    for pattern, plain in SPELLINGS:
        text = re.sub(pattern, plain, text, flags=re.MULTILINE)
    return text.strip()


def differing(sdist):
    """The names of case files that do not say what the published suite says."""
    ours = importlib.resources.files("kosoku") / "cases"
    names, differ = set(), []
    with tarfile.open(sdist) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            if not re.search(r"/case/case\w*\.py$", member.name) or name in UNUSED:
                continue
            theirs = tar.extractfile(member).read().decode()
            names.add(name)
            if not (ours / name).is_file() or normal((ours / name).read_text()) != normal(theirs):
                differ.append(name)
    if len(names) < 100:
        sys.exit(f"{sdist} is not the test suite: it has {len(names)} case files")
    return differ + [file.name for file in ours.iterdir() if file.name.startswith("case") and file.name not in names]


async def run(url):
    try:
        return await kosoku.run_fuzzingclient(url, None, list(EXCLUDED), concurrency=8)
    except kosoku.FailureError as failure:
        return failure.results


def judge(results):
    """What is wrong, a line each."""
    ran = {case.case_id: case for case in results}
    wrong, used = [], set()
    for case_id in CASES:
        excluded = [pattern for pattern in EXCLUDED if fnmatch.fnmatch(case_id, pattern)]
        used.update(excluded)
        case = ran.get(case_id)
        if excluded and case is None:
            continue
        if case is None:
            wrong.append(f"{case_id}: did not run")
            continue
        verdict, close = case.behavior.value, case.behavior_close.value
        reasons = [pattern for pattern in NON_STRICT if fnmatch.fnmatch(case_id, pattern)]
        strict = verdict in ("OK", "INFORMATIONAL")
        if not strict and not (verdict == "NON-STRICT" and reasons):
            wrong.append(f"{case_id}: {verdict}: {case.result}")
        elif close not in ("OK", "INFORMATIONAL"):
            wrong.append(f"{case_id}: closing was {close}: {case.result_close}")
        elif not strict:
            used.update(reasons)
    wrong += [f"the reason given for {pattern} is not needed" for pattern in [*EXCLUDED, *NON_STRICT] if pattern not in used]
    return wrong


def main(url, sdist, out):
    differ = differing(sdist)
    if differ:
        sys.exit(f"not the published suite: {', '.join(sorted(differ))}")
    results = asyncio.run(run(url))
    write_reports(results, out)
    counts = Counter(case.behavior.value for case in results)
    print(f"{len(results)} cases ran, {len(CASES) - len(results)} were left out:")
    for reason in dict.fromkeys(EXCLUDED.values()):
        print(f"  {', '.join(p for p, r in EXCLUDED.items() if r == reason)}: {reason}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    wrong = judge(results)
    if wrong:
        sys.exit("\n".join(wrong + [f"the whole report: {out}/index.html"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
