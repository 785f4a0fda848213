package control

// Form is how a control file is written, as control(5) calls it.
type Form string

// The forms.
const (
	Scalar    Form = "scalar"    // one value on one line
	List      Form = "list"      // an item a line
	Table     Form = "table"     // a row `key: value` a line
	Directory Form = "directory" // files of its own
)

// Counts is when a changed file counts.
type Counts int

// The times.
const (
	AtOnce   Counts = iota // from the next attempt or session
	AtHangup               // at a program's start and at SIGHUP
	AtStart                // at a program's start
)

// Setting is the row of one file in control/: whatever is said of the file, by
// its accessor, by mailctl check and in the table of control(5), is said here.
type Setting struct {
	Name    string
	Form    Form
	Default string // what a file that changes nothing would say; "" where none can
	Without string // what holds without the file, in words, where Default is ""
	Example string // what the file may say, where Default is ""
	Readers string // who reads it, as control(5) has it
	Counts  Counts
	Doc     string // what it is, in one line without a full stop
	Keys    []Key  // of a table that has no others

	Required bool // no file is an error
	Secret   bool // nobody but the owner of the home shall read it
	Counted  bool // its rows are too many, or too secret, to be printed

	file any // a file[T]; nil for what Faults reads, and for a directory
	def  any // the T of Default
	read func(c *Control) error
}

// Key is a row that a table of numbers or rates can have.
type Key struct {
	Name    string
	Default string // as the row would have it
	Varies  bool   // the default depends on the machine, and control(5) has it in words
}

// Holds returns what is in force without the file, as people read it.
func (s Setting) Holds() string {
	if s.Default != "" {
		return s.Default
	}
	return s.Without
}

// Like returns what the file may say.
func (s Setting) Like() string {
	if s.Example != "" {
		return s.Example
	}
	return s.Default
}

// names returns those of the keys.
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

// byName returns the rows by the name of the file.
func byName() map[string]Setting {
	all := map[string]Setting{}
	for _, s := range Settings() {
		all[s.Name] = s
	}
	return all
}

// with gives the row the file that f is, with what is read of it in def where
// it is absent.
func with[T any](s Setting, max int64, parse func(name string, data []byte) (T, error)) Setting {
	f := file[T]{name: s.Name, max: max, required: s.Required, parse: parse}
	s.file = f
	s.read = func(c *Control) error { _, _, err := load(c, f); return err }
	return s
}

// scalarOf is with for one value, whose default parse reads too.
func scalarOf[T any](s Setting, parse func(string) (v T, wrong string)) Setting {
	s.Form = Scalar
	var def T
	if s.Default != "" {
		def, _ = parse(s.Default)
	}
	s.def = def
	return with(s, maxScalar, scalarParser(parse))
}

// fileOf returns the file of the row name, whose value is a T.
func fileOf[T any](c *Control, name string) (file[T], error) {
	f, ok := c.settings[name].file.(file[T])
	if !ok {
		return f, failFile(name, "the program asks for a setting that it does not know")
	}
	return f, nil
}

// value reads the file name; the zero T where it is absent.
func value[T any](c *Control, name string) (T, error) {
	f, err := fileOf[T](c, name)
	if err != nil {
		return *new(T), err
	}
	v, _, err := load(c, f)
	return v, err
}

// one reads the scalar name, or returns its default where it is absent.
func one[T any](c *Control, name string) (T, error) {
	v, err := value[*T](c, name)
	if err == nil && v != nil {
		return *v, nil
	}
	def, _ := c.settings[name].def.(T)
	return def, err
}
