package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Patience is how long a key has to stand in the configuration before it takes the place of another one: the lead is told
// at once, and has that long to object.
const Patience = 7 * 24 * time.Hour

// Trust is whose key a box goes by: the configuration alone does not say, since whoever may edit it could then end what
// only the safeguarding lead may end, and read what is sealed for the lead. Its zero value trusts nobody.
type Trust struct {
	Key   [32]byte  `json:"key"`            // names are sealed for its owner; zero: none
	From  time.Time `json:"from,omitzero"`  // zero: Key may end lists; else it may after Patience from then
	Next  [32]byte  `json:"next"`           // what the configuration says instead, while Since is set; zero: no key
	Since time.Time `json:"since,omitzero"` // since when; zero: the configuration says Key
}

// Heed is what t becomes when the configuration names a key at now. The first key is taken at once, so that no name is
// lost; on a box that enforces something already it may end nothing for a while. Any other waits.
func (t Trust) Heed(configured [32]byte, enforced bool, now time.Time) Trust {
	now = now.UTC().Truncate(time.Second)
	switch {
	case configured == t.Key:
		t.Next, t.Since = [32]byte{}, time.Time{}
	case t.Key == [32]byte{}:
		t = Trust{Key: configured}
		if enforced {
			t.From = now
		}
	case t.Since.IsZero() || t.Next != configured || now.Before(t.Since):
		t.Next, t.Since = configured, now
	case now.Sub(t.Since) >= Patience:
		t = Trust{Key: configured}
	}
	return t
}

// Decides says whether the owner of Key may end lists at now.
func (t Trust) Decides(now time.Time) bool {
	return t.Key != [32]byte{} && (t.From.IsZero() || now.Sub(t.From) >= Patience)
}

func trustFile(store string) string { return filepath.Join(store, "keys", "safeguarding.json") }

// ReadTrust reads what WriteTrust wrote below store.path; before it did, nobody is trusted.
func ReadTrust(store string) (t Trust, err error) {
	b, err := os.ReadFile(trustFile(store))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil {
		return Trust{}, fmt.Errorf("reading whose key is trusted: %w", err)
	}
	return t, nil
}

// WriteTrust keeps t. After a power cut the old or the new is there.
func WriteTrust(store string, t Trust) error {
	path := trustFile(store)
	b, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding whose key is trusted: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // what is left after an error
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
