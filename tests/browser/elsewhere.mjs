// Pages of another origin that have a company's chat: what a small business puts on its own website.
// It serves nothing but such pages, each described by its address.

import { createServer } from "node:http";

const NONCE = "bm9uY2U";

/** Serves pages that have the chats of these companies' addresses; `address(url, options)` is where one is. */
export async function elsewhere() {
  const server = createServer((request, response) => {
    const given = new URL(request.url, "http://x").searchParams;
    if (!given.has("chat")) return response.writeHead(404).end();
    const headers = { "content-type": "text/html; charset=utf-8" };
    if (given.has("strict")) headers["content-security-policy"] = policy(given.get("chat"));
    response.writeHead(200, headers).end(page(given));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const address = (chat, options = {}) => `${origin}/?${new URLSearchParams({ chat, ...options })}`;
  return { origin, address, close: () => server.close() };
}

// The strictest policy with which a page can have the chat: no eval, no inline style, no text taken for a script.
const policy = (chat) =>
  `default-src 'none'; img-src data:; script-src 'nonce-${NONCE}' 'strict-dynamic'; connect-src ${chat}; base-uri 'none'; require-trusted-types-for 'script'`;

const page = (given) => `<!doctype html>
<html lang="${given.get("lang") ?? "en"}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A shop</title>
<link rel="icon" href="data:,">
<script nonce="${NONCE}">${given.get("early") ?? ""}</script>
${given.has("none") ? "" : `<script nonce="${NONCE}" src="${given.get("chat")}/widget.js" async${data(given)}></script>`}
</head>
<body>
<main><h1>A shop</h1><p>Best things in town. <a href="#more">More</a></p><p><button id="ask">Ask us</button></p>
${given.get("mode") === "inline" ? '<div id="chat"></div>' : ""}
<p id="more">${"Things that we sell, and why they are good. ".repeat(60)}</p></main>
${given.has("strict") ? "" : "<style>body { font: 16px/1.5 sans-serif; margin: 1rem } #chat { height: 34rem; border: 1px solid #ccc }</style>"}
</body></html>`;

const data = (given) =>
  ["mode", "target", "theme"].filter((name) => given.has(name)).map((name) => ` data-${name}="${given.get(name)}"`).join("");
