"""The verifier believes what is true, and nothing else; others' implementations are the judge."""

import ast
import base64
import contextlib
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.custody import verifier
from agent.custody.verifier import (
    COSIGNATURE,
    Head,
    Invalid,
    Key,
    Note,
    Proof,
    Signature,
    cosigned,
    ed25519_verify,
    leaf_hash,
    node_hash,
)

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SECRET.public_key().public_bytes_raw()
KEY = Key("station/a", PUBLIC)
WITNESS = Key("station/b", PUBLIC, COSIGNATURE)
ORDER = 2**252 + 27742317777372353535851937790883648493

#: RFC 8032, 7.1: public key, message, signature
RFC8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]
#: Of C2SP signed-note: a key, and what it signed
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1"
    "ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def signed(text: str, *more: Signature) -> Note:
    return Note(text, (Signature(KEY.name, KEY.id, SECRET.sign(text.encode())), *more))


def countersigned(text: str, at: int = 1_700_000_000) -> Signature:
    return Signature(WITNESS.name, WITNESS.id, at.to_bytes(8, "big") + SECRET.sign(cosigned(text, at)))


HEAD = Head("station/a/1", 2, node_hash(leaf_hash(b"one"), leaf_hash(b"two")))
PROOF = Proof(1, (leaf_hash(b"one"),), signed(HEAD.text))


def test_the_verifier_needs_the_standard_library_alone() -> None:
    assert verifier.__file__ is not None
    for node in ast.walk(ast.parse(Path(verifier.__file__).read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.module.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize(("public", "message", "signature"), RFC8032)
def test_ed25519_is_the_rfcs(public: str, message: str, signature: str) -> None:
    key, text, sig = map(bytes.fromhex, (public, message, signature))
    assert ed25519_verify(key, text, sig)
    assert not ed25519_verify(key, text + b"x", sig)
    for bit in range(512):
        wrong = (int.from_bytes(sig, "big") ^ 1 << bit).to_bytes(64, "big")
        assert not ed25519_verify(key, text, wrong)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(), st.integers(0, 511), st.integers(0, 255))
def test_ed25519_judges_as_cryptography_does(secret: bytes, message: bytes, bit: int, other: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519_verify(public, message, signature)
    wrong = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not ed25519_verify(public, message, wrong)
    bent = (int.from_bytes(public, "big") ^ 1 << other).to_bytes(32, "big")
    try:
        Ed25519PublicKey.from_public_bytes(bent).verify(signature, message)
    except (InvalidSignature, ValueError):
        assert not ed25519_verify(bent, message, signature)


def test_a_signature_has_one_form() -> None:
    signature = SECRET.sign(b"m")
    more = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519_verify(PUBLIC, b"m", signature[:32] + more.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "public",
    [
        bytes(32),  # y = 0: of order four
        b"\1" + bytes(31),  # zero itself
        b"\1" + bytes(30) + b"\x80",  # zero with the sign that it does not have
        b"\xec" + b"\xff" * 30 + b"\x7f",  # of order two
        b"\xed" + b"\xff" * 30 + b"\x7f",  # y = p: another way to write zero
        b"\xff" * 32,
        b"\2" + bytes(31),  # on no point of the curve
        b"short",
    ],
)
def test_a_key_that_would_sign_anything_is_none(public: bytes) -> None:
    zero = b"\1" + bytes(31) + bytes(32)
    assert not ed25519_verify(public, b"anything", zero)


def test_a_note_of_another_maker_is_read_and_believed() -> None:
    key, note = Key.parse(C2SP_KEY), Note.parse(C2SP_NOTE)
    assert key.vkey == C2SP_KEY
    assert note.check([key]) == [key]
    assert note.data == C2SP_NOTE
    with pytest.raises(Invalid, match="altered"):
        Note.parse(C2SP_NOTE.replace(b"example message", b"example massage")).check([key])


def test_signatures_of_strangers_count_for_nothing_and_spoil_nothing() -> None:
    text = HEAD.text
    stranger = Signature("station/z", KEY.id, bytes(64))
    namesake = Signature(KEY.name, b"\0\0\0\0", bytes(64))
    assert signed(text, stranger, namesake).check([KEY]) == [KEY]
    for unknown in (Note(text, (stranger, namesake)), signed(text)):
        with pytest.raises(Invalid, match="none of the known keys"):
            unknown.check([Key("station/a", bytes(range(32)))])


def test_one_false_signature_of_a_known_key_spoils_the_note() -> None:
    text = HEAD.text
    both = signed(text, countersigned(text))
    assert both.check([KEY, WITNESS]) == [KEY, WITNESS]
    false = Signature(WITNESS.name, WITNESS.id, countersigned(text).data[:-1] + b"\0")
    assert signed(text, false).check([KEY]) == [KEY]
    with pytest.raises(Invalid, match="station/b"):
        signed(text, false).check([KEY, WITNESS])


def test_a_countersignature_tells_its_time_and_signs_it() -> None:
    note = signed(HEAD.text, countersigned(HEAD.text, 1_700_000_000))
    assert cosigned(HEAD.text, 1_700_000_000).startswith(b"cosignature/v1\ntime 1700000000\nstation/a/1\n2\n")
    assert note.cosigned_at(WITNESS) == 1_700_000_000
    later = Signature(
        WITNESS.name, WITNESS.id, (1_700_000_001).to_bytes(8, "big") + note.signatures[1].data[8:]
    )
    with pytest.raises(Invalid):
        signed(HEAD.text, later).check([WITNESS])
    with pytest.raises(Invalid, match="has not countersigned"):
        signed(HEAD.text).cosigned_at(WITNESS)
    with pytest.raises(Invalid, match="time"):
        cosigned(HEAD.text, 1 << 63)


def test_a_signature_of_a_head_is_no_countersignature_of_it() -> None:
    plain = Signature(WITNESS.name, WITNESS.id, bytes(8) + SECRET.sign(HEAD.text.encode()))
    with pytest.raises(Invalid):
        signed(HEAD.text, plain).check([WITNESS])


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "station/a",
        "station/a+00000000",
        KEY.vkey.replace("+" + KEY.id.hex(), "+00000000"),
        KEY.vkey.replace("station/a", "station/b"),
        KEY.vkey.replace("station/a", ""),
        KEY.vkey.replace("station/a", "sta tion"),
        KEY.vkey.replace("station/a", "sta\u00a0tion"),
        KEY.vkey + "\n",
        KEY.vkey[:-4],
        KEY.vkey.upper(),
        Key("station/a", PUBLIC, 2).vkey,
        Key("station/a", PUBLIC[:31]).vkey,
    ],
)
def test_a_key_that_was_altered_is_none(vkey: str) -> None:
    with pytest.raises(Invalid):
        Key.parse(vkey)


def test_keys_come_back_as_they_were_written() -> None:
    for key in (KEY, WITNESS):
        assert Key.parse(key.vkey) == key
    assert KEY.id != Key(KEY.name, PUBLIC, COSIGNATURE).id


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        signed("text\n").data[:-1],
        signed("text\n").data + b"\n",
        signed("text\n").data + b"x",
        signed("text\n").data.replace("— ".encode(), b"- "),
        signed("te\txt\n").data,
        signed("te\x00xt\n").data,
        signed("text\r\n").data,
        b"\xff" + signed("text\n").data,
        signed("text\n", *[Signature("x", b"1234", b"5")] * 64).data,
        signed("text\n", Signature("x+y", b"1234", b"5")).data,
        signed("text\n", Signature("x", b"12", b"34")).data,
        signed("text\n").data[:-2] + b"\n",
        signed("x" * (1 << 20) + "\n").data,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        Note.parse(data)


def test_a_note_may_have_empty_lines_and_sixteen_signatures() -> None:
    note = signed("a\n\nb\n", *[Signature(f"x{n}", b"1234", b"5") for n in range(15)])
    assert Note.parse(note.data) == note
    assert Note.parse(note.data).check([KEY]) == [KEY]


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_whatever_is_read_is_read_or_refused(data: bytes) -> None:
    for parse in (Note.parse, Proof.parse):
        with contextlib.suppress(Invalid):
            assert parse(data).data == data


def test_a_head_comes_back_as_it_was_written() -> None:
    for head in (HEAD, Head("o", 0, bytes(32), ("more", "lines"))):
        assert Head.parse(head.text) == head
    assert Head.checked(Note.parse(signed(HEAD.text).data), [KEY], "station/a/1") == HEAD


def test_a_head_of_another_log_proves_nothing_for_this_one() -> None:
    with pytest.raises(Invalid, match="not of station/a/2"):
        Head.checked(signed(HEAD.text), [KEY], "station/a/2")


ROOT64 = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{ROOT64}",
        f"o\n01\n{ROOT64}\n",
        f"o\n-1\n{ROOT64}\n",
        f"o\n+1\n{ROOT64}\n",
        f"o\n1 \n{ROOT64}\n",
        f"o\n１\n{ROOT64}\n",
        f"o\n{'9' * 20}\n{ROOT64}\n",
        f"\n1\n{ROOT64}\n",
        f"o\n1\n{ROOT64}\n\nmore\n",
        f"o\n1\n{ROOT64[:-1]}\n",
        f"o\n1\n{ROOT64[:-2]}B=\n",
        "o\n1\nAAAA\n",
        "o\n1\n",
    ],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Head.parse(text)


def test_a_proof_proves_its_entry_and_no_other() -> None:
    for proof in (PROOF, Proof(1, PROOF.hashes, PROOF.note, b"extra")):
        assert Proof.parse(proof.data) == proof
        assert Proof.parse(proof.data).check(b"two", [KEY], "station/a/1") == HEAD
    for entry, keys, origin in [
        (b"one", [KEY], "station/a/1"),
        (b"two", [WITNESS], "station/a/1"),
        (b"two", [KEY], "station/b/1"),
        (b"two", [], "station/a/1"),
    ]:
        with pytest.raises(Invalid):
            PROOF.check(entry, keys, origin)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"proof@v1", b"proof@v2"),
        (b"index 1", b"index 01"),
        (b"index 1", b"index"),
        (b"index 1", b"other 1"),
        (b"index 1\n", b""),
        (b"index 1\n", b"extra *\nindex 1\n"),
        (b"index 1\n", b"index 1\nAAAA\n"),
        (b"index 1\n", b"index 1\n" + (ROOT64 + "\n").encode() * 64),
        (b"\n\n", b"\n"),
        (b"c2sp", b"\xff"),
    ],
)
def test_what_is_no_proof_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(Invalid):
        Proof.parse(PROOF.data.replace(old, new))


@given(st.integers(0, len(PROOF.data) * 8 - 1))
def test_a_bit_that_flips_anywhere_in_a_proof_is_found(bit: int) -> None:
    wrong = (int.from_bytes(PROOF.data, "big") ^ 1 << bit).to_bytes(len(PROOF.data), "big")
    with pytest.raises(Invalid):
        Proof.parse(wrong).check(b"two", [KEY], "station/a/1")
