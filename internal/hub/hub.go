// Package hub downloads checkpoints from the Hugging Face hub into the cache that its own libraries use, so that each
// finds what the other has fetched (https://huggingface.co/docs/huggingface_hub/guides/manage-cache).
//
// Only what a checkpoint needs is fetched: configuration and tokenizer files and model*.safetensors, or one GGUF file.
// Downloads resume where they were cut, and every file is held against the checksum that the hub gives for it.
package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/because-lab/because"
)

// Options says what to download, and where from and to. The zero value does as the hub's own libraries do.
type Options struct {
	Revision string // branch, tag or commit; "" means main
	File     string // a GGUF file of the repository, which is then fetched alone
	Cache    string // "" means HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub
	Token    string // "" means HF_TOKEN, or the file that `hf auth login` writes
	Endpoint string // "" means HF_ENDPOINT or https://huggingface.co
	Progress because.Progress
}

// ErrNotFound is in errors about a repository, revision or file that the hub does not have or does not show.
var ErrNotFound = errors.New("not found")

const op = "download"

var repoPart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$`)

// Download brings the checkpoint of repo, "owner/name", into the cache and gives the folder to load it from, or the
// path of the GGUF file if one was asked for. With HF_HUB_OFFLINE=1 it gives what the cache has.
func Download(ctx context.Context, repo string, o Options) (string, error) {
	d, err := newDownload(repo, o)
	if err != nil {
		return "", because.E(op, repo, err, "models are named owner/name")
	}
	if v := os.Getenv("HF_HUB_OFFLINE"); v != "" && v != "0" {
		path, err := d.cache.lookUp(d.revision, o.File)
		if err != nil {
			return "", because.E(op, repo, err, "unset HF_HUB_OFFLINE to download it")
		}
		return path, nil
	}
	path, err := d.run(ctx)
	if err != nil {
		return "", because.E(op, repo, err, d.hint(err))
	}
	return path, nil
}

// download is one call of Download.
type download struct {
	repo, revision, file string
	client               client
	cache                cache
	progress             because.Progress
	done, total          int64 // bytes
}

func newDownload(repo string, o Options) (*download, error) {
	owner, name, ok := strings.Cut(repo, "/")
	if !ok || !repoPart.MatchString(owner) || !repoPart.MatchString(name) {
		return nil, fmt.Errorf("%q is not the name of a model", repo)
	}
	d := &download{repo: repo, revision: firstOf(o.Revision, "main"), file: o.File, progress: o.Progress}
	if !filepath.IsLocal(filepath.FromSlash(d.revision)) || strings.Contains(d.revision, "\\") {
		return nil, fmt.Errorf("%q is not a revision", d.revision)
	}
	if d.file != "" && (!isFileName(d.file) || !strings.HasSuffix(d.file, ".gguf")) {
		return nil, fmt.Errorf("%q is not the name of a GGUF file", d.file)
	}
	root, err := cacheRoot(o.Cache)
	if err != nil {
		return nil, err
	}
	d.cache = cache{filepath.Join(root, "models--"+owner+"--"+name)}
	d.client = client{
		endpoint: strings.TrimRight(firstOf(o.Endpoint, os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/"),
		token:    firstOf(o.Token, os.Getenv("HF_TOKEN"), savedToken()),
		http:     newHTTP(),
		attempts: 5, pause: time.Second, stall: time.Minute,
	}
	if e := d.client.endpoint; !strings.HasPrefix(e, "http://") && !strings.HasPrefix(e, "https://") {
		return nil, fmt.Errorf("the endpoint %q is not an http address", e)
	}
	return d, nil
}

// isFileName accepts slash-separated paths that stay where they are put.
func isFileName(name string) bool {
	return name != "" && !strings.ContainsAny(name, "\\:\x00") && filepath.IsLocal(filepath.FromSlash(name))
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// run lists the repository, fetches what is missing, and only then points the revision at it.
func (d *download) run(ctx context.Context) (string, error) {
	defer d.client.http.CloseIdleConnections()
	list, err := d.client.list(ctx, d.repo, d.revision)
	if err != nil {
		return "", err
	}
	names, err := d.choose(list.names())
	if err != nil {
		return "", err
	}
	files := make([]remoteFile, len(names))
	for i, name := range names {
		if files[i], err = d.client.describe(ctx, d.repo, list.Commit, name); err != nil {
			return "", err
		}
		d.total += files[i].size
	}
	for _, f := range files {
		if err := d.fetch(ctx, list.Commit, f); err != nil {
			return "", fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := d.cache.setRef(d.revision, list.Commit); err != nil {
		return "", err
	}
	return filepath.Join(d.cache.snapshot(list.Commit), filepath.FromSlash(d.file)), nil
}

// choose picks the files of a checkpoint. A model that lies there whole is not fetched in shards again, and other
// copies of the tensors (consolidated.safetensors, original/) not at all.
func (d *download) choose(names []string) ([]string, error) {
	if d.file != "" {
		if !slices.Contains(names, d.file) {
			return nil, fmt.Errorf("the file %s is %w", d.file, ErrNotFound)
		}
		return []string{d.file}, nil
	}
	whole := slices.Contains(names, "model.safetensors")
	var chosen, ggufs []string
	tensors := false
	for _, name := range names {
		folder, base := filepath.Split(filepath.FromSlash(name))
		switch {
		case strings.HasSuffix(base, ".gguf"):
			ggufs = append(ggufs, name)
		case !isFileName(name) || folder != "" && filepath.ToSlash(folder) != "additional_chat_templates/":
		case strings.HasSuffix(base, ".safetensors"):
			if name == "model.safetensors" || !whole && strings.HasPrefix(name, "model-") {
				chosen, tensors = append(chosen, name), true
			}
		case strings.HasSuffix(base, ".jinja"), folder == "" && strings.HasSuffix(base, ".json"):
			chosen = append(chosen, name)
		}
	}
	switch {
	case tensors:
		return chosen, nil
	case len(ggufs) > 0:
		return nil, fmt.Errorf("it has no safetensors; name one of its GGUF files: %s", strings.Join(ggufs, ", "))
	}
	return nil, errors.New("it has neither safetensors nor GGUF files")
}

// fetch makes one file part of the snapshot.
func (d *download) fetch(ctx context.Context, commit string, f remoteFile) error {
	blob := d.cache.blob(f.sum)
	if st, err := os.Stat(blob); err == nil && st.Size() == f.size {
		d.advance(f.size, f.name)
		return d.cache.link(commit, f)
	}
	if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
		return err
	}
	part, err := openPart(blob + ".incomplete")
	if err != nil {
		return err
	}
	defer part.Close()
	if err := d.client.fill(ctx, d.repo, commit, f, part, d.advance); err != nil {
		return err
	}
	if err := f.verify(part); err != nil {
		// What is damaged must not be resumed.
		return errors.Join(err, part.Truncate(0))
	}
	if err := part.finish(blob); err != nil {
		return err
	}
	return d.cache.link(commit, f)
}

// advance counts n bytes of a file; n is negative where bytes must be fetched again.
func (d *download) advance(n int64, name string) {
	d.done += n
	if d.progress != nil {
		d.progress(float64(d.done), float64(d.total), "bytes", name)
	}
}

// hint says what the user can do about an error.
func (d *download) hint(err error) string {
	var status statusError
	switch {
	case errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden):
		if d.client.token == "" {
			return "check the name; if the model is gated or private, accept its terms on " + d.client.endpoint + "/" + d.repo + " and set HF_TOKEN"
		}
		return "accept its terms on " + d.client.endpoint + "/" + d.repo + " with the account of the token"
	case errors.Is(err, ErrNotFound):
		return "check the name and the revision"
	case errors.Is(err, errCut):
		return "run the same command again to resume"
	}
	return ""
}
