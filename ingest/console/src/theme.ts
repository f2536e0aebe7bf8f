// Light, dark, or as the system has it; remembered for the next visit.

const name = "sluice.theme";
const order = ["auto", "light", "dark"] as const;
type Theme = typeof order[number];
const words: Record<Theme, [string, string]> = {
  auto: ["Auto", "Colours: as the system has them"], light: ["Light", "Colours: light"], dark: ["Dark", "Colours: dark"],
};

export function theme(button: HTMLButtonElement, changed: () => void): void {
  const kept = localStorage.getItem(name);
  let now: Theme = order.find((theme) => theme === kept) ?? "auto";
  const show = (): void => {
    if (now === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = now;
    button.textContent = words[now][0];
    button.setAttribute("aria-label", words[now][1]);
    changed();
  };
  button.addEventListener("click", () => {
    now = order[(order.indexOf(now) + 1) % order.length] ?? "auto";
    localStorage.setItem(name, now);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
