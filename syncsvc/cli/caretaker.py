"""Supervisor, run inside `syncsvc up`: it starts, watches and stops; we say on the terminal what it does."""

from pathlib import Path
from typing import Any

from rich.console import Console
from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.supervisord import Supervisor

_KILLED = -1  # how supervisor says that a signal ended a process


def supervise(configuration: Path, state_dir: Path, *, web: str, flower: str) -> None:
    """Run every program of the configuration until SIGINT, SIGTERM or SIGHUP; returns when all have ended."""
    options = ServerOptions()
    options.realize(["-c", str(configuration)])
    options.first, options.test = True, False
    teller = Teller(state_dir, {"web": web, "flower": flower})
    try:
        _Supervisor(options, teller).main()
    except asyncore.ExitNow:
        pass
    finally:
        options.close_logger()
        teller.forget_all()


class _Supervisor(Supervisor):  # type: ignore[misc]  # supervisor has no types
    def __init__(self, options: Any, teller: "Teller") -> None:
        super().__init__(options)
        self._teller = teller

    def runforever(self) -> None:
        self._teller.listen()  # here, because `run` forgets earlier listeners
        super().runforever()


class Teller:
    """Tells the operator what becomes of the children, and keeps a file with each one's process id."""

    def __init__(self, state_dir: Path, addresses: dict[str, str]) -> None:
        self._log, self._run = state_dir / "log", state_dir / "run"
        self._addresses = addresses
        self._console = Console(highlight=False, soft_wrap=True)
        self._stopping = False

    def listen(self) -> None:
        events.subscribe(events.ProcessStateRunningEvent, self._running)
        events.subscribe(events.ProcessStateExitedEvent, self._exited)
        events.subscribe(events.ProcessStateBackoffEvent, self._backoff)
        events.subscribe(events.ProcessStateStoppedEvent, self._stopped)
        events.subscribe(events.SupervisorStoppingEvent, self._end)
        self._console.print(f"starting; logs are in {self._log}; Ctrl-C stops everything")

    def forget_all(self) -> None:
        for file in self._run.glob("*.pid"):
            file.unlink()
        self._console.print("everything is stopped")

    def _running(self, event: Any) -> None:
        name = event.process.config.name
        self._console.print(f"[green]up[/]       {name}  {self._addresses.get(name, '')}".rstrip())
        self._pid_file(event).write_text(str(event.process.pid))

    def _exited(self, event: Any) -> None:
        self._pid_file(event).unlink(missing_ok=True)
        if not self._stopping:
            code = event.process.exitstatus
            how = "was killed" if code == _KILLED else f"ended with {code}"
            self._console.print(f"[yellow]died[/]     {event.process.config.name}  ({how}); starting it again")

    def _backoff(self, event: Any) -> None:
        name = event.process.config.name
        self._console.print(f"[red]failed[/]   {name}  {self._last_line(name)}; trying again")

    def _stopped(self, event: Any) -> None:
        self._console.print(f"stopped  {event.process.config.name}")

    def _end(self, _event: Any) -> None:
        self._stopping = True
        self._console.print("stopping; a worker finishes what it has begun")

    def _pid_file(self, event: Any) -> Path:
        return self._run / f"{event.process.config.name}.pid"

    def _last_line(self, name: str) -> str:
        file = self._log / f"{name}.log"
        try:
            with file.open("rb") as log:
                log.seek(max(0, file.stat().st_size - 4000))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300].replace("[", r"\[") if lines else f"see {file}"
