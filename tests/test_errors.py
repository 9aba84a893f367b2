"""Secrets in addresses are neither printed nor stored, in whatever form they stand there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from study.errors import StudyError, without_passwords

SECRET = "s3cr3t"
FORMS = (
    f"postgresql+psycopg2://study:{SECRET}@127.0.0.1:1/db",
    f"postgresql+psycopg2://study:pa/{SECRET}@127.0.0.1:1/db",
    f"postgresql+psycopg2://127.0.0.1:1/db?user=bob&password={SECRET}",
    f"http://bob:{SECRET}@127.0.0.1:1",
    f"http://{SECRET}@127.0.0.1:1",
    f"http://127.0.0.1:1/?access_token={SECRET}&x=1",
)
"""At a port where nobody answers."""
ODD = (
    f"postgresql://study:{SECRET}@x@{SECRET}@host/db",
    f"postgresql://study:with a {SECRET} blank@host/db",
    f"postgresql://:5432{SECRET}@host/db",
    f"postgresql://:5432/{SECRET}@host/db",
    f"postgresql://a@b:{SECRET}@host/db",
    f"postgresql://study:{SECRET}'\"@[::1]:5432/db",
    f"mysql+pymysql://host/db?ssl_key=a&PASSWD={SECRET}",
    f"mssql+pyodbc:///?odbc_connect=DRIVER%3DSQL%3BPWD%3D{SECRET}",
    f"https://bucket.s3.amazonaws.com/a?X-Amz-Signature={SECRET}",
    f"HTTPS://{SECRET}:x-oauth-basic@host/repository.git",
)
PLAIN = (
    "http://mlflow:5000/#/experiments/1",
    "http://mlflow:5000, or ask me@example.org",
    "postgresql+psycopg2://study@host:5432/db and me@example.org",
    "sqlite:////home/a@b/c:d/mlflow.db",
    "s3://bucket/a:b@c",
    "lr: [0.1]  # ask me@example.org: http://[::1]:5000/",
)


@pytest.mark.parametrize(
    "around", ["{}", 'recipe: 1\nstorage: "{}"\nseed: 2', "study run --set 'tune.storage={}' -q", "at {}: no"]
)
@pytest.mark.parametrize("address", [*FORMS, *ODD])
def test_no_secret_is_left(address: str, around: str) -> None:
    masked = without_passwords(around.format(address))
    assert SECRET not in masked
    assert "***" in masked
    assert without_passwords(masked) == masked
    before, after = around.split("{}")
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert SECRET not in str(StudyError(around.format(address)))


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_passwords(text) == text


@given(
    user=st.text("ab@:/ 1", min_size=1),
    password=st.text("ab@:/? &#'1%", max_size=9).map(lambda text: f"<{text}>"),
    query=st.sampled_from(["sslpassword", "password", "auth_token", "sslmode"]),
    port=st.none() | st.integers(1, 65535),
)
def test_as_sqlalchemy_reads_an_address(user: str, password: str, query: str, port: int | None) -> None:
    """What is left is the same address, but for the secrets."""
    address = URL.create("postgresql", user, password, "host", port, "db", {query: password})
    masked = make_url(without_passwords(address.render_as_string(hide_password=False)))
    assert masked.password == "***"
    assert masked.query[query] == (password if query == "sslmode" else "***")
    assert masked.set(password=password, query=address.query) == address
