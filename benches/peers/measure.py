"""Runs one process and says what it took."""
import os
import pathlib
import signal
import subprocess
import threading
import time


def run(command, log, timeout_s, **environment):
    """Wall seconds, CPU seconds and peak memory of `command` and its children, with its output in the file `log`, and
    the CPU seconds that others on the machine took meanwhile.

    The peak is the kernel's own figure for the largest process of the tree. It never reads less than this process was
    when it started the other (some 20 MB), which is why run.py itself imports nothing large.
    """
    late = threading.Event()
    busy = _busy_s()
    with open(log, "wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True, env=os.environ | environment)

        def kill():
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(timeout_s, kill)
        timer.start()
        _first_to_go(process.pid)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
        except KeyboardInterrupt:
            kill()
            raise
        finally:
            timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return {"wall_s": round(wall, 4), "cpu_s": round(cpu, 3), "peak_mb": round(usage.ru_maxrss / 1024, 1),
            "others_cpu_s": round(max(0.0, _busy_s() - busy - cpu), 2),
            "status": _status(process.returncode, late.is_set(), timeout_s, log)}


def _busy_s():
    """CPU seconds of all processes since the machine started, what a hypervisor took away included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _first_to_go(pid):
    """If memory runs out the kernel shall end the measured process, not another of the machine."""
    try:
        pathlib.Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    except OSError:
        pass


def _status(code, late, timeout_s, log):
    if code == 0:
        return "ok"
    if late:
        return f"no answer within {timeout_s} s"
    text = pathlib.Path(log).read_text(errors="replace").lower()
    if "out of memory" in text or "memory limit" in text or "resources exhausted" in text:
        return "out of memory"
    if code == -signal.SIGKILL:
        return "killed, most likely for memory"
    return f"failed, exit status {code}"


def warm(paths):
    """Reads files once, so that every contender finds its input in the page cache, as far as memory holds it."""
    buffer = bytearray(16 << 20)
    for path in paths:
        for file in ([path] if path.is_file() else sorted(path.rglob("*"))):
            if file.is_file():
                with open(file, "rb", buffering=0) as source:
                    while source.readinto(buffer):
                        pass


def size(path):
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def machine():
    """CPU model, cores and memory, from the kernel."""
    models = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    memory_kb = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    return {"cpu": models[0] if models else "unknown CPU", "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory_kb / 2**20, 1), "system": f"{os.uname().sysname} {os.uname().machine}"}
