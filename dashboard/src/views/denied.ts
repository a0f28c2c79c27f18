/** What an operator without the role sees: what is missing, and who can give it. */
import type { App } from "../app";
import type { Phase } from "../mqtt/connection";
import { hex } from "../mqtt/reasons";
import { sentence } from "../mqtt/requests";
import { button, h, name } from "../ui/dom";
import type { View } from "../ui/shell";

export function denied(app: App, phase: Extract<Phase, { name: "online" }>): View {
  const why = phase.denied.find((each) => each.why !== undefined)?.why;
  const element = h(
    "div",
    { class: "card denied", role: "alert" },
    h("h1", {}, "This login may not watch the broker"),
    h("p", {}, "You are logged in as ", h("strong", {}, name(phase.user)), ", but the broker refused these subscriptions:"),
    h("ul", { class: "mono" }, ...phase.denied.map(({ topic, code }) => h("li", {}, name(topic), ` (${hex(code)})`))),
    why && h("p", {}, "The broker says: ", sentence(why)),
    h("p", {}, "The dashboard needs a user with the role ", h("code", {}, "ops"), ". Whoever runs the broker gives it with"),
    h("pre", { class: "mono" }, "inboxd passwd /etc/inboxd/users USER --role ops"),
    h(
      "p",
      {},
      "and has the broker read its users again (SIGHUP). A token has its roles in the claim ",
      h("code", {}, "roles"),
      ". Access rules may deny ",
      h("code", {}, "$SYS/inboxd/#"),
      " besides.",
    ),
    h(
      "div",
      { class: "actions" },
      button("Try again", "primary", () => {
        app.connection.again();
      }),
      button("Log in as somebody else", "plain", () => {
        app.signOut();
      }),
    ),
  );
  return { title: "Not allowed", element };
}
