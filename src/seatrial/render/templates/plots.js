"use strict";
// A drawing comes alive when the part that it is in is opened; until then, and on paper, its still picture says the same.
{
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const cell = (text) => {
    const part = document.createElement("span");
    part.textContent = String(text);
    return part;
  };
  const tell = (_, event, __, value) => {
    tip.hidden = !value;
    if (!value) return;
    tip.replaceChildren(
      ...Object.entries(value).map(([name, text]) => {
        const row = document.createElement("div");
        row.append(cell(name), cell(text));
        return row;
      }),
    );
    const [wide, high] = [tip.offsetWidth + 14, tip.offsetHeight + 14];
    tip.style.left = `${event.clientX + wide > innerWidth ? Math.max(0, event.clientX - wide) : event.clientX + 14}px`;
    tip.style.top = `${event.clientY + high > innerHeight ? Math.max(0, event.clientY - high) : event.clientY + 14}px`;
  };
  const refuse = () => Promise.reject(new Error("this page asks nobody"));
  const options = {
    mode: "vega-lite",
    ast: true, // expressions are interpreted: the page's policy allows no eval
    renderer: "svg",
    actions: false,
    defaultStyle: false,
    tooltip: tell,
    loader: { load: refuse, sanitize: refuse, http: refuse, file: refuse },
  };
  const addSwitches = (live, spec, view) => {
    const names = (spec.usermeta || {}).sides;
    if (!names) return;
    const line = document.createElement("div");
    line.className = "sides-shown";
    line.append("Show: ");
    ["base_shown", "head_shown"].forEach((signal, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = names[at];
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        view.signal(signal, shown).runAsync();
      });
      line.append(button);
    });
    live.before(line);
    const hint = document.createElement("span");
    hint.textContent = "Drag to move, Shift and wheel to zoom, double-click to reset.";
    if (spec.usermeta.zoom) line.append(hint);
  };
  const wake = async (figure) => {
    const still = figure.querySelector(".still");
    const live = document.createElement("div");
    live.className = "live";
    figure.append(live);
    try {
      const spec = JSON.parse(figure.querySelector("script").textContent);
      const { view } = await seatrialEmbed(live, spec, options);
      addSwitches(live, spec, view);
      still.hidden = true;
      figure.dataset.plot = "live";
    } catch (error) {
      live.remove();
      console.error(error);
    }
  };
  const asleep = new Set(document.querySelectorAll("figure[data-plot]"));
  let busy = false;
  const wakeOpen = async () => {
    if (busy) return;
    busy = true;
    // One after the other, or a part with many would hold up the page.
    for (;;) {
      const found = [...asleep].find((figure) => !figure.closest("details:not([open])"));
      if (!found) break;
      asleep.delete(found);
      await wake(found);
      if (found.scrollWidth > found.clientWidth) found.tabIndex = 0;
    }
    busy = false;
  };
  document.addEventListener("toggle", wakeOpen, true);
  wakeOpen();
}
