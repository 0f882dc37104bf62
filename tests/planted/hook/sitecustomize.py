"""Python imports this at every start where this folder is on PYTHONPATH: so child processes have the defect too."""

from tests.planted.planting import plant

plant()
