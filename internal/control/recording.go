package control

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Recording is what was read of the settings, so that the same decision can be made
// elsewhere: the files, the lists that aliases include, and the rows that programs gave. It has no
// secrets: of users no hashes, of directories (certificates, keys, logins) nothing.
type Recording struct {
	mu    sync.Mutex
	files map[string][]byte
	lists map[string][]byte   // by the number that rows has for the path
	rows  map[string]lookedUp // by table and key
}

// lookedUp is what a backend answered.
type lookedUp struct {
	text  string
	found bool
	err   string
}

// maxRecordedRow bounds a line of rows in a recording.
const maxRecordedRow = 2 * maxLine

// Record begins to note what is read from now on.
func (c *Control) Record() *Recording {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = &Recording{files: map[string][]byte{}, lists: map[string][]byte{}, rows: map[string]lookedUp{}}
	clear(c.cache) // what is there is read again
	clear(c.young)
	c.lists.mu.Lock()
	defer c.lists.mu.Unlock()
	clear(c.lists.known)
	return c.recording
}

// Replay returns the settings of a recording whose files are in home/control, and its lists in
// home/lists. Nothing that they name is run: rows is what Rows wrote.
func Replay(home string, rows []byte) (*Control, error) {
	r := &Recording{rows: map[string]lookedUp{}}
	if err := r.readRows(rows); err != nil {
		return nil, err
	}
	c := Open(home, time.Now)
	c.replayed = r
	return c, nil
}

// Files returns the files that were read, by name.
func (r *Recording) Files() map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.files)
}

// file notes the contents of a file.
func (r *Recording) file(name string, data []byte) {
	if r == nil || strings.Contains(name, "/") {
		return
	}
	data = bytes.Clone(data)
	switch {
	case name == "srs-secrets":
		data = secretsLeftOut(data)
	case byName()[name].Secret:
		data = withoutSecrets(data)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = data
}

// listTable stands for a table in rows, with the lists: key is the path, and the row the name that
// Lists has.
const listTable = ":include:"

// Lists returns the lists that were read, by their names in a record.
func (r *Recording) Lists() map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.lists)
}

// list notes what is in a list, or why it could not be read.
func (r *Recording) list(path string, data []byte, err error) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := listTable + " " + path
	if err != nil {
		r.rows[at] = lookedUp{err: err.Error()}
		return
	}
	had := r.rows[at]
	if !had.found {
		had = lookedUp{text: strconv.Itoa(len(r.lists) + 1), found: true}
	}
	r.rows[at], r.lists[had.text] = had, bytes.Clone(data)
}

// listName is the name of a list in the record. What a stranger wrote there leads nowhere else.
func (r *Recording) listName(path string) (string, error) {
	got, ok := r.rows[listTable+" "+path]
	n, err := strconv.Atoi(got.text)
	switch {
	case ok && got.err != "":
		return "", errors.New(got.err)
	case !ok || err != nil || n < 0:
		return "", errors.New("the record does not have the list")
	}
	return strconv.Itoa(n), nil
}

// withoutSecrets is the file users without hashes: each row keeps its name and its place,
// and one that is broken stays so.
func withoutSecrets(data []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(data) {
		text, end := strings.CutSuffix(string(line), "\n")
		b.WriteString(withoutSecret(text))
		if end {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func withoutSecret(row string) string {
	text := strings.TrimSpace(row)
	if text == "" || text[0] == '#' { // it may be a row that somebody wants to keep
		return text[:min(len(text), 1)]
	}
	asks := slices.ContainsFunc(backends(), func(b backend) bool { return strings.HasPrefix(text, b.name+":") })
	if asks || strings.HasPrefix(text, checkPrefix) {
		program, _, _ := strings.Cut(text, " ") // an argument may be a password
		return program
	}
	fields := strings.SplitN(row, ":", 8)
	if len(fields) < 2 {
		return "*"
	}
	if hash := fields[1]; strings.HasPrefix(hash, "{") && !strings.Contains(hash, "}") {
		fields[1] = "{"
	} else {
		fields[1] = "*"
	}
	if len(fields) == 8 {
		fields[7] = "" // of the extra fields nobody knows which are secret
	}
	return strings.Join(fields, ":")
}

// Rows returns what programs answered, a line each.
func (r *Recording) Rows() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b bytes.Buffer
	for _, at := range slices.Sorted(maps.Keys(r.rows)) {
		table, key, _ := strings.Cut(at, " ")
		got, answer := r.rows[at], "none"
		switch {
		case got.err != "":
			answer = "failed " + strconv.QuoteToASCII(got.err)
		case got.found:
			answer = strconv.QuoteToASCII(got.text)
		}
		fmt.Fprintf(&b, "%s %s %s\n", table, strconv.QuoteToASCII(key), answer)
	}
	return b.Bytes()
}

// readRows reads what Rows wrote.
func (r *Recording) readRows(data []byte) error {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSuffix(string(line[:min(len(line), maxRecordedRow)]), "\n")
		if text == "" || text[0] == '#' {
			continue
		}
		table, rest, _ := strings.Cut(text, " ")
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return fmt.Errorf("line %d: no name in quotes behind %.40q", n, table)
		}
		key, _ := strconv.Unquote(quoted)
		answer := strings.TrimPrefix(rest[len(quoted):], " ")
		var got lookedUp
		if cause, failed := strings.CutPrefix(answer, "failed "); failed {
			got.err, err = strconv.Unquote(cause)
		} else if answer != "none" {
			got.found = true
			got.text, err = strconv.Unquote(answer)
		}
		if err != nil {
			return fmt.Errorf("line %d: %.40q is not a row in quotes, none, or failed and why", n, answer)
		}
		r.rows[table+" "+key] = got
	}
	return nil
}

// taped is a backend whose answers are noted.
type taped struct {
	asker
	table string
	to    *Recording
}

func (t taped) ask(key string) (text string, found bool, err error) {
	text, found, err = t.asker.ask(key)
	got := lookedUp{text: text, found: found}
	if err != nil {
		got.err = err.Error()
	} else if found && byName()[t.table].Secret {
		got.text = withoutSecret(text)
	}
	t.to.mu.Lock()
	defer t.to.mu.Unlock()
	t.to.rows[t.table+" "+key] = got
	return text, found, err
}

// told is a backend that answers what another answered once. It runs nothing.
type told struct {
	asker
	table string
	from  *Recording
}

func (t told) ask(key string) (text string, found bool, err error) {
	got, ok := t.from.rows[t.table+" "+key]
	switch {
	case !ok:
		return "", false, errors.New("the record has no answer to this question")
	case got.err != "":
		return "", false, errors.New(got.err)
	}
	return got.text, got.found, nil
}

// noted wraps a backend for a recording or a replay.
func (c *Control) noted(table string, a asker) asker {
	switch {
	case c.replayed != nil:
		return told{a, table, c.replayed}
	case c.recording != nil:
		return taped{a, table, c.recording}
	}
	return a
}
