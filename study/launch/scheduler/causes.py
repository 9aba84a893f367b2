"""Why a worker died, in words."""

import signal

from study.launch.display import duration
from study.launch.scheduler.worker_pool import Died

HINTS = {
    signal.SIGKILL: "out of memory?",
    signal.SIGBUS: "a data file was cut short, or a disk is full?",
    signal.SIGSEGV: "a fault in a library: its log says where",
    signal.SIGXFSZ: "a file grew beyond a limit",
}


def cause_of(death: Died) -> str:
    """Say what ended a worker: a signal, an exception that it printed last, or that it hung and was killed."""
    if death.silent is not None:
        return f"its worker gave no sign of life for {duration(death.silent)} and was killed"
    if death.exit_code is not None and death.exit_code < 0:
        try:
            name = signal.Signals(-death.exit_code)
        except ValueError:
            return f"its worker was killed by signal {-death.exit_code}"
        hint = f" ({HINTS[name]})" if name in HINTS else ""
        return f"its worker was killed by {name.name}{hint}"
    if death.exit_code is None:
        said = " ".join(death.log.strip().splitlines()[-1:])
        return "its worker was lost" + (f": {said}" if said else ", with its node or its connection")
    last = death.log.strip().splitlines()[-1:] if death.exit_code else []
    return f"its worker ended with exit code {death.exit_code}" + (f": {last[0]}" if last else "")
