from tests.report.conftest import digits, paper

__all__ = ["digits", "paper"]
