// Writes dashboards/*.json beside this source; a folder as an argument takes another one (tests compare).
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engine } from './engine';
import { overview } from './overview';
import { providers } from './provider';

const folder = process.argv[2] ?? 'dashboards';
mkdirSync(folder, { recursive: true });
for (const [name, builder] of Object.entries({ overview, provider: providers, engine }))
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(builder.build(), null, 2)}\n`);
