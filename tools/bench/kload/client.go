package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func seeds() kgo.Opt { return kgo.SeedBrokers(strings.Split(*brokers, ",")...) }

func compression() kgo.CompressionCodec {
	known := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	c, ok := known[*codec]
	if !ok {
		fail(fmt.Errorf("unknown codec %q", *codec))
	}
	return c
}

// newClient is the client of all measured verbs: the same settings whatever the broker.
func newClient(extra ...kgo.Opt) *kgo.Client {
	a, ok := map[string]kgo.Acks{"all": kgo.AllISRAcks(), "1": kgo.LeaderAck(), "0": kgo.NoAck()}[*acks]
	if !ok {
		fail(fmt.Errorf("unknown acks %q", *acks))
	}
	opts := []kgo.Opt{
		seeds(), kgo.RequiredAcks(a), kgo.ProducerBatchCompression(compression()), kgo.ProducerBatchMaxBytes(int32(*batchBytes)),
		kgo.MaxBufferedRecords(200_000), kgo.MaxBufferedBytes(64 << 20),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.FetchMaxPartitionBytes(4 << 20), kgo.FetchMaxBytes(32 << 20),
	}
	if !*idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	cl, err := kgo.NewClient(append(opts, extra...)...)
	fail(err)
	return cl
}

// ensureTopic creates the topic unless it exists and waits until all of its partitions have a leader that answers.
func ensureTopic() {
	cl := newClient()
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *within)
	defer cancel()
	settings := map[string]*string{}
	for _, pair := range strings.Split(*configs, ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			settings[name] = &value
		}
	}
	admin := kadm.NewClient(cl)
	_, err := admin.CreateTopic(ctx, int32(*partitions), int16(*replicas), settings, *topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		fail(fmt.Errorf("creating %s: %w", *topic, err))
	}
	_, err = awaitTopic(ctx, admin)
	fail(err)
}

// awaitTopic polls until every partition tells its log end, and returns how many there are.
func awaitTopic(ctx context.Context, admin *kadm.Client) (int, error) {
	last := errors.New("no answer")
	for {
		ends, err := admin.ListEndOffsets(ctx, *topic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil && len(ends[*topic]) > 0 {
			return len(ends[*topic]), nil
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("topic %s is not served: %w", *topic, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ready() outcome {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), *within)
	defer cancel()
	cl, err := kgo.NewClient(seeds(), kgo.DialTimeout(time.Second), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(time.Second), kgo.RequestRetries(1000), kgo.RequestTimeoutOverhead(time.Second), survivesKills())
	fail(err)
	defer cl.Close()
	count, err := awaitTopic(ctx, kadm.NewClient(cl))
	fail(err)
	return outcome{"partitions": count, "seconds": rounded(time.Since(start).Seconds(), 3), "ok": true}
}
