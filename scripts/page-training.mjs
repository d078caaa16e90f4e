/**
 * What the page needs to train, as modules of its bundle, read by the built package itself: the config configs/page.yaml,
 * the beginnings of its texts, and the kernels. So page and command line train on the same bytes.
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
      const kernels = new URL("../dist/wasm/plain.single.wasm", import.meta.url);
      return {
        contents:
          json("base", base.tree) +
          json(
            "variants",
            variants.map(({ name, change }) => ({ name, set: change.tree })),
          ) +
          json("texts", Object.fromEntries(texts)) +
          `const base64 = ${JSON.stringify(readFileSync(kernels, "base64"))};\n` +
          "export const kernels = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));\n",
      };
    });
  },
};
