import { h, scrolled } from "./dom.js";

// The same request from a shell, from Python and from any Kafka client.
export function waysToAsk({ task, topic, responses }, body) {
  const json = JSON.stringify(body);
  const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const ways = {
    curl: `curl http://127.0.0.1:8080/v1/${task} \\\n  -H 'Content-Type: application/json' \\\n  -d ${shell(json)}`,
    Python: [
      "import asyncio, json",
      "from streamproc import RequestClient, Settings",
      "",
      "async def main() -> None:",
      `    async with RequestClient.of_task(Settings(), ${JSON.stringify(task)}) as client:`,
      `        print(await client.ask(json.loads(${JSON.stringify(json)})))`,
      "",
      "asyncio.run(main())",
    ].join("\n"),
    Kafka: `echo ${shell(json)} |\n  streamproc broker tools kafka-console-producer --topic ${topic}\nstreamproc broker tools kafka-console-consumer --topic ${responses}`,
  };
  return h("details", { class: "card" }, h("summary", {}, "The same request from elsewhere"),
    Object.entries(ways).map(([name, text]) => [h("h4", {}, name), scrolled("pre", name, text)]));
}
