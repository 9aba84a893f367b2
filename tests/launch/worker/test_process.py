import subprocess
import sys


def test_a_worker_starts_without_what_only_the_launcher_needs() -> None:
    code = (
        "import study.launch.worker.process, study.launch.worker.rank_process, study.data, study.train, sys\n"
        "print([m for m in ('mlflow', 'optuna', 'torchvision', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
