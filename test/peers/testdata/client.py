"""Python's smtplib against a running home.

Arguments: the addresses of the roles mx, submission, submissions (the same by
TLS from the first octet) and lmtp, host:port each. Every function named test_* is one
case; the first failure ends the program with its traceback.
"""

import smtplib
import ssl
import sys
from email.message import EmailMessage

ALICE, BOB, CAROL = "alice@example.net", "bob@example.net", "carol@example.org"
NOBODY, FAR = "nobody@example.net", "dora@elsewhere.example"
PASSWORD = "correct horse"


def address(n):
    host, _, port = sys.argv[n].rpartition(":")
    return host, int(port)


def mx():
    return smtplib.SMTP(*address(1), timeout=30)


def submission():
    return smtplib.SMTP(*address(2), timeout=30)


def unverified():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def message(subject, sender=BOB, to=ALICE, text="Hello\n.dot\n"):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, to, subject
    m["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    m["Message-ID"] = "<%s@smtplib.example>" % subject.replace(" ", ".")
    m.set_content(text)
    return m


def octets(*args, **kwargs):
    return message(*args, **kwargs).as_bytes().replace(b"\n", b"\r\n")


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError("no %s from %s" % (kind.__name__, function))


def test_plain():
    with mx() as s:
        assert s.send_message(message("plain", CAROL)) == {}
        assert s.does_esmtp and "size" in s.esmtp_features and "pipelining" in s.esmtp_features


def test_helo_only():
    with mx() as s:
        assert s.helo("old.example.org")[0] == 250
        assert s.sendmail(CAROL, ALICE, octets("helo", CAROL)) == {}


def test_starttls_and_login():
    for mechanism in ("PLAIN", "LOGIN"):
        with submission() as s:
            assert s.starttls(context=unverified())[0] == 220
            s.ehlo()
            assert "starttls" not in s.esmtp_features
            assert mechanism in s.esmtp_features["auth"].split()
            s.user, s.password = BOB, PASSWORD
            with_initial = mechanism == "PLAIN"
            code, _ = s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()), initial_response_ok=with_initial)
            assert code == 235
            assert s.send_message(message("starttls " + mechanism)) == {}


def test_login_chooses():
    with submission() as s:
        s.starttls(context=unverified())
        assert s.login(BOB, PASSWORD)[0] == 235
        assert s.login(BOB, PASSWORD)[0] == 503  # a second one
        assert s.send_message(message("login")) == {}


def test_smtp_ssl():
    with smtplib.SMTP_SSL(*address(3), timeout=30, context=unverified()) as s:
        assert s.login(BOB, PASSWORD)[0] == 235
        assert s.send_message(message("ssl")) == {}
        assert s.send_message(message("ssl again")) == {}


def test_certificate_is_checked():
    with submission() as s:
        raises(ssl.SSLCertVerificationError, s.starttls, context=ssl.create_default_context())


def test_wrong_password():
    with submission() as s:
        s.starttls(context=unverified())
        error = raises(smtplib.SMTPAuthenticationError, s.login, BOB, "wrong")
        assert error.smtp_code == 535, error
        assert s.noop()[0] == 250


def test_sender_of_another():
    with submission() as s:
        s.starttls(context=unverified())
        s.login(BOB, PASSWORD)
        error = raises((smtplib.SMTPSenderRefused, smtplib.SMTPDataError), s.send_message, message("forged", ALICE))
        assert 500 <= error.smtp_code < 600, error


def test_without_login():
    with submission() as s:
        error = raises(smtplib.SMTPSenderRefused, s.sendmail, BOB, ALICE, octets("no login"))
        assert error.smtp_code == 530, error


def test_recipients_refused():
    with mx() as s:
        error = raises(smtplib.SMTPRecipientsRefused, s.sendmail, CAROL, [NOBODY, FAR], b"x")
        assert sorted(error.recipients) == sorted([NOBODY, FAR]), error
        assert all(code == 550 for code, _ in error.recipients.values()), error


def test_one_recipient_refused():
    with mx() as s:
        refused = s.sendmail(CAROL, [NOBODY, ALICE], octets("one refused", CAROL))
        assert list(refused) == [NOBODY] and refused[NOBODY][0] == 550, refused


def test_too_large():
    with mx() as s:
        s.ehlo()
        size = int(s.esmtp_features["size"])
        large = octets("large", CAROL) + b"x" * 70 * (size // 70) + b"\r\n"
        error = raises(smtplib.SMTPSenderRefused, s.sendmail, CAROL, ALICE, large)  # by SIZE
        assert error.smtp_code == 552, error
        s.mail(CAROL)
        s.rcpt(ALICE)
        assert s.data(b"x" * 70 + b"\r\n" + large)[0] == 552  # not declared
        assert s.noop()[0] == 250


def test_bare_lf():
    """smtplib sends bytes as they are: bare LF is refused, and the session goes on."""
    with mx() as s:
        error = raises(smtplib.SMTPDataError, s.sendmail, CAROL, ALICE, message("bare", CAROL).as_bytes())
        assert error.smtp_code == 554 and b"bare LF" in error.smtp_error, error
        assert s.sendmail(CAROL, ALICE, octets("behind bare", CAROL)) == {}


def test_commands():
    with mx() as s:
        assert s.vrfy(ALICE)[0] == 252
        assert s.expn("list")[0] in (500, 502)
        assert s.noop()[0] == 250
        assert s.docmd("HELP")[0] == 214
        assert s.rset()[0] == 250


def test_not_connected_after_quit():
    s = mx()
    assert s.quit()[0] == 221
    raises(smtplib.SMTPServerDisconnected, s.noop)


def test_utf8_header():
    m = message("utf8", "grün@example.org")
    with mx() as s:
        assert s.send_message(m) == {}
        assert s.has_extn("smtputf8")


def test_bdat():
    with mx() as s:
        s.ehlo()
        assert s.has_extn("chunking")
        s.mail(CAROL)
        s.rcpt(ALICE)
        chunks = octets("bdat", CAROL)
        half = len(chunks) // 2
        for chunk, last in ((chunks[:half], ""), (chunks[half:], " LAST")):
            s.putcmd("BDAT %d%s" % (len(chunk), last))
            s.sock.sendall(chunk)
            assert s.getreply()[0] == 250


def test_lmtp():
    with smtplib.LMTP(*address(4)) as s:
        refused = s.sendmail(CAROL, [ALICE, BOB, NOBODY], octets("lmtp", CAROL))
        assert list(refused) == [NOBODY], refused
        assert s.getreply()[0] == 250  # bob's: smtplib itself reads one reply for all


for name, test in list(globals().items()):
    if name.startswith("test_"):
        print(name, flush=True)
        test()
