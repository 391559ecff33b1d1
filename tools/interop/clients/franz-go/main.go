// The franz-go client as an adapter of the interop suite, and the checks that only it makes.
//
//	write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...    sends the corpus to each partition with that codec
//	read BOOTSTRAP TOPIC,...                            prints all records of the topics
//	metadata|create|delete|touch|large|offsets|sessions|spread BOOTSTRAP TOPIC ...   see checks.go
//
// A corpus and what `read` prints are JSON objects, one a line; bytes are base64, null stays null.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type header [2]*string

type line struct {
	Topic     string   `json:"topic,omitempty"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp int64    `json:"timestamp"`
	Key       *string  `json:"key"`
	Value     *string  `json:"value"`
	Headers   []header `json:"headers"`
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func failf(format string, args ...any) { fail(fmt.Errorf(format, args...)) }

func text(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	s := base64.StdEncoding.EncodeToString(bytes)
	return &s
}

func bytes(s *string) []byte {
	if s == nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(*s)
	fail(err)
	return b
}

func newClient(bootstrap string, opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.AllowAutoTopicCreation(), kgo.FetchMaxWait(200 * time.Millisecond)}, opts...)...)
	fail(err)
	return cl
}

func readCorpus(file string) []line {
	f, err := os.Open(file)
	fail(err)
	defer f.Close()
	var out []line
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var l line
		fail(json.Unmarshal(scanner.Bytes(), &l))
		out = append(out, l)
	}
	fail(scanner.Err())
	return out
}

func write(bootstrap, topic, file, plan string) {
	corpus := readCorpus(file)
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for _, step := range strings.Split(plan, ",") {
		codec, number, _ := strings.Cut(step, "=")
		partition, err := strconv.Atoi(number)
		fail(err)
		cl := newClient(bootstrap, kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(20*time.Millisecond))
		for _, l := range corpus {
			r := &kgo.Record{Topic: topic, Partition: int32(partition), Key: bytes(l.Key), Value: bytes(l.Value), Timestamp: time.UnixMilli(l.Timestamp)}
			for _, h := range l.Headers {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(bytes(h[0])), Value: bytes(h[1])})
			}
			cl.Produce(context.Background(), r, func(_ *kgo.Record, err error) { fail(err) })
		}
		fail(cl.Flush(context.Background()))
		cl.Close()
	}
}

func read(bootstrap, topics string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	names := strings.Split(topics, ",")
	cl := newClient(bootstrap, kgo.ConsumeTopics(names...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, names...)
	fail(err)
	fail(ends.Error())
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	print := json.NewEncoder(out)
	for left > 0 {
		fetches := cl.PollFetches(ctx)
		fail(ctx.Err())
		fetches.EachError(func(t string, p int32, err error) { fail(err) })
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			l := line{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: text(r.Key), Value: text(r.Value), Headers: []header{}}
			for _, h := range r.Headers {
				l.Headers = append(l.Headers, header{text([]byte(h.Key)), text(h.Value)})
			}
			fail(print.Encode(l))
		})
	}
}

func main() {
	verbs := map[string]func([]string){
		"write":    func(a []string) { write(a[0], a[1], a[2], a[3]) },
		"read":     func(a []string) { read(a[0], a[1]) },
		"metadata": func(a []string) { metadata(a[0], a[1]) },
		"large":    func(a []string) { large(a[0], a[1], number(a[2])) },
		"offsets":  func(a []string) { offsets(a[0], a[1]) },
		"sessions": func(a []string) { sessions(a[0], a[1]) },
		"create":   func(a []string) { create(a[0], a[1], number(a[2])) },
		"delete":   func(a []string) { remove(a[0], a[1]) },
		"touch":    func(a []string) { touch(a[0], a[1]) },
		"spread":   func(a []string) { spread(a[0], a[1], number(a[2])) },
	}
	if len(os.Args) < 4 || verbs[os.Args[1]] == nil {
		failf("usage: franz-go VERB BOOTSTRAP TOPIC ...")
	}
	verbs[os.Args[1]](os.Args[2:])
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	fail(err)
	return n
}
