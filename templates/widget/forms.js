// Forms in the panel: how to be reached, and whether an answer helped. They send nothing themselves: the panel does.

const UP = "M7 11v9H4v-9zM7 11l4-8c1.7 0 2.6 1 2.3 2.6L12.6 9H19a1.6 1.6 0 0 1 1.6 2l-1.8 7.5A2 2 0 0 1 16.9 20H7";

/** Asks how to be reached. `send` takes what is given, and `sent` follows; `words` says what went wrong. */
function leadForm({ say, words, send, sent }) {
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const done = h("button", { class: "button" }, say("callback"));
  const input = (name, props) => h("label", {}, say(name), h("input", { name, ...props }));
  const fail = (sentence) => {
    problem.textContent = sentence;
    problem.hidden = false;
  };
  const form = h("form", {
    class: "lead",
    async onsubmit(event) {
      event.preventDefault();
      const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
      if (!given.phone && !given.email) {
        form.elements.phone.focus();
        return fail(say("need"));
      }
      done.disabled = true;
      try {
        await send(given);
        sent(given);
      } catch (error) {
        fail(words(error));
        done.disabled = false;
      }
    },
  },
    h("h3", {}, say("lead")),
    input("name", { autocomplete: "name", maxlength: 120, required: true }),
    h("div", { class: "ways" }, input("phone", { type: "tel", autocomplete: "tel", minlength: 5, maxlength: 40 }),
      input("email", { type: "email", autocomplete: "email", maxlength: 254 })),
    problem, done, h("small", {}, say("only")));
  return form;
}

/** Two thumbs, and room for a remark under the one that points down. `send` takes whether it helped, and the remark. */
function rating({ say, settle, rated, send }) {
  const thumb = (name, good) => h("button", {
    type: "button", class: "icon", "aria-label": say(name),
    onclick() {
      mark(good);
      form?.remove();
      send(good, "");
      if (!good) remark();
    },
  }, icon(UP, good ? undefined : "rotate(180 12 12)"));
  const up = thumb("good", true);
  const down = thumb("bad", false);
  const place = h("div", {}, h("div", { class: "rate" }, up, down));
  let form;

  function mark(good) {
    up.setAttribute("aria-pressed", String(good === true));
    down.setAttribute("aria-pressed", String(good === false));
  }

  function remark() {
    const text = h("textarea", { rows: 2, maxlength: 1000 });
    form = h("form", {
      onsubmit(event) {
        event.preventDefault();
        send(false, text.value.trim());
        form.replaceWith((form = h("small", {}, say("rated"))));
        settle();
      },
    }, h("label", {}, say("remark"), text), h("button", { class: "button" }, say("send")));
    place.append(form);
    text.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  mark(rated);
  return place;
}

function button(kind, text, onclick, props = {}) {
  return h("button", { type: "button", class: kind, onclick, ...props }, text);
}

function icon(path, transform) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  if (transform) line.setAttribute("transform", transform);
  svg.append(line);
  return svg;
}
