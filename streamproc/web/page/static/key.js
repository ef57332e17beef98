import { h } from "./dom.js";

// The key, or token, that a gateway knows its callers by: for this tab, until it is closed.

const NAME = "key";
let asking = null;

export function keyHeaders() {
  const key = sessionStorage.getItem(NAME);
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

// What was sent was refused; another may have been given meanwhile.
export function forgetKey(sent) {
  if (sent.Authorization === keyHeaders().Authorization) sessionStorage.removeItem(NAME);
}

// Settles once a key was given; many may wait for the one dialog.
export function askForKey(reason) {
  if (sessionStorage.getItem(NAME) !== null) return Promise.resolve();
  asking ??= new Promise((given) => {
    const field = h("input", {
      id: "key", type: "password", autocomplete: "off", required: true, autofocus: true,
      // A header takes nothing else.
      pattern: "\\s*[!-~]+\\s*", title: "letters, digits and signs, without spaces",
    });
    const dialog = h("dialog", { id: "key-dialog", "aria-labelledby": "key-title" },
      h("form", {
        onsubmit: (event) => {
          event.preventDefault();
          sessionStorage.setItem(NAME, field.value.trim());
          dialog.remove();
          asking = null;
          given();
        },
      },
      h("h2", { id: "key-title" }, "Who asks?"),
      h("p", { role: "alert" }, reason),
      h("label", { class: "field" }, "Key or token", field),
      h("button", { type: "submit" }, "Open")));
    // There is nothing behind it to be seen without a key.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}
