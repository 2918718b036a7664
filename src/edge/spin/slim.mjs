// Makes a component smaller: runs binaryen's wasm-opt, which knows modules only, on the core modules inside it, and leaves out
// names and other custom sections. It changes nothing of the component around them.
//
//     node src/edge/spin/slim.mjs <component> <smaller component>
//
// A component is a header of eight bytes and then sections: one byte for the kind, the length as LEB128, the content. Kind 0
// is a custom section, kind 1 a whole core module (component-model, design/mvp/Binary.md).

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CUSTOM = 0, CORE_MODULE = 1;
const COMPONENT = Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]);
// What rustc lets LLVM use for wasm32-wasip2; wasm-opt is to use no more.
const FEATURES = ["bulk-memory", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

const [from, to] = process.argv.slice(2);
if (!to) throw new Error("usage: slim.mjs <component> <smaller component>");
const component = readFileSync(from);
if (!component.subarray(0, 8).equals(COMPONENT)) throw new Error(`${from} is no component`);

const parts = [COMPONENT];
for (let at = 8; at < component.length;) {
    const kind = component[at];
    const [length, start] = leb128(component, at + 1);
    at = start + length;
    if (at > component.length) throw new Error(`${from} breaks off`);
    if (kind === CUSTOM) continue;
    const content = component.subarray(start, at);
    const kept = kind === CORE_MODULE ? optimized(content) : content;
    parts.push(Buffer.from([kind, ...toLeb128(kept.length)]), kept);
}
writeFileSync(to, Buffer.concat(parts));

function optimized(module) {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-"));
    try {
        const [before, after] = ["before.wasm", "after.wasm"].map((name) => join(folder, name));
        writeFileSync(before, module);
        const options = ["-Oz", "--strip-debug", "--strip-producers", "--strip-target-features"];
        const features = ["--mvp-features", ...FEATURES.map((feature) => `--enable-${feature}`)];
        execFileSync("node_modules/.bin/wasm-opt", [...features, ...options, before, "-o", after]);
        return readFileSync(after);
    } finally {
        rmSync(folder, { recursive: true });
    }
}

function leb128(bytes, at) {
    let value = 0, shift = 0, byte;
    do {
        byte = bytes[at++];
        value += (byte & 0x7f) * 2 ** shift;
        shift += 7;
    } while (byte & 0x80);
    return [value, at];
}

function toLeb128(value) {
    const bytes = [];
    for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
    return [...bytes, value];
}
