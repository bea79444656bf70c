// This program bundles the viewer into one classic script: `npm run build`. Its first line names the state of the sources.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2] ?? join(folder, "../nerfsem_method/web/viewer.js");

/** Return the SHA-256 of all that the script is made of; tests/test_web_viewer.py computes the same. */
function stateOfSources() {
  const sources = readdirSync(join(folder, "src"), { recursive: true }).filter((name) => name.endsWith(".ts"));
  const names = ["package-lock.json", "build.mjs", ...sources.map((name) => `src/${name}`)];
  const hash = createHash("sha256");
  for (const name of names.map((each) => each.replaceAll("\\", "/")).sort()) {
    hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  }
  return hash.digest("hex");
}

const common = {
  bundle: true, minify: true, format: "iife", target: "es2022", write: false, charset: "utf8", legalComments: "none",
};

const workers = {
  name: "workers",
  setup(context) {
    context.onResolve({ filter: /^worker:/ }, ({ path, resolveDir }) => {
      return { path: join(resolveDir, path.slice("worker:".length)), namespace: "worker" };
    });
    context.onLoad({ filter: /.*/, namespace: "worker" }, async ({ path }) => {
      const { outputFiles } = await build({ ...common, entryPoints: [path] });
      return { contents: outputFiles[0].text, loader: "text" };
    });
  },
};

const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const { outputFiles } = await build({
  ...common,
  entryPoints: [join(folder, "src/index.ts")],
  define: { VERSION: JSON.stringify(version) },
  plugins: [workers],
});
const banner = `/* nerfsem-viewer ${version}, ${license}; @noble/hashes, MIT; sources ${stateOfSources()} */\n`;
writeFileSync(output, banner + outputFiles[0].text);
console.log(`${relative(process.cwd(), output)}: ${banner.length + outputFiles[0].contents.length} bytes`);
