// Runs the mock broker by hand: `npm run mock -- --scenario many --port 8090 --login`.
import { parseArgs } from "node:util";
import { MockBroker } from "./broker.mjs";

const { values } = parseArgs({
  options: {
    scenario: { type: "string", default: "loaded" },
    port: { type: "string", default: "8090" },
    history: { type: "string", default: "110" },
    /** Asks for a login: ops / secret, or alice / secret, who lacks the role. */
    login: { type: "boolean", default: false },
  },
});
const broker = await new MockBroker({
  scenario: values.scenario,
  port: Number(values.port),
  history: Number(values.history),
  anonymous: !values.login,
}).start();
console.log(`mock broker, scenario ${values.scenario}: ${broker.url}`);
