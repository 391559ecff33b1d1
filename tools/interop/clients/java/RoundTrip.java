import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's own Java client as an adapter of the interop suite.
 *
 *   write BOOTSTRAP TOPIC CORPUS CODEC=PARTITION,...    sends the corpus to each partition with that codec
 *   read BOOTSTRAP TOPIC,...                            prints all records of the topics
 *
 * A corpus and what `read` prints are JSON objects, one a line; bytes are base64, null stays null.
 */
public class RoundTrip {
    static final ObjectMapper json = new ObjectMapper();

    static byte[] bytes(JsonNode node) {
        return node == null || node.isNull() ? null : Base64.getDecoder().decode(node.asText());
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }

    static void write(String bootstrap, String topic, String file, String plan) throws Exception {
        List<JsonNode> corpus = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(file))) corpus.add(json.readTree(line));
        for (String step : plan.split(",")) {
            String[] parts = step.split("=");
            Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "compression.type", parts[0], "linger.ms", 20,
                "max.request.size", 4 << 20, "acks", "all", "enable.idempotence", true, "max.block.ms", 20000);
            try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
                List<Future<?>> sent = new ArrayList<>();
                for (JsonNode r : corpus) {
                    var record = new ProducerRecord<>(topic, Integer.valueOf(parts[1]), Long.valueOf(r.get("timestamp").asLong()), bytes(r.get("key")), bytes(r.get("value")));
                    for (JsonNode h : r.get("headers")) record.headers().add(new String(bytes(h.get(0)), StandardCharsets.UTF_8), bytes(h.get(1)));
                    sent.add(producer.send(record));
                }
                for (Future<?> f : sent) f.get();
            }
        }
    }

    static void read(String bootstrap, String topics) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "enable.auto.commit", false, "auto.offset.reset", "earliest", "fetch.max.wait.ms", 200);
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics.split(","))
                for (var info : consumer.partitionsFor(topic)) partitions.add(new TopicPartition(topic, info.partition()));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long left = consumer.endOffsets(partitions).values().stream().mapToLong(end -> end).sum();
            var out = new StringBuilder();
            for (long deadline = System.currentTimeMillis() + 60_000; left > 0;) {
                if (System.currentTimeMillis() > deadline) throw new IllegalStateException(left + " records did not come");
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    left--;
                    ObjectNode node = json.createObjectNode().put("topic", record.topic()).put("partition", record.partition())
                        .put("offset", record.offset()).put("timestamp", record.timestamp()).put("key", text(record.key())).put("value", text(record.value()));
                    ArrayNode headers = node.putArray("headers");
                    for (Header h : record.headers()) headers.addArray().add(text(h.key().getBytes(StandardCharsets.UTF_8))).add(text(h.value()));
                    out.append(json.writeValueAsString(node)).append('\n');
                }
            }
            System.out.print(out);
        }
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) write(args[1], args[2], args[3], args[4]);
        else if (args[0].equals("read")) read(args[1], args[2]);
        else throw new IllegalArgumentException(Arrays.toString(args));
    }
}
