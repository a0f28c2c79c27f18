/** Light or dark: as the system says, until the operator chose. Charts are drawn, so they ask here for colours. */
import { signal } from "../model/signal";
import { h, icon, replace } from "./dom";

type Theme = "system" | "light" | "dark";
const KEY = "inboxd-theme";

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

/** What is chosen, and whether that is dark now. */
export const theme = signal<{ chosen: Theme; isDark: boolean }>({ chosen: stored(), isDark: false });

const system = matchMedia("(prefers-color-scheme: dark)");

function apply(chosen: Theme): void {
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
  theme.set({ chosen, isDark: chosen === "dark" || (chosen === "system" && system.matches) });
}

export function startTheme(): void {
  apply(stored());
  system.addEventListener("change", () => {
    apply(theme.value.chosen);
  });
}

function choose(chosen: Theme): void {
  if (chosen === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, chosen);
  apply(chosen);
}

/** A button that goes through the three themes. */
export function themeButton(): HTMLElement {
  const order: Theme[] = ["system", "light", "dark"];
  const made = h("button", { type: "button", class: "icon-button" });
  made.addEventListener("click", () => {
    choose(order[(order.indexOf(theme.value.chosen) + 1) % order.length] ?? "system");
  });
  theme.watch(({ chosen }) => {
    const label = `Theme: ${chosen === "system" ? "as the system" : chosen}`;
    made.title = label;
    made.setAttribute("aria-label", label);
    replace(made, icon(chosen));
  });
  return made;
}

/** The colour that a class of the style sheet has now, as `rgb(…)`. */
export function ink(name: string): string {
  const probe = h("i", { class: name, hidden: true });
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
