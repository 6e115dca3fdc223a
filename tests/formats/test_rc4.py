import hashlib
import subprocess
import sys

import pytest
from Crypto.Cipher import ARC4
from hypothesis import given
from hypothesis import strategies as st

from exporter.formats.rc4 import KEY, Decryptor, decrypt

CACHED = 4 << 20


def test_the_key_is_the_published_one():
    assert hashlib.sha256(KEY).hexdigest() == "7331fc5cdfcdb24d92d3ae171ce24d888566b0f16a741ba5dee8f997c3e1905c"


@pytest.mark.parametrize(
    "size", [0, 1, 60, 1 << 10, (1 << 10) + 1, 1 << 16, (1 << 16) + 1, CACHED - 1, CACHED, CACHED + 1, CACHED + 100_000]
)
def test_a_piece_of_any_length_decrypts_as_rc4_does(size):
    piece = bytes(range(256)) * (size // 256 + 1)
    assert decrypt(piece[:size]) == ARC4.new(KEY).decrypt(piece[:size])


@given(st.lists(st.binary(max_size=2000), max_size=8))
def test_blocks_of_any_length_decrypt_as_the_whole_does(blocks):
    decryptor = Decryptor()
    assert b"".join(map(decryptor.update, blocks)) == decrypt(b"".join(blocks))


@pytest.mark.parametrize("size", [(1 << 20) - 1, 3_000_000, CACHED, CACHED + 3])
def test_blocks_go_on_beyond_the_kept_key_stream(size):
    whole = bytes(3 * CACHED)
    decryptor = Decryptor()
    plain = b"".join(decryptor.update(whole[at : at + size]) for at in range(0, len(whole), size))
    assert plain == ARC4.new(KEY).decrypt(whole)


def test_the_cipher_is_imported_only_when_it_is_used():
    code = "import sys, exporter.collectors.quarantine; print('Crypto' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
