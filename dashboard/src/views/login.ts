/** The login: user and password, or a token; or none, where the broker asks nobody. */
import type { App } from "../app";
import { userOfToken, type Login } from "../mqtt/login";
import { h, icon, replace } from "../ui/dom";
import { themeButton } from "../ui/theme";
import { problem, segments } from "../ui/parts";
import type { View } from "../ui/shell";

export function login(app: App): View {
  let kind: "password" | "token" = "password";
  const user = h("input", {
    id: "user",
    name: "username",
    type: "text",
    autocomplete: "username",
    spellcheck: "false",
    autocapitalize: "off",
    required: true,
  });
  const password = h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
  const token = h("textarea", {
    id: "token",
    name: "token",
    rows: 4,
    spellcheck: "false",
    autocomplete: "off",
    class: "mono",
    required: true,
  });
  const keep = h("input", { id: "keep", type: "checkbox" });
  const wrong = problem();
  const enter = h("button", { type: "submit", class: "button primary wide" }, "Log in");
  const userField = h("div", { class: "field" }, h("label", { for: "user" }, "User name"), user);
  const fields = h("div", { class: "fields" });
  const kinds = segments("How to log in", ["Password", "Token"], 0, (index) => {
    choose(index === 0 ? "password" : "token");
  });

  function choose(each: "password" | "token"): void {
    kind = each;
    const hint = h("p", { class: "hint" }, "A JSON Web Token with the role ops. The user name is the one in the token.");
    if (each === "password")
      replace(fields, userField, h("div", { class: "field" }, h("label", { for: "password" }, "Password"), password));
    else replace(fields, h("div", { class: "field" }, h("label", { for: "token" }, "Token"), token, hint), userField);
  }
  token.addEventListener("input", () => {
    user.value = userOfToken(token.value.trim()) ?? user.value;
  });
  choose("password");

  const signIn = (given: Login, isKept: boolean): void => {
    wrong.hide();
    app.signIn(given, isKept);
  };
  const form = h(
    "form",
    {
      onsubmit: (event: Event) => {
        event.preventDefault();
        const name = user.value.trim();
        signIn(
          kind === "password" ? { kind, user: name, password: password.value } : { kind, user: name, token: token.value.trim() },
          keep.checked,
        );
      },
    },
    kinds,
    fields,
    h("label", { class: "check" }, keep, "Stay logged in while this tab is open"),
    wrong.element,
    enter,
  );
  const unwatch = app.connection.phase.watch((phase) => {
    const isBusy = phase.name === "connecting";
    enter.disabled = isBusy;
    enter.textContent = isBusy ? "Connecting …" : "Log in";
    if (phase.name === "signed-out" && phase.error) wrong.say(phase.error);
  });
  const nobody = h(
    "div",
    { class: "without" },
    h("p", { class: "hint" }, "This broker knows no users and serves this machine only."),
    h(
      "button",
      {
        type: "button",
        class: "button plain wide",
        onclick: () => {
          signIn({ kind: "anonymous" }, false);
        },
      },
      "Continue without a login",
    ),
  );
  const element = h(
    "main",
    { class: "login" },
    h(
      "div",
      { class: "card" },
      h(
        "div",
        { class: "login-head" },
        h("span", { class: "mark large" }, icon("inboxes")),
        h("h1", {}, "inboxd"),
        h("span", { class: "spring" }),
        themeButton(),
      ),
      h("p", { class: "hint" }, "Log in with a user of the broker that has the role ", h("code", {}, "ops"), "."),
      form,
      app.site.anonymous && nobody,
      h("p", { class: "hint faint" }, app.site.version && `inboxd ${app.site.version} · `, app.site.url),
    ),
  );
  return { title: "Log in", element, close: unwatch };
}
