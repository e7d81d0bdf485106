package storage

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeS3 is a small server of the S3 protocol, addressed by path, with one bucket and faults on demand.
type fakeS3 struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string]fakeObject
	uploads map[string]*fakeUpload
	puts    map[string]int // bodies received by key, parts included
	log     []string       // method, path and range of every request
	// fault may answer a request itself, and then reports true.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

type fakeObject struct {
	text []byte
	sum  string
}

type fakeUpload struct {
	key, sum string
	parts    map[int][]byte
}

const fakeBucket = "because-test"

// newFake starts a server and points the environment at it.
func newFake(t *testing.T) *fakeS3 {
	t.Helper()
	f := &fakeS3{objects: map[string]fakeObject{}, uploads: map[string]*fakeUpload{}, puts: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	setAWS(t, f.URL)
	return f
}

func setAWS(t *testing.T, endpoint string) {
	t.Helper()
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_S3": "", "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKE", "AWS_SECRET_ACCESS_KEY": "very-secret-value",
		"AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
		"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
	} {
		t.Setenv(k, v)
	}
}

// openFake opens a prefix with small parts and short waits.
func openFake(t *testing.T, uri string) *Store {
	t.Helper()
	s, err := Open(context.Background(), uri)
	if err != nil {
		t.Fatal(err)
	}
	s.pause = time.Millisecond
	if b, ok := s.backend.(*bucket); ok {
		b.single, b.part = 64<<10, 5<<20 // 5 MiB is the least that S3 takes
	}
	return s
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.log = append(f.log, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Range")))
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name != fakeBucket {
		refuse(w, r, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
		return
	}
	q := r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodGet && q.Get("list-type") == "2":
		f.list(w, q.Get("prefix"), q.Get("continuation-token"))
	case key == "":
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodPut:
		f.put(w, r, key, q.Get("uploadId"), q.Get("partNumber"))
	case r.Method == http.MethodPost:
		f.multipart(w, r, key, q.Get("uploadId"))
	case r.Method == http.MethodDelete:
		f.mu.Lock()
		defer f.mu.Unlock()
		if id := q.Get("uploadId"); id != "" {
			delete(f.uploads, id)
		} else {
			delete(f.objects, key)
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		f.get(w, r, key)
	}
}

// refuse answers with an error as S3 does; the answer to HEAD has no body.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}

func (f *fakeS3) put(w http.ResponseWriter, r *http.Request, key, upload, part string) {
	text, err := body(r)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts[key]++
	if upload == "" {
		f.objects[key] = fakeObject{text, r.Header.Get("X-Amz-Meta-Sha256")}
	} else {
		n, _ := strconv.Atoi(part)
		f.uploads[upload].parts[n] = text
	}
	w.Header().Set("ETag", etag(text))
}

func etag(text []byte) string { return fmt.Sprintf(`"%x"`, md5.Sum(text)) }

// body reads what is sent, in signed chunks or plain.
func body(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	in, out := bufio.NewReader(r.Body), []byte{}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil {
			return nil, err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, io.ErrUnexpectedEOF
		}
		if n == 0 {
			return out, nil
		}
		out = append(out, chunk[:n]...)
	}
}

func (f *fakeS3) multipart(w http.ResponseWriter, r *http.Request, key, upload string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if upload == "" {
		id := fmt.Sprintf("upload-%d", len(f.log))
		f.uploads[id] = &fakeUpload{key, r.Header.Get("X-Amz-Meta-Sha256"), map[int][]byte{}}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
		return
	}
	u := f.uploads[upload]
	var text []byte
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		text = append(text, u.parts[n]...)
	}
	f.objects[u.key] = fakeObject{text, u.sum}
	delete(f.uploads, upload)
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", fakeBucket, key, etag(text))
}

func (f *fakeS3) get(w http.ResponseWriter, r *http.Request, key string) {
	f.mu.Lock()
	o, ok := f.objects[key]
	f.mu.Unlock()
	if !ok {
		refuse(w, r, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	w.Header().Set("ETag", etag(o.text))
	if o.sum != "" {
		w.Header().Set("X-Amz-Meta-Sha256", o.sum)
	}
	http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), bytes.NewReader(o.text))
}

// list gives two keys a page.
func (f *fakeS3) list(w http.ResponseWriter, prefix, after string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	type entry struct {
		Key          string
		Size         int
		LastModified string
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []entry
	}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		if len(page.Contents) == 2 {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[1].Key
			break
		}
		page.Contents = append(page.Contents, entry{key, len(f.objects[key].text), "2023-11-14T22:13:20Z"})
	}
	xml.NewEncoder(w).Encode(page)
}

// requests counts those that begin so.
func (f *fakeS3) requests(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, line := range f.log {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// setFault changes how requests are answered.
func (f *fakeS3) setFault(fault func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}
