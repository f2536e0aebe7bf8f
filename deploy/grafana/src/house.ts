// The house style of all dashboards: what a query selects, how panels look, where they link to.
import { DashboardCursorSync, DashboardBuilder, DashboardLinkBuilder, DashboardLinkType, DatasourceVariableBuilder, QueryVariableBuilder,
  RowBuilder, ThresholdsConfigBuilder, ThresholdsMode, VariableRefresh, VariableSort,
  type Threshold } from '@grafana/grafana-foundation-sdk/dashboard';
import { BigValueColorMode, BigValueGraphMode, LegendDisplayMode, LegendPlacement, ReduceDataOptionsBuilder,
  StackingConfigBuilder, StackingMode, TooltipDisplayMode, VisibilityMode, VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder } from '@grafana/grafana-foundation-sdk/common';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

export type { DashboardBuilder };

const datasource = { type: 'prometheus', uid: '${datasource}' };

/** A family without its prefix, with the matchers that every query of the dashboard has and those given. */
export class Selector {
  constructor(private readonly matchers: string) {}
  of(name: string, more = ''): string {
    return `sluice_${name}{${[this.matchers, more].filter(Boolean).join(', ')}}`;
  }
  /** Per second. */
  rate(name: string, more = ''): string {
    return `rate(${this.of(name, more)}[$__rate_interval])`;
  }
  sumRate(name: string, by = '', more = ''): string {
    return `sum${by ? ` by (${by})` : ''} (${this.rate(name, more)})`;
  }
  quantile(q: number, name: string, by = '', more = ''): string {
    const labels = ['le', by].filter(Boolean).join(', ');
    return `histogram_quantile(${q}, sum by (${labels}) (${this.rate(`${name}_bucket`, more)}))`;
  }
  /** Mean of a histogram's observations. */
  mean(name: string): string {
    return `${this.sumRate(`${name}_sum`)} / ${this.sumRate(`${name}_count`)}`;
  }
}
export const node = new Selector('instance=~"$instance"');
export const provider = new Selector('instance=~"$instance", provider=~"$provider"');

export interface Line { expr: string; legend: string }
export const line = (expr: string, legend: string): Line => ({ expr, legend });
/** p50, p95 and p99 of a histogram. */
export const quantiles = (select: Selector, name: string, more = ''): Line[] =>
  [0.5, 0.95, 0.99].map((q) => line(select.quantile(q, name, '', more), `p${q * 100}`));

function target(of: Line, index: number): DataqueryBuilder {
  return new DataqueryBuilder().datasource(datasource).expr(of.expr).legendFormat(of.legend)
    .refId(String.fromCharCode(65 + index));
}

export interface Look {
  unit: string;
  about: string;  // what it means and what to do: shown behind the panel's "i"
  stack?: boolean;
  width?: number;  // of 24
  decimals?: number;
}

export function graph(title: string, lines: Line[], look: Look): TimeseriesBuilder {
  const panel = new TimeseriesBuilder().title(title).description(look.about).datasource(datasource).unit(look.unit)
    .targets(lines.map(target)).span(look.width ?? 12).height(8).min(0).lineWidth(1)
    .fillOpacity(look.stack ? 40 : 8).showPoints(VisibilityMode.Never).spanNulls(false)
    .legend(new VizLegendOptionsBuilder().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom)
      .showLegend(true))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  if (look.decimals !== undefined) panel.decimals(look.decimals);
  return look.stack ? panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : panel;
}

/** Good below the first step, then these colours. */
export type Steps = [value: number, colour: string][];

export function stat(title: string, expr: string, look: Look, steps: Steps = []): StatBuilder {
  const thresholds: Threshold[] = [{ value: null, color: 'green' }, ...steps.map(([value, color]) => ({ value, color }))];
  const panel = new StatBuilder().title(title).description(look.about).datasource(datasource).unit(look.unit)
    .withTarget(target(line(expr, ''), 0)).span(look.width ?? 3).height(4)
    .graphMode(BigValueGraphMode.Area)
    .colorMode(steps.length ? BigValueColorMode.Background : BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(thresholds));
  return look.decimals === undefined ? panel : panel.decimals(look.decimals);
}

export interface Page {
  title: string;
  uid: string;
  about: string;
  providers?: boolean;  // has a choice of them
  rows: [title: string, panels: (StatBuilder | TimeseriesBuilder)[]][];
}

export function dashboard(page: Page): DashboardBuilder {
  const built = new DashboardBuilder(page.title).uid(page.uid).description(page.about).tags(['sluice'])
    .time({ from: 'now-1h', to: 'now' }).refresh('10s').timezone('browser').readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder('Sluice').type(DashboardLinkType.Dashboards).tags(['sluice']).asDropdown(false).includeVars(true)
      .keepTime(true))
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(choice('instance', 'Node', 'label_values(sluice_build_info, instance)'));
  if (page.providers)
    built.withVariable(choice('provider', 'Provider', 'label_values(sluice_delivery_attempts_total, provider)'));
  let id = 0;
  for (const [title, panels] of page.rows) {
    built.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels) built.withPanel(panel.id(++id));
  }
  return built;
}

function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name).label(label).datasource(datasource).query({ query, refId: name })
    .definition(query).multi(true).includeAll(true).allValue('.*').refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}
