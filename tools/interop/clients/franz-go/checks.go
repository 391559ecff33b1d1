package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// minute is a context for one step; no step of a check takes longer.
func minute() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// metadata prints brokers, the topic's id and its leaders for the suite to judge.
func metadata(bootstrap, topic string) {
	cl := newClient(bootstrap)
	defer cl.Close()
	m, err := kadm.NewClient(cl).Metadata(minute(), topic)
	fail(err)
	type broker struct {
		ID   int32  `json:"id"`
		Host string `json:"host"`
		Port int32  `json:"port"`
	}
	out := struct {
		Cluster    string   `json:"cluster"`
		Controller int32    `json:"controller"`
		Brokers    []broker `json:"brokers"`
		TopicID    string   `json:"topicId"`
		Leaders    []int32  `json:"leaders"`
	}{Cluster: m.Cluster, Controller: m.Controller}
	for _, b := range m.Brokers {
		out.Brokers = append(out.Brokers, broker{b.NodeID, b.Host, b.Port})
	}
	details := m.Topics[topic]
	fail(details.Err)
	out.TopicID = fmt.Sprintf("%x", details.ID[:])
	for _, p := range details.Partitions.Sorted() {
		out.Leaders = append(out.Leaders, p.Leader)
	}
	fail(json.NewEncoder(os.Stdout).Encode(out))
}

// large finds the value that makes a batch of exactly maxBytes, which must be taken and come back, and demands that one byte more
// is refused with MESSAGE_TOO_LARGE.
func large(bootstrap, topic string, maxBytes int) {
	cl := newClient(bootstrap, kgo.ProducerBatchMaxBytes(int32(maxBytes)*2), kgo.MaxBufferedBytes(64<<20), kgo.BrokerMaxWriteBytes(200<<20),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite(), kgo.FetchMaxPartitionBytes(int32(maxBytes)*2),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	// Batch header 61; a record with this length takes 4 bytes for its own length, attributes 1, timestamp and offset delta 1 each,
	// null key 1, value length 4 (3 below 1 MiB), header count 1. Sizes around the border are measured, not assumed.
	value := make([]byte, maxBytes)
	rand.New(rand.NewSource(7)).Read(value)
	for n := maxBytes - 61 - 20; n < maxBytes; n++ {
		size := batchSize(n)
		if size < maxBytes {
			continue
		}
		err := cl.ProduceSync(minute(), &kgo.Record{Topic: topic, Value: value[:n]}).FirstErr()
		if size == maxBytes {
			if err != nil {
				failf("a batch of exactly %d bytes is refused: %v", size, err)
			}
			fetches := cl.PollFetches(minute())
			fail(fetches.Err())
			for _, r := range fetches.Records() {
				if string(r.Value) != string(value[:n]) {
					failf("the record of %d bytes came back changed (%d bytes)", n, len(r.Value))
				}
			}
			continue
		}
		if !errors.Is(err, kerr.MessageTooLarge) {
			failf("a batch of %d bytes got %v, not MESSAGE_TOO_LARGE", size, err)
		}
		return
	}
	failf("no value makes a batch above %d bytes", maxBytes)
}

// batchSize is the size of an uncompressed batch with one keyless record whose value has n bytes.
func batchSize(n int) int {
	varint := func(v int) int {
		u, size := uint64(v)<<1, 1
		for ; u >= 0x80; u >>= 7 {
			size++
		}
		return size
	}
	body := 1 + 1 + 1 + 1 + varint(n) + n + 1
	return 61 + varint(body) + body
}

// offsets checks every kind of timestamp that ListOffsets knows, on a topic with one partition and records a minute apart.
func offsets(bootstrap, topic string) {
	cl := newClient(bootstrap)
	defer cl.Close()
	const step, count = int64(60_000), 50
	first := time.Now().Add(-24 * time.Hour).UnixMilli()
	for i := int64(0); i < count; i++ {
		// The highest timestamp stands before the end, so that "highest timestamp" and "latest" differ.
		at := first + i*step
		if i == 40 {
			at = first + 1000*step
		}
		fail(cl.ProduceSync(minute(), &kgo.Record{Topic: topic, Value: []byte{byte(i)}, Timestamp: time.UnixMilli(at)}).FirstErr())
	}
	check := func(name string, timestamp int64, want, wantTimestamp int64) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = timestamp
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		for _, shard := range cl.RequestSharded(minute(), req) {
			fail(shard.Err)
			got := shard.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
			fail(kerr.ErrorForCode(got.ErrorCode))
			if got.Offset != want || (wantTimestamp != -2 && got.Timestamp != wantTimestamp) {
				failf("%s: offset %d timestamp %d, not %d and %d", name, got.Offset, got.Timestamp, want, wantTimestamp)
			}
		}
	}
	check("latest", -1, count, -2)
	check("earliest", -2, 0, -2)
	check("highest timestamp", -3, 40, first+1000*step)
	check("earliest local", -4, 0, -2)
	check("a timestamp that is there", first+7*step, 7, first+7*step)
	check("a timestamp between two", first+7*step+1, 8, first+8*step)
	check("a timestamp before all", 0, 0, first)
	check("a timestamp that only one reaches", first+500*step, 40, first+1000*step)
	check("a timestamp after all", first+5000*step, -1, -1)
}

// sessions opens a fetch session (KIP-227) on the leader of partition 0 and demands that later fetches name only what changed.
func sessions(bootstrap, topic string) {
	cl := newClient(bootstrap, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	admin := kadm.NewClient(cl)
	m, err := admin.Metadata(minute(), topic)
	fail(err)
	leader := m.Topics[topic].Partitions[0].Leader
	broker := cl.Broker(int(leader))
	fetch := func(id, epoch int32, withPartitions bool) *kmsg.FetchResponse {
		req := kmsg.NewPtrFetchRequest()
		req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 100, 1, 1<<20
		req.SessionID, req.SessionEpoch = id, epoch
		if withPartitions {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = topic, m.Topics[topic].ID
			for _, detail := range m.Topics[topic].Partitions.Sorted() {
				if detail.Leader != leader {
					continue
				}
				p := kmsg.NewFetchRequestTopicPartition()
				p.Partition, p.PartitionMaxBytes = detail.Partition, 1<<20
				t.Partitions = append(t.Partitions, p)
			}
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(minute(), broker)
		fail(err)
		fail(kerr.ErrorForCode(resp.ErrorCode))
		return resp
	}
	opened := fetch(0, 0, true)
	if opened.SessionID == 0 {
		failf("no session was opened")
	}
	partitions := 0
	for _, t := range opened.Topics {
		partitions += len(t.Partitions)
	}
	if partitions < 2 {
		failf("the first answer names %d partitions", partitions)
	}
	if quiet := fetch(opened.SessionID, 1, false); len(quiet.Topics) != 0 {
		failf("an answer without news names %d topics", len(quiet.Topics))
	}
	fail(cl.ProduceSync(minute(), &kgo.Record{Topic: topic, Partition: 0, Value: []byte("news")}).FirstErr())
	news := fetch(opened.SessionID, 2, false)
	if len(news.Topics) != 1 || len(news.Topics[0].Partitions) != 1 || news.Topics[0].Partitions[0].Partition != 0 {
		failf("one partition has news, the answer names %+v", news.Topics)
	}
	if len(news.Topics[0].Partitions[0].RecordBatches) == 0 {
		failf("the news are empty")
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionID, req.SessionEpoch = -1, opened.SessionID, 9
	resp, err := req.RequestWith(minute(), broker)
	fail(err)
	if !errors.Is(kerr.ErrorForCode(resp.ErrorCode), kerr.InvalidFetchSessionEpoch) {
		failf("a wrong session epoch got error %d", resp.ErrorCode)
	}
}

// spread writes one idempotent record to each of many partitions at once and reads all of them back.
func spread(bootstrap, topic string, partitions int) {
	cl := newClient(bootstrap, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for p := 0; p < partitions; p++ {
		r := &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte(fmt.Sprintf("partition %d", p))}
		cl.Produce(minute(), r, func(_ *kgo.Record, err error) { fail(err) })
	}
	fail(cl.Flush(minute()))
	seen := map[int32]bool{}
	for ctx := minute(); len(seen) < partitions; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			failf("read from %d of %d partitions", len(seen), partitions)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != 0 || string(r.Value) != fmt.Sprintf("partition %d", r.Partition) || seen[r.Partition] {
				failf("partition %d offset %d holds %q", r.Partition, r.Offset, r.Value)
			}
			seen[r.Partition] = true
		})
	}
}

// create makes a topic and waits until every partition answers.
func create(bootstrap, topic string, partitions int) {
	cl := newClient(bootstrap)
	defer cl.Close()
	admin := kadm.NewClient(cl)
	_, err := admin.CreateTopic(minute(), int32(partitions), 1, nil, topic)
	fail(err)
	for ctx := minute(); ; time.Sleep(20 * time.Millisecond) {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err == nil && ends.Error() == nil && len(ends[topic]) == partitions {
			return
		}
		fail(ctx.Err())
	}
}

// remove deletes a topic and waits until the metadata no longer shows it.
func remove(bootstrap, topic string) {
	cl := newClient(bootstrap)
	defer cl.Close()
	admin := kadm.NewClient(cl)
	_, err := admin.DeleteTopic(minute(), topic)
	fail(err)
	for ctx := minute(); ; time.Sleep(20 * time.Millisecond) {
		topics, err := admin.ListTopics(ctx)
		fail(err)
		if !topics.Has(topic) {
			return
		}
	}
}

// touch makes a topic by writing one record to it.
func touch(bootstrap, topic string) {
	cl := newClient(bootstrap)
	defer cl.Close()
	fail(cl.ProduceSync(minute(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr())
}
