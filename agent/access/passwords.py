"""What is taken as a password, and its hash, which costs memory: guessing many at once is dear.

scrypt$15$8$1$<salt>$<hash>   log2(n), r and p, then base64; so that later ones may cost more
"""

import base64
import hashlib
import hmac
import secrets
import string
import threading
import unicodedata

from agent.errors import Reject

SHORTEST, LONGEST = 10, 200  # characters
_COST = (15, 8, 1)  # 32 MiB for a moment
_SALT, _HASH = 16, 32  # bytes
#: A board has 1 GiB: one at a time.
_one = threading.Lock()
#: Those of the usual lists that are long enough, small letters.
_KNOWN = """
1234567890 0123456789 0987654321 9876543210 12345678910 123456789a a123456789 1234567891 1q2w3e4r5t
1qaz2wsx3edc qwertyuiop qwerty12345 qwerty123456 asdfghjkl; 1111111111 0000000000 8888888888
6666666666 1234554321 1231231230 123123123123 aaaaaaaaaa abcdefghij abc1234567 abcd123456 a1b2c3d4e5
password12 password123 password1234 password12345 passw0rd123 p@ssw0rd123 p@ssword123 admin12345
admin123456 administrator administrator1 root123456 welcome123 welcome1234 letmein1234 iloveyou12
iloveyou123 woaini1314 woaini1314520 woaini5201314 5201314520 zhongguo123 zxcvbnm123 qweasdzxc123
qwer123456 test123456 changeme123 recorder-station recorderstation recorder123 police1234
police12345 jingcha110 jingcha123 gongan1234 gongan12345 zhifa12345 changeit123
"""


def check(password: str, name: str) -> str:
    """The password as it is hashed, fit to be `name`'s. Raises Reject `bad-password` with what is wrong."""
    password = _one_spelling(password)
    if len(password) < SHORTEST:
        raise Reject("bad-password", kind="short", least=SHORTEST)
    if len(password) > LONGEST:
        raise Reject("bad-password", kind="long", most=LONGEST)
    if not password.isprintable():
        raise Reject("bad-password", kind="marks")
    small = password.casefold()
    if name in small and not small.replace(name, "").strip(string.digits):
        raise Reject("bad-password", kind="name")
    if small in _KNOWN.split() or len(set(small)) == 1:
        raise Reject("bad-password", kind="known")
    return password


def hashed(password: str) -> str:
    salt = secrets.token_bytes(_SALT)
    return "$".join(["scrypt", *map(str, _COST), _text(salt), _text(_scrypt(password, salt, _COST))])


def fits(password: str, against: str | None) -> bool:
    """None, of who is not known or has no password, costs the same time. One at a time: others wait."""
    cost, salt, wanted = _parsed(against) if against else (_COST, bytes(_SALT), b"")
    given = _scrypt(_one_spelling(password[: LONGEST + 1]), salt, cost)
    return hmac.compare_digest(given, wanted) and bool(against)


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    n, r, p = 1 << cost[0], cost[1], cost[2]
    with _one:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"),
            salt=salt,
            n=n,
            r=r,
            p=p,
            maxmem=256 * n * r * p,  # twice what it takes: OpenSSL counts a little more than the vector
            dklen=_HASH,
        )


def _parsed(text: str) -> tuple[tuple[int, int, int], bytes, bytes]:
    _, n, r, p, salt, wanted = text.split("$")
    return (int(n), int(r), int(p)), base64.b64decode(salt), base64.b64decode(wanted)


def _one_spelling(password: str) -> str:
    """Keyboards differ in how they compose the same letter."""
    return unicodedata.normalize("NFC", password)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
