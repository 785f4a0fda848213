package bench

import "strings"

// Fill adds lines of many lengths to message i until it has size octets. Some of them
// begin with a dot, none is one: that would be the end of the message for the sendmail command.
func Fill(b *strings.Builder, i, size int) {
	const text = "The quick brown fox jumps over the lazy dog, and nobody in this mailbox has minded yet."
	for line := 0; b.Len() < size; line++ {
		if line%20 == 19 {
			b.WriteString("..")
		}
		b.WriteString(text[:(i*13+line*37)%len(text)] + "\n")
	}
}
