// Hands a mail over and waits for what became of it, with Go's standard library. Usage: go run send.go URL FROM TO...
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type object map[string]any

// ask is one exchange. 429 and 503 say when to come again.
func ask(method, target string, body []byte, fields map[string]string) (http.Header, []byte) {
	for {
		request, err := http.NewRequest(method, target, bytes.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		for name, value := range fields {
			request.Header.Set(name, value)
		}
		if key := os.Getenv("SLUICE_API_KEY"); key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case answer.StatusCode < 300:
			return answer.Header, text
		case answer.StatusCode != 429 && answer.StatusCode != 503:
			log.Fatalf("%s: %s", answer.Status, text)
		}
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: send URL FROM TO...")
	}
	url, from := os.Args[1], os.Args[2]
	var recipients []object
	for _, to := range os.Args[3:] {
		name, _, _ := strings.Cut(to, "@")
		recipients = append(recipients, object{"to": to, "vars": object{"name": name}})
	}
	job, _ := json.Marshal(object{
		"from": from, "campaign": "example", "class": "transactional",
		"content":    object{"from": "Example <" + from + ">", "subject": "Hello {{name}}", "text": "Hi {{name}}, it works.\n"},
		"recipients": recipients,
	})
	// The same key again within a day gives the same answer and sends nothing twice, so that a lost answer may be asked for.
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		log.Fatal(err)
	}
	_, text := ask("POST", url+"/v1/messages", job,
		map[string]string{"Content-Type": "application/json", "Idempotency-Key": fmt.Sprintf("%x", key)})
	var submitted struct {
		Job      string
		Accepted int
		Rejected []struct{ To, Message string }
	}
	if err := json.Unmarshal(text, &submitted); err != nil {
		log.Fatal(err)
	}
	for _, one := range submitted.Rejected {
		fmt.Println(one.To, "rejected", one.Message)
	}

	// Events come in order; the cursor says how far we have looked. Keep it, and nothing is ever missed.
	const ends = "type=delivered,bounced,expired,cancelled,suppressed&campaign=example&wait=10s"
	position := "since=5m"
	for left := submitted.Accepted; left > 0; {
		headers, lines := ask("GET", url+"/v1/events?"+position+"&"+ends, nil, nil)
		position = "after=" + headers.Get("Sluice-Cursor")
		decoder := json.NewDecoder(bytes.NewReader(lines))
		for decoder.More() {
			var event struct {
				Job, To, Type, Reply string
				Code                 int
			}
			if err := decoder.Decode(&event); err != nil {
				log.Fatal(err)
			}
			if event.Job == submitted.Job {
				fmt.Println(event.To, event.Type, event.Code, event.Reply)
				left--
			}
		}
	}
}
