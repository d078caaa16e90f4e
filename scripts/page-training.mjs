/**
 * What the page carries beside its script, as modules of its bundle: the kernel that routes its batch, and what it needs
 * to train, read by the built package itself: the config configs/page.yaml, the beginnings of its texts, and the kernels.
 * So page and command line train on the same bytes.
 */
import { readFileSync } from "node:fs";

/** @type {import("esbuild").Plugin} */
export const packagedTraining = {
  name: "packaged-training",
  setup(plugin) {
    plugin.onResolve({ filter: /^packaged:/ }, ({ path }) => ({ path, namespace: "packaged" }));
    plugin.onLoad({ filter: /^packaged:training$/, namespace: "packaged" }, async () => {
      const { readConfigLayers } = await import("../dist/src/host/read-config.js");
      const { readDomain } = await import("../dist/src/host/text.js");
      const { textDomains } = await import("../dist/src/data/text-domains.js");
      const { base, variants } = await readConfigLayers("page", []);
      const carried = base.tree.data.domains.filter(({ name }) => !("generate" in textDomains[name]));
      const texts = carried.map((domain) => [domain.name, new TextDecoder().decode(readDomain(domain, ".").bytes)]);
      const json = (name, value) => `export const ${name} = ${JSON.stringify(value)};\n`;
      return {
        contents:
          json("base", base.tree) +
          json(
            "variants",
            variants.map(({ name, change }) => ({ name, set: change.tree })),
          ) +
          json("texts", Object.fromEntries(texts)) +
          bytes("kernels", "plain.single.wasm"),
      };
    });
    plugin.onLoad({ filter: /^packaged:batch$/, namespace: "packaged" }, () => ({
      contents: bytes("batchKernel", "batch.single.wasm"),
    }));
  },
};

/** An exported array of the bytes of a wasm module. */
function bytes(name, file) {
  const base64 = readFileSync(new URL(`../dist/wasm/${file}`, import.meta.url), "base64");
  return `export const ${name} = Uint8Array.from(atob(${JSON.stringify(base64)}), (byte) => byte.charCodeAt(0));\n`;
}
