# SPDX-License-Identifier: Apache-2.0
"""Files that hold TLS: found when a process begins to use them, wherever they lie and however it came by them, hooked once each,
let go when the last process has gone."""
import glob
import mmap
import os
import re
import shutil
import signal
import subprocess
import time

import parts
from cases_50_tls import both_sides, nothing_unread, tls_server
from spandrel import CLIENT, PATIENCE, SERVER, Tracer, run

GRACE = 10  # seconds that probes stay when the last process has gone
ATTACHED, DETACHED = 'tls_files{event="attached"}', 'tls_files{event="detached"}'
HOOKED = re.compile(r"TLS: inode (\d+): \d+ probes stand")


def library(name="libssl.so.3"):
    """Where the programs of this machine have their libssl."""
    text = parts.tool(["ldd", shutil.which("curl")]).text
    found = re.search(rf"{re.escape(name)} => (\S+)", text)
    if not found:
        raise parts.Skip(f"curl does not use {name}")
    return os.path.realpath(found[1])


def private_copy(name):
    """A directory with a libssl of its own, for LD_LIBRARY_PATH."""
    d = parts.path(name)
    os.makedirs(d, exist_ok=True)
    shutil.copy(library(), os.path.join(d, "libssl.so.3"))
    return d


def built(source, *flags, name=None):
    parts.need("gcc")
    out = parts.path(name or source)
    r = parts.tool(["gcc", "-O1", "-o", out, os.path.join(parts.APPS, "tlsfind", source + ".c"), *flags], ok=False)
    if r.returncode:
        raise parts.Skip("it does not link: " + r.stderr.decode(errors="replace").strip().splitlines()[-1])
    return out


def hooked(t):
    """Inodes of the files that got probes, in order."""
    return [int(i) for i in HOOKED.findall(t.err)]


def inode(path):
    return os.stat(path).st_ino


def apart(rtt=0.2, name="server"):
    """A server that uses a library of its own, so that the client is the first that maps another; as far away as `rtt` seconds."""
    return tls_server(env={"LD_LIBRARY_PATH": private_copy(name + "-lib"), "RTT": str(rtt)}, name=name)


def log(*args, **more):
    return Tracer("--log-level", "debug", *args, **more)


# ---- when ----

def case_tls_find_short_lived():
    """Each curl is a process that nobody has seen before; none has mapped the library when the first one does. On a network without
    delay and a machine without anything to spare probes may come too late for the first: that is shown, not judged."""
    web, near = apart(), apart(0, "near")

    def first(url, name):
        d = private_copy(name)
        parts.curl(url, "-k", env={**os.environ, "LD_LIBRARY_PATH": d})
        return inode(d + "/libssl.so.3")
    with log(name="n") as t:
        first(near.url + "/near", "near-client")
        t.stop()
    print(f"# without any delay: {len(t.spans.of(CLIENT))} of 1 seen")
    for k in range(3):
        with log(name=f"t{k}") as t:
            mapped = first(f"{web.url}/first/{k}", f"client{k}")
            t.wait_spans(2)
            t.stop()
        both_sides(t, [f"/first/{k}"])
        assert mapped in hooked(t), t.err
        nothing_unread(t)


def case_tls_find_storm():
    """Curls one after the other: the library's probes stay."""
    web, paths = apart(0), [f"/s/{i}" for i in range(30)]
    env = {**os.environ, "LD_LIBRARY_PATH": private_copy("client")}
    with log() as t:
        parts.curl(web.url + "/first", "-k", env=env)
        t.wait_for(lambda: inode(parts.path("client/libssl.so.3")) in hooked(t), "probes")
        for p in paths:
            parts.curl(web.url + p, "-k", env=env)
        t.stop()
    for kind in (CLIENT, SERVER):
        assert [s.path for s in sorted(t.spans.of(kind), key=lambda s: s.start) if s.path != "/first"] == paths, t.spans
    got = hooked(t)
    assert len(got) == len(set(got)), f"hooked twice: {got}"
    assert not t.counters[DETACHED], dict(t.counters)


def case_tls_find_before_the_tracer():
    """What runs already is hooked when the tracer says that it traces."""
    web = apart()
    with log() as t:
        before = t.err.split("spandrel: tracing ")[0]
        assert str(inode(parts.path("server-lib/libssl.so.3"))) in HOOKED.findall(before), before
        parts.curl(web.url + "/x", "-k")
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/x"])


LATE = """
import sys
sys.stdin.readline()
import ssl, urllib.request
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
print(urllib.request.urlopen(sys.argv[1], context=c).status, flush=True)
"""


def case_tls_find_loaded_late():
    """A process that runs for a while before it loads the library and uses it at once."""
    web = apart()
    p = subprocess.Popen([parts.PYTHON, "-c", LATE, web.url + "/late"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parts.remember(p)
    with log() as t:
        out, _ = p.communicate(b"\n", timeout=PATIENCE)
        assert out.strip() == b"200"
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/late"])


def case_tls_find_by_sighup():
    """A process that is selected only later: what it has mapped long before counts."""
    web = apart()
    conf = parts.path("conf")
    with open(conf, "w") as f:
        f.write("exe nobody-has-this-name\n")
    with Tracer("--config", conf, "--log-level", "debug", select=[]) as t:
        parts.curl(web.url + "/before", "-k")
        with open(conf, "w") as f:
            f.write(f"pid {web.pid}\n")
        t.proc.send_signal(signal.SIGHUP)
        t.wait_for(lambda: "configuration read again" in t.err, "the new selection")
        t.wait_for(lambda: hooked(t), "probes")
        parts.curl(web.url + "/after", "-k")
        t.wait_spans(1)
        t.stop()
    assert [s.path for s in t.spans] == ["/after"], t.spans


# ---- where ----

def case_tls_find_private_copies():
    """Each copy of the library is a file of its own."""
    web = apart()
    copies = [private_copy(f"copy{i}") for i in range(3)]
    with log() as t:
        for i, d in enumerate(copies):
            parts.curl(f"{web.url}/c/{i}", "-k", env={**os.environ, "LD_LIBRARY_PATH": d})
        t.wait_spans(6)
        t.stop()
    both_sides(t, [f"/c/{i}" for i in range(3)])
    for d in copies:
        assert hooked(t).count(inode(d + "/libssl.so.3")) == 1, t.err
    nothing_unread(t)


def in_namespace(script, *args):
    parts.need("unshare", "mount", "chroot")
    r = parts.tool(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh", *args], ok=False)
    text = r.stderr.decode(errors="replace")
    if r.returncode and ("ermission denied" in text or "not permitted" in text):
        raise parts.Skip("no mounts here: " + text.strip())
    assert not r.returncode, text


def case_tls_find_mount_namespace():
    """A library on a file system that only its process sees, gone with it."""
    web, d = apart(), parts.path("hidden")
    os.mkdir(d)
    with log() as t:
        in_namespace('mount -t tmpfs t "$1"; cp "$2" "$1/libssl.so.3"; LD_LIBRARY_PATH="$1" exec curl -sSk -o /dev/null "$3"',
                     d, library(), web.url + "/hidden")
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/hidden"])
    assert not os.listdir(d)
    nothing_unread(t)


def mounted(source, where):
    """`source` again at `where`, by a process that can be stopped."""
    parts.need("bindfs", "umount")
    os.makedirs(where)
    fs = parts.start(["bindfs", "-f", source, where], "bindfs")
    parts.at_end(lambda: subprocess.run(["umount", "-l", where], stderr=subprocess.DEVNULL))
    end = time.monotonic() + parts.READY
    while not os.path.ismount(where):
        if fs.poll() is not None:
            raise parts.Skip("no FUSE here: " + parts.read(parts.path("bindfs.log")).strip())
        assert time.monotonic() < end, "bindfs does not mount"
        time.sleep(0.02)
    return fs


def case_tls_find_file_system_that_hangs():
    """A library on a file system whose server does not answer any more: the others are hooked, and the loop goes on."""
    fs = mounted(private_copy("source"), parts.path("hangs"))
    held = parts.threading_server(env={"LD_PRELOAD": parts.path("hangs/libssl.so.3")}, name="held")
    near = apart(0, "near")
    assert "/hangs/libssl" in parts.read(f"/proc/{held.pid}/maps")
    fs.send_signal(signal.SIGSTOP)
    try:
        with log(select=["--pid", held.pid, "--pid", near.pid]) as t:
            parts.curl(held.url + "/plain")
            parts.curl(near.url + "/inside", "-k")
            t.wait_spans(2)
            t.stop()
    finally:
        fs.send_signal(signal.SIGCONT)
    assert {s.path for s in t.spans} == {"/plain", "/inside"}, t.spans
    assert t.counters['tls_files_missed{reason="unanswered"}'] == 1, dict(t.counters)
    assert inode(parts.path("near-lib/libssl.so.3")) in hooked(t), t.err
    with log(select=["--pid", held.pid], name="again") as t:
        t.stop()
    assert len(hooked(t)) == 1, t.err  # it answers again


OVERLAY = """
mount -t tmpfs t "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay o -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --bind /dev "$1/root/dev"
[ -z "$4" ] || { cp "$2" "$1/c"; cp "$1/c" "$1/root$2"; }
exec chroot "$1/root" curl -sSk -o /dev/null "$3"
"""


def case_tls_find_overlay():
    """A container's view: another root, below an overlay whose inode numbers are not those of the disk. The file below is the one
    that processes outside have mapped, too: probes in it stand once."""
    web, d = apart(), parts.path("over")
    os.mkdir(d)
    with log() as t:
        parts.curl(web.url + "/outside", "-k")
        in_namespace(OVERLAY, d, library(), web.url + "/inside", "")
        in_namespace(OVERLAY, d, library(), web.url + "/again", "")
        t.wait_spans(6)
        t.stop()
    both_sides(t, ["/outside", "/inside", "/again"])
    assert hooked(t).count(inode(library())) == 1, t.err
    nothing_unread(t)


def case_tls_find_overlay_upper():
    """Likewise, of a library that the container has changed."""
    web, d = apart(), parts.path("over")
    os.mkdir(d)
    with log() as t:
        in_namespace(OVERLAY, d, library(), web.url + "/upper", "yes")
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/upper"])
    nothing_unread(t)


WHEEL = "psycopg2-binary==2.9.9"


def case_tls_find_wheel():
    """A wheel brings a library of its own, under a name of its own, with segments that want more than a page's alignment."""
    d = os.path.join(os.environ.get("SPANDREL_CACHE", os.path.expanduser("~/.cache/spandrel")), "wheels", WHEEL)
    if not glob.glob(d + "/psycopg2_binary.libs/libssl*"):
        r = parts.tool([parts.PYTHON, "-m", "pip", "install", "-q", "--only-binary", ":all:", "--target", d, WHEEL], ok=False, timeout=90)
        if r.returncode:
            raise parts.Skip(f"{WHEEL} cannot be had: {r.stderr.decode(errors='replace').strip()[-200:]}")
    own, = glob.glob(d + "/psycopg2_binary.libs/libssl*")
    with log() as t:
        parts.tool([parts.PYTHON, "-c", "import psycopg2"], env={**os.environ, "PYTHONPATH": d})
        t.wait_for(lambda: inode(own) in hooked(t), "probes in the wheel's library")
        t.stop()


NSS = """
import ctypes, sys
c = ctypes.CDLL("libcurl-nss.so.4")
c.curl_easy_init.restype = ctypes.c_void_p
for i, url in enumerate(sys.argv[1:]):
    h = ctypes.c_void_p(c.curl_easy_init())
    for option, value in ((10002, url.encode()), (64, ctypes.c_long(0)), (81, ctypes.c_long(0))):  # URL, no verification
        c.curl_easy_setopt(h, option, value)
    if c.curl_easy_perform(h):
        sys.exit(1)
    c.curl_easy_cleanup(h)
"""


def case_tls_find_nss():
    """NSPR's calls serve descriptors of all kinds: those that are TLS are told from those that are not, whose bytes the sockets give."""
    if parts.tool([parts.PYTHON, "-c", "import ctypes; ctypes.CDLL('libcurl-nss.so.4')"], ok=False).returncode:
        raise parts.Skip("no libcurl3-nss here")
    web, plain = apart(), parts.threading_server()
    urls = [f"{web.url}/n/1", f"{plain.url}/plain", f"{web.url}/n/2", f"{plain.url}/again"]
    with log() as t:
        parts.tool([parts.PYTHON, "-c", NSS, *urls])
        t.wait_spans(8)
        t.stop()
    both_sides(t, ["/n/1", "/plain", "/n/2", "/again"])
    for s in t.spans.of(CLIENT):
        assert s["url.full"].startswith("https:" if "/n/" in s.path else "http:"), s.attrs
    nothing_unread(t)


def case_tls_find_replaced():
    """The library is replaced, and removed, while programs use it; new ones use what is there now."""
    web, d = apart(), private_copy("lib")
    env = {**os.environ, "LD_LIBRARY_PATH": d}
    there, old = d + "/libssl.so.3", inode(d + "/libssl.so.3")
    with log() as t:
        parts.curl(web.url + "/old", "-k", env=env)
        shutil.copy(library(), there + ".new")
        os.rename(there + ".new", there)
        assert inode(there) != old
        parts.curl(web.url + "/new", "-k", env=env)
        t.wait_spans(4)
        t.stop()
    both_sides(t, ["/old", "/new"])
    assert {old, inode(there)} <= set(hooked(t)), t.err
    os.unlink(parts.path("server-lib/libssl.so.3"))
    with log(name="u") as t:  # the server's library has no name any more
        parts.curl(web.url + "/nameless", "-k")
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/nameless"])


# ---- in executables ----

def case_tls_find_static():
    """OpenSSL in the executable itself: found by its symbols, also where they fill a large table."""
    exe = built("client", "-static", "-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread", name="static-client")
    web = apart()
    with log() as t:  # it makes its request some ms after it was started, sooner than anything can be hooked: once more, then
        parts.tool([exe, web.port, "/first"])
        t.wait_for(lambda: inode(exe) in hooked(t), "probes in the executable")
        parts.tool([exe, web.port, "/one", "/two"])
        t.wait_spans(5)
        t.stop()
    for kind in (CLIENT, SERVER):
        assert [s.path for s in t.spans.of(kind) if s.path != "/first"] == ["/one", "/two"], t.spans
    assert t.spans.one(SERVER, "/first")
    print(f"# the first of all: {len(t.spans.of(CLIENT, '/first'))} of 1 seen by the client")


def case_tls_find_stripped():
    """Without symbols it cannot be read: that is said, once, by a counter and by --check."""
    exe = built("client", "-static", "-s", "-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread", name="stripped-client")
    web = apart()
    with log() as t:
        for i in range(3):
            parts.tool([exe, web.port, f"/{i}"])
        t.wait_for(lambda: exe in t.err, "a word about the executable")
        t.wait_spans(3)
        t.stop()
    assert {s.kind for s in t.spans} == {SERVER} and len(t.spans) == 3, t.spans
    assert t.err.count(exe + " has TLS") == 1 and inode(exe) not in hooked(t), t.err
    assert t.counters['tls_unreadable{library="openssl"}'] == 1, dict(t.counters)
    hold = subprocess.Popen([exe, str(hang_up()), "/never"])
    parts.remember(hold)
    status, out, _ = run("--check", "--pid", hold.pid)
    assert status == 0 and f"TLS in {exe}: openssl, without symbols" in out, out


def case_tls_find_stripped_many():
    """A few of such files are named, all are counted. Their programs stay: a file that is gone with its process cannot be looked at."""
    exe = built("client", "-static", "-s", "-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread", name="stripped-many")
    silent, port = hang_up(), parts.free_port()

    def counted():
        time.sleep(1)  # each curl is a program of ours with thirty files: not without a pause
        page = parts.tool(["curl", "-sS", f"http://127.0.0.1:{port}/metrics"]).text
        return 'spandrel_tls_unreadable{library="openssl"} 13' in page
    with log("--listen", f"127.0.0.1:{port}") as t:
        for i in range(13):
            parts.start([shutil.copy(exe, f"{exe}-{i}"), silent, f"/{i}"], f"client-{i}")
        t.wait_for(counted, "all thirteen")
        t.stop()
    assert t.err.count("has TLS in it") == 10 and t.err.count("more such files") == 1, t.err


def hang_up():
    """A port that takes connections and says nothing."""
    s = parts.socket.create_server(("127.0.0.1", 0))
    parts.at_end(s.close)
    return s.getsockname()[1]


# ---- how many ----

def rss(pid):
    return int(re.search(r"RssAnon:\s+(\d+) kB", parts.read(f"/proc/{pid}/status"))[1])


def case_tls_find_many_processes():
    """300 processes with one library: hooked once, let go when all have ended."""
    exe, d = built("holder", "-ldl"), private_copy("lib")
    with log() as t:
        before = rss(t.proc.pid)
        p = subprocess.Popen([exe, "300", d + "/libssl.so.3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        parts.remember(p)
        got = 0
        while got < 300:
            got += len(os.read(p.stdout.fileno(), 300))
        t.wait_for(lambda: inode(d + "/libssl.so.3") in hooked(t), "probes")
        grown = rss(t.proc.pid) - before
        p.stdin.close()
        p.wait(PATIENCE)
        time.sleep(GRACE + 2)
        t.stop()
    assert hooked(t).count(inode(d + "/libssl.so.3")) == 1, t.err
    assert t.counters[DETACHED] == 1, dict(t.counters)  # but not the library of the case's own process
    assert grown < 16 * 1024, f"{grown} kB for 300 processes"
    print(f"# {grown} kB more for 300 processes with the library")


def case_tls_find_dlclose():
    """A library that comes and goes in a process that lives."""
    exe, d = built("holder", "-ldl"), private_copy("lib")
    web = apart()
    with log() as t:
        parts.tool([exe, "-300", d + "/libssl.so.3"])
        parts.curl(web.url + "/goes-on", "-k", env={**os.environ, "LD_LIBRARY_PATH": d})
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/goes-on"])
    assert hooked(t).count(inode(d + "/libssl.so.3")) == 1, t.err


def case_tls_find_killed():
    """Processes that die in the middle of whatever they do, and so does their library's last user."""
    web, d = apart(), private_copy("lib")
    env = {**os.environ, "LD_LIBRARY_PATH": d}
    with log() as t:
        for i in range(60):
            p = subprocess.Popen(["curl", "-sk", "-o", "/dev/null", f"{web.url}/bytes/100000?{i}"], env=env)
            time.sleep(0.004 * (i % 30))
            p.kill()
            p.wait()
        parts.curl(web.url + "/last", "-k", env=env)
        t.wait_spans(2)
        time.sleep(GRACE + 2)
        parts.curl(web.url + "/again", "-k", env=env)
        t.wait_for(lambda: hooked(t).count(inode(d + "/libssl.so.3")) == 2, "probes that were let go and stand again")
        t.stop()
    for path in ("/last", "/again"):
        assert len(t.spans.of(CLIENT, path)) == len(t.spans.of(SERVER, path)) == 1, t.spans
    assert t.counters[DETACHED] >= 1, dict(t.counters)


# ---- hostile files ----

def bad_files(d):
    """Files that look like a TLS library and are none, whole."""
    whole = open(library(), "rb").read()
    yield "cut", whole[:5000]
    yield "head", whole[:64]
    yield "tables", whole[:0x28] + b"\xff" * 8 + whole[0x30:]
    yield "count", whole[:0x3c] + b"\xff\xff" + whole[0x3e:]
    yield "segments", whole[:0x20] + b"\xff" * 8 + whole[0x28:]
    yield "empty", b""
    yield "text", b"#!/bin/sh\n" * 1000
    yield "noise", os.urandom(100_000)


def case_tls_find_hostile_files():
    """Whatever a process maps, and does with it meanwhile: no harm, and the next curl is caught."""
    web, d = apart(), parts.path("libssl-bad")
    os.mkdir(d)
    with log() as t:
        for name, data in bad_files(d):
            path = f"{d}/libssl-{name}.so"
            with open(path, "wb") as f:
                f.write(data)
                if name == "head":
                    f.truncate(5 << 30)
            if os.path.getsize(path):
                with open(path, "rb") as f, mmap.mmap(f.fileno(), 4096 if len(data) > 4096 else 0 if name != "head" else 4096,
                                                      mmap.MAP_PRIVATE, mmap.PROT_READ):
                    pass
        for i in range(100):  # gone, or shorter, when it is looked at
            path = f"{d}/libssl-{i}.so"
            shutil.copy(library(), path)
            with open(path, "r+b") as f:
                with mmap.mmap(f.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ):
                    if i % 2:
                        os.unlink(path)
                    else:
                        f.truncate(5000 * (i % 7))
        os.mkfifo(d + "/libssl-fifo.so")
        parts.curl(web.url + "/fine", "-k")
        t.wait_spans(2)
        t.stop()
    both_sides(t, ["/fine"])


# ---- nothing is left ----

def text_of(pid, path):
    """What the process has for the executable part of the file, and what the file has."""
    for line in parts.read(f"/proc/{pid}/maps").splitlines():
        f = line.split()
        if len(f) == 6 and f[5] == path and "x" in f[1]:
            begin, end = (int(x, 16) for x in f[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb") as m, open(path, "rb") as file:
                m.seek(begin)
                file.seek(int(f[2], 16))
                return m.read(end - begin), file.read(end - begin)
    raise AssertionError(f"{path} is not mapped")


def case_tls_find_leaves_nothing():
    """Ended or killed, the tracer leaves no breakpoint in any process."""
    web = apart()
    lib = parts.path("server-lib/libssl.so.3")
    for how in (signal.SIGTERM, signal.SIGKILL):
        with log(name=f"t{int(how)}", check=False) as t:
            parts.curl(web.url + "/x", "-k")
            mine, file = text_of(web.pid, lib)
            assert mine != file, "no probe stands"
            t.proc.send_signal(how)
            t.proc.wait(PATIENCE)
        end = time.monotonic() + PATIENCE
        while True:
            mine, file = text_of(web.pid, lib)
            if mine == file:
                break
            assert time.monotonic() < end, "breakpoints are left"
            time.sleep(0.05)
        parts.curl(web.url + "/goes-on", "-k")


def case_tls_find_off():
    web = apart()
    with log("--tls", "off") as t:
        parts.curl(web.url + "/x", "-k")
        t.stop()
    assert not t.spans and not hooked(t) and not t.counters.sum("tls_files"), (t.spans, dict(t.counters))


def case_tls_find_check():
    """--check: the libraries in standard directories, or what the selected processes map."""
    web = apart()
    lib = parts.path("server-lib/libssl.so.3")
    status, out, _ = run("--check")
    assert status == 0 and re.search(r"TLS in \S*/libssl\.so\S*: openssl, \d+ functions, \d+ probes\n(  .*\n)*  SSL_write ", out), out
    status, out, _ = run("--check", "--pid", web.pid)
    assert status == 0 and f"TLS in {lib}: openssl" in out and "libgnutls" not in out, out
