package weights

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTextOfGGUF(t *testing.T) {
	text, err := openSource(t, "testdata/qwen2.gguf").Text()
	if err != nil {
		t.Fatal(err)
	}
	if text.GGUF == nil || len(text.GGUF.Tokens) != 32 || text.GGUF.Pre != "qwen2" || text.GGUF.Merges[2] != "ab c" || text.GGUF.Tokens[31] != "😀" {
		t.Errorf("tokenizer is %+v", text.GGUF)
	}
	if text.BOS != "<s>" || text.EOS != "</s>" || text.PAD != "<pad>" || text.UNK != "" || !reflect.DeepEqual(text.End, []int32{2}) {
		t.Errorf("text is %+v", text)
	}
	if !strings.Contains(text.ChatTemplate, "for m in messages") {
		t.Errorf("template is %q", text.ChatTemplate)
	}
}

// TestTextOfFolder reads the forms in which the families write their files.
func TestTextOfFolder(t *testing.T) {
	type files map[string]string
	for i, tc := range []struct {
		files files
		want  Text
		err   string
	}{
		{files{}, Text{End: []int32{2}}, ""}, // transformers writes generation_config.json
		{files{generationName: `{"eos_token_id": [7, 5, 7]}`}, Text{End: []int32{5, 7}}, ""},
		{files{generationName: `{"eos_token_id": null}`}, Text{End: []int32{2}}, ""}, // of config.json
		{files{generationName: `{"eos_token_id": "x"}`}, Text{}, generationName},
		{files{tokConfigName: `{"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "unk_token": null, "chat_template": "T"}`},
			Text{End: []int32{2}, BOS: "<s>", EOS: "</s>", ChatTemplate: "T"}, ""},
		{files{tokConfigName: `{"chat_template": [{"name": "default", "template": "T"}, {"name": "tool_use", "template": "U"}]}`},
			Text{End: []int32{2}, ChatTemplate: "T", ChatTemplates: map[string]string{"tool_use": "U"}}, ""},
		{files{tokConfigName: `{"chat_template": "old"}`, "chat_template.jinja": "new", "additional_chat_templates/rag.jinja": "R"},
			Text{End: []int32{2}, ChatTemplate: "new", ChatTemplates: map[string]string{"rag": "R"}}, ""},
		{files{tokConfigName: `{"bos_token": 3}`}, Text{}, tokConfigName},
		{files{tokConfigName: `{`}, Text{}, tokConfigName},
	} {
		dir := copyModel(t, "mistral")
		for name, content := range tc.files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := openSource(t, dir).Text()
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%d: error %v, want %q", i, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(got.TokenizerConfig) != tc.files[tokConfigName] || got.TokenizerJSON != nil {
			t.Errorf("%d: files are %q and %q", i, got.TokenizerConfig, got.TokenizerJSON)
		}
		if tc.want.ChatTemplates == nil {
			tc.want.ChatTemplates = map[string]string{}
		}
		got.TokenizerConfig, got.GenerationConfig = nil, nil
		if !reflect.DeepEqual(*got, tc.want) {
			t.Errorf("%d: text is %+v, want %+v", i, *got, tc.want)
		}
	}
}
