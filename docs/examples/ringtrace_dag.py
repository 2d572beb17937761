"""ringtrace every night under Airflow 3, or Airflow 2.4 and newer.

night      runs the night; a held night (status 3) is no failure here
approval   waits for the approval file if the night is held, without taking a worker slot
publish    runs the night again if it was held; what needs the results goes after it

Status 0 is success, 1 success with a warning, 3 a wait for two people. 4, 5 and 130 are tried again. 2, 6 and any other
fail at once: trying again would not help. The message of a failed task holds what ringtrace said, its help included.
docs/operations.md says what to do on each.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.timetables.interval import CronDataIntervalTimetable

try:
    from airflow.sdk import DAG, Param, PokeReturnValue, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models.param import Param
    from airflow.sensors.base import PokeReturnValue
try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2 and 3.0
    from airflow.exceptions import AirflowException, AirflowFailException

PROGRAM = os.environ.get("RINGTRACE_PROGRAM", "/usr/local/bin/ringtrace")
FOLDER = Path(os.environ.get("RINGTRACE_FOLDER", "/var/lib/ringtrace"))
METRICS = os.environ.get("RINGTRACE_METRICS", "/var/lib/node_exporter/textfile/ringtrace.prom")
# As time_zone in ringtrace.toml.
ZONE = "Asia/Shanghai"

DONE, MANY_REJECTS, HELD = 0, 1, 3
# Locked, storage, interrupted: these pass by themselves.
MAY_PASS = (4, 5, 130)

log = logging.getLogger(__name__)


def date_of(params: dict, data_interval_start: datetime | None) -> str:
    """The night: the parameter, else the local day on which the data interval starts.

    Not the template `ds`: that is a date in UTC, in zones east of it the day before.
    """
    if params.get("date"):
        return params["date"]
    if data_interval_start is None:
        raise AirflowFailException("this run has no data interval: trigger it with the parameter date")
    return data_interval_start.astimezone(ZoneInfo(ZONE)).date().isoformat()


def run_night(date: str) -> tuple[int, str]:
    """Exit status, and the last lines of what was said. It names no person."""
    command = [PROGRAM, "run", "--config", str(FOLDER / "ringtrace.toml"), "--date", date, "--metrics", METRICS]
    said: deque[str] = deque(maxlen=20)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout:
                log.info("%s", line.rstrip())
                said.append(line.rstrip())
            status = process.wait()
        except BaseException:
            # The task is being ended: an interrupt lets ringtrace clear what is unfinished.
            process.send_signal(signal.SIGINT)
            raise
    return status, "\n".join(said)


def is_held(date: str) -> bool:
    """Runs the night; raises unless it is published or held."""
    status, said = run_night(date)
    if status == DONE:
        return False
    if status == MANY_REJECTS:
        log.warning("the night of %s is published, with more rejects than the limit: see rejects.parquet", date)
        return False
    if status == HELD:
        log.warning("the night of %s is held until two people approve it:\n%s", date, said)
        return True
    message = f"ringtrace ended with status {status} for the night of {date}:\n{said}"
    raise AirflowException(message) if status in MAY_PASS else AirflowFailException(message)


with DAG(
    dag_id="ringtrace",
    description="Contacts of cases, and changes of the health code, every night",
    # Each run is about one interval, 03:15 to 03:15, and starts at its end; the night is the day it starts on. A plain cron
    # text would do the same in Airflow 2, but in Airflow 3 it gives runs without an interval.
    schedule=CronDataIntervalTimetable("15 3 * * *", timezone=ZONE),
    start_date=datetime(2022, 1, 1, tzinfo=ZoneInfo(ZONE)),
    # Changes are counted from the last published night, so nights that were missed need not be made up for.
    catchup=False,
    # Nights go one after the other; the next waits while one is held.
    max_active_runs=1,
    params={"date": Param(None, type=["null", "string"], format="date", description="the night, if not the last")},
    doc_md=__doc__,
) as dag:

    @task(retries=3, retry_delay=timedelta(minutes=15), execution_timeout=timedelta(hours=6))
    def night(params=None, data_interval_start=None) -> bool:
        return is_held(date_of(params, data_interval_start))

    # Ends before the next night is due. When the time is over it fails, and the next night counts from the last
    # that was published.
    @task.sensor(mode="reschedule", poke_interval=300, timeout=20 * 3600)
    def approval(held: bool, params=None, data_interval_start=None) -> PokeReturnValue:
        date = date_of(params, data_interval_start)
        file = FOLDER / "approvals" / f"{date}.toml"
        if held and not file.exists():
            log.warning("held: look at %s; the log of the task night says how to approve it", FOLDER / "runs/held" / date)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=held)

    @task(retries=3, retry_delay=timedelta(minutes=15), execution_timeout=timedelta(hours=6))
    def publish(held: bool, params=None, data_interval_start=None) -> None:
        date = date_of(params, data_interval_start)
        if held and is_held(date):
            raise AirflowFailException(f"the night of {date} is still held: its approval file is gone")

    publish(approval(night()))
