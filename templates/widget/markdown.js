// What an answer says, as nodes. It never sets HTML: text becomes text, whatever is in it. A link leads only to a host
// that is listed or the company's own, and an image is loaded only from a host that is listed; others stay words.

const BLOCKS = /^(?:(`{3,})|#{1,6} +(.*)|[-*+] +(.*)|(\d{1,9})[.)] +(.*))/;
const SPANS =
  /`([^`\n]{1,2000})`|(!?)\[([^[\]\n]{0,500})\]\(\s*<?([^\s<>()]{0,2000})>?[^()\n]{0,200}\)|\*\*([^\n]{1,2000}?)\*\*|__([^\n]{1,2000}?)__|\*([^*\s][^*\n]{0,2000}?)\*|\b_([^_\n]{1,2000}?)_\b|(https?:\/\/[^\s<>()"'*]{1,2000}[^\s<>()"'*.,;:!?])/;

/** Nodes for a text. `rules` has `base`, and the hosts `links` and `images`. */
function markdown(text, rules) {
  const out = [];
  let list, paragraph;
  const lines = text.split(/\r?\n/);
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at].trim();
    const [, fence, heading, bullet, number, numbered] = line.match(BLOCKS) ?? [];
    if (fence) {
      const code = [];
      while (++at < lines.length && !lines[at].trim().startsWith(fence)) code.push(lines[at]);
      out.push(h("pre", { tabindex: 0 }, h("code", {}, code.join("\n"))));
    } else if (heading !== undefined) {
      out.push(h("p", {}, h("strong", {}, ...spans(heading, rules))));
    } else if (bullet ?? numbered) {
      const kind = number ? "ol" : "ul";
      if (list?.localName !== kind) out.push((list = h(kind, number && number !== "1" ? { start: number } : {})));
      list.append(h("li", {}, ...spans(bullet ?? numbered, rules)));
      paragraph = undefined;
      continue;
    } else if (line) {
      if (paragraph) paragraph.append(h("br"), ...spans(line, rules));
      else out.push((paragraph = h("p", {}, ...spans(line, rules))));
      list = undefined;
      continue;
    }
    // An empty line ends a paragraph, and not a list.
    paragraph = undefined;
    if (line) list = undefined;
  }
  return out;
}

function spans(text, rules) {
  const out = [];
  for (let found; text && (found = text.match(SPANS)); text = text.slice(found.index + found[0].length)) {
    if (found.index) out.push(text.slice(0, found.index));
    const [whole, code, bang, label, target, bold, bolder, italic, italics, url] = found;
    if (code) out.push(h("code", {}, code));
    else if (target !== undefined) out.push(bang ? picture(label, target, rules) : link(spans(label, rules), target, rules));
    else if (url) out.push(link([url], url, rules));
    else out.push(h(bold ?? bolder ? "strong" : "em", {}, ...spans(bold ?? bolder ?? italic ?? italics ?? whole, rules)));
  }
  if (text) out.push(text);
  return out;
}

function link(words, target, { base, links }) {
  const url = address(target, base, [...links, new URL(base).host]);
  const shown = url ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow" }) : h("span");
  shown.append(...words);
  return shown;
}

function picture(label, target, { base, images }) {
  const url = address(target, base, images);
  return url ? h("img", { src: url, alt: label, loading: "lazy", referrerpolicy: "no-referrer" }) : label;
}

// The address, if it is on one of these hosts.
function address(target, base, hosts) {
  try {
    const url = new URL(target, base);
    const fine = /^https?:$/.test(url.protocol) && !url.username && !url.password && hosts.includes(url.host);
    return fine ? url.href : undefined;
  } catch {
    return undefined;
  }
}

// An element. Names that begin with "on" are listeners.
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}
