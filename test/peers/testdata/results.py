"""Print what Python's email package reads in the messages named: one line for
each Authentication-Results field whose value names the host given first."""

import email
import email.policy
import sys

host = sys.argv[1]
for name in sys.argv[2:]:
    with open(name, "rb") as f:
        data = f.read()
    for policy in email.policy.compat32, email.policy.default:
        message = email.message_from_bytes(data, policy=policy)
        for value in message.get_all("Authentication-Results", []):
            claimed = str(value).split(";")[0].lower()
            if host in "".join(claimed.replace('"', "").split()):
                print(name.rpartition("/")[2], type(policy).__name__, repr(str(value)))
