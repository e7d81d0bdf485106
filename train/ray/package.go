package ray

import (
	"archive/zip"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// Names in the working directory of a job, beside the engine's files.
const (
	jobFile    = "job.json"
	doctorFile = "doctor.json"
)

// packageLimit is the most that Ray's dashboard takes in one request (DASHBOARD_CLIENT_MAX_SIZE), less a little.
const packageLimit = 100<<20 - 64<<10

// Package is a working directory of a job, zipped, in a temporary file. Equal contents make equal bytes and an equal name.
type Package struct {
	Name string // _ray_pkg_HASH.zip
	Size int64
	path string
}

// URI is where a job finds the package once it is uploaded.
func (p *Package) URI() string { return "gcs://" + p.Name }

// Remove deletes the temporary file.
func (p *Package) Remove() error { return os.Remove(p.path) }

// Pack makes a job's package of the engine's files, the job and, unless the job's Data is a URI, the file of its data, whose bytes must have the job's checksum.
func Pack(engine fs.FS, job Job, data string) (*Package, error) {
	text, err := json.MarshalIndent(job, "", "  ")
	if err != nil {
		return nil, because.E("pack job", "", err, "")
	}
	p := packer{engine: engine, limit: packageLimit, extra: map[string][]byte{jobFile: append(text, '\n')}}
	if strings.Contains(job.Data, "://") {
		return p.pack()
	}
	if job.Data != path.Base(job.Data) || job.Data == "." || job.Data == "/" || strings.Contains(job.Data, `\`) || p.taken(job.Data) {
		return nil, because.E("pack job", job.Data, errors.New("not a name that the data can have beside the engine's files"), "give it a plain name, such as data.jsonl")
	}
	p.data, p.dataName, p.sum = data, job.Data, job.SHA256
	return p.pack()
}

// packer puts files into a zip in the order of their names.
type packer struct {
	engine   fs.FS
	extra    map[string][]byte
	dataName string // in the package
	data     string // the file that it comes from
	sum      string // that the data must have
	limit    int64
}

func (p *packer) taken(name string) bool {
	if _, ok := p.extra[name]; ok {
		return true
	}
	_, err := fs.Stat(p.engine, name)
	return err == nil
}

func (p *packer) pack() (pkg *Package, err error) {
	const op = "pack job"
	names, err := p.names()
	if err != nil {
		return nil, because.E(op, "the engine", err, "")
	}
	f, err := os.CreateTemp("", "because-ray-*.zip")
	if err != nil {
		return nil, because.E(op, "", err, "is there room for temporary files (TMPDIR)?")
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	out := &bounded{w: f, left: p.limit}
	name, err := p.write(out, names)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, p.explain(op, err)
	}
	return &Package{Name: name, Size: p.limit - out.left, path: f.Name()}, nil
}

func (p *packer) explain(op string, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return because.E(op, firstOf(p.data, "the engine"), fmt.Errorf("it comes to more than %d MiB when packed, the most that Ray takes with a job", (p.limit+1<<20-1)>>20),
			"put the data into storage that the cluster reaches (s3://, gs://, a shared folder) and give its URI")
	}
	if errors.Is(err, errSum) {
		return because.E(op, p.data, err, "the data changed meanwhile; start again")
	}
	return because.E(op, p.data, err, "")
}

// names lists the files of the package in order.
func (p *packer) names() ([]string, error) {
	var names []string
	err := fs.WalkDir(p.engine, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for name := range p.extra {
		names = append(names, name)
	}
	if p.dataName != "" {
		names = append(names, p.dataName)
	}
	slices.Sort(names)
	return names, nil
}

// write writes the zip and gives the package's name, a hash of the names and contents of all files.
func (p *packer) write(w io.Writer, names []string) (string, error) {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	all := sha256.New()
	for _, name := range names {
		sum, err := p.add(z, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%d %s %s\n", len(name), name, sum)
	}
	return "_ray_pkg_" + hex.EncodeToString(all.Sum(nil)[:16]) + ".zip", z.Close()
}

var errSum = errors.New("its bytes are not those of the job's checksum")

// add writes one file and gives the checksum of its contents.
func (p *packer) add(z *zip.Writer, name string) (string, error) {
	in, err := p.open(name)
	if err != nil {
		return "", err
	}
	defer in.Close()
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o644)
	out, err := z.CreateHeader(h)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), in); err != nil {
		return "", err
	}
	text := hex.EncodeToString(sum.Sum(nil))
	if name == p.dataName && text != p.sum {
		return "", errSum
	}
	return text, nil
}

func (p *packer) open(name string) (io.ReadCloser, error) {
	if text, ok := p.extra[name]; ok {
		return io.NopCloser(strings.NewReader(string(text))), nil
	}
	if name == p.dataName {
		return os.Open(p.data)
	}
	return p.engine.Open(name)
}

// bounded fails once more than a number of bytes were written.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(text []byte) (int, error) {
	if int64(len(text)) > b.left {
		return 0, ErrTooLarge
	}
	n, err := b.w.Write(text)
	b.left -= int64(n)
	return n, err
}

// Upload puts a package into the cluster unless it is there, and gives its URI. Ray keeps a package for some minutes without a job that uses it.
func (c *Client) Upload(ctx context.Context, p *Package) (string, error) {
	const op = "upload package"
	where := "/api/packages/gcs/" + p.Name
	err := c.do(ctx, call{method: http.MethodGet, path: where})
	if err == nil {
		return p.URI(), nil
	}
	if !errors.Is(err, ErrNotFound) {
		return "", c.fail(op, p.Name, err)
	}
	f, err := os.Open(p.path)
	if err != nil {
		return "", because.E(op, p.Name, err, "")
	}
	defer f.Close()
	err = c.do(ctx, call{method: http.MethodPut, path: where, file: f, size: p.Size})
	return p.URI(), c.fail(op, p.Name, err)
}
