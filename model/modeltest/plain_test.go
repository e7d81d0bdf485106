package modeltest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/because-lab/because"
	"github.com/because-lab/because/model"
	"github.com/because-lab/because/model/modeltest"
)

// plain is a provider whose wire format is because.Request and because.Response themselves. Its flaws are what a provider may get wrong.
type plain struct {
	url  string
	http *http.Client
	flaw string
}

func newPlain(url, flaw string) *plain {
	return &plain{url: url, flaw: flaw, http: &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if flaw == "follows redirects" {
			r.Header.Set("X-Key", modeltest.Key)
			return nil
		}
		return http.ErrUseLastResponse
	}}}
}

func (*plain) Name() string { return "plain/model" }

// fail makes an error, without the key.
func (p *plain) fail(kind model.Kind, status int, err error) *model.Error {
	text := err.Error()
	if p.flaw != "tells the key" {
		text = strings.ReplaceAll(text, modeltest.Key, "...")
	}
	if p.flaw != "passes on endless pages" {
		text = text[:min(len(text), 200)]
	}
	if p.flaw == "calls everything overloaded" {
		kind = model.Overloaded
	}
	return &model.Error{Kind: kind, Model: p.Name(), Status: status, Err: errors.New(text)}
}

func (p *plain) Answer(ctx context.Context, _ uint64, r because.Request) (because.Response, error) {
	if r.As != "" && p.flaw != "ignores personas" {
		return because.Response{}, because.E("ask", r.As, errors.New("no personas here"), "use a system prompt")
	}
	if p.flaw == "drops stop strings" {
		r.Stop = nil
	}
	if p.flaw == "sends twice" {
		if out, err := p.send(ctx, r); err == nil {
			return out, nil
		}
	}
	return p.send(ctx, r)
}

func (p *plain) send(ctx context.Context, r because.Request) (because.Response, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return because.Response{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return because.Response{}, err
	}
	req.Header.Set("X-Key", modeltest.Key)
	resp, err := p.http.Do(req)
	if ctx.Err() != nil {
		return because.Response{}, ctx.Err()
	} else if err != nil {
		return because.Response{}, p.fail(model.NetworkKind(err), 0, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case ctx.Err() != nil:
		return because.Response{}, ctx.Err()
	case err != nil:
		return because.Response{}, p.fail(model.NetworkKind(err), 0, err)
	case resp.StatusCode != http.StatusOK:
		e := p.fail(kindOf(resp.StatusCode, text), resp.StatusCode, errors.New(string(text)))
		if p.flaw != "ignores dates" || !strings.Contains(resp.Header.Get("Retry-After"), "GMT") {
			e.RetryAfter = model.RetryAfter(resp.Header, time.Now())
		}
		return because.Response{}, e
	}
	return p.read(r, text)
}

func (p *plain) read(r because.Request, text []byte) (because.Response, error) {
	var out *because.Response
	if err := json.Unmarshal(text, &out); err != nil {
		return because.Response{}, p.fail(model.Garbled, http.StatusOK, fmt.Errorf("%w: %s", err, text))
	}
	if out == nil || out.Stop == "" {
		if p.flaw == "takes anything for an answer" {
			return because.Response{}, nil
		}
		return because.Response{}, p.fail(model.Garbled, http.StatusOK, errors.New("no answer in it"))
	}
	if p.flaw == "trims" {
		out.Text = strings.TrimSpace(out.Text)
	}
	if p.flaw != "forgets the prefill" {
		out.Text = r.Prefill + out.Text
	}
	return *out, nil
}

// kindOf reads the kind that the wire format names in its errors.
func kindOf(status int, text []byte) model.Kind {
	var body struct{ Kind model.Kind }
	if status == http.StatusBadRequest && json.Unmarshal(text, &body) == nil {
		return body.Kind
	}
	return model.StatusKind(status)
}

var wire = modeltest.Wire{
	Asked: func(r *http.Request, body []byte) (a modeltest.Asked, err error) {
		err = json.Unmarshal(body, &a.Request)
		a.Key = r.Header.Get("X-Key")
		return a, err
	},
	Reply: func(w http.ResponseWriter, _ modeltest.Asked, reply because.Response) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			panic(err)
		}
	},
	Error: func(f modeltest.Fault) []byte {
		body, err := json.Marshal(map[string]any{"Kind": f.Kind, "Text": f.Text})
		if err != nil {
			panic(err)
		}
		return body
	},
}
