package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/because-lab/because"
)

// denyPut refuses to store keys that contain one of the texts.
func denyPut(texts ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		for _, text := range texts {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, text) {
				refuse(w, r, http.StatusForbidden, "AccessDenied", "Access Denied")
				return true
			}
		}
		return false
	}
}

func TestFaults(t *testing.T) {
	f := newFake(t)
	for name, c := range map[string]struct {
		bucket, code string
		status       int
		want         error
		hint         string
	}{
		"forbidden":  {fakeBucket, "AccessDenied", 403, ErrForbidden, "s3:GetObject"},
		"wrong key":  {fakeBucket, "SignatureDoesNotMatch", 403, ErrForbidden, "credentials"},
		"no bucket":  {"another-bucket", "", 0, ErrNoBucket, "bucket"},
		"region":     {fakeBucket, "PermanentRedirect", 301, errAnswer, ""},
		"quota":      {fakeBucket, "QuotaExceeded", 409, ErrNoSpace, "space"},
		"overloaded": {fakeBucket, "NotImplementedHere", 501, ErrNetwork, "again"},
	} {
		f.setFault(func(w http.ResponseWriter, r *http.Request) bool {
			if c.code == "" {
				return false
			}
			// A server that repeats what it must not.
			refuse(w, r, c.status, c.code, "the key very-secret-value of AKIAFAKEFAKEFAKE")
			return true
		})
		s := openFake(t, "s3://"+c.bucket+"/x")
		errs := map[string]error{"put": s.Put(context.Background(), "k", strings.NewReader("text"), 4, sumOf([]byte("text")))}
		_, errs["list"] = s.Manifest(context.Background())
		if c.want != errAnswer && c.want != ErrNoSpace { // HEAD has no body for these codes
			_, errs["stat"] = s.Exists(context.Background(), "k")
		}
		for what, err := range errs {
			if what == "list" && (c.want == errAnswer || c.want == ErrNoSpace) {
				continue
			}
			if !errors.Is(err, c.want) || !strings.Contains(because.Hint(err), c.hint) || !strings.Contains(err.Error(), "s3://"+c.bucket+"/x") {
				t.Errorf("%s, %s: %v (%s)", name, what, err, because.Hint(err))
			}
			if text := fmt.Sprintf("%v %+v %s", err, err, because.Hint(err)); strings.Contains(text, "very-secret-value") || strings.Contains(text, "AKIAFAKE") {
				t.Errorf("%s, %s: the error holds credentials: %s", name, what, text)
			}
		}
	}
}

func TestUnreachable(t *testing.T) {
	f := newFake(t)
	f.Close()
	s := openFake(t, "s3://"+fakeBucket+"/x")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Exists(ctx, "k"); !errors.Is(err, ErrNetwork) || because.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestEnvironment(t *testing.T) {
	setAWS(t, "")
	open := func() error { _, err := Open(context.Background(), "s3://bucket/x"); return err }
	for _, bad := range []string{"127.0.0.1:9000", "ftp://host", "http://", "http://user:hunter2@host", "http://host/path", "http://host?x=hunter2"} {
		t.Setenv("AWS_ENDPOINT_URL", bad)
		if err := open(); !errors.Is(err, ErrURI) || strings.Contains(err.Error()+because.Hint(err), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1") // goes before the other
	if err := open(); err != nil {
		t.Error(err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if err := open(); err == nil || because.Hint(err) == "" {
		t.Errorf("half of the credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	s, err := Open(context.Background(), "s3://bucket/x")
	if err != nil {
		t.Fatal(err)
	}
	if hint := s.hint(ErrForbidden); !strings.Contains(hint, "no credentials were found") {
		t.Errorf("without credentials the hint is %q", hint)
	}
	t.Setenv("GS_ACCESS_KEY_ID", "")
	t.Setenv("GS_SECRET_ACCESS_KEY", "")
	if _, err := Open(context.Background(), "gs://bucket/x"); !errors.Is(err, ErrForbidden) || !strings.Contains(because.Hint(err), "GS_ACCESS_KEY_ID") {
		t.Errorf("gs without a key: %v", err)
	}
	t.Setenv("GS_ACCESS_KEY_ID", "GOOG1")
	t.Setenv("GS_SECRET_ACCESS_KEY", "x")
	g, err := Open(context.Background(), "gs://bucket/x")
	if err != nil {
		t.Fatal(err)
	}
	if url := g.backend.(*bucket).core.EndpointURL(); url.String() != "https://storage.googleapis.com" {
		t.Errorf("gs goes to %s", url)
	}
}

// The shared credentials file is read, under the profile that AWS_PROFILE names.
func TestProfile(t *testing.T) {
	f := newFake(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_PROFILE", "lab")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write(t, filepath.Join(t.TempDir(), "credentials"),
		[]byte("[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = x\n[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = y\n")))
	var signed atomic.Value
	f.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
		signed.Store(r.Header.Get("Authorization"))
		return false
	})
	put(t, openFake(t, "s3://"+fakeBucket+"/x"), "k", []byte("text"))
	if got := signed.Load().(string); !strings.Contains(got, "AKIALAB/") {
		t.Errorf("the request is signed with %s", got)
	}
}

// A download whose connection breaks goes on by range, and no byte is fetched twice.
func TestDownloadContinues(t *testing.T) {
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/x")
	text := random(3, 1<<20)
	put(t, s, "k", text)
	var served atomic.Int64
	f.setFault(cut(text, 100<<10, &served))
	to := filepath.Join(t.TempDir(), "k")
	if _, err := s.GetFile(context.Background(), "k", to, "", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if served.Load() != 1<<20 || f.requests("GET ") != 11 {
		t.Errorf("%d bytes were served in %d requests, want each byte once in 11", served.Load(), f.requests("GET "))
	}
}

// cut serves an object, n bytes of it per request.
func cut(text []byte, n int, served *atomic.Int64) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		if r.Header.Get("If-Match") != etag(text) { // the pieces of two contents must not be put together
			refuse(w, r, http.StatusPreconditionFailed, "PreconditionFailed", "")
			return true
		}
		from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
		w.Header().Set("ETag", etag(text))
		w.Header().Set("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")
		w.Header().Set("Content-Length", strconv.Itoa(len(text)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(text)-1, len(text)))
			w.WriteHeader(http.StatusPartialContent)
		}
		k, _ := w.Write(text[from:min(from+n, len(text))])
		served.Add(int64(k))
		w.(http.Flusher).Flush()
		if from+n < len(text) {
			panic(http.ErrAbortHandler)
		}
		return true
	}
}

// A later call continues what a killed one has left; what is left of other content is not used.
func TestDownloadContinuesLater(t *testing.T) {
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/x")
	text := random(3, 1<<20)
	put(t, s, "k", text)
	to := filepath.Join(t.TempDir(), "k")
	write(t, filepath.Join(filepath.Dir(to), ".k."+sumOf(text)[:16]+partSuffix), text[:700<<10])
	write(t, filepath.Join(filepath.Dir(to), ".k."+strings.Repeat("0", 16)+partSuffix), random(9, 800<<10))
	if _, err := s.GetFile(context.Background(), "k", to, "", nil); err != nil {
		t.Fatal(err)
	}
	if n := f.requests("GET "); n != 1 || !strings.HasSuffix(f.log[len(f.log)-1], "bytes=716800-") {
		t.Errorf("%d requests, the last %s", n, f.log[len(f.log)-1])
	}
	// A damaged rest is found, removed, and not used again.
	write(t, filepath.Join(filepath.Dir(to), ".j."+sumOf(text)[:16]+partSuffix), random(9, 700<<10))
	other := filepath.Join(filepath.Dir(to), "j")
	if _, err := s.GetFile(context.Background(), "k", other, "", nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged rest: %v", err)
	}
	if _, err := s.GetFile(context.Background(), "k", other, "", nil); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// A server that stops sending is given up after a while.
func TestStall(t *testing.T) {
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/x")
	s.stall = 20 * time.Millisecond
	put(t, s, "k", random(1, 1000))
	f.setFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Length", "1000")
		w.Header().Set("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	if _, err := s.GetFile(context.Background(), "k", filepath.Join(t.TempDir(), "k"), "", nil); !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "no byte") {
		t.Errorf("%v", err)
	}
}

// Large files go in parts; one that cannot be finished is taken back, and one failing request is repeated.
func TestMultipart(t *testing.T) {
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/x")
	text := random(3, 5<<20+1)
	path := write(t, filepath.Join(t.TempDir(), "k"), text)
	var failed atomic.Bool
	f.setFault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "2" && failed.CompareAndSwap(false, true) {
			refuse(w, r, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
			return true
		}
		return false
	})
	if _, err := s.PutFile(context.Background(), "k", path, nil); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "k"); !bytes.Equal(got, text) || f.puts["x/k"] != 2 {
		t.Errorf("%d bytes came in %d parts", len(got), f.puts["x/k"])
	}
	f.setFault(denyPut("x/other"))
	if _, err := s.PutFile(context.Background(), "other", path, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("%v", err)
	}
	if len(f.uploads) != 0 || f.requests("DELETE /because-test/x/other?uploadId=") != 1 {
		t.Errorf("%d uploads are left open", len(f.uploads))
	}
}

// A file that changes while its parts are sent is not left in the store under a checksum that is not its own.
func TestFileChangesUnderWay(t *testing.T) {
	f := newFake(t)
	s := openFake(t, "s3://"+fakeBucket+"/x")
	path := write(t, filepath.Join(t.TempDir(), "k"), random(3, 5<<20+1))
	var once atomic.Bool
	f.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && once.CompareAndSwap(false, true) {
			now := time.Now().Add(time.Hour)
			os.Chtimes(path, now, now)
		}
		return false
	})
	if _, err := s.PutFile(context.Background(), "k", path, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
	if ok, err := s.Exists(context.Background(), "k"); ok || err != nil {
		t.Errorf("it is there: %v, %v", ok, err)
	}
}

func TestNoSpace(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	_, err = full.Write([]byte("x"))
	s := openFake(t, fileURI(t.TempDir()))
	if err = s.failure("store", "x", local(err)); !errors.Is(err, ErrNoSpace) || !strings.Contains(because.Hint(err), "free space") {
		t.Errorf("%v", err)
	}
}

func TestForbiddenFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create(filepath.Join(dir, "x")); err == nil {
		f.Close()
		t.Skip("this user may write everywhere")
	}
	s := openFake(t, fileURI(dir))
	if err := s.Put(context.Background(), "k", strings.NewReader(""), 0, sumOf(nil)); !errors.Is(err, ErrForbidden) || because.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}
