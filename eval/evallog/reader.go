package evallog

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/because-lab/because"
)

// Reader reads a log. Its methods can be called from many goroutines at once.
type Reader struct {
	path    string
	file    *os.File
	header  *Header
	members []member
	lost    []string // what Salvage could not read

	byName func() map[string]int // name -> its last member
	live   func() map[Key]int    // see liveRows
	total  func() (int, error)   // number of summaries

	mu   sync.Mutex // guards page
	page *page      // where the last page of summaries ended
}

// Open opens a log and reads its header. A log whose directory is damaged or missing can be read with Salvage.
func Open(path string) (*Reader, error) {
	r, err := open(path, readDirectory)
	if err != nil {
		hint := ""
		if errors.Is(err, errNotZip) || errors.Is(err, errDirectory) {
			hint = "the file may be cut off: what can be read of it can be salvaged"
		}
		return nil, because.E("open log", path, err, hint)
	}
	return r, nil
}

// open opens a log whose members list finds.
func open(path string, list func(io.ReaderAt, int64) ([]member, error)) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, file: f}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err == nil {
		err = notJSON(f)
	}
	if err == nil {
		r.members, err = list(f, info.Size())
	}
	if err == nil {
		r.byName = sync.OnceValue(r.index)
		r.live = sync.OnceValue(r.liveKeys)
		r.total = sync.OnceValues(r.count)
		r.header, err = r.readHeader()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// notJSON tells Inspect's other format by its first byte.
func notJSON(f *os.File) error {
	var b [1]byte
	if n, _ := f.ReadAt(b[:], 0); n == 1 && b[0] == '{' {
		return errors.New("this is a log in Inspect's .json format; inspect log convert --to eval makes an .eval file of it")
	}
	return nil
}

// index finds members by name. Where a name occurs twice the last counts.
func (r *Reader) index() map[string]int {
	out := make(map[string]int, len(r.members))
	for i := range r.members {
		out[r.members[i].name] = i
	}
	return out
}

// newest reports whether no later member has the name of member i.
func (r *Reader) newest(i int) bool { return r.byName()[r.members[i].name] == i }

// lookup finds the last member of a name without indexing them all.
func (r *Reader) lookup(name string) *member {
	for i := len(r.members) - 1; i >= 0; i-- {
		if r.members[i].name == name {
			return &r.members[i]
		}
	}
	return nil
}

func (r *Reader) readHeader() (*Header, error) {
	h := new(Header)
	name, m := headerName, r.lookup(headerName)
	if m == nil {
		name, m = startName, r.lookup(startName) // of a run that has not ended, or crashed
	}
	if m == nil {
		return nil, fmt.Errorf("not an Inspect log: neither %s nor %s in it", headerName, startName)
	}
	text, err := m.read(r.file, nil)
	if err == nil {
		err = decode(text, h)
	}
	if err == nil && h.Version > Version {
		err = fmt.Errorf("version %d of the format; this program reads up to %d", h.Version, Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if h.Status == "" {
		h.Status = Started
	}
	return h, nil
}

// Header gives all but the samples.
func (r *Reader) Header() *Header { return r.header }

// Lost lists what Salvage had to leave.
func (r *Reader) Lost() []string { return r.lost }

// Close closes the file.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page != nil {
		r.page.close()
		r.page = nil
	}
	return r.file.Close()
}

// Reductions gives the scores over epochs, if the log has them.
func (r *Reader) Reductions() ([]Reductions, error) {
	m := r.lookup(reductionsName)
	if m == nil {
		return nil, nil
	}
	var out []Reductions
	text, err := m.read(r.file, nil)
	if err == nil {
		err = decode(text, &out)
	}
	if err != nil {
		return nil, r.fault(m, err)
	}
	return out, nil
}

func (r *Reader) fault(m *member, err error) error {
	return because.E("read log", r.path+": "+m.name, err, "")
}

// ErrNoSample is the cause of an error about a sample that the log does not have.
var ErrNoSample = errors.New("no such sample")

// Sample reads one sample. An id matches whether it is a number or a string in the log.
func (r *Reader) Sample(id ID, epoch int) (*Sample, error) {
	tail := "_epoch_" + strconv.Itoa(epoch) + ".json"
	for _, name := range []string{id.text, url.PathEscape(id.text)} { // some writers escape
		if i, ok := r.byName()[samplesPrefix+name+tail]; ok {
			return r.sample(&r.members[i])
		}
	}
	if _, ok := r.byName()[samplesPrefix+id.text+"_epoch_"+strconv.Itoa(epoch)+"/sample.json"]; ok {
		return nil, because.E("read sample", fmt.Sprintf("%s, epoch %d, of %s", id, epoch, r.path), errChunked, "")
	}
	return nil, because.E("read sample", fmt.Sprintf("%s, epoch %d, of %s", id, epoch, r.path), ErrNoSample, "")
}

var errChunked = errors.New("the sample is stored in chunks, a form of Inspect's for very large samples that is not read here")

func (r *Reader) sample(m *member) (*Sample, error) {
	text, err := m.read(r.file, nil)
	var s *Sample
	if err == nil {
		s, err = decodeSample(text)
	}
	if err != nil {
		return nil, r.fault(m, err)
	}
	return s, nil
}

// isSample reports whether a member is a sample, or the head of one in chunks.
func isSample(name string) bool {
	rest, ok := strings.CutPrefix(name, samplesPrefix)
	if !ok || !strings.HasSuffix(rest, ".json") {
		return false
	}
	if i := strings.LastIndex(rest, "_epoch_"); i >= 0 {
		_, part, inFolder := strings.Cut(rest[i:], "/")
		return !inFolder || part == "sample.json"
	}
	return false
}

// Samples reads all samples in the order of the file, several at once. A sample that cannot be read comes as an error, and the
// others still come.
func (r *Reader) Samples() iter.Seq2[*Sample, error] {
	return func(yield func(*Sample, error) bool) {
		type result struct {
			sample *Sample
			err    error
		}
		workers := runtime.GOMAXPROCS(0)
		queue := make(chan chan result, 2*workers) // in order; bounds what is read ahead
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(queue)
			slots := make(chan struct{}, workers)
			for i := range r.members {
				if !isSample(r.members[i].name) || !r.newest(i) {
					continue
				}
				out := make(chan result, 1)
				select {
				case <-stop:
					return
				case queue <- out:
				}
				slots <- struct{}{}
				wg.Go(func() {
					s, err := r.listed(&r.members[i])
					out <- result{s, err}
					<-slots
				})
			}
		})
		defer wg.Wait()
		defer close(stop)
		for out := range queue {
			if got := <-out; !yield(got.sample, got.err) {
				return
			}
		}
	}
}

// listed reads a sample found by isSample.
func (r *Reader) listed(m *member) (*Sample, error) {
	if strings.HasSuffix(m.name, "/sample.json") && strings.Contains(m.name, "_epoch_") {
		return nil, r.fault(m, errChunked)
	}
	return r.sample(m)
}
