// Jobs with their progress.
import { byId, h, part, Rows, share, write } from "./dom";
import { count, fromNow, rate, when } from "./format";
import { table } from "./panels";
import type { Job } from "./types";

export class JobsPanel {
  private readonly rows: Rows<Job>;
  private readonly empty = h("p", { class: "empty" }, "No jobs yet. POST /v1/messages begins one.");

  constructor(open: (job: string) => void) {
    const { element, body } = table("Jobs", [["Job", "text"], ["Campaign", "text"], ["Recipients", "number"], ["Progress", "bar"], ["Bounced", "number rare"], ["Rate", "number rare"], ["Done", "number"]]);
    this.rows = new Rows(body, (j) => j.job,
      (j) => h("tr", {}, h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => open(j.job) }, j.job)),
               h("td", { class: "text" }, j.campaign ?? "", h("span", { class: "note" }, j.tenant === "default" ? "" : ` ${j.tenant}`)),
               h("td", { class: "number", "data-part": "accepted" }),
               h("td", { class: "bar" }, h("span", { class: "meter two", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": `Progress of ${j.job}`, "data-part": "meter" }), h("span", { class: "num note", "data-part": "share" })),
               h("td", { class: "number rare", "data-part": "bounced" }), h("td", { class: "number rare", "data-part": "rate" }), h("td", { class: "number", "data-part": "done" })),
      (row, j) => {
        const ended = j.accepted - j.open;
        write(part(row, "accepted"), count(j.accepted));
        const done = j.accepted > 0 ? ended / j.accepted : 0;
        share(part(row, "meter"), "--share", j.accepted > 0 ? j.delivered / j.accepted : 0);
        share(part(row, "meter"), "--second", done);
        part(row, "meter").setAttribute("aria-valuenow", (100 * done).toFixed(0));
        write(part(row, "share"), `${(100 * done).toFixed(done < 1 && done > 0.99 ? 1 : 0)} %`);
        write(part(row, "bounced"), count(j.bounced));
        write(part(row, "rate"), `${rate(j.rate_per_second)}/s`);
        write(part(row, "done"), j.finished ? when(j.finished) : j.estimated_finish ? fromNow(j.estimated_finish) : "–");
      });
    byId("jobs").append(h("div", { class: "head" }, h("h2", { id: "t-jobs" }, "Jobs")), this.empty, element);
  }

  show(jobs: Job[]): void {
    this.empty.hidden = jobs.length > 0;
    this.rows.show(jobs);
  }
}
