# SPDX-License-Identifier: Apache-2.0
"""The programs around the tracer: servers on private configurations and free ports, and the tools that drive them.
Each runs in a session of its own and is stopped by its process id."""
import contextlib
import ctypes
import errno
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = os.path.join(HERE, "apps")
PYTHON = "/usr/bin/python3"
SLOW = int(os.environ.get("SLOW", "1"))  # times slower than a machine of one's own: an emulated one
READY = 20 * SLOW
PORTS_FROM, PORTS_TO, PORTS = 10000, 30000, 48

_state = {"dir": None, "procs": [], "ends": [], "ports": iter(())}
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    pass


def die_with_parent(sig=signal.SIGKILL):
    _libc.prctl(1, sig)  # PR_SET_PDEATHSIG


def set_workdir(path):
    _state["dir"] = path


def workdir():
    if not _state["dir"]:
        _state["dir"] = tempfile.mkdtemp(prefix="spandrel-live.")
    return _state["dir"]


def path(name):
    return os.path.join(workdir(), name)


def remember(proc):
    _state["procs"].append(proc)


def at_end(fn):
    """fn() is called when the case has ended and all that it started is gone."""
    _state["ends"].append(fn)


def stop_all():
    procs, _state["procs"] = _state["procs"], []
    for p in reversed(procs):
        if p.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                p.send_signal(signal.SIGTERM)
    for p in reversed(procs):
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(p.pid, signal.SIGKILL)
            p.wait()
    while _state["ends"]:
        _state["ends"].pop()()


def need(*tools):
    for t in tools:
        if not shutil.which(t):
            raise Skip(f"{t} is not installed")


LEAST = ("bpf", "perfmon", "sys_ptrace", "dac_read_search", "checkpoint_restore")
NOBODY = 65534


def rights(*caps, user=None):
    """A command prefix: these capabilities and no others; as another user by way of the ambient set."""
    need("setpriv")
    text = ",".join(["-all", *("+" + c for c in caps)])
    if user is None:
        return ["setpriv", f"--bounding-set={text}", f"--inh-caps={text}"]
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", f"--inh-caps={text}", f"--ambient-caps={text}",
            f"--bounding-set={text}"]


def least_rights():
    """What the README calls the least set, as a user who owns nothing but this case's directory."""
    os.chown(workdir(), NOBODY, NOBODY)
    return rights(*LEAST, user=NOBODY)


def port_blocks():
    """Ports for one case after the other: below those that the kernel gives away, a block of its own for each that runs."""
    low = int(read("/proc/sys/net/ipv4/ip_local_port_range").split()[0])
    blocks = [range(p, p + PORTS) for p in range(PORTS_FROM, min(low, PORTS_TO) - PORTS + 1, PORTS)]
    begin = os.getpid() % len(blocks) if blocks else 0
    yield from itertools.cycle(blocks[begin:] + blocks[:begin] or [()])


def set_ports(block):
    _state["ports"] = iter(block)


def bound(host, port):
    """The port, if it can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        try:
            s.bind((host, port))
        except OSError as e:
            if not port or e.errno != errno.EADDRINUSE:
                raise
            return None
        return s.getsockname()[1]


def free_port(host="127.0.0.1"):
    """One that nobody else takes before it is used: of this case's block, where it has one."""
    return next((p for p in _state["ports"] if bound(host, p)), None) or bound(host, 0)


def start(argv, name, env=None, cwd=None, fds=()):
    e = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "SPANDREL_"))}
    e.update({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}, **(env or {}))
    with open(path(name + ".log"), "ab") as log:
        p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=e, cwd=cwd,
                             pass_fds=fds, start_new_session=True, preexec_fn=die_with_parent)
    remember(p)
    return p


def stop(proc):
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(10)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def wait_listening(addr, proc=None, log=None):
    """Ready when a connection is accepted. No bytes are sent: nothing for a tracer to see as a request."""
    end = time.monotonic() + READY
    while True:
        with socket.socket(family(addr)) as s:
            try:
                s.connect(addr)
                return
            except OSError as e:
                if proc is not None and proc.poll() is not None:
                    raise RuntimeError(f"server ended ({proc.returncode}): {read(log)}") from e
                if time.monotonic() > end:
                    raise RuntimeError(f"no answer at {addr}: {read(log)}") from e
        time.sleep(0.02)


def cpu_of(pid):
    """User and system seconds of a process."""
    f = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def read(p, mode="r"):
    try:
        with open(p, mode, **({} if "b" in mode else {"errors": "replace"})) as f:
            return f.read()
    except (OSError, TypeError):
        return ""


def family(addr):
    if isinstance(addr, (str, bytes)):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in addr[0] else socket.AF_INET


class Server:
    def __init__(self, proc, addr, name):
        self.proc, self.addr, self.name = proc, addr, name
        self.pid = proc.pid
        if not isinstance(addr, (str, bytes)):
            self.port = addr[1]
            host = f"[{addr[0]}]" if ":" in addr[0] else addr[0]
            self.url = f"http://{host}:{addr[1]}"
        else:
            self.port, self.url = None, "http://localhost"
        wait_listening(addr, proc, path(name + ".log"))

    def stop(self):
        stop(self.proc)


def python_app(script, *args, addr=None, name=None, env=None, python=PYTHON):
    """One of apps/*.py: its first argument is `host:port`, or a path with a slash."""
    name = name or script.removesuffix(".py")
    addr = addr or ("127.0.0.1", free_port())
    where = addr if isinstance(addr, str) else f"{addr[0]}:{addr[1]}"
    return Server(start([python, os.path.join(APPS, script), where, *args], name, env), addr, name)


def threading_server(addr=None, backend=None, name="web", env=None):
    """Python's ThreadingHTTPServer; /a/… calls backend's /b/… (apps/web.py)."""
    return python_app("web.py", *([backend] if backend else []), addr=addr, name=name, env=env)


def gunicorn(worker="sync", workers=1, threads=1, backend=None, addr=None, name="gunicorn", env=None):
    need("gunicorn")
    addr = addr or ("127.0.0.1", free_port())
    bind = "unix:" + addr if isinstance(addr, str) else f"{addr[0]}:{addr[1]}"
    argv = ["gunicorn", "--chdir", APPS, "-k", worker, "-w", workers, "--threads", threads, "-b", bind,
            "--worker-tmp-dir", workdir(), "--log-level", "warning", "--keep-alive", "5", "wsgi:app"]
    s = Server(start(argv, name, dict(env or {}, BACKEND=backend or "")), addr, name)
    time.sleep(0.3 if not wait_children(s.pid, workers) else 0)
    return s


def wait_children(pid, n):
    end = time.monotonic() + READY
    while time.monotonic() < end:
        if len(children(pid)) >= n:
            return True
        time.sleep(0.02)
    return False


def children(pid):
    out = []
    with contextlib.suppress(OSError):
        for t in os.listdir(f"/proc/{pid}/task"):
            out += [int(c) for c in read(f"/proc/{pid}/task/{t}/children").split()]
    return out


def node(script="node.js", *args, backend=None, name="node"):
    need("node")
    port = free_port()
    argv = ["node", os.path.join(APPS, script), port, backend or "", *args]
    return Server(start(argv, name), ("127.0.0.1", port), name)


NGINX = """
daemon off;
master_process {master};
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
	default_type text/plain;
	log_format spandrel '$msec $connection $status $request_method $request_uri';
	access_log {access};
	sendfile {sendfile};
	keepalive_requests 100000000;
	client_max_body_size 64m;
	large_client_header_buffers 8 72k;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	{upstream}
	server {{
{listen}
		root {dir}/html;
		{server}
		location = /ok {{ return 200 "ok\\n"; }}
		location = /empty {{ return 204; }}
		location = /moved {{ return 301 /ok; }}
{locations}
	}}
}}
"""


def nginx(proxy=None, unix=None, workers=1, access="off", sendfile="on", master="on", files=None, keepalive=False,
          locations="", addr=None, name="nginx", listen="", server=""):
    """proxy: 'http://host:port' or 'http://unix:/path' for everything else than /ok, /empty, /moved and files.
    listen: what follows the address; server: more directives."""
    need("nginx")
    addr = addr or ("127.0.0.1", free_port())
    d = path(name)
    os.makedirs(os.path.join(d, "html"), exist_ok=True)
    for f, data in (files or {}).items():
        with open(os.path.join(d, "html", f), "wb") as out:
            out.write(data)
    places = [f"[{addr[0]}]:{addr[1]}" if ":" in addr[0] else f"{addr[0]}:{addr[1]}"] + ([f"unix:{unix}"] if unix else [])
    upstream = ""
    if proxy and keepalive:
        upstream = f"upstream back {{ server {proxy.removeprefix('http://')}; keepalive 8; }}"
        locations += "location / { proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ''; }"
    elif proxy:
        locations += f"location / {{ proxy_pass {proxy}; proxy_set_header Host $host; }}"
    with open(os.path.join(d, "nginx.conf"), "w") as f:
        f.write(NGINX.format(dir=d, master=master, workers=workers, access=access, sendfile=sendfile, upstream=upstream,
                             user="user root;" if os.geteuid() == 0 else "", locations=locations,
                             server=server, listen="\n".join(f"\t\tlisten {a}{listen};" for a in places)))
    os.chmod(d, 0o755)
    p = start(["nginx", "-p", d, "-c", os.path.join(d, "nginx.conf"), "-e", os.path.join(d, "error.log")], name)
    s = Server(p, addr, name)
    s.dir, s.unix, s.log = d, unix, os.path.join(d, "access.log")
    return s


def nginx_log(d):
    return f"{d}/access.log spandrel"


def tool(argv, timeout=60, env=None, stdin=None, ok=True):
    r = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, env=env,
                       preexec_fn=die_with_parent)
    assert not ok or r.returncode == 0, f"{argv}: {r.returncode} {r.stderr.decode(errors='replace')}"
    r.text = r.stdout.decode(errors="replace")
    return r


CURL_OUT = '\\n{"code":%{http_code},"lport":%{local_port},"rport":%{remote_port}}'


def curl(url, *args, binary="curl", ok=True, env=None):
    """(answer as text, {"code", "lport", "rport"})."""
    need("curl")
    r = tool([binary, "-sS", "-w", CURL_OUT, "--max-time", "30", *args, url], ok=ok, env=env)
    body, _, info = r.text.rpartition("\n")
    info = json.loads(info) if info.startswith("{") else {}
    info["exit"] = r.returncode
    return body, info


class Fork:
    """Runs fn(*args) in a process of its own; result() is what it returned (as JSON)."""

    def __init__(self, fn, *args, session=True):
        r, w = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(fn, args, r, w, session)
        os.close(w)
        self.pipe, self.returncode, self.args = r, None, "fork"
        remember(self)

    @staticmethod
    def _child(fn, args, r, w, session):
        status = 1
        try:
            die_with_parent()
            if session:
                os.setsid()
            os.close(r)
            _state["procs"], _state["ends"] = [], []
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            out = json.dumps(fn(*args)).encode()
            while out:
                out = out[os.write(w, out):]
            status = 0
        except BaseException as e:  # noqa: the parent must learn of it, whatever it is
            import traceback
            traceback.print_exc()
            print("# in a forked part:", repr(e), flush=True)
        finally:
            os._exit(status)

    def result(self):
        data = b""
        while True:
            b = os.read(self.pipe, 65536)
            if not b:
                break
            data += b
        self.wait(READY)
        assert self.returncode == 0, f"forked part ended with {self.returncode}"
        return json.loads(data)

    # as subprocess.Popen, for stop_all()
    def poll(self):
        if self.returncode is None:
            try:
                pid, st = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, st = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(st)
        return self.returncode

    def wait(self, timeout=None):
        end = time.monotonic() + (timeout or READY)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("fork", timeout)
            time.sleep(0.002)
        return self.returncode

    def send_signal(self, sig):
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def parallel(fn, items):
    """fn(item) in a thread each; results in order; the first exception is raised."""
    items = list(items)
    out, errors = [None] * len(items), []

    def one(i):
        try:
            out[i] = fn(items[i])
        except BaseException as e:  # noqa
            errors.append(e)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(items))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return out
