/** Starts the page: asks where the broker is, and shows the login or the views. */
import { App } from "./app";
import { findSite, NoSite } from "./mqtt/site";
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
    app.begin();
    shell(app, place);
  } catch (error) {
    const title = error instanceof NoSite ? error.title : "The dashboard met an error of its own";
    const why = error instanceof Error ? error.message : String(error);
    replace(
      place,
      h(
        "main",
        { class: "alone" },
        empty(title, why),
        failed("The dashboard could not start.", () => void start()),
      ),
    );
  }
}

void start();
