import { writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Writes `.br` and `.gz` beside each asset, so that the server compresses nothing at run time. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        for (const [fileName, output] of Object.entries(bundle)) {
          if (!/\.(js|css|svg)$/.test(fileName)) continue;
          const source = Buffer.from(output.type === "chunk" ? output.code : output.source);
          const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
          this.emitFile({ type: "asset", fileName: `${fileName}.br`, source: brotliCompressSync(source, quality) });
          this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source: gzipSync(source, { level: 9 }) });
        }
      },
    },
  };
}

/** With `--watch`, open pages reload after each build. Not by Vite's server, whose page needs another policy than the real one. */
function reload(): Plugin {
  return {
    name: "reload",
    apply: "build",
    transform(code, id) {
      if (!this.meta.watchMode || !id.endsWith("/src/main.tsx")) return null;
      return `${code}
new EventSource("/reload").onmessage = ({ data }) => {
  const assets = [...document.querySelectorAll("[src^='/assets/'], [href^='/assets/']")];
  if (!assets.every((each) => data.includes((each.src ?? each.href).split("/").pop()))) location.reload();
};`;
    },
    writeBundle(_options, bundle) {
      // server/reload.ts reads it: now all files are written.
      if (this.meta.watchMode) writeFileSync("dist/watched", JSON.stringify(Object.keys(bundle)));
    },
  };
}

export default defineConfig({
  logLevel: process.env["VITE_LOG_LEVEL"] === "warn" ? "warn" : "info",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist/client",
    target: "es2022",
    // The policy of the page allows neither inline scripts nor data: scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [precompress(), reload()],
});
