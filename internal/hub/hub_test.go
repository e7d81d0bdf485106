package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/because-lab/because"
)

const testCommit = "0123456789abcdef0123456789abcdef01234567"

// fakeHub is a hub with one model, org/model. Large files are stored at a second server, as the hub does it.
type fakeHub struct {
	files map[string]string
	token string // asked for where it is set

	mu      sync.Mutex
	cut     map[string]int    // answers of a file to cut in its middle
	fail    int               // answers to fail with 503
	sums    map[string]string // other checksums than the true ones
	ranges  []string          // what was asked for, by file
	leaked  bool              // the store has seen the token
	noRange bool
	hub     *httptest.Server
	store   *httptest.Server
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	h := &fakeHub{cut: map[string]int{}, sums: map[string]string{}, files: map[string]string{
		"config.json": `{"model_type": "llama"}`, "tokenizer.json": "{}", "chat_template.jinja": "T", "README.md": "no", "pytorch_model.bin": "no",
		"model-00001-of-00002.safetensors": strings.Repeat("first shard ", 3000), "model-00002-of-00002.safetensors": strings.Repeat("second ", 9000),
		"model.safetensors.index.json": "{}", "consolidated.safetensors": "no", "original/params.json": "no", "q4.gguf": strings.Repeat("gguf ", 2000),
		"additional_chat_templates/rag.jinja": "R", "../evil.json": "no",
	}}
	h.store = httptest.NewServer(http.HandlerFunc(h.serveStore))
	h.hub = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.store.Close)
	t.Cleanup(h.hub.Close)
	for _, key := range []string{"HF_HUB_CACHE", "HF_HOME", "HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE"} {
		t.Setenv(key, "")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return h
}

func isLarge(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".gguf")
}

func (h *fakeHub) sum(name string) string {
	if s := h.sums[name]; s != "" {
		return s
	}
	if isLarge(name) {
		s := sha256.Sum256([]byte(h.files[name]))
		return hex.EncodeToString(s[:])
	}
	s := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(h.files[name]), h.files[name]))
	return hex.EncodeToString(s[:])
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail > 0 {
		h.fail--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if h.token != "" && r.Header.Get("Authorization") != "Bearer "+h.token {
		w.Header().Set("X-Error-Message", "Access to model org/model is restricted.")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/api/models/org/model/revision/main" || r.URL.Path == "/api/models/org/model/revision/"+testCommit {
		h.list(w)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/org/model/resolve/"+testCommit+"/")
	if _, there := h.files[name]; !ok || !there {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if isLarge(name) {
		w.Header().Set("X-Linked-Etag", strconv.Quote(h.sum(name)))
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(h.files[name])))
		http.Redirect(w, r, h.store.URL+"/"+name, http.StatusFound)
		return
	}
	w.Header().Set("ETag", "W/"+strconv.Quote(h.sum(name)))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(h.files[name]))
}

func (h *fakeHub) list(w http.ResponseWriter) {
	type sibling struct {
		Name string `json:"rfilename"`
	}
	var list []sibling
	for name := range h.files {
		list = append(list, sibling{name})
	}
	json.NewEncoder(w).Encode(map[string]any{"sha": testCommit, "siblings": list})
}

func (h *fakeHub) serveStore(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	name := strings.TrimPrefix(r.URL.Path, "/")
	data := h.files[name]
	h.ranges = append(h.ranges, name+" "+r.Header.Get("Range"))
	h.leaked = h.leaked || r.Header.Get("Authorization") != ""
	cut := h.cut[name] > 0
	if cut {
		h.cut[name]--
	}
	if h.noRange {
		r.Header.Del("Range")
	}
	h.mu.Unlock()
	if !cut {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(data))
		return
	}
	at, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
	w.Header().Set("Content-Length", strconv.Itoa(len(data)-at))
	if r.Header.Get("Range") != "" {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, len(data)-1, len(data)))
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write([]byte(data[at : at+(len(data)-at)/2]))
	panic(http.ErrAbortHandler)
}

// asked gives the requests that the store has seen, and setCut how many answers of a file to cut from now on.
func (h *fakeHub) asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ranges)
}

func (h *fakeHub) setCut(name string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut[name] = n
}

// download runs a download that does not wait between attempts.
func (h *fakeHub) download(ctx context.Context, o Options) (string, error) {
	o.Endpoint = h.hub.URL
	d, err := newDownload("org/model", o)
	if err != nil {
		return "", err
	}
	d.client.pause = time.Millisecond
	return d.run(ctx)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *fakeHub) check(t *testing.T, dir string) {
	t.Helper()
	want := []string{"additional_chat_templates/rag.jinja", "chat_template.jinja", "config.json", "model-00001-of-00002.safetensors",
		"model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Fatalf("files are %v, want %v", got, want)
	}
	for _, name := range want {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(data) != h.files[name] {
			t.Errorf("%s has %d bytes, %v; want %d", name, len(data), err, len(h.files[name]))
		}
	}
}

// TestDownload checks the layout of the cache and that a second call fetches nothing.
func TestDownload(t *testing.T) {
	h := newFakeHub(t)
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	t.Setenv("HF_ENDPOINT", h.hub.URL)
	t.Setenv("HF_TOKEN", "secret")
	h.token = "secret"
	var done, total float64
	progress := func(d, n float64, unit, note string) {
		if d < done || unit != "bytes" {
			t.Errorf("progress went from %v to %v %s", done, d, unit)
		}
		done, total = d, n
	}
	dir, err := Download(t.Context(), "org/model", Options{Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "models--org--model")
	if dir != filepath.Join(root, "snapshots", testCommit) {
		t.Errorf("folder is %s", dir)
	}
	h.check(t, dir)
	if ref, err := os.ReadFile(filepath.Join(root, "refs", "main")); err != nil || string(ref) != testCommit {
		t.Errorf("ref is %q, %v", ref, err)
	}
	if _, err := os.Stat(filepath.Join(root, "blobs", h.sum("config.json"))); err != nil {
		t.Error(err)
	}
	if done != total || total < 30000 || h.leaked {
		t.Errorf("progress ends at %v of %v; the store saw the token: %v", done, total, h.leaked)
	}
	before := len(h.asked())
	if _, err := Download(t.Context(), "org/model", Options{Revision: testCommit}); err != nil || len(h.asked()) != before {
		t.Errorf("a second download fetched %v, %v", h.asked()[before:], err)
	}
	h.hub.Close()
	t.Setenv("HF_HUB_OFFLINE", "1")
	if again, err := Download(t.Context(), "org/model", Options{}); err != nil || again != dir {
		t.Errorf("offline: %s, %v", again, err)
	}
	if _, err := Download(t.Context(), "org/other", Options{}); err == nil || !strings.Contains(err.Error(), "not in the cache") {
		t.Errorf("offline, another model: %v", err)
	}
}

func TestDownloadGGUF(t *testing.T) {
	h := newFakeHub(t)
	path, err := h.download(t.Context(), Options{File: "q4.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != h.files["q4.gguf"] || len(names(t, filepath.Dir(path))) != 1 {
		t.Errorf("%s: %d bytes, %v", path, len(data), err)
	}
	if _, err := h.download(t.Context(), Options{File: "q5.gguf"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	delete(h.files, "model-00001-of-00002.safetensors")
	delete(h.files, "model-00002-of-00002.safetensors")
	if _, err := h.download(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "name one of its GGUF files: q4.gguf") {
		t.Errorf("no safetensors: %v", err)
	}
}

// TestCutConnections resumes where the connection was cut, within a call and from one call to the next.
func TestCutConnections(t *testing.T) {
	const shard = "model-00002-of-00002.safetensors"
	h := newFakeHub(t)
	h.cut[shard], h.fail = 3, 2
	dir, err := h.download(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if asked := h.asked(); len(asked) != 5 || asked[2] != shard+" bytes=31500-" {
		t.Errorf("asked was for %q", asked)
	}

	h = newFakeHub(t)
	h.setCut(shard, 1000)
	if _, err := h.download(t.Context(), Options{}); !errors.Is(err, errCut) || !strings.Contains(err.Error(), shard) {
		t.Errorf("always cut: %v", err)
	}
	h.setCut(shard, 0)
	if dir, err = h.download(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if asked := h.asked(); asked[len(asked)-1] == shard+" " || asked[len(asked)-1] == shard+" bytes=0-" {
		t.Errorf("the second call began anew: %q", asked)
	}
}

// TestNoRanges begins anew where the server cannot resume.
func TestNoRanges(t *testing.T) {
	h := newFakeHub(t)
	h.cut["model-00001-of-00002.safetensors"], h.noRange = 1, true
	var last float64
	dir, err := h.download(t.Context(), Options{Progress: func(done, total float64, _, _ string) { last = done / total }})
	if err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if last != 1 {
		t.Errorf("progress ends at %v", last)
	}
}

// TestWrongChecksum keeps nothing of a damaged file, neither in the snapshot nor to resume from.
func TestWrongChecksum(t *testing.T) {
	for _, name := range []string{"config.json", "model-00002-of-00002.safetensors"} {
		h := newFakeHub(t)
		cache := t.TempDir()
		h.sums[name] = strings.Repeat("a", len(h.sum(name)))
		_, err := h.download(t.Context(), Options{Cache: cache})
		if err == nil || !strings.Contains(err.Error(), name+": the download is damaged") {
			t.Errorf("%s: %v", name, err)
		}
		for _, f := range names(t, cache) {
			st, err := os.Stat(filepath.Join(cache, f))
			if err == nil && (strings.HasSuffix(f, "/"+name) || strings.Contains(f, "refs/") || strings.HasSuffix(f, ".incomplete") && st.Size() > 0) {
				t.Errorf("%s is there", f)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	h := newFakeHub(t)
	for _, tc := range []struct {
		repo, token string
		o           Options
		want, hint  string
	}{
		{"org/none", "", Options{}, "404 Not Found", "check the name"},
		{"org/model", "", Options{Revision: "dev"}, "404 Not Found", "revision"},
		{"org/model", "secret", Options{}, "401 Unauthorized: Access to model org/model is restricted.", "set HF_TOKEN"},
		{"org/model", "secret", Options{Token: "wrong"}, "401", "account of the token"},
		{"model", "", Options{}, "not the name of a model", "owner/name"},
		{"../x", "", Options{}, "not the name of a model", "owner/name"},
		{"org/model", "", Options{Revision: "../x"}, "not a revision", ""},
		{"org/model", "", Options{File: "../x.gguf"}, "not the name of a GGUF file", ""},
		{"org/model", "", Options{Endpoint: "example.org"}, "not an http address", ""},
		{"org/model", "", Options{File: "config.json"}, "not the name of a GGUF file", ""},
	} {
		h.token, tc.o.Endpoint = tc.token, firstOf(tc.o.Endpoint, h.hub.URL)
		_, err := Download(t.Context(), tc.repo, tc.o)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.repo) || !strings.Contains(because.Hint(err), tc.hint) {
			t.Errorf("%s: error %v with hint %q, want %q and %q", tc.repo, err, because.Hint(err), tc.want, tc.hint)
		}
	}
}

// TestBadAnswers gives what a hub must not say.
func TestBadAnswers(t *testing.T) {
	for _, tc := range []struct {
		list, etag string
		want       string
	}{
		{`{`, "", "the list of files"},
		{`{"sha": "../../x", "siblings": []}`, "", "want a commit"},
		{`{"sha": "` + testCommit + `", "siblings": []}`, "", "neither safetensors nor GGUF"},
		{`{"sha": "` + testCommit + `", "siblings": [{"rfilename": "model.safetensors"}]}`, `"../../evil"`, "for its checksum"},
	} {
		newFakeHub(t) // for its environment
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", tc.etag)
			w.Write([]byte(tc.list))
		}))
		_, err := Download(t.Context(), "org/model", Options{Endpoint: s.URL})
		s.Close()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

// TestStall gives a silent connection up, and stops at once where the caller does.
func TestStall(t *testing.T) {
	h := newFakeHub(t)
	quiet := make(chan struct{})
	defer close(quiet)
	h.store.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(h.files["q4.gguf"])))
		w.Write([]byte(h.files["q4.gguf"][:100]))
		w.(http.Flusher).Flush()
		select {
		case <-quiet:
		case <-r.Context().Done():
		}
	})
	d, err := newDownload("org/model", Options{Endpoint: h.hub.URL, File: "q4.gguf"})
	if err != nil {
		t.Fatal(err)
	}
	d.client.attempts, d.client.stall = 1, 20*time.Millisecond
	if _, err := d.run(t.Context()); !errors.Is(err, errCut) || !strings.Contains(err.Error(), "no byte for 20ms") {
		t.Errorf("a silent connection: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	d, err = newDownload("org/model", Options{Endpoint: h.hub.URL, File: "q4.gguf", Progress: func(done, _ float64, _, _ string) {
		if done > 0 {
			cancel(because.ErrInterrupted)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.run(ctx); !errors.Is(err, because.ErrInterrupted) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestTwoProcesses keeps a second download away from a part that is being written.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.incomplete")
	p, err := openPart(path)
	if err != nil {
		t.Fatal(err)
	}
	if q, err := openPart(path); err == nil {
		q.Close()
		t.Error("a second one was let in")
	} else if !strings.Contains(err.Error(), "another process is downloading it") {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	q, err := openPart(path)
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
}

func TestWithoutLinks(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(from, []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(to, from); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "data" {
		t.Errorf("copy has %q, %v", data, err)
	}
}
