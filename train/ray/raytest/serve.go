package raytest

import (
	"encoding/json"
	"net/http"
)

// ServeAs says what state an application is in, from its name and how often it was looked at before. Without it, an application is DEPLOYING once and RUNNING then.
func (s *Server) ServeAs(state func(app string, looks int) (status, message string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = state
}

// ServePort changes the port that Serve claims to answer at.
func (s *Server) ServePort(port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servePort = port
}

// AddScripted makes Serve run an application that was not deployed through the REST API.
func (s *Server) AddScripted(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps[name] = nil
}

func (s *Server) getApps(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.serve
	if state == nil {
		state = func(_ string, looks int) (string, string) {
			if looks == 0 {
				return "DEPLOYING", ""
			}
			return "RUNNING", ""
		}
	}
	apps := map[string]any{}
	for name, config := range s.apps {
		var c struct {
			Route string `json:"route_prefix"`
		}
		if config != nil {
			json.Unmarshal(config, &c) // checked when it came
		}
		status, message := state(name, s.looks[name])
		s.looks[name]++
		apps[name] = map[string]any{"name": name, "status": status, "message": message, "route_prefix": c.Route, "deployed_app_config": config}
	}
	answer(w, map[string]any{"controller_info": map[string]any{}, "proxies": map[string]any{}, "applications": apps, "http_options": map[string]any{"port": s.servePort, "root_path": ""}})
}

func (s *Server) putApps(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Apps []json.RawMessage `json:"applications"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Apps == nil {
		refuse(w, http.StatusBadRequest, "pydantic.ValidationError: applications: field required")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]json.RawMessage{}
	for name, config := range s.apps {
		if config == nil {
			next[name] = nil
		}
	}
	for _, config := range q.Apps {
		var c struct {
			Name   string `json:"name"`
			Import string `json:"import_path"`
		}
		if err := json.Unmarshal(config, &c); err != nil || c.Name == "" || c.Import == "" {
			refuse(w, http.StatusBadRequest, "pydantic.ValidationError: import_path: field required")
			return
		}
		if string(s.apps[c.Name]) != string(config) {
			s.looks[c.Name] = 0
		}
		next[c.Name] = config
	}
	s.apps = next
}

func (s *Server) deleteApps(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apps = map[string]json.RawMessage{}
}

// Apps gives the names and configurations of what Serve runs; a configuration is nil for one that a script has deployed.
func (s *Server) Apps() map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]json.RawMessage{}
	for k, v := range s.apps {
		all[k] = v
	}
	return all
}
