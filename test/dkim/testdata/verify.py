# Verifies the signatures of a message on standard input with dkimpy, with the keys in
# the file that is the first operand: a name and a text on each line.
import re
import sys

import dkim

zone = dict(line.rstrip(b"\n").split(b" ", 1) for line in open(sys.argv[1], "rb"))
text = sys.stdin.buffer.read()


def txt(name, timeout=0):
    name = name if isinstance(name, bytes) else name.encode()
    return zone.get(name.rstrip(b"."))


for n, field in enumerate(h for h in dkim.rfc822_parse(text)[0] if h[0].lower() == b"dkim-signature"):
    selector = re.search(rb"\bs=([^;]*);", field[1]).group(1).decode()
    try:
        good = dkim.DKIM(text).verify(idx=n, dnsfunc=txt)
        print(selector, "pass" if good else "fail")
    except dkim.DKIMException as e:
        print(selector, "error:", e)
