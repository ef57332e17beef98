// Reads a text from the workers while it is written, with Kafka's own client for Java.
//
//     java -cp 'jars/*' examples/java/Ask.java "Once upon"
//
// jars: org.apache.kafka:kafka-clients, com.fasterxml.jackson.core:jackson-databind, and what they
// need. Brokers: STREAMPROC_KAFKA_BOOTSTRAP_SERVERS. docs/messages.md describes the records.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Ask {
    static final String REQUESTS = "nlp.text-generation.requests.v1";
    static final String REPLIES = "nlp.replies.v1";

    public static void main(String[] arguments) throws Exception {
        var json = new ObjectMapper();
        String brokers =
                System.getenv().getOrDefault("STREAMPROC_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092");
        Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
        String id = UUID.randomUUID().toString();
        var params = Map.of("stream", true, "max_new_tokens", 30);
        var body = json.writeValueAsString(Map.of("id", id, "text", arguments[0], "params", params));

        try (var consumer =
                        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
                var producer =
                        new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            // Without a group, from the end: only what comes from now on.
            List<TopicPartition> all =
                    consumer.partitionsFor(REPLIES).stream()
                            .map(one -> new TopicPartition(REPLIES, one.partition()))
                            .toList();
            consumer.assign(all);
            consumer.seekToEnd(all);
            all.forEach(consumer::position);

            var request = new ProducerRecord<>(REQUESTS, id, body);
            request.headers().add("reply-topic", REPLIES.getBytes(StandardCharsets.UTF_8));
            producer.send(request);
            producer.flush();

            while (true) {
                for (ConsumerRecord<String, String> reply : consumer.poll(Duration.ofSeconds(1))) {
                    // The key is the request's; others' replies come by the same topic.
                    if (!id.equals(reply.key())) continue;
                    JsonNode said = json.readTree(reply.value());
                    if (reply.headers().lastHeader("streamproc-part") == null) {
                        var reason = said.at("/result/finish_reason").asText();
                        var error = said.at("/error/detail").asText();
                        System.out.printf("%n%s %s%s%n", said.get("status").asText(), reason, error);
                        return;
                    }
                    System.out.print(said.get("text").asText());
                    System.out.flush();
                }
            }
        }
    }
}
