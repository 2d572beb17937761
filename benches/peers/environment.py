"""The Python environment of the peers, made once from requirements.txt and used again while that stays the same."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE / "work"


def python(folder, optional=False):
    """The interpreter of the environment in `folder`, which is made or brought up to date first."""
    files = [HERE / "requirements.txt"] + ([HERE / "requirements-optional.txt"] if optional else [])
    wanted = "".join(file.read_text() for file in files)
    interpreter, note = folder / "bin" / "python", folder / "requirements.txt"
    have = note.read_text() if note.exists() else ""
    # The optional peers do no harm to a run without them, so an environment that has them is kept.
    if not have.startswith(wanted):
        print(f"environment: {', '.join(file.name for file in files)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(pip + [part for file in files for part in ("-r", file)], check=True, stdout=sys.stderr)
        note.write_text(wanted)
    return str(interpreter)


def inside(module, folder):
    """Starts the running script again in the environment, unless this interpreter already has `module`."""
    if importlib.util.find_spec(module) is None:
        interpreter = python(folder)
        os.execv(interpreter, [interpreter, *sys.argv])


def versions(interpreter, packages):
    """Installed versions, asked of the interpreter that runs the peers; absent packages are left out."""
    code = """
import importlib.metadata as installed, json, sys
have = {found.name.lower(): found.version for found in installed.distributions()}
print(json.dumps({name: have[name] for name in sys.argv[1:] if name in have}))"""
    return json.loads(subprocess.run([interpreter, "-c", code, *packages], check=True, capture_output=True).stdout)
