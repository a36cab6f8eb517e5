"""What is secret in URLs and commands, and what is known by value."""

from __future__ import annotations

import time

import pytest

from pytest_embedqa.core import secrets
from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.secrets import (
    hide,
    hide_given,
    holds_secret,
    is_public,
    is_secret_name,
    public_command,
    public_url,
    redacted,
)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    """What is hidden here is hidden for one test."""
    monkeypatch.setattr(secrets, "_known", set())


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("http://me:s@h:8000/v1/@cf/x", "http://***@h:8000/v1/@cf/x"),
        ("https://token@h/v1?key=a", "https://***@h/v1?key=***"),
        ("http://h/v1?api_key=a&X-Amz-Signature=b&empty=", "http://h/v1?api_key=***&X-Amz-Signature=***&empty="),
        ("http://h/v1#access_token=a", "http://h/v1#access_token=***"),
        ("/login?ticket=", "/login?ticket="),
        # What can't be right: all before the last @ may be a password.
        ("http://me:pa/ss?wo#rd@h/v1", "http://***@h/v1"),
        ("me:s@h/v1", "***@h/v1"),
        ("http://me:s@[::1/v1", "http://***@[::1/v1"),
        ("", ""),
    ],
)
def test_userinfo_and_query_are_taken_out_of_urls(url, seen):
    """The rest is as it was; short secrets too."""
    assert public_url(url) == seen
    assert public_url(seen) == seen


def test_urls_that_ask_for_other_things_stay_two():
    """A value whose name is none of a secret is told by its digest, and a renewed key changes nothing."""
    first, second = (public_url(f"http://h/v1?api-version={number}&key={number}") for number in (1, 2))
    assert first != second
    assert first.partition("~")[0] == "http://h/v1?api-version="
    assert public_url("http://h/v1?key=1") == public_url("http://h/v1?key=2")
    assert public_url("http://h/v1?bare-secret").startswith("http://h/v1?~")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("/opt/bin/vllm serve m --api-key K --port {port}", "vllm"),
        ("API_KEY=K vllm serve", "API_KEY"),
        ("env K=1 python server.py 'an open quote", "env"),
        (r"'C:\Program Files\server.exe' {port}", "server.exe"),
        ("", ""),
    ],
)
def test_commands_are_told_by_program_and_digest(command, program):
    """Of a command nothing else is shown."""
    name, _, digest = public_command(command).partition("~")
    assert name == program
    assert len(digest) == 8
    assert is_public(public_command(command))


def test_commands_are_the_same_while_only_a_key_is_renewed():
    """Whatever way it is given; all else makes another command."""
    for form in (
        "serve --api-key {}",
        "serve --api-key={} -x",
        "env HF_TOKEN={} serve",
        "serve http://me:{}@h/",
        "x -H 'Authorization: Bearer {}'",
    ):
        assert public_command(form.format("first-1")) == public_command(form.format("second-2"))
    assert public_command("serve --dtype half") != public_command("serve --dtype float")


@pytest.mark.parametrize(
    "text",
    [
        "serve --api-key {}",
        "serve --api-key={}",
        "serve --api-key '{}'",
        "env HF_TOKEN={} serve",
        'serve --config {{"api_key": "{}"}}',
        "curl -H 'Authorization: Bearer {}' -H x",
        "http://me:{}@h/v1",
        "http://{}@h/v1",
        "http://h/v1?api_key={}&x=1",
    ],
)
def test_secrets_of_commands_and_urls_are_known_by_value(text):
    """A log may quote them."""
    secret = f"s3cret-of-{abs(hash(text))}"
    assert holds_secret(text.format(secret))
    hide_given(text.format(secret))
    assert redacted(f"<{secret}>") == "<***>"
    assert str(EmbedQAError(f"<{secret}>")) == "<***>"


@pytest.mark.parametrize(
    "text", ["vllm serve m --max-tokens 512 --port {port}", "st:org/monkey?query_prompt=task: x", "http://h/v1?x=1"]
)
def test_what_holds_no_secret(text):
    """Words that look alike are left."""
    assert not holds_secret(text)


def test_names_of_secrets():
    """By their last word."""
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "password", "X-Api-Key", "Authorization", "sig", "MYSQL_PWD", "apikey"):
        assert is_secret_name(name)
    for name in ("PWD", "OLDPWD", "key_env", "request_tokens", "batch_tokens", "tokenizer", "version"):
        assert not is_secret_name(name)


def test_secrets_are_known_as_they_are_written():
    """In a URL, in JSON and in Python's own form; without the line break of a file that it came from."""
    hide('p"a/s s\\wörd1\n')
    for written in (
        'p"a/s s\\wörd1',
        "p%22a%2Fs%20s%5Cw%C3%B6rd1",
        "p%22a/s%20s%5Cw%C3%B6rd1",
        'p\\"a/s s\\\\w\\u00f6rd1',
        r'p"a/s s\\wörd1',
    ):
        assert redacted(f"<{written}>") == "<***>"


def test_parts_of_secrets_beside_a_cut_are_taken_out():
    """pytest shows long values as their beginning and end."""
    hide("abcdefgh-of-a-cut-0123")
    assert redacted("x='abcdefgh-of-...t-0123' … abcdefgh…") == "x='***...***' … ***…"
    assert redacted("abc... 123") == "abc... 123"


def test_texts_with_many_cuts_take_no_time():
    """A test may print a megabyte of dots, as a table of contents has them: a run does not stand still for that."""
    hide("of-production-12345")
    text = "12.1 A chapter ............ 7 of-pro... ...12345\n" * 20_000
    began = time.process_time()
    assert redacted(text) == text.replace("of-pro", "***").replace("12345", "***")
    assert time.process_time() - began < 5


def test_secrets_of_digits_are_no_parts_of_numbers():
    """A key that is a number is taken out where it stands alone; the figures of a report stay what they are."""
    hide("123456")
    assert redacted("0.123456, 1234567, 9123456, 12.123456") == "0.123456, 1234567, 9123456, 12.123456"
    assert redacted("key=123456. A123456, '123456'") == "key=***. A***, '***'"


@pytest.mark.parametrize(
    ("secret", "is_taken"), [("a", 0), ("none", 0), ("EMPTY", 0), ("ollama", 0), ("hunter2", 1), ("a-secret", 1)]
)
def test_words_that_are_no_secrets_stay(secret, is_taken):
    """A key that is a short word would turn each text that has the word into stars."""
    hide(secret)
    assert redacted(f"it is {secret}") == ("it is ***" if is_taken else f"it is {secret}")
