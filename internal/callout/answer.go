package callout

// Answer says what an exit status means: that of sysexits(3), or of qmail-command(8).
// One that nobody has agreed on, and one that tells of a fault on this side (a wrong
// command line, a file that is missing), is temporary.
func Answer(exit int) (enhanced string, done bool) {
	switch exit {
	case 0, 99:
		return "2.0.0", true
	case 65: // EX_DATAERR
		return "5.6.0", false
	case 67: // EX_NOUSER
		return "5.1.1", false
	case 68: // EX_NOHOST
		return "5.1.2", false
	case 69, 100: // EX_UNAVAILABLE
		return "5.3.0", false
	}
	return "4.3.0", false
}
