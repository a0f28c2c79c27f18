/** Starts the page: asks where the broker is, and shows the login or the views. */
import { App, findSite } from "./app";
import { isSignedOut, remembered } from "./mqtt/login";
import { empty, failed, h, replace } from "./ui/dom";
import { shell } from "./ui/shell";
import { startTheme } from "./ui/theme";

startTheme();

async function start(): Promise<void> {
  const place = document.getElementById("app");
  if (!place) return;
  replace(place);
  try {
    const app = new App(await findSite());
    replace(place, shell(app));
    const login = remembered();
    if (login) app.connection.signIn(login, true);
    else if (app.site.anonymous && !isSignedOut()) app.connection.signIn({ kind: "anonymous" }, true);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    replace(
      place,
      h(
        "main",
        { class: "alone" },
        empty("The broker's web port does not answer as it should", `Look whether inboxd runs, and whether a proxy in front of it passes on /dashboard.json. (${why})`),
        failed("The dashboard could not start.", () => void start()),
      ),
    );
  }
}

void start();
