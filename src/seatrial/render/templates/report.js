"use strict";
// Tables that can be sorted and filtered, and everything open on paper. Without this script the page still says all it
// has to say.
const numberIn = (text) => {
  const found = text.replace(/\u2212/g, "-").replace(/(\d),(?=\d{3})/g, "$1").match(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : null;
};
const compareCells = (left, right, numeric) => {
  if (!numeric) return left.localeCompare(right, "en", { numeric: true });
  const [a, b] = [numberIn(left), numberIn(right)];
  if (a === null || b === null) return (a === null) - (b === null);
  return a - b;
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const title = head.querySelector(".title");
    if (!title) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    title.replaceWith(button);
    button.append(title);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      const numeric = head.classList.contains("right");
      const turn = order === "descending" ? -1 : 1;
      const text = (row) => row.cells[at].textContent.trim();
      const sorted = order ? [...original].sort((a, b) => turn * compareCells(text(a), text(b), numeric)) : original;
      body.append(...sorted);
    });
  });
}
// Rows are kept in which every word stands that was typed, in any case and order; `-word` leaves out those that have it.
const FEW = 12;
const addFilter = (table) => {
  const rows = [...table.tBodies[0].rows];
  let texts = null; // read at the first word: most tables are never filtered
  const label = document.createElement("label");
  const field = document.createElement("input");
  const told = document.createElement("output");
  field.type = "search";
  field.spellcheck = false;
  field.autocomplete = "off";
  label.append("Filter rows ", field);
  const filter = () => {
    texts = texts || rows.map((row) => row.textContent.replace(/\s+/g, " ").toLowerCase());
    const words = field.value.toLowerCase().split(/\s+/).filter((word) => word && word !== "-");
    const stays = (text) =>
      words.every((word) => (word.startsWith("-") ? !text.includes(word.slice(1)) : text.includes(word)));
    let left = 0;
    rows.forEach((row, at) => {
      row.hidden = !stays(texts[at]);
      left += row.hidden ? 0 : 1;
    });
    told.textContent = words.length ? `${left.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows` : "";
  };
  field.addEventListener("input", filter);
  const line = document.createElement("p");
  line.className = "filter";
  line.append(label, told);
  table.closest(".scroll").before(line);
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  if (table.tBodies[0].rows.length >= FEW) addFilter(table);
}
// A table that is wider than its box can be scrolled with the keyboard, too.
for (const box of document.querySelectorAll(".scroll")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open])")) {
    part.open = true;
    part.dataset.printed = "";
  }
});
window.addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-printed]")) {
    part.open = false;
    delete part.dataset.printed;
  }
});
