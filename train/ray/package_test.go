package ray

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/because-lab/because"
)

var someEngine = fstest.MapFS{
	"pyproject.toml":          {Data: []byte("[project]\n")},
	"because_ray/__init__.py": {},
	"because_ray/zz.py":       {Data: []byte("x = 1\n"), ModTime: quickTime},
}

func TestPackageIsOfItsContentsAlone(t *testing.T) {
	data, sum := dataFile(t, "{}\n")
	pack := func(change func(*Job, fstest.MapFS)) (string, []byte) {
		j, engine := testJob(), fstest.MapFS{}
		j.SHA256 = sum
		for k, v := range someEngine {
			engine[k] = v
		}
		change(&j, engine)
		p, err := Pack(engine, j, data)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Remove()
		text, err := os.ReadFile(p.path)
		if err != nil || int64(len(text)) != p.Size || p.URI() != "gcs://"+p.Name {
			t.Fatal(err, len(text), p)
		}
		return p.Name, text
	}
	name, text := pack(func(*Job, fstest.MapFS) {})
	again, same := pack(func(_ *Job, e fstest.MapFS) { e["because_ray/zz.py"] = &fstest.MapFile{Data: []byte("x = 1\n")} })
	if again != name || !bytes.Equal(text, same) {
		t.Error("a file's time changed the package")
	}
	for what, change := range map[string]func(*Job, fstest.MapFS){
		"engine": func(_ *Job, e fstest.MapFS) { e["because_ray/zz.py"] = &fstest.MapFile{Data: []byte("x = 2\n")} },
		"name": func(_ *Job, e fstest.MapFS) {
			e["because_ray/zy.py"] = e["because_ray/zz.py"]
			delete(e, "because_ray/zz.py")
		},
		"job": func(j *Job, _ fstest.MapFS) { j.Seed++ },
		"run": func(j *Job, _ fstest.MapFS) { j.Run.Workers++ },
	} {
		if other, _ := pack(change); other == name {
			t.Errorf("another %s, the same package", what)
		}
	}
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(in); err != nil || f.Name == "data.jsonl" && string(got) != "{}\n" {
			t.Error(f.Name, string(got), err)
		}
	}
	if d := cmp.Diff([]string{"because_ray/__init__.py", "because_ray/zz.py", "data.jsonl", "job.json", "pyproject.toml"}, names); d != "" {
		t.Error(d)
	}
}

func TestPackageRefuses(t *testing.T) {
	data, sum := dataFile(t, "{}\n")
	for name, tc := range map[string]struct {
		job  func(*Job)
		file string
		text string
	}{
		"other bytes":     {func(j *Job) { j.SHA256 = strings.Repeat("0", 64) }, data, "checksum"},
		"no file":         {func(*Job) {}, data + "x", "no such file"},
		"a path":          {func(j *Job) { j.Data = "../data.jsonl" }, data, "not a name"},
		"a Windows path":  {func(j *Job) { j.Data = `a\b` }, data, "not a name"},
		"the job's place": {func(j *Job) { j.Data = "job.json" }, data, "not a name"},
		"an engine file":  {func(j *Job) { j.Data = "pyproject.toml" }, data, "not a name"},
		"the engine":      {func(j *Job) { j.Data = "because_ray" }, data, "not a name"},
	} {
		j := testJob()
		j.SHA256 = sum
		tc.job(&j)
		if _, err := Pack(someEngine, j, tc.file); err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPackageTooLarge(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	noise := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{})
	r.Read(noise)
	data, sum := dataFile(t, string(noise))
	p := packer{engine: someEngine, limit: 1 << 19, data: data, dataName: "data.jsonl", sum: sum}
	_, err := p.pack()
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB") || !strings.Contains(because.Hint(err), "s3://") {
		t.Error(err, because.Hint(err))
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Error("a file was left", left)
	}
	j := testJob()
	j.Data, j.SHA256 = "s3://bucket/data.jsonl", sum
	pkg, err := Pack(someEngine, j, "")
	if err != nil || pkg.Size > 4096 {
		t.Fatal(pkg, err)
	}
	pkg.Remove()
}

func TestUploadOnce(t *testing.T) {
	s, c := cluster(t, nil)
	p, err := (&packer{engine: someEngine, limit: packageLimit}).pack()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Remove()
	s.Cut("PUT", 1)
	s.Fail("PUT", 1, 500)
	for range 2 {
		if uri, err := c.Upload(t.Context(), p); err != nil || uri != p.URI() {
			t.Fatal(uri, err)
		}
	}
	if n := s.Requests()["PUT /api/packages/gcs/"+p.Name]; n != 3 {
		t.Errorf("%d uploads", n)
	}
	if err := c.Submit(t.Context(), Submission{ID: "a", Entry: "x", Env: RuntimeEnv{WorkingDir: p.URI()}}); err != nil {
		t.Fatal(err)
	}
	if got := s.Jobs()[0].Files; len(got) != 3 || string(got["because_ray/zz.py"]) != "x = 1\n" {
		t.Error(got)
	}
	s.Forget()
	s.Say("PUT", 1, 413, "Maximum request body size exceeded")
	if _, err := c.Upload(t.Context(), p); !errors.Is(err, ErrTooLarge) || because.Hint(err) == "" {
		t.Error(err)
	}
}
