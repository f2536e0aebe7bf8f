// Builds the page into the folder that its argument names; without one, into dist/, which is checked in.
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";

const out = process.argv[2] ?? join(import.meta.dirname, "dist");
await mkdir(out, { recursive: true });
await build({
  entryPoints: { console: join(import.meta.dirname, "src/main.ts") },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "eof",
  outdir: out,
  logLevel: "warning",
});
await copyFile(join(import.meta.dirname, "src/index.html"), join(out, "index.html"));
