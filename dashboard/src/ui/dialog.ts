/** Dialogs that ask before something cannot be taken back, and short messages about what was done. */
import { isTyped, visible } from "../model/visible";
import { explained } from "../mqtt/requests";
import { button, h, name, type Child } from "./dom";
import { nameField, problem } from "./parts";

interface Question {
  title: string;
  text: Child[];
  /** The label of the button that does it. */
  act: string;
  /** What must be typed before the button works. */
  typed?: string;
  /** Does it, and says what was done; the dialog stays open until that ended, and shows an error. */
  run: () => Promise<Child[]>;
  /** What follows, when it is done. */
  then: () => unknown;
}

/** Asks, and does it where the answer is yes. Esc and Cancel do nothing. */
export function confirm(question: Question): void {
  const wrong = problem();
  const act = button(question.act, "danger", async () => {
    wrong.hide();
    try {
      const done = await question.run();
      dialog.close();
      toast(...done);
      question.then();
    } catch (error) {
      // Who closed it meanwhile wants to know, too.
      if (dialog.open) wrong.say(explained(error));
      else toast(explained(error));
    }
  });
  const { typed } = question;
  const input = nameField({ id: "typed" });
  if (typed !== undefined) {
    act.disabled = true;
    input.addEventListener("input", () => {
      act.disabled = !isTyped(typed, input.value);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !act.disabled) act.click();
    });
  }
  const field =
    typed !== undefined &&
    h(
      "div",
      { class: "field" },
      h("label", { for: "typed" }, "Type the client ID to confirm: ", h("strong", {}, name(typed))),
      input,
      visible(typed) !== typed && h("p", { class: "hint" }, "Escapes are typed as they are shown."),
    );
  const dialog = modal(
    question.title,
    [...question.text.map((text) => (text instanceof Node ? text : h("p", {}, text))), field, wrong.element],
    [
      button("Cancel", "plain", () => {
        dialog.close();
      }),
      act,
    ],
  );
  if (typed !== undefined) input.focus();
}

/** A dialog with a title, a body and buttons. Esc closes it, and the focus goes back to where it was. */
export function modal(title: string, body: Child[], buttons: HTMLButtonElement[]): HTMLDialogElement {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h("h2", { id: "dialog-title" }, title),
    h("div", { class: "dialog-body" }, ...body),
    h("div", { class: "actions end" }, ...buttons),
  );
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  buttons[0]?.focus();
  return dialog;
}

/** Takes away what is asked: what it is about is shown no more. */
export function closeDialogs(): void {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
}

/** Where toasts are said. It is there before them: screen readers hear what comes into it. */
export const toasts = h("div", { class: "toasts", role: "status" });

/** Says for a few seconds what was done. */
export function toast(...text: Child[]): void {
  const shown = h("div", { class: "toast" }, ...text);
  toasts.append(shown);
  setTimeout(() => {
    shown.remove();
  }, 6000);
}
