package hosted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/because-lab/because"
	"github.com/because-lab/because/internal/whole"
)

// The names in an output folder. All but lock and events appear whole, by rename.
const (
	runName     = "run.json"
	eventsName  = "events.jsonl"
	metricsName = "metrics.jsonl"
	resultName  = "result.json"
	lockName    = ".lock"
)

const stateFormat = 1

// identity is what a run trains: two runs with equal ones are the same.
type identity struct {
	BaseURL    string     `json:"base_url"`
	Model      string     `json:"model"`
	Training   reference  `json:"training"`
	Validation *reference `json:"validation,omitempty"`
	Epochs     int        `json:"epochs"`
	Batch      int        `json:"batch"`         // 0: the service's choice
	LR         float64    `json:"lr_multiplier"` // 0: the service's choice
	Seed       int64      `json:"seed"`
	Name       string     `json:"name"` // the user's part of the suffix
}

// reference is a file at the service.
type reference struct {
	From   string `json:"from,omitempty"` // the user's file
	SHA256 string `json:"sha256"`         // of what is uploaded
	Bytes  int64  `json:"bytes,omitempty"`
	Rows   int    `json:"rows,omitempty"`
	ID     string `json:"file_id,omitempty"` // empty: not uploaded yet
}

// state is run.json: what a run is, and how far it has come.
type state struct {
	Format int    `json:"format"`
	Key    string `json:"key"`
	Suffix string `json:"suffix"` // of the trained model's name
	identity
	// Attempt names the making of the job in its metadata. It is written before the job is made.
	Attempt string `json:"attempt,omitempty"`
	Job     string `json:"job_id,omitempty"`
	Created int64  `json:"created,omitempty"` // seconds since 1970
	Status  string `json:"status,omitempty"`  // of the job, as seen last
}

var hexPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseState reads run.json and checks that it holds together.
func parseState(text []byte) (*state, error) {
	var s state
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("something follows the object")
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("its format is %d, and this program knows %d", s.Format, stateFormat)
	}
	ids := []string{s.Training.ID, s.Job, s.Attempt}
	hashes := []string{s.Training.SHA256}
	if s.Validation != nil {
		ids, hashes = append(ids, s.Validation.ID), append(hashes, s.Validation.SHA256)
	}
	for _, id := range ids {
		if id != "" && (!idPattern.MatchString(id) || strings.Trim(id, ".") == "") {
			return nil, fmt.Errorf("%q is no ID", clip(id))
		}
	}
	for _, h := range hashes {
		if !hexPattern.MatchString(h) {
			return nil, fmt.Errorf("%q is no hash", clip(h))
		}
	}
	if s.Key != s.key() {
		return nil, errors.New("its key does not belong to its contents")
	}
	if _, err := parseBase(s.BaseURL); err != nil || s.BaseURL == "" {
		return nil, errors.New("its base_url is no URL without secrets")
	}
	return &s, nil
}

// readState reads the state of a folder; nil where there is none.
func readState(dir string) (*state, error) {
	path := filepath.Join(dir, runName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, because.E("read hosted run", path, err, "")
	}
	s, err := parseState(text)
	if err != nil {
		return nil, because.E("read hosted run", path, fmt.Errorf("it is no state of a hosted run: %w", err), "choose another folder")
	}
	return s, nil
}

// sameAs refuses a folder that holds another run, and names what differs.
func (s *state) sameAs(wanted *state, dir string) error {
	if s.Key == wanted.Key {
		return nil
	}
	hash := func(r *reference) string {
		if r == nil {
			return ""
		}
		return r.SHA256
	}
	var differ []string
	for _, f := range []struct {
		name  string
		equal bool
	}{{"base URL", s.BaseURL == wanted.BaseURL}, {"model", s.Model == wanted.Model}, {"training data", s.Training.SHA256 == wanted.Training.SHA256},
		{"validation data", hash(s.Validation) == hash(wanted.Validation)}, {"epochs", s.Epochs == wanted.Epochs}, {"batch", s.Batch == wanted.Batch},
		{"learning rate multiplier", s.LR == wanted.LR}, {"seed", s.Seed == wanted.Seed}, {"suffix", s.Name == wanted.Name}} {
		if !f.equal {
			differ = append(differ, f.name)
		}
	}
	return because.E("hosted training", dir, fmt.Errorf("the folder holds another run: %s differ", strings.Join(differ, ", ")),
		"choose another folder, or go on with the same settings and data")
}

// folder is the output of a run, locked by this process.
type folder struct {
	dir   string
	lock  *os.File
	state state
}

// openFolder makes an output folder, or takes up that of the same run.
func openFolder(dir string, wanted *state) (*folder, error) {
	f := &folder{dir: dir, state: *wanted}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, f.fault("make", dir, err)
	}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.open(wanted); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folder) open(wanted *state) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return f.fault("read", f.dir, err)
	}
	old, err := readState(f.dir)
	if err != nil {
		return err
	}
	if old == nil {
		ours := func(e os.DirEntry) bool { return e.Name() == lockName || leftover(e.Name()) }
		if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !ours(e) }) {
			return because.E("hosted training", f.dir, errors.New("the folder is not empty and holds no run"), "choose another folder, or remove it first")
		}
		return f.save()
	}
	for _, e := range entries { // of a run that was killed
		if leftover(e.Name()) {
			os.Remove(f.path(e.Name()))
		}
	}
	if err := old.sameAs(wanted, f.dir); err != nil {
		return err
	}
	f.state = *old
	return nil
}

// leftover tells whether a name is that of a file that package whole had not finished.
func leftover(name string) bool {
	for _, of := range []string{runName, metricsName, resultName} {
		if strings.HasPrefix(name, "."+of+".") && strings.HasSuffix(name, ".tmp") {
			return true
		}
	}
	return false
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) fault(what, path string, err error) error {
	return because.E("hosted training: "+what, path, err, "")
}

// save writes run.json.
func (f *folder) save() error { return f.write(runName, f.state) }

// write puts a JSON file into the folder, whole.
func (f *folder) write(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = whole.WriteFile(f.path(name), append(text, '\n'))
	}
	if err != nil {
		return f.fault("write", f.path(name), err)
	}
	return nil
}

// result reads result.json; nil where there is none.
func (f *folder) result() (*Result, error) {
	text, err := os.ReadFile(f.path(resultName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Result
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && (r.Model == "" || r.Job != f.state.Job) {
		err = errors.New("it belongs to another run")
	}
	if err != nil {
		return nil, f.fault("read", f.path(resultName), err)
	}
	return &r, nil
}

// close gives the folder free.
func (f *folder) close() { f.lock.Close() }
