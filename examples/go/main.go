// Reads a text from the workers while it is written, with franz-go.
//
//	cd examples/go && go run . "Once upon"
//
// Brokers: STREAMPROC_KAFKA_BOOTSTRAP_SERVERS. docs/messages.md describes the records.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	requests = "nlp.text-generation.requests.v1"
	replies  = "nlp.replies.v1"
)

type reply struct {
	Text   string `json:"text"`
	Status string `json:"status"`
	Result struct {
		FinishReason string `json:"finish_reason"`
	} `json:"result"`
	Error struct {
		Detail string `json:"detail"`
	} `json:"error"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	brokers := cmp.Or(os.Getenv("STREAMPROC_KAFKA_BOOTSTRAP_SERVERS"), "127.0.0.1:9092")
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		// Without a group: only what comes from now on.
		kgo.ConsumeTopics(replies),
		kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().UnixMilli())),
	)
	check(err)
	defer client.Close()

	id := rand.Text()
	body, err := json.Marshal(map[string]any{
		"id": id, "text": os.Args[1], "params": map[string]any{"stream": true, "max_new_tokens": 30},
	})
	check(err)
	check(client.ProduceSync(ctx, &kgo.Record{
		Topic: requests, Key: []byte(id), Value: body,
		Headers: []kgo.RecordHeader{{Key: "reply-topic", Value: []byte(replies)}},
	}).FirstErr())

	for {
		fetched := client.PollFetches(ctx)
		check(fetched.Err())
		for _, record := range fetched.Records() {
			// The key is the request's; others' replies come by the same topic.
			if string(record.Key) != id {
				continue
			}
			var said reply
			check(json.Unmarshal(record.Value, &said))
			fmt.Print(said.Text)
			if !isPart(record) {
				fmt.Printf("\n%s %s%s\n", said.Status, said.Result.FinishReason, said.Error.Detail)
				return
			}
		}
	}
}

func isPart(record *kgo.Record) bool {
	for _, header := range record.Headers {
		if header.Key == "streamproc-part" {
			return true
		}
	}
	return false
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
