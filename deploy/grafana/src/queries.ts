// Checks dashboards/*.json by dashboard.schema.json, parses every query, and prints all of them with the metrics that they
// name: [{dashboard, panel, expr, legend, metrics}]. What is wrong goes to stderr, all of it, with status 1.
import { parser } from '@prometheus-io/lezer-promql';
import Ajv from 'ajv';
import { readdirSync, readFileSync } from 'node:fs';
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';

interface Query { dashboard: string; panel: string; expr: string; legend: string; metrics: string[] }
const problems: string[] = [];

/** Grafana's variables stand where PromQL wants a duration or a text. */
const plain = (expr: string) => expr.replaceAll('$__rate_interval', '1m');

function metricsOf(where: string, expr: string): string[] {
  const text = plain(expr);
  const names = new Set<string>();
  parser.parse(text).iterate({
    enter(at) {
      if (at.type.isError) problems.push(`${where}: not PromQL at ${at.from}: ${text.slice(at.from, at.from + 20)}…`);
      if (at.name === 'VectorSelector') {
        const name = at.node.getChild('Identifier');
        if (name) names.add(text.slice(name.from, name.to));
      }
    },
  });
  return [...names];
}

function queriesOf(file: string): Query[] {
  const page = JSON.parse(readFileSync(`dashboards/${file}`, 'utf8')) as Dashboard;
  if (!validate(page))
    for (const error of validate.errors ?? []) problems.push(`${file}${error.instancePath}: ${error.message}`);
  const panels = (page.panels ?? []).filter((panel) => panel.type !== 'row') as Panel[];
  const seen = new Set<string>();
  return panels.flatMap((panel) => {
    const title = panel.title ?? '';
    const key = `${panel.type} ${title}`;
    if (seen.has(key)) problems.push(`${file}: two panels are called "${title}"`);
    seen.add(key);
    return ((panel.targets ?? []) as Dataquery[]).map(({ expr, legendFormat }) =>
      ({ dashboard: file, panel: title, expr, legend: legendFormat ?? '', metrics: metricsOf(`${file} "${title}"`, expr) }));
  });
}

const validate = new Ajv({ allErrors: true, strict: true, strictRequired: false }).compile(JSON.parse(readFileSync('dashboard.schema.json', 'utf8')));
const all = readdirSync('dashboards').filter((name) => name.endsWith('.json')).sort().flatMap(queriesOf);
for (const problem of problems) console.error(problem);
console.log(JSON.stringify(all));
process.exit(problems.length ? 1 : 0);
