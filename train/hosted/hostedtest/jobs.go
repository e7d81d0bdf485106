package hostedtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (s *Server) serveJobs(w http.ResponseWriter, r *http.Request, rest []string) {
	if len(rest) == 0 {
		if r.Method == http.MethodPost {
			s.create(w, r)
			return
		}
		var all []map[string]any
		for _, j := range slices.Backward(s.jobs) {
			all = append(all, s.tell(j))
		}
		s.list(w, r, all)
		return
	}
	i := slices.IndexFunc(s.jobs, func(j *job) bool { return j.id == rest[0] })
	if i < 0 {
		s.fail(w, 404, "fine_tune_not_found", "Could not find the fine-tuning job.", "fine_tuning_job_id")
		return
	}
	j := s.jobs[i]
	switch {
	case len(rest) == 1 && r.Method == http.MethodGet:
		s.advance(j)
		reply(w, s.tell(j))
	case len(rest) == 2 && rest[1] == "events" && r.Method == http.MethodGet:
		all := slices.Clone(j.events)
		if !s.b.OldestFirst {
			slices.Reverse(all)
		}
		s.list(w, r, all)
	case len(rest) == 2 && rest[1] == "cancel" && r.Method == http.MethodPost:
		if j.ended() {
			s.fail(w, 400, "", "The job has already ended.", "")
			return
		}
		j.status = "cancelled"
		j.say("info", "The job has been cancelled.")
		reply(w, s.tell(j))
	default:
		s.fail(w, 404, "", "Unknown path.", "")
	}
}

// create makes a job, or refuses what the API refuses.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	var q request
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		s.fail(w, 400, "invalid_request_error", err.Error(), "")
		return
	}
	known := func(id string) bool { return slices.ContainsFunc(s.files, func(f *file) bool { return f.id == id }) }
	switch {
	case s.b.Denied:
		s.fail(w, 403, "", "Your organization is not allowed to fine-tune this model.", "model")
	case s.b.NoQuota:
		s.fail(w, 429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", "")
	case s.b.BrokenJobs > 0:
		s.b.BrokenJobs--
		s.fail(w, 500, "server_error", "The server had an error.", "")
	case !strings.HasPrefix(q.Model, "gpt-"):
		s.fail(w, 400, "model_not_available", "Model "+q.Model+" is not available for fine-tuning or does not exist.", "model")
	case !known(q.Training) || q.Validation != "" && !known(q.Validation):
		s.fail(w, 400, "invalid_file", "No such file.", "training_file")
	case q.Method.Type != "supervised" || len(q.Method.Supervised.Hyperparameters) != 3 || len(q.Suffix) > 64 || q.Seed == nil || *q.Seed < 0 || *q.Seed >= 1<<31:
		s.fail(w, 400, "invalid_request_error", "A parameter is wrong.", "method")
	default:
		j := &job{id: fmt.Sprintf("ftjob-%d", len(s.jobs)+1), request: q, status: "validating_files"}
		j.say("info", "Created fine-tuning job: "+j.id)
		s.jobs = append(s.jobs, j)
		if s.b.CutJobs > 0 {
			s.b.CutJobs--
			panic(http.ErrAbortHandler)
		}
		reply(w, s.tell(j))
	}
}

func (s *Server) tell(j *job) map[string]any {
	out := map[string]any{"object": "fine_tuning.job", "id": j.id, "model": j.request.Model + "-2025-04-14", "status": j.status, "created_at": 1_700_000_000,
		"finished_at": nil, "fine_tuned_model": nil, "trained_tokens": nil, "training_file": j.request.Training, "result_files": []string{},
		"error": map[string]any{}, "metadata": j.request.Metadata, "user_provided_suffix": j.request.Suffix}
	if s.b.NoMetadata {
		out["metadata"] = nil
	}
	if j.failure != nil {
		out["error"] = j.failure
	}
	if j.status == "succeeded" {
		out["fine_tuned_model"] = "ft:" + j.request.Model + "-2025-04-14:org:" + j.request.Suffix + ":abc123"
		out["trained_tokens"], out["finished_at"] = j.tokens, 1_700_000_100
		if j.results != "" {
			out["result_files"] = []string{j.results}
		}
	}
	return out
}

func (j *job) ended() bool {
	return slices.Contains([]string{"succeeded", "failed", "cancelled"}, j.status)
}

func (j *job) say(level, message string) {
	j.event(map[string]any{"level": level, "type": "message", "message": message, "data": nil})
}

func (j *job) event(e map[string]any) {
	e["object"], e["id"], e["created_at"] = "fine_tuning.job.event", fmt.Sprintf("ftevent-%s-%d", j.id, len(j.events)+1), 1_700_000_000+len(j.events)
	j.events = append(j.events, e)
}

func (j *job) fail(code, message, param string) {
	j.status, j.failure = "failed", map[string]any{"code": code, "message": message, "param": nil}
	if param != "" {
		j.failure["param"] = param
	}
	j.say("error", message)
}

// advance takes a job one look further.
func (s *Server) advance(j *job) {
	if j.ended() {
		return
	}
	j.looks++
	switch j.status {
	case "validating_files":
		for _, f := range []struct{ param, id string }{{"training_file", j.request.Training}, {"validation_file", j.request.Validation}} {
			if code, message := s.examine(f.id, f.param); code != "" {
				j.fail(code, message, f.param)
				return
			}
		}
		j.status = "queued"
		j.say("info", "Files validated, moving job to queued state")
	case "queued":
		if j.looks > s.b.QueuePolls+1 {
			j.status = "running"
			j.say("info", "Fine-tuning job started")
		}
	case "running":
		j.step++
		loss := 2.5 / float64(j.step)
		j.event(map[string]any{"level": "info", "type": "metrics", "message": fmt.Sprintf("Step %d/%d: training loss=%.2f", j.step, s.b.Steps, loss),
			"data": map[string]any{"step": j.step, "total_steps": s.b.Steps, "train_loss": loss, "train_mean_token_accuracy": 0.5}})
		if s.b.FailCode != "" && j.step*2 >= s.b.Steps {
			j.fail(s.b.FailCode, s.b.FailMessage, "")
		} else if j.step == s.b.Steps {
			s.succeed(j)
		}
	}
}

func (s *Server) succeed(j *job) {
	j.status = "succeeded"
	j.say("info", "The job has successfully completed")
	for _, f := range s.files {
		if f.id == j.request.Training {
			epochs, _ := j.request.Method.Supervised.Hyperparameters["n_epochs"].(float64)
			j.tokens = len(f.text) / 5 * int(epochs)
		}
	}
	if s.b.NoResults {
		return
	}
	csv := "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
	for i := range s.b.Steps {
		csv += fmt.Sprintf("%d,%.4f,0.5,,\n", i+1, 2.5/float64(i+1))
	}
	if s.b.Base64 {
		csv = base64.StdEncoding.EncodeToString([]byte(csv))
	}
	j.results = fmt.Sprintf("file-result-%s", j.id)
	s.files = append(s.files, &file{id: j.results, name: "step_metrics.csv", purpose: "fine-tune-results", text: []byte(csv)})
}

// examine checks a file of examples as the service does before it trains.
func (s *Server) examine(id, param string) (code, message string) {
	if id == "" {
		return "", ""
	}
	i := slices.IndexFunc(s.files, func(f *file) bool { return f.id == id })
	if i < 0 {
		return "invalid_" + param, "The file was deleted."
	}
	if bytes.Contains(s.files[i].text, []byte(Forbidden)) {
		return "invalid_" + param, "The job failed due to an unsafe training file. Too many examples were flagged by our moderation for content that violates the usage policies."
	}
	n := 0
	for line := range bytes.Lines(s.files[i].text) {
		n++
		if err := example(line); err != nil {
			return "invalid_" + param, fmt.Sprintf("The job failed due to a file format error in the training file. Example %d: %v", n, err)
		}
	}
	if param == "training_file" && n < 10 {
		return "invalid_n_examples", fmt.Sprintf("Training file has %d example(s), but must have at least 10 examples.", n)
	}
	return "", ""
}

// example checks one line.
func example(line []byte) error {
	var e struct {
		Messages []struct {
			Role      string  `json:"role"`
			Content   *string `json:"content"`
			Name      string  `json:"name"`
			Weight    *int    `json:"weight"`
			ToolID    string  `json:"tool_call_id"`
			ToolCalls []struct {
				ID       string `json:"id"`
				Type     string `json:"type"`
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"messages"`
		Tools []struct {
			Type     string `json:"type"`
			Function struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return err
	}
	tools, calls := map[string]bool{}, map[string]bool{}
	for _, t := range e.Tools {
		tools[t.Function.Name] = t.Type == "function"
	}
	for i, m := range e.Messages {
		if m.Content == nil && len(m.ToolCalls) == 0 {
			return fmt.Errorf("message %d has no content", i)
		}
		if m.Weight != nil && (m.Role != "assistant" || *m.Weight != 0 && *m.Weight != 1) {
			return fmt.Errorf("message %d has a wrong weight", i)
		}
		for _, c := range m.ToolCalls {
			if c.ID == "" || c.Type != "function" || !tools[c.Function.Name] || !json.Valid([]byte(c.Function.Arguments)) {
				return fmt.Errorf("message %d has a wrong call", i)
			}
			calls[c.ID] = true
		}
		if m.Role == "tool" && !calls[m.ToolID] {
			return fmt.Errorf("message %d answers no call", i)
		}
	}
	if n := len(e.Messages); n == 0 || e.Messages[n-1].Role != "assistant" {
		return fmt.Errorf("the last message must be from the assistant")
	}
	return nil
}
