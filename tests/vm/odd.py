# SPDX-License-Identifier: Apache-2.0
"""Guests that refuse something, or have it in an older form: what the tracer says, and that it still works where it can."""
import os
import re
import shlex

import guest
import kernels

LIMIT = 300  # seconds for one guest
LOCKDOWN = "lsm=lockdown,capability,bpf lockdown="


def refusal(repo, prefix=""):
    """A shell command: --check and a run, what they said and their statuses into /out."""
    binary = shlex.quote(repo + "/build/spandrel")
    return (f"{prefix}{binary} --check >/out/check 2>&1; echo $? >/out/check.status; "
            f"{prefix}{binary} --port 80 --duration 1s --console >/out/run 2>&1; echo $? >/out/run.status")


def live(repo, names):
    """A shell command: cases of tests/live."""
    return f"SLOW=10 /usr/bin/python3 {shlex.quote(repo)}/tests/live/run.py {names} >/out/live 2>&1"


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def judge_refusal(out, pattern):
    """None, or what is wrong: one line of error that says `pattern`, exit status 1."""
    for what in ("check", "run"):
        text, status = read(f"{out}/{what}"), read(f"{out}/{what}.status").strip()
        errors = [line for line in text.splitlines() if "error:" in line]
        if status != "1" or len(errors) != 1 or not re.search(pattern, errors[0]):
            return f"{what}: status {status or 'none'}: {text[-1500:]}"
    return None


def judge_live(out, _):
    text = read(f"{out}/live")
    return None if re.search(r"^ok", text, re.M) and not re.search(r"^not ok", text, re.M) else text[-3000:] or "it said nothing"


def old_cgroups(repo):
    return (f"{shlex.quote(repo)}/build/spandrel --cgroup /sys/fs/cgroup/cpu --duration 1s >/out/run 2>&1; echo $? >/out/run.status; "
            + live(repo, "life_open_before"))


def judge_cgroups(out, pattern):
    text, status = read(f"{out}/run"), read(f"{out}/run.status").strip()
    if status not in ("1", "2") or not re.search(pattern, text):
        return f"status {status or 'none'}: {text}"
    return judge_live(out, None)


# name, kernel, of the kernel's command line, command, judge, pattern
ODD = [
    ("lockdown=confidentiality is said", "6.12", LOCKDOWN + "confidentiality", refusal, judge_refusal,
     r"locked down \(confidentiality\).*lockdown=integrity"),
    ("locked memory that cannot be raised is said", "5.10", "",
     lambda repo: refusal(repo, "prlimit --memlock=65536:65536 setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "),
     judge_refusal, r"RLIMIT_MEMLOCK cannot be raised.*CAP_SYS_RESOURCE"),
    ("lockdown=integrity, no tracefs: traces", "6.12", LOCKDOWN + "integrity guest.tracefs=no",
     lambda repo: live(repo, "life_open_before"), judge_live, None),
    ("preempt=full: no program takes another's bytes", "6.12", "preempt=full", lambda repo: live(repo, "preempt"), judge_live, None),
    ("cgroup v1 only: --cgroup says so, the rest traces", "6.12", "guest.cgroup=v1", old_cgroups, judge_cgroups, r"cgroup v2.*not mounted"),
]


def start(pool, names, repo, top):
    """[(name, directory, judge, pattern, what will be its end)] of those whose kernel is there."""
    ends = []
    for i, (name, kernel, append, command, judge_it, pattern) in enumerate(ODD):
        if kernel not in names or ("preempt" in append and os.environ.get("CAPTURE") == "0"):  # it takes minutes
            continue
        out = os.path.join(top, f"odd{i}")
        os.mkdir(out)
        end = pool.submit(guest.boot, kernels.get(kernel), command(repo), out, limit=LIMIT, append=append)
        ends.append((f"{kernel}: {name}", out, judge_it, pattern, end))
    return ends


def judge(tap, started):
    for name, out, judge_it, pattern, end in started:
        r = end.result()
        wrong = judge_it(out, pattern) or (r.console[-2000:] if r.status is None else None)
        tap.say(not wrong, name, wrong or "")
