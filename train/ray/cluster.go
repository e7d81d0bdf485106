package ray

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Node is a machine of the cluster that is alive.
type Node struct {
	Name   string
	Head   bool
	CPU    float64 // cores that Ray may give away
	GPU    float64
	Kinds  []string // of accelerators, such as A100
	Memory int64    // bytes
}

// Resources are what a cluster has, whether or not it is in use.
type Resources struct{ Nodes []Node }

// Sum gives the totals.
func (r Resources) Sum() (total Node) {
	for _, n := range r.Nodes {
		total.CPU += n.CPU
		total.GPU += n.GPU
		total.Memory += n.Memory
		total.Kinds = append(total.Kinds, n.Kinds...)
	}
	slices.Sort(total.Kinds)
	total.Kinds = slices.Compact(total.Kinds)
	return total
}

// Need is what a job's workers need together. A worker is not shared between nodes.
type Need struct {
	Workers int
	CPUs    float64 // per worker
	GPUs    float64
}

// NeedOf says what a job needs.
func NeedOf(j Job) Need { return Need{Workers: j.Run.Workers, CPUs: j.Run.CPUs, GPUs: j.Run.GPUs} }

func (n Need) String() string {
	if n.GPUs == 0 {
		return fmt.Sprintf("%d workers with %g CPUs each", n.Workers, n.CPUs)
	}
	return fmt.Sprintf("%d workers with %g CPUs and %g GPUs each", n.Workers, n.CPUs, n.GPUs)
}

// Fits tells whether the cluster could run all workers at once, were it idle; the error says what it lacks.
func (r Resources) Fits(n Need) error {
	room := 0.0
	var largest Node
	for _, node := range r.Nodes {
		room += math.Min(places(node.CPU, n.CPUs), places(node.GPU, n.GPUs))
		largest.CPU, largest.GPU = max(largest.CPU, node.CPU), max(largest.GPU, node.GPU)
	}
	if room >= float64(n.Workers) {
		return nil
	}
	sum := r.Sum()
	has := fmt.Sprintf("the cluster has %g CPUs and %g GPUs on %d nodes", sum.CPU, sum.GPU, len(r.Nodes))
	switch {
	case len(r.Nodes) == 0:
		return errors.New("the cluster has no node that is alive")
	case largest.GPU < n.GPUs:
		return fmt.Errorf("the job needs %s, but no node has so many GPUs: %s", n, has)
	case largest.CPU < n.CPUs:
		return fmt.Errorf("the job needs %s, but no node has so many CPUs: %s", n, has)
	}
	return fmt.Errorf("the job needs %s, but there is room for %g: %s", n, room, has)
}

// places is how many shares of a resource there are.
func places(has, share float64) float64 {
	if share <= 0 {
		return math.Inf(1)
	}
	return math.Floor(has/share + 1e-9)
}

// Resources asks for the nodes. It reads the state API and, where a cluster lacks that, the list that the dashboard's pages are made from.
func (c *Client) Resources(ctx context.Context) (Resources, error) {
	const op = "ask for the cluster's resources"
	r, err := c.stateNodes(ctx)
	if err != nil && !passing(err) {
		var second error
		if r, second = c.summaryNodes(ctx); second != nil {
			err = errors.Join(err, second)
		} else {
			err = nil
		}
	}
	return r, c.fail(op, "", err)
}

func (c *Client) stateNodes(ctx context.Context) (r Resources, err error) {
	var a struct {
		Data struct {
			Result struct {
				Result []struct {
					Name      string         `json:"node_name"`
					IP        string         `json:"node_ip"`
					Head      bool           `json:"is_head_node"`
					State     string         `json:"state"`
					Resources map[string]any `json:"resources_total"`
				} `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{method: http.MethodGet, path: "/api/v0/nodes", query: url.Values{"detail": {"true"}, "limit": {"10000"}}, answer: &a}); err != nil {
		return r, err
	}
	for _, n := range a.Data.Result.Result {
		if n.State == "ALIVE" {
			r.Nodes = append(r.Nodes, node(firstOf(n.Name, n.IP), n.Head, n.Resources))
		}
	}
	if len(r.Nodes) == 0 {
		return r, &Fault{Kind: ErrNotFound, Text: "it lists no nodes"}
	}
	return r, nil
}

func (c *Client) summaryNodes(ctx context.Context) (r Resources, err error) {
	var a struct {
		Data struct {
			Summary []struct {
				Host   string `json:"hostname"`
				Raylet struct {
					Name      string         `json:"nodeName"`
					Head      bool           `json:"isHeadNode"`
					State     string         `json:"state"`
					Resources map[string]any `json:"resourcesTotal"`
				} `json:"raylet"`
			} `json:"summary"`
		} `json:"data"`
	}
	if err := c.do(ctx, call{method: http.MethodGet, path: "/nodes", query: url.Values{"view": {"summary"}}, answer: &a}); err != nil {
		return r, err
	}
	for _, n := range a.Data.Summary {
		if n.Raylet.State == "ALIVE" {
			r.Nodes = append(r.Nodes, node(firstOf(n.Raylet.Name, n.Host), n.Raylet.Head, n.Raylet.Resources))
		}
	}
	return r, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// node reads Ray's map of resources, whose numbers some versions give as text.
func node(name string, head bool, resources map[string]any) Node {
	n := Node{Name: name, Head: head}
	for _, key := range slices.Sorted(maps.Keys(resources)) {
		value := number(resources[key])
		kind, isKind := strings.CutPrefix(key, "accelerator_type:")
		if !isKind {
			kind, isKind = strings.CutPrefix(key, "acceleratorType:") // as the dashboard's pages spell it
		}
		switch {
		case key == "CPU":
			n.CPU = value
		case key == "GPU":
			n.GPU = value
		case key == "memory":
			n.Memory = int64(value)
		case isKind:
			n.Kinds = append(n.Kinds, kind)
		}
	}
	return n
}

func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case string:
		x, err := strconv.ParseFloat(v, 64)
		if err == nil {
			return x
		}
	}
	return 0
}
