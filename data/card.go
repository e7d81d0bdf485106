package data

// Card says what a dataset holds, so that nobody has to open it to know.
type Card struct {
	Recipe        string         `json:"recipe"`
	Records       int            `json:"records"`
	Tokens        int            `json:"tokens"`      // all tokens, once
	LossTokens    int            `json:"loss_tokens"` // tokens that carry loss
	Distinct      float64        `json:"distinct"`    // share of records that are different from every other
	Kinds         map[string]int `json:"kinds,omitempty"`
	Sampled       int            `json:"sampled,omitempty"` // on-policy recipes: answers sampled ...
	Kept          int            `json:"kept,omitempty"`    // ... and kept by the filters
	Dropped       map[string]int `json:"dropped,omitempty"` // records dropped, by reason
	Contamination Contamination  `json:"contamination"`
}

// Contamination is the result of checking every record against what the evaluation reserves.
type Contamination struct {
	Checked int `json:"checked"` // records checked
	Removed int `json:"removed"` // records that held something reserved, removed before training
	Hits    int `json:"hits"`    // records left that hold something reserved: always 0, or the study stops
}
