// Reads a text from the workers while it is written, with KafkaJS.
//
//     cd examples/typescript && npm install && npm run --silent ask "Once upon"
//
// Brokers: STREAMPROC_KAFKA_BOOTSTRAP_SERVERS. docs/messages.md describes the records.

import { randomUUID } from "node:crypto";
import { Kafka, logLevel, type KafkaMessage } from "kafkajs";

const REQUESTS = "nlp.text-generation.requests.v1";
const REPLIES = "nlp.replies.v1";

const brokers = (process.env.STREAMPROC_KAFKA_BOOTSTRAP_SERVERS ?? "127.0.0.1:9092").split(",");
const kafka = new Kafka({ brokers, logLevel: logLevel.ERROR });
const producer = kafka.producer();
// KafkaJS reads only in a group; one of this program's own leaves everyone else alone.
const consumer = kafka.consumer({ groupId: `ask-${randomUUID()}` });
const id = randomUUID();

const answered = new Promise<void>((resolve) => {
  function read(message: KafkaMessage): void {
    // The key is the request's; others' replies come by the same topic.
    if (message.key?.toString() !== id || message.value === null) return;
    const reply = JSON.parse(message.value.toString());
    if (message.headers?.["streamproc-part"] !== undefined) {
      process.stdout.write(reply.text);
      return;
    }
    console.log(`\n${reply.status} ${reply.result?.finish_reason ?? reply.error.detail}`);
    resolve();
  }

  void listen(read);
});

async function listen(read: (message: KafkaMessage) => void): Promise<void> {
  await consumer.connect();
  // From the beginning, which is ten minutes ago, or the reply could come before reading begins.
  await consumer.subscribe({ topic: REPLIES, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ message }) => read(message) });
}

async function ask(): Promise<void> {
  const params = { stream: true, max_new_tokens: 30 };
  const value = JSON.stringify({ id, text: process.argv[2], params });
  const headers = { "reply-topic": REPLIES };
  await producer.send({ topic: REQUESTS, messages: [{ key: id, value, headers }] });
}

await producer.connect();
await ask();
await answered;
await consumer.disconnect();
await producer.disconnect();
