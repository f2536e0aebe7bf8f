// node shot.mjs URL FILE [width] [height] [dark] [seconds] [full]: a picture of the console after some seconds of looking.
import { Looker } from "./look.mjs";

const [url, file, width = "1280", height = "900", dark = "", wait = "8", full = ""] = process.argv.slice(2);
const looker = await new Looker().start({ width: Number(width), height: Number(height), dark: dark === "dark", origin: new URL(url).origin });
try {
  await looker.page.goto(url);
  await looker.page.waitForTimeout(Number(wait) * 1000);
  await looker.page.screenshot({ path: file, fullPage: full === "full" });
  for (const line of [...looker.complaints, ...await looker.violations(), ...looker.foreign]) console.log(line);
} finally {
  await looker.end();
}
