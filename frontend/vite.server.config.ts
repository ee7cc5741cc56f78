import { defineConfig } from "vite";

// One readable file without node_modules: stack traces name the source, and the image has no packages.
export default defineConfig({
  logLevel: process.env["VITE_LOG_LEVEL"] === "warn" ? "warn" : "info",
  publicDir: false,
  ssr: { noExternal: true },
  build: { ssr: "server/main.ts", outDir: "dist/server", target: "node20", minify: false, emptyOutDir: true },
});
