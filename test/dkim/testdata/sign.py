# Signs a message on standard input with dkimpy: KEY DOMAIN SELECTOR FORM ALGORITHM. The
# key of Ed25519 is in base64.
import sys

import dkim

key, domain, selector, form, algorithm = (a.encode() for a in sys.argv[1:])
text = sys.stdin.buffer.read()
field = dkim.sign(text, selector, domain, open(key, "rb").read(), signature_algorithm=algorithm,
                  canonicalize=tuple(form.split(b"/")))
sys.stdout.buffer.write(field + text)
