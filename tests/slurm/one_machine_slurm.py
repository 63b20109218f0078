"""A real Slurm of two nodes on this machine, in a folder of its own, for tests.

Needs root and the Debian packages slurm-wlm and munge. Nothing of it outlives stop().
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time


def missing() -> str:
    """Why it cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("slurmctld", "slurmd", "sbatch", "munged", "mungekey"):
        if shutil.which(program) is None and not pathlib.Path("/usr/sbin", program).exists():
            return f"{program} is not installed"
    return ""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


class Slurm:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": os.environ["PATH"] + ":/usr/sbin"}
        self.own_munge = False

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start_munge()
        host = socket.gethostname().split(".")[0]
        ports = [free_port() for _ in range(3)]
        nodes = "\n".join(
            f"NodeName=n{n} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[n]} CPUs=2 RealMemory=4000" for n in (1, 2))
        (self.folder / "slurm.conf").write_text(f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={self.munge_socket}
SlurmUser=root
SlurmdUser=root
StateSaveLocation={self.folder}/state
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmdSpoolDir={self.folder}/%n
SlurmdPidFile={self.folder}/%n.pid
SlurmdLogFile={self.folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
SlurmdTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=300
JobRequeue=1
{nodes}
PartitionName=all Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
""")
        (self.folder / "state").mkdir(exist_ok=True)
        self._run("slurmctld")
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait_for(lambda: self.output("sinfo", "--noheader", "--states=idle", "--format=%D").split() == ["2"], 60, "idle nodes")

    def start_node(self, node: str) -> None:
        (self.folder / node).mkdir(exist_ok=True)
        self._run("slurmd", "-N", node)

    def lose_node(self, node: str) -> None:
        """As if the machine lost its power: the daemon and everything that it started is gone, and tells nobody."""
        processes = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
        jobs = [process for process in processes if self._environment(process).get("SLURMD_NODENAME") == node]
        steps = {parent for parent in map(self._parent, jobs) if "slurmstepd" in self._name(parent)}
        daemon = self.folder / f"{node}.pid"
        for process in [int(daemon.read_text()), *steps, *jobs]:
            self._kill(process)
        daemon.unlink()

    def stop(self) -> None:
        for name in ("n1", "n2", "slurmctld"):
            file = self.folder / f"{name}.pid"
            if file.exists():
                self._end(int(file.read_text()))
        if self.own_munge:
            self._end(int((self.folder / "munged.pid").read_text()))

    @contextlib.contextmanager
    def first_in_path(self, folder: pathlib.Path):
        """Programs in `folder` go before all others of their names, also for jobs submitted meanwhile."""
        path = self.environment["PATH"]
        self.environment["PATH"] = f"{folder}:{path}"
        try:
            yield
        finally:
            self.environment["PATH"] = path

    def output(self, *command: str) -> str:
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def wait_for(self, condition, seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} after {seconds} s; {self.folder} has the logs")
            time.sleep(0.2)

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def _start_munge(self) -> None:
        """A munged of our own, so that nothing of the machine's is touched."""
        self.munge_socket = self.folder / "munge.socket"
        key = self.folder / "munge.key"
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], env=self.environment, check=True)
        subprocess.run(["munged", "--force", f"--socket={self.munge_socket}", f"--key-file={key}", f"--pid-file={self.folder}/munged.pid",
                        f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed"],
                       env=self.environment, check=True, capture_output=True)
        self.own_munge = True

    @staticmethod
    def _read(process: int, file: str) -> str:
        try:
            return pathlib.Path(f"/proc/{process}/{file}").read_text(errors="replace")
        except OSError:  # ended meanwhile
            return ""

    @classmethod
    def _environment(cls, process: int) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in cls._read(process, "environ").split("\0") if "=" in entry)

    @classmethod
    def _parent(cls, process: int) -> int:
        fields = cls._read(process, "stat").rpartition(")")[2].split()
        return int(fields[1]) if fields else 0

    @classmethod
    def _name(cls, process: int) -> str:
        return cls._read(process, "cmdline") + cls._read(process, "comm")

    @classmethod
    def _end(cls, process: int) -> None:
        """Asks it to end and waits until it has, so that it writes nothing more."""
        cls._kill(process, signal.SIGTERM)
        end = time.monotonic() + 10
        while pathlib.Path(f"/proc/{process}").exists() and time.monotonic() < end:
            time.sleep(0.05)

    @staticmethod
    def _kill(process: int, with_signal: int = signal.SIGKILL) -> None:
        try:
            os.kill(process, with_signal)
        except ProcessLookupError:
            pass
