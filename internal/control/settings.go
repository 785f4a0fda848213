package control

// Form is the format of a control file, in the words of control(5).
type Form string

// The forms.
const (
	Scalar    Form = "scalar"    // one value on one line
	List      Form = "list"      // one item a line
	Table     Form = "table"     // one row `key: value` a line
	Directory Form = "directory" // a directory of files
)

// Counts is when a change to a file takes effect.
type Counts int

// The times.
const (
	AtOnce   Counts = iota // from the next attempt or session
	AtHangup               // at a program's start and at SIGHUP
	AtStart                // at a program's start
)

// Setting is the row of one file in control/. Everything that its accessor, mailctl
// check and the table of control(5) say about the file is said here.
type Setting struct {
	Name    string
	Form    Form
	Default string // the content of a file that would change nothing; "" if there can be none
	Without string // what is in force without the file, in words, if Default is ""
	Example string // what the file may say, if Default is ""
	Readers string // the programs that read it, as control(5) lists them
	Counts  Counts
	Doc     string // what it is, in one line without a full stop
	Keys    []Key  // of a table that can have no other keys

	Required bool // a missing file is an error
	Secret   bool // only the owner of the home should be able to read it
	Counted  bool // its rows are too many, or too secret, to print: they are only counted

	behind func(rows []Value) []Value // what is in force behind the rows of the file; nil: nothing

	file any // a file[T]; nil for a file that Faults reads, and for a directory
	def  any // the T of Default
	read func(c *Control) error
}

// Key is a row that a table of numbers or rates can have.
type Key struct {
	Name    string
	Default string // as it would be written in the row
	Varies  bool   // the default depends on the machine; control(5) describes it in words
}

// Holds returns what is in force without the file, for people to read.
func (s Setting) Holds() string {
	if s.Default != "" {
		return s.Default
	}
	return s.Without
}

// Like returns an example of what the file may say.
func (s Setting) Like() string {
	if s.Example != "" {
		return s.Example
	}
	return s.Default
}

// names returns the names of the keys.
func names(keys []Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Name
	}
	return out
}

// Settings returns the table of all settings, in the order of control(5).
func Settings() []Setting {
	var all []Setting
	for _, group := range [][]Setting{pathSettings(), submitSettings(), limitSettings(), boxSettings(),
		sharedSettings()} {
		all = append(all, group...)
	}
	return all
}

// byName returns the settings by file name.
func byName() map[string]*Setting {
	all := map[string]*Setting{}
	for _, s := range Settings() {
		all[s.Name] = &s
	}
	return all
}

// setting returns the row of a setting; an empty one if there is none.
func (c *Control) setting(name string) *Setting {
	if s := c.settings[name]; s != nil {
		return s
	}
	return &Setting{}
}

// with adds to the setting the file that parse reads, and how Check reads it.
func with[T any](s Setting, max int64, parse func(name string, data []byte) (T, error)) Setting {
	f := file[T]{name: s.Name, max: max, required: s.Required, parse: parse}
	s.file = f
	s.read = func(c *Control) error { _, _, err := load(c, f); return err }
	return s
}

// checkedBy is the setting with more for Check to read than its file.
func checkedBy(s Setting, read func(*Control) error) Setting {
	s.read = read
	return s
}

// scalarOf is with for a file of one value. parse reads the default too.
func scalarOf[T any](s Setting, parse func(string) (v T, wrong string)) Setting {
	s.Form = Scalar
	var def T
	if s.Default != "" {
		def, _ = parse(s.Default)
	}
	s.def = def
	return with(s, maxScalar, scalarParser(parse))
}

// fileOf returns the file of the setting name, whose value is a T.
func fileOf[T any](c *Control, name string) (file[T], error) {
	f, ok := c.setting(name).file.(file[T])
	if !ok {
		return f, failFile(name, "this setting has no row in internal/control/rows.go")
	}
	return f, nil
}

// value reads the file name; it returns the zero T if the file is absent.
func value[T any](c *Control, name string) (T, error) {
	f, err := fileOf[T](c, name)
	if err != nil {
		return *new(T), err
	}
	v, _, err := load(c, f)
	return v, err
}

// one reads the scalar name; it returns the default if the file is absent.
func one[T any](c *Control, name string) (T, error) {
	v, err := value[*T](c, name)
	if err == nil && v != nil {
		return *v, nil
	}
	def, _ := c.setting(name).def.(T)
	return def, err
}
