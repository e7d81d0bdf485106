package storage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ManifestName is the file that makes a stored folder whole. It is written last, so a folder without it is half-written.
const ManifestName = "MANIFEST.json"

// Manifest lists the files of a stored folder. Its file lies at the folder's top and is one JSON object in UTF-8,
//
//	{"files": [{"path": "a/model.safetensors", "size": 12, "sha256": "5891b5b5..."}]}
//
// where
//
//   - files has every file of the folder but the manifest itself, at least one, in the order of the bytes of path, each path once, none a folder of another;
//   - path is relative to the folder and slash-separated, without an empty part, ".", "..", or one of \ : ? # and control characters;
//   - size is the number of bytes, an integer from 0;
//   - sha256 is the SHA-256 of the content in lower-case hex, 64 digits.
//
// White space does not matter, nor does the order of keys. Readers ignore keys that they do not know, and must refuse what breaks a
// rule above, a missing file, and a file whose size or checksum differs. Files that are stored in the folder but not listed
// do not belong to it. Writers remove an old manifest before they change a file, write all files, and write the manifest last.
type Manifest struct {
	Files []ManifestFile `json:"files"`
}

// ManifestFile is a line of a manifest.
type ManifestFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// maxManifest bounds a manifest's file.
const maxManifest = 64 << 20

// ParseManifest reads a manifest and holds it against its rules.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("%s: %w", ManifestName, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, fmt.Errorf("%s: something follows its end", ManifestName)
	}
	return m, m.validate()
}

func (m Manifest) validate() error {
	if len(m.Files) == 0 {
		return fmt.Errorf("%s lists no files", ManifestName)
	}
	folders := map[string]bool{}
	for _, f := range m.Files {
		for at := strings.LastIndexByte(f.Path, '/'); at > 0; at = strings.LastIndexByte(f.Path[:at], '/') {
			folders[f.Path[:at]] = true
		}
	}
	for i, f := range m.Files {
		err := checkKey(f.Path)
		switch {
		case err != nil:
		case f.Path == ManifestName:
			err = errors.New("the manifest lists itself")
		case folders[f.Path]:
			err = fmt.Errorf("the path %q is a file and a folder", f.Path)
		case f.Size < 0:
			err = fmt.Errorf("size is %d", f.Size)
		case !isSum(f.SHA256):
			err = fmt.Errorf("sha256 is %q, want 64 digits of lower-case hex", f.SHA256)
		case i > 0 && f.Path <= m.Files[i-1].Path:
			err = fmt.Errorf("the path %q stands behind %q; paths are sorted, each once", f.Path, m.Files[i-1].Path)
		}
		if err != nil {
			return fmt.Errorf("%s: files[%d]: %w", ManifestName, i, err)
		}
	}
	return nil
}

// Encode writes the manifest: the same files give the same bytes, whatever their order.
func (m Manifest) Encode() ([]byte, error) {
	files := slices.Clone(m.Files)
	slices.SortFunc(files, func(a, b ManifestFile) int { return cmp.Compare(a.Path, b.Path) })
	m.Files = files
	if err := m.validate(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(m)
	return out.Bytes(), err
}

// Size is the number of bytes of all files.
func (m Manifest) Size() int64 {
	n := int64(0)
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// visitSorted visits files in the order of their keys.
func visitSorted(found []Info, visit func(Info) error) error {
	slices.SortFunc(found, func(a, b Info) int { return cmp.Compare(a.Key, b.Key) })
	for _, i := range found {
		if err := visit(i); err != nil {
			return err
		}
	}
	return nil
}
